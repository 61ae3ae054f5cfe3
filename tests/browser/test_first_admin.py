"""An empty instance: whoever runs it makes the first admin in the browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.axe import violations_everywhere
from tests.browser.conftest import Open, run_product
from tests.embedded.product import Product

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery staple"


class EmptyProduct(Product):
    setup_code = ""

    def start(self) -> str:
        said = super().start()
        self.setup_code = said.partition("Setup code")[2].split()[0]
        return said


def test_it_makes_the_first_admin_with_the_code_from_the_terminal(open_page: Open) -> None:
    with run_product("empty", EmptyProduct) as empty:
        page = open_page(None, user=None, expected=("422",))
        page.goto(f"http://127.0.0.1:{empty.port}/")
        expect(page).to_have_url(re.compile("/setup/$"))
        assert violations_everywhere(page) == []

        page.get_by_label("Setup code").fill("0000-0000-0000")
        page.get_by_label("User name").fill("ada")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("Password again").fill(PASSWORD)
        create = page.get_by_role("button", name="Create the admin")
        create.click()
        expect(page.get_by_role("alert")).to_contain_text("Setup code")
        assert violations_everywhere(page) == []

        page.get_by_label("Setup code").fill(empty.setup_code)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("Password again").fill(PASSWORD)
        create.click()
        expect(page.locator("#notice")).to_contain_text("You are the first admin")
        expect(page.get_by_role("heading", name="Nothing waiting")).to_be_visible()
        assert violations_everywhere(page) == []
        # It asks for news by itself, and nobody will be there to answer.
        page.close()
