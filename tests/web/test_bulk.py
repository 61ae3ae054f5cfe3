"""Deciding several items: dry run, click, what became of each, and back."""

from collections.abc import Callable

import pytest
from django.test import Client

from orchestrator.models import Batch, Decision, Proposal, ReviewItem
from tests.conftest import Cast
from tests.deciding import decide
from tests.web.conftest import HTMX


@pytest.fixture
def items(rule: Callable[..., None], propose: Callable[..., Proposal]) -> list[ReviewItem]:
    rule()
    return [propose(target=f"order/{number}").review_items.get() for number in range(3)]


def select(items: list[ReviewItem], verdict: str = "approve", **more: object) -> dict[str, object]:
    return {"ids": [item.pk for item in items], "verdict": verdict} | more


def confirm(page: object, **more: object) -> dict[str, object]:
    """What the form of the dry run sends."""
    facts = page.context  # type: ignore[attr-defined]
    return {
        "key": facts["key"],
        "verdict": facts["found"].verdict,
        "listed": facts["listed"],
    } | more


def test_the_dry_run_says_the_count_the_sum_and_what_is_skipped(
    rita: Client, items: list[ReviewItem]
) -> None:
    ReviewItem.objects.filter(pk=items[0].pk).update(tier="high")
    page = rita.post("/queue/bulk/", select(items))
    assert "Approve 2 items?" in page.text
    assert "2 will be approved, in all €3,680.00." in page.text
    assert "1 is skipped" in page.text
    assert "High risk: decided one by one" in page.text
    assert not Decision.objects.exists()


def test_the_click_decides_and_shows_what_became_of_each(
    cast: Cast, rita: Client, items: list[ReviewItem]
) -> None:
    page = rita.post("/queue/bulk/", select(items))
    done = rita.post("/queue/bulk/run/", confirm(page, note="As agreed."), follow=True)
    assert "<h1>3 approved</h1>" in done.text
    assert set(Decision.objects.values_list("reviewer", "note")) == {(cast.rita.pk, "As agreed.")}
    again = rita.post("/queue/bulk/run/", confirm(page), follow=True)
    assert again.redirect_chain == done.redirect_chain
    assert Decision.objects.count() == 3


def test_a_rejection_asks_for_the_reason_and_keeps_what_was_written(
    rita: Client, items: list[ReviewItem]
) -> None:
    page = rita.post("/queue/bulk/", select(items, "reject"))
    assert "Why are they rejected?" in page.text
    refused = rita.post("/queue/bulk/run/", confirm(page, note="Too much."))
    assert refused.status_code == 422
    assert "choose one of the reasons" in refused.text
    assert "Too much." in refused.text
    done = rita.post("/queue/bulk/run/", confirm(refused, reason="wrong_value"), follow=True)
    assert "<h1>3 rejected</h1>" in done.text


def test_it_asks_again_when_things_changed_in_between(
    cast: Cast, rita: Client, items: list[ReviewItem]
) -> None:
    page = rita.post("/queue/bulk/", select(items))
    decide(cast.rolf, items[0])
    refused = rita.post("/queue/bulk/run/", confirm(page))
    assert refused.status_code == 409
    assert "3 would have been decided, now it is 2" in refused.text
    assert "Approve 2 items?" in refused.text
    assert not Batch.objects.exists()
    assert (
        "<h1>2 approved</h1>" in rita.post("/queue/bulk/run/", confirm(refused), follow=True).text
    )


def test_what_it_said_it_would_skip_is_not_sent(
    cast: Cast, rita: Client, items: list[ReviewItem]
) -> None:
    ReviewItem.objects.filter(pk=items[0].pk).update(tier="high")
    page = rita.post("/queue/bulk/", select(items))
    ReviewItem.objects.filter(pk=items[0].pk).update(tier="normal")
    assert items[0].pk not in "".join(page.context["listed"])
    done = rita.post("/queue/bulk/run/", confirm(page), follow=True)
    assert "<h1>2 approved</h1>" in done.text
    assert not Decision.objects.filter(item=items[0]).exists()


def test_all_are_taken_back(rita: Client, items: list[ReviewItem]) -> None:
    ReviewItem.objects.update(undo_s=60)
    page = rita.post("/queue/bulk/", select(items))
    done = rita.post("/queue/bulk/run/", confirm(page), follow=True)
    address = done.redirect_chain[-1][0]
    assert "Take all back" in done.text
    fragment = rita.get(address, headers=HTMX)
    assert b"<html" not in fragment.content
    back = rita.post(f"{address}undo/", follow=True)
    assert "3 taken back." in back.text
    assert ReviewItem.objects.waiting().count() == 3
    assert "There was nothing left to take back." in rita.post(f"{address}undo/", follow=True).text


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"verdict": "approve"}, "Select at least one item."),
        ({"verdict": "approve", "ids": ["x"] * 1 + [f"y{n}" for n in range(60)]}, "at most 50"),
        ({"verdict": "retry", "ids": ["x"]}, "Choose among"),
    ],
)
def test_what_is_no_selection_leads_back_to_the_list(
    rita: Client, db: None, sent: dict[str, object], says: str
) -> None:
    page = rita.post("/queue/bulk/", sent | {"queue": "kind=escalation"}, follow=True)
    assert page.redirect_chain[-1][0] == "/queue/?kind=escalation"
    assert says in page.text


def test_a_hand_made_form_decides_nothing(rita: Client, items: list[ReviewItem]) -> None:
    for sent in (
        {},
        {"verdict": "approve", "listed": ["x", ":", "rev_1:99999999999"]},
        {"verdict": "approve", "listed": [f"{items[0].pk}:x"], "key": "x"},
    ):
        assert rita.post("/queue/bulk/run/", sent).status_code in {302, 409, 422}
    assert not Decision.objects.exists()


def test_a_batch_is_for_whoever_decided_it(
    rita: Client, rolf: Client, items: list[ReviewItem]
) -> None:
    page = rita.post("/queue/bulk/", select(items))
    address = rita.post("/queue/bulk/run/", confirm(page), follow=True).redirect_chain[-1][0]
    assert rolf.get(address).status_code == 404
    assert rolf.post(f"{address}undo/").status_code == 404
    assert rita.get("/queue/bulk/bat_00000000000000000000000000/").status_code == 404
