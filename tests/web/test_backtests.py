"""Backtests in the browser: asked for, watched, cancelled, read, and attached to a request."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from pytest_django import Settings

from orchestrator.actions import backtests
from orchestrator.actions.actor import Actor
from orchestrator.core.policy.queue_load import Estimate, Load
from orchestrator.engine.backtest import work_one
from orchestrator.models import Backtest, Proposal, RuleVersion
from review.findings import words_of as load_words
from tests.conftest import Cast
from tests.web.conftest import HTMX, form_for
from tests.web.rules import put_in_force, try_on_the_past, write
from tests.web.test_rules import words_of

Propose = Callable[..., Proposal]
START = "/rules/refund-limit/2/backtests/"


@pytest.fixture
def newer(cast: Cast, rita: Client, propose: Propose) -> RuleVersion:
    """After five refunds over the limit in force: one was rejected, two approved, two wait."""
    put_in_force(cast.ada, write(cast.ada))
    for number, verdict in enumerate(("reject", "approve", "approve", "", "")):
        held = propose(
            target=f"order/{number}", args={"amount_minor": 60_000 + number, "currency": "EUR"}
        )
        if verdict:
            form = form_for(held, verdict, idempotency_key=held.pk, reason="wrong_value")
            assert rita.post(f"/proposals/{held.pk}/decide/", form).status_code == 302
    return write(cast.ada, condition="proposal.args.amount_minor <= 60001")


def address(found: Backtest) -> str:
    return f"{START}{found.pk}/"


def test_it_is_started_and_followed_to_its_end(ada: Client, newer: RuleVersion) -> None:
    response = ada.post(START, {"days": "7", "proposals_max": "100"})
    found = Backtest.objects.get()
    assert response["Location"] == address(found)
    assert found.until - found.since == timedelta(days=7)
    assert ada.get("/find/", {"id": found.pk})["Location"] == address(found)
    page = ada.get(address(found)).text
    assert "it waits for a worker" in page
    assert 'data-live="1"' in page
    work_one(lambda: False)
    page = ada.get(f"{address(found)}news/", headers=HTMX).text
    assert "data-live" not in page
    assert 'data-announce="Backtest done."' in page
    assert "order/0" in page


def test_nothing_new_is_said_with_nothing(ada: Client, newer: RuleVersion) -> None:
    ada.post(START, {"days": "7", "proposals_max": "100"})
    path = f"{address(Backtest.objects.get())}news/"
    tag = ada.get(path, headers=HTMX)["HX-PTag"]
    assert ada.get(path, headers=HTMX | {"HX-PTag": tag}).status_code == 304


def test_the_table_sets_what_it_would_do_against_what_people_did(
    rita: Client, cast: Cast, newer: RuleVersion
) -> None:
    found = try_on_the_past(cast.ada, newer)
    page = rita.get(address(found))
    rows = {row.name: (row.after, row.before, row.change) for row in page.context["findings"]}
    assert rows == {
        "Caught": (0, 1, "−1"),
        "Needless": (1, 2, "−1"),
        "Missed": (1, 0, "+1"),
        "Rightly let pass": (1, 0, "+1"),
        "Unknown": (2, 2, "±0"),
        "Not evaluable": (0, 0, "±0"),
        "In its scope": (5, 5, "±0"),
    }
    words = words_of(page.text)
    assert "0 of 1" in words
    assert "Refund €600.00 for order/0" in words
    assert "does not hold passes rejected it" in words
    assert "does not hold passes approved it" in words
    assert "Reviewer hours a day" in words
    assert "v1, in force then" in words


def test_who_may_judge_a_proposal_does_not_see_what_the_version_says_about_it(
    rita: Client, ada: Client, cast: Cast, propose: Propose
) -> None:
    put_in_force(cast.ada, write(cast.ada))
    decided, waiting = (
        propose(target=f"order/{number}", args={"amount_minor": 60_000 + number, "currency": "EUR"})
        for number in range(2)
    )
    form = form_for(decided, "approve", idempotency_key="k", reason="wrong_value")
    assert rita.post(f"/proposals/{decided.pk}/decide/", form).status_code == 302
    found = try_on_the_past(
        cast.ada, write(cast.ada, condition="proposal.args.amount_minor <= 70000")
    )

    def listed(reader: Client) -> list[str]:
        flips = reader.get(address(found)).context["flips"].rows
        return [flip.proposal_id for flip in flips]

    assert listed(ada) == [waiting.pk, decided.pk]
    assert listed(rita) == [decided.pk]
    left_out = "1 of the proposals that it decides differently wait for a person"
    assert left_out in words_of(rita.get(address(found)).text)
    assert left_out not in words_of(ada.get(address(found)).text)
    assert waiting.pk not in rita.get(f"{address(found)}news/", headers=HTMX).text


def test_the_first_version_is_compared_with_nothing(
    rita: Client, cast: Cast, propose: Propose
) -> None:
    propose()
    found = try_on_the_past(cast.ada, write(cast.ada))
    page = rita.get(f"/rules/refund-limit/1/backtests/{found.pk}/").text
    assert "no version was in force" in page
    assert '<th scope="col" class="num">Change</th>' not in page


def test_what_could_not_be_asked_is_told_with_its_reason(
    rita: Client, cast: Cast, propose: Propose
) -> None:
    propose()
    found = try_on_the_past(cast.ada, write(cast.ada, condition="context.score < 5"))
    words = words_of(rita.get(f"/rules/refund-limit/1/backtests/{found.pk}/").text)
    assert "Why it could not be asked" in words
    assert "score&quot; is missing" in words
    assert "Held because it fails to evaluate" in words


def test_it_can_be_cancelled(ada: Client, newer: RuleVersion) -> None:
    ada.post(START, {"days": "7", "proposals_max": "100"})
    found = Backtest.objects.get()
    assert ada.post(f"{address(found)}cancel/")["Location"] == address(found)
    found.refresh_from_db()
    assert found.status == Backtest.Status.CANCELLED
    assert "Cancel</button>" not in ada.get(address(found)).text


@pytest.mark.parametrize(
    "sent",
    [{}, {"days": "0", "proposals_max": "10"}, {"days": "7", "proposals_max": "ten"}],
)
def test_a_wrong_form_starts_nothing(ada: Client, newer: RuleVersion, sent: dict[str, str]) -> None:
    assert ada.post(START, sent).status_code == 422
    assert not Backtest.objects.exists()


def test_reviewers_see_it_and_cannot_change_it(
    rita: Client, cast: Cast, newer: RuleVersion
) -> None:
    found = backtests.request(Actor(cast.ada), newer)
    assert "Cancel</button>" not in rita.get(address(found)).text
    assert rita.post(f"{address(found)}cancel/").status_code == 403
    assert rita.post(START, {"days": "7", "proposals_max": "9"}).status_code == 403


def test_a_backtest_is_found_under_its_own_version_alone(
    ada: Client, cast: Cast, newer: RuleVersion
) -> None:
    found = try_on_the_past(cast.ada, newer)
    assert ada.get(f"/rules/refund-limit/1/backtests/{found.pk}/").status_code == 404


def test_the_changes_page_by_key(
    ada: Client, cast: Cast, propose: Propose, settings: Settings
) -> None:
    settings.PAGE_SIZE = 5
    for number in range(12):
        propose(target=f"order/{number}")
    found = try_on_the_past(cast.ada, write(cast.ada))
    path = f"/rules/refund-limit/1/backtests/{found.pk}/"

    def targets(query: str = "") -> list[str]:
        rows = ada.get(path + query).context["flips"].rows
        return [flip.proposal.target.removeprefix("order/") for flip in rows]

    first = ada.get(path).context["flips"]
    assert targets() == ["11", "10", "9", "8", "7"]
    assert not first.newer
    second = ada.get(f"{path}?before={first.older}").context["flips"]
    assert targets(f"?before={first.older}") == ["6", "5", "4", "3", "2"]
    assert targets(f"?before={second.older}") == ["1", "0"]
    assert targets(f"?after={second.newer}") == ["11", "10", "9", "8", "7"]
    assert targets("?before=nonsense") == ["11", "10", "9", "8", "7"]


def test_it_is_listed_with_its_version(ada: Client, cast: Cast, newer: RuleVersion) -> None:
    try_on_the_past(cast.ada, newer)
    words = words_of(ada.get("/rules/refund-limit/2/").text)
    assert "5 of 5 proposals" in words
    assert "0 caught, 1 needless; 2 change" in words


def test_numbers_are_shortened_for_people() -> None:
    estimate = Estimate(1234.5, -0.04, 0.0)
    load = Load(1, 1, 1, estimate, estimate, estimate, 0.126, 12.0, 0)
    words = load_words(load)
    assert (words.before, words.change, words.low, words.high) == (
        "1,234",
        "+1,234",
        "−0.04",
        "±0",
    )
    assert words.hours == "0.13 now, 12 with this version"
