"""Make the README's picture from the demo that `make up` runs: .venv/bin/python -m scripts.picture"""

import json
import os
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser_binary import find_chromium

ROOT = Path(__file__).resolve().parent.parent
SIZE = {"width": 1360, "height": 860}


def main() -> None:
    var = Path(os.environ.get("VAR_DIR", ROOT / "var"))
    demo = json.loads((var / "demo-credentials.json").read_text())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox", "--force-device-scale-factor=1"]
        )
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(demo["base_url"] + "/login/")
        page.fill("[name=username]", "reviewer")
        page.fill("[name=password]", demo["users"]["reviewer"])
        page.keyboard.press("Enter")
        page.get_by_role("link", name="order/A-20931").first.click()
        page.get_by_role("button", name="Take it").click()
        page.get_by_role("button", name="Approve and run").wait_for()
        page.screenshot(path=ROOT / "docs" / "images" / "review.png")
        browser.close()


if __name__ == "__main__":
    main()
