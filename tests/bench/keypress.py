"""From the key that approves to the page that says so: on loopback, in a real browser."""

import os
import statistics
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import CHROMIUM_OPTIONS, run_product, sign_in
from tests.browser.demo_product import DemoProduct
from tests.browser.steps import take_by_key
from tests.browser_binary import find_chromium

WARM_UPS, DECISIONS = 5, 40

# The frame after the one in which the answer stands has begun: whoever looks has seen the answer. Nothing
# is asked of the browser before it comes, since a page that counts its frames has to draw them.
WATCH = """() => {
  window.painted = new Promise((done) => {
    let began;
    addEventListener("keydown", () => (began = performance.now()), { capture: true, once: true });
    const observer = new MutationObserver(() => {
      if (!document.querySelector("#outcome .result")) return;
      observer.disconnect();
      requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
    });
    observer.observe(document.body, { childList: true, subtree: true });
  });
}"""


def keypress() -> dict[str, float]:
    """40 decisions of one person after five that warm up, each from the press of `a` to the repainted page."""
    os.environ.setdefault("VAR_DIR", str(Path("var", "bench")))
    with run_product("keypress", DemoProduct) as product, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=list(CHROMIUM_OPTIONS)
        )
        page = browser.new_page(base_url=product.base_url)
        sign_in(page, product, "reviewer")
        walls = [_decide(product, page) for _ in range(WARM_UPS + DECISIONS)][WARM_UPS:]
        browser.close()
    return {
        "review.keypress_p50_ms": statistics.median(walls),
        "review.keypress_p95_ms": statistics.quantiles(walls, n=20)[18],
    }


def _decide(product: DemoProduct, page: Page) -> float:
    page.goto(f"/proposals/{product.submit()['id']}/")
    take_by_key(page)
    page.evaluate(WATCH)
    page.keyboard.press("a")
    return float(page.evaluate("() => window.painted"))
