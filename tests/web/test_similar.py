"""What people decided about items like the one on the page."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from orchestrator.core.statistics.intervals import Rate
from orchestrator.models import Proposal
from orchestrator.similar_queries import similar_to
from review.templatetags.countersign import rate_text
from tests import deciding
from tests.conftest import Cast

Propose = Callable[..., Proposal]


@pytest.fixture(autouse=True)
def _rules(rule: Callable[..., None]) -> None:
    rule()
    rule(
        slug="dollars",
        title="Dollars need a person",
        condition="proposal.args.currency == 'EUR'",
    )


def decided(cast: Cast, proposal: Proposal, verdict: str = "approve") -> Proposal:
    reason = {"reason": "wrong_value"} if verdict == "reject" else {}
    deciding.decide(cast.rolf, proposal.review_items.get(), verdict, **reason)
    return proposal


def test_the_same_rules_go_first_then_alike_texts(cast: Cast, propose: Propose) -> None:
    far = decided(cast, propose(args={"amount_minor": 184_000, "currency": "USD"}), "reject")
    near = decided(
        cast, propose(args={"amount_minor": 90_000, "currency": "EUR", "note": "x" * 99})
    )
    twin = decided(cast, propose(target="order/A-20930"))
    decided(cast, propose(action="refund.create", target="", args=WORDS), "reject")
    asked = propose()
    found = similar_to(asked.review_items.get(), asked)
    assert [one.proposal for one in found.shown][:2] == [twin, near]
    assert far in [one.proposal for one in found.shown]
    assert str(found.same_rules) == "2 of 2"
    assert str(found.same_action) == "2 of 4"


WORDS = {"amount_minor": 1, "currency": "USD", "note": "entirely other words, and many of them" * 9}


def test_the_page_counts(cast: Cast, rita: Client, propose: Propose) -> None:
    for number in range(3):
        decided(cast, propose(target=f"order/C-{number}"), "reject" if number == 0 else "approve")
    page = rita.get(f"/proposals/{propose().pk}/").text
    assert "2 of 3 approved</dd>" in page
    assert "Wrong value" in page


def test_an_interval_is_said_of_enough() -> None:
    assert rate_text(Rate(28, 29)) == "28 of 29 approved"
    assert rate_text(Rate(27, 30)) == "27 of 30 approved, 74 to 97 %"


def test_without_any_it_says_so(rita: Client, propose: Propose) -> None:
    assert "People have not decided about this action before." in open_page(rita, propose())


def test_the_second_of_two_does_not_see_it(
    cast: Cast, rita: Client, rule: Callable[..., None], propose: Propose
) -> None:
    rule(slug="big", title="Large ones need two", effect="two_person")
    asked = propose()
    assert "Similar, decided" in open_page(rita, asked)
    deciding.decide(cast.rolf, asked.review_items.get())
    assert "Similar, decided" not in open_page(rita, asked)


def test_what_was_taken_back_is_not_counted(cast: Cast, propose: Propose) -> None:
    asked, other = propose(), propose(target="order/D-1")
    deciding.decide(User.objects.get(username="rita"), other.review_items.get())
    assert similar_to(asked.review_items.get(), asked).same_rules.n == 1
    other.review_items.update(status="waiting", closed_because="")
    assert similar_to(asked.review_items.get(), asked).same_rules.n == 0


def open_page(client: Client, proposal: Proposal) -> str:
    return client.get(f"/proposals/{proposal.pk}/").text
