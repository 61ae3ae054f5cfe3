"""One product and one browser for all tests of this folder; each test submits what it decides."""

import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.demo_product import DemoProduct
from tests.browser.watched import Troubles
from tests.browser_binary import find_chromium
from tests.embedded.product import Product
from tests.own_database import own_database

# Without these Chromium draws the toolbar of a window nobody sees, by a process of its own, and keeps
# a spare process for each page: half of all its work. The last list on a command line is the one
# that counts, so what playwright would switch off has to be named again.
FEATURES_OFF = (
    "InitialWebUI",
    "PreloadTopChromeWebUI",
    "WebUIAvatarButton",
    "WebUIBackForwardButton",
    "WebUIHomeButton",
    "WebUILocationBar",
    "WebUIReloadButton",
    "WebUISplitTabsButton",
    "WebUIToolbar",
    "SpareRendererForSitePerProcess",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
)
CHROMIUM_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join(FEATURES_OFF)}",
)
WIDE, NARROW = 1440, 390
PATIENCE_MS = 10_000


class Open(Protocol):
    def __call__(
        self,
        path: str | None,
        *,
        user: str | None = ...,
        width: int = ...,
        expected: tuple[str, ...] = ...,
        **options: Any,
    ) -> Page: ...


# Not for the whole session: playwright keeps an event loop running in this thread, in which Django
# refuses to touch the database, and other folders' tests want the two cores for themselves.
@pytest.fixture(scope="package")
def product() -> Iterator[DemoProduct]:
    with run_product("demo", DemoProduct) as running:
        yield running


@contextmanager
def run_product[Kind: Product](name: str, kind: type[Kind]) -> Iterator[Kind]:
    """With a fresh folder, and a database of its own where the servers are given."""
    var_dir = Path(os.environ["VAR_DIR"]) / "browser" / name
    shutil.rmtree(var_dir, ignore_errors=True)
    with ExitStack() as stack:
        given = {}
        if url := os.environ.get("DATABASE_URL"):
            owner_url = os.environ.get("DATABASE_OWNER_URL", url)
            given |= stack.enter_context(own_database(url, owner_url, "browser"))
        if url := os.environ.get("REDIS_URL"):
            given["REDIS_URL"] = url
        running = stack.enter_context(kind(var_dir, settings=given))
        running.start()
        yield running
        assert running.end(signal.SIGTERM) == 0


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=list(CHROMIUM_OPTIONS)
        )
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def signed_in(product: DemoProduct, chromium: Browser) -> dict[str, Any]:
    """The cookies of people who have signed in, kept because checking a password is slow on purpose."""
    return {}


@pytest.fixture(scope="package")
def kept(chromium: Browser) -> dict[str, BrowserContext]:
    """Contexts that several tests look through, kept because making one costs more than most pages."""
    return {}


@pytest.fixture
def open_page(product: DemoProduct, chromium: Browser, signed_in: dict[str, Any]) -> Iterator[Open]:
    """Opens an address as this person in a browser of their own; afterwards nothing may have failed."""
    yield from open_pages(product, chromium, signed_in, None)


@pytest.fixture
def look_at(
    product: DemoProduct,
    chromium: Browser,
    signed_in: dict[str, Any],
    kept: dict[str, BrowserContext],
) -> Iterator[Open]:
    """The same for tests that leave no trace in cookies and storage: each person's browser is kept."""
    yield from open_pages(product, chromium, signed_in, kept)


def open_pages(
    product: DemoProduct,
    chromium: Browser,
    signed_in: dict[str, Any],
    kept: dict[str, BrowserContext] | None,
) -> Iterator[Open]:
    all_troubles: list[Troubles] = []

    with ExitStack() as stack:

        def new_context(user: str | None, **options: Any) -> BrowserContext:
            if user and user not in signed_in:
                signed_in[user] = sign_in_once(chromium, product, user)
            context = chromium.new_context(
                base_url=product.base_url, storage_state=signed_in.get(user or ""), **options
            )
            context.set_default_timeout(PATIENCE_MS)
            return context

        def open_one(
            path: str | None,
            *,
            user: str | None = "reviewer",
            width: int = WIDE,
            expected: tuple[str, ...] = (),
            **options: Any,
        ) -> Page:
            if kept is None or user is None:
                context = stack.enter_context(new_context(user, **options))
            else:
                context = kept.get(user) or kept.setdefault(user, new_context(user))
            page = stack.enter_context(context.new_page())
            page.set_viewport_size({"width": width, "height": 900})
            all_troubles.append(Troubles(expected))
            all_troubles[-1].watch(page)
            if path:
                page.goto(path)
            return page

        yield open_one
    assert [text for troubles in all_troubles for text in troubles.unexpected] == []
    assert [text for troubles in all_troubles for text in troubles.missing] == []


def sign_in_once(chromium: Browser, product: DemoProduct, user: str) -> Any:
    with chromium.new_context(base_url=product.base_url) as context:
        sign_in(context.new_page(), product, user)
        return context.storage_state()


def sign_in(page: Page, product: DemoProduct, user: str) -> None:
    page.goto("/login/")
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password").fill(product.users[user])
    page.get_by_role("button", name="Sign in").click()
    expect(page).not_to_have_url(re.compile("/login/"))
