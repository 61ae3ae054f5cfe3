"""Passkeys in a real browser, with an authenticator that Chromium plays: made, used alone, used again."""

import re
import secrets
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import violations_everywhere
from tests.browser.conftest import Open, sign_in
from tests.browser.demo_product import DemoProduct

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery staple"
DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def at_name(product: DemoProduct, path: str) -> str:
    """Passkeys belong to names; the tests of other pages use the address."""
    return f"http://localhost:{product.port}{path}"


def plug_in(page: Page) -> tuple[Any, str]:
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    added = session.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
    return session, added["authenticatorId"]


def somebody_new(product: DemoProduct, open_page: Open) -> tuple[Page, str]:
    """A person of this test's own, who has just chosen a password by the admin's link."""
    name = f"nora-{secrets.token_hex(3)}"
    admin = open_page(None, user=None)
    sign_in(admin, product, "admin")
    admin.goto("/settings/people/")
    admin.get_by_role("link", name="Add a person").click()
    admin.get_by_label("User name").fill(name)
    admin.get_by_label("Reviewer").check()
    assert violations_everywhere(admin) == []
    admin.get_by_role("button", name="Add them").click()
    link = admin.locator("p.key").inner_text()
    assert violations_everywhere(admin) == []
    page = open_page(None, user=None)
    page.goto(at_name(product, re.sub(r"^https?://[^/]+", "", link)))
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("New password again").fill(PASSWORD)
    page.get_by_role("button", name="Save it and sign in").click()
    expect(page).to_have_url(re.compile("/queue/"))
    return page, name


def make_passkey(product: DemoProduct, page: Page) -> None:
    page.goto(at_name(product, "/me/factors/passkey/"))
    page.get_by_label("Name").fill("Laptop")
    assert violations_everywhere(page) == []
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    expect(page.locator(".codes li")).to_have_count(10)


def sign_out(product: DemoProduct, page: Page) -> None:
    page.goto(at_name(product, "/me/"))
    page.get_by_role("button", name="Account of").click()
    page.locator("#me").get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()


def test_a_passkey_is_made_and_lets_in_alone_and_as_a_second_step(
    product: DemoProduct, open_page: Open
) -> None:
    page, name = somebody_new(product, open_page)
    plug_in(page)
    make_passkey(product, page)
    page.goto(at_name(product, "/me/factors/"))
    expect(page.locator(".places").filter(has_text="Laptop")).to_be_visible()
    assert violations_everywhere(page) == []

    sign_out(product, page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page).to_have_url(re.compile("/queue/"))
    expect(page.get_by_role("button", name="Account of")).to_contain_text(name)

    sign_out(product, page)
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    assert violations_everywhere(page) == []
    page.get_by_role("button", name="Use your passkey").click()
    expect(page).to_have_url(re.compile("/queue/"))

    page.goto(at_name(product, "/me/prove/?next=/me/factors/"))
    assert violations_everywhere(page) == []
    page.get_by_role("button", name="Use your passkey").click()
    expect(page).to_have_url(re.compile("/me/factors/$"))


def test_a_locked_account_still_opens_to_its_passkey(product: DemoProduct, open_page: Open) -> None:
    page, name = somebody_new(product, open_page)
    plug_in(page)
    make_passkey(product, page)
    sign_out(product, page)
    stranger = open_page(None, user=None, expected=("429",))
    for _ in range(11):
        stranger.goto("/login/")
        stranger.get_by_label("User name").fill(name)
        stranger.get_by_label("Password").fill("guess")
        stranger.get_by_role("button", name="Sign in", exact=True).click()
        expect(stranger.get_by_role("alert")).to_be_visible()
    expect(stranger.get_by_role("alert")).to_contain_text("Too many tries.")
    assert violations_everywhere(stranger) == []
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page).to_have_url(re.compile("/queue/"))


def test_a_passkey_of_nobody_opens_nothing_and_says_so(
    product: DemoProduct, open_page: Open
) -> None:
    page, _ = somebody_new(product, open_page)
    plug_in(page)
    make_passkey(product, page)
    page.goto(at_name(product, "/me/factors/"))
    page.get_by_role("button", name="Remove Laptop").click()
    expect(page.locator("#notice")).to_contain_text("Removed")
    # The device still has it, and this instance no longer knows it.
    sign_out(product, page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("This passkey was not accepted.")


def test_who_says_no_to_the_browser_is_told_that_nothing_was_sent(
    product: DemoProduct, open_page: Open
) -> None:
    page = open_page(None, user=None)
    page.goto(at_name(product, "/login/"))
    session, device = plug_in(page)
    session.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was sent")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_enabled()


def test_at_an_address_of_numbers_it_says_where_passkeys_work(
    product: DemoProduct, open_page: Open
) -> None:
    page = open_page("/me/factors/")
    link = page.get_by_role("link", name="localhost")
    expect(link).to_have_attribute("href", at_name(product, "/me/factors/"))
    page.goto("/login/")
    expect(page.get_by_role("button", name="passkey")).to_have_count(0)
