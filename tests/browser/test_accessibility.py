"""axe finds nothing to complain about, on any page and in any state of it."""

import pytest

from tests.browser.axe import violations_everywhere
from tests.browser.conftest import Open
from tests.browser.demo_product import DemoProduct
from tests.browser.states import MOMENTS, PAGES

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("name", PAGES | MOMENTS)
def test_axe_finds_nothing(product: DemoProduct, look_at: Open, name: str) -> None:
    page = (PAGES | MOMENTS)[name](product, look_at)
    assert violations_everywhere(page) == []
    # The widest that is left open is the phone.
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
