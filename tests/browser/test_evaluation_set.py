"""An evaluation set comes whole through the real server, which streams it."""

import httpx
import pytest
from playwright.sync_api import expect

from orchestrator.core import evaluation_sets
from tests.browser.conftest import Open
from tests.browser.demo_product import DemoProduct
from tests.browser.steps import take, write_rejection

pytestmark = pytest.mark.browser


def test_what_people_judged_is_downloaded_whole(product: DemoProduct, open_page: Open) -> None:
    made = product.submit()
    page = take(open_page(f"/proposals/{made['id']}/"))
    write_rejection(page, "Wrong value", "It should be 18.40.").click()
    expect(page.locator("#outcome")).to_contain_text("Wrong value")

    page = open_page("/rules/evaluation-set/", user="admin")
    page.get_by_label("Action").fill("refund.create")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename.startswith("evaluation-set-")
    with download.value.path().open(encoding="utf-8", newline="") as lines:
        downloaded = evaluation_sets.check(lines)
    assert downloaded.examples >= 1

    answer = httpx.get(
        f"{product.base_url}/api/v1/evaluation-sets?action=refund.create",
        headers={"Authorization": f"Bearer {product.tokens['admin']}"},
    )
    assert made["id"] in answer.text
    found = answer.content.decode().splitlines(keepends=True)
    assert evaluation_sets.check(found).examples == downloaded.examples
