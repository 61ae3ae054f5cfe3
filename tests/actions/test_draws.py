"""How likely each draw was is stored with what it drew, and depends on what came before alone."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from orchestrator import audit_queries, sampling_queries
from orchestrator.actions import tokens
from orchestrator.actions.actor import Actor
from orchestrator.actions.proposals import Suggestion, submit
from orchestrator.core.policy import sampling
from orchestrator.core.policy.sampling import Past, Plan
from orchestrator.engine import audits as drawing
from orchestrator.models import Disposition, Proposal, ReviewItem
from tests.conftest import Cast

Propose = Callable[..., Proposal]
HARMLESS = {"amount_minor": 1_990, "currency": "EUR"}
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _as_people_run_it(settings: Settings) -> None:
    settings.AUDIT_SHARE, settings.LABEL_SHARE = 0.01, 0.02
    settings.NEW_VERSION_SHARE, settings.NEW_VERSION_FIRST = 0.2, 8
    settings.AUDIT_FLOOR, settings.AUDIT_FLOOR_DAYS = 3, 30


def chances(**wanted: object) -> list[float | None]:
    made = Disposition.objects.filter(**wanted).order_by("pk")
    return list(made.values_list("draw_chance", flat=True))


def test_the_chance_is_stored_whether_it_drew_or_not(propose: Propose) -> None:
    for number in range(12):
        propose(args=HARMLESS, target=f"order/{number}")
    # The floor of what is unknown, then what is new, then the share.
    assert chances() == [1.0] * 3 + [0.2] * 5 + [0.01] * 4
    for item in ReviewItem.objects.all():
        assert item.proposal is not None
        assert item.chance == item.proposal.dispositions.get().draw_chance


def test_what_was_stored_is_what_drew(propose: Propose) -> None:
    made = [propose(args=HARMLESS, target=f"order/{number}") for number in range(30)]
    key = drawing._key()
    expected = {
        one.pk
        for one in made
        if sampling.drawn(key, one.pk, one.dispositions.get().draw_chance or 0, "audit")
    }
    assert set(ReviewItem.objects.values_list("proposal", flat=True)) == expected
    assert 3 <= len(expected) < 30


@pytest.mark.parametrize(
    ("confidence", "verdict", "kind"),
    [
        (0.95, "accept", "audit"),
        (0.7, "revise", "blind_label"),
        (0.2, "escalate", "blind_label"),
    ],
)
def test_each_band_has_its_kind(
    propose: Propose, confidence: float, verdict: str, kind: str
) -> None:
    made = propose(args=HARMLESS, confidence=confidence)
    assert chances(verdict=verdict) == [1.0]
    assert made.review_items.filter(kind=kind).exists()


def test_what_rules_hold_has_no_chance(propose: Propose, rule: Callable[..., None]) -> None:
    rule()
    propose()
    assert chances() == [None]


def test_strata_of_different_kinds_have_floors_of_their_own(propose: Propose) -> None:
    for number in range(4):
        propose(args=HARMLESS, target=f"order/{number}")
    propose(args=HARMLESS, confidence=0.7)
    propose(args=HARMLESS, confidence=0.2)
    propose(args=HARMLESS, agent_version="2")
    assert chances(verdict="accept") == [1.0, 1.0, 1.0, 0.2, 1.0]
    assert chances(verdict="revise") + chances(verdict="escalate") == [1.0, 1.0]


def test_shares_of_nothing_draw_nothing(settings: Settings, propose: Propose) -> None:
    settings.AUDIT_SHARE = settings.LABEL_SHARE = 0.0
    propose(args=HARMLESS)
    propose(args=HARMLESS, confidence=0.7)
    assert chances() == [0.0, 0.0]
    assert not ReviewItem.objects.exists()


def test_an_agent_that_is_always_new_does_not_bury_auditors(
    cast: Cast, settings: Settings, propose: Propose, token: Callable[..., str]
) -> None:
    settings.AUDITS_RAISED_PER_DAY_MAX = 6
    for number in range(10):
        propose(args=HARMLESS, agent_version=f"build-{number}")
    assert chances() == [1.0] * 6 + [0.01] * 4
    # Nor one that calls itself another: it still comes with the same token.
    propose(args=HARMLESS, agent="other-agent")
    assert chances()[-1] == 0.01
    # Another token's labels are not its to use up.
    other = tokens.find(token("propose"))
    submit(
        Actor(cast.agents, other),
        Suggestion(agent="third", action="refund.create", args=HARMLESS, confidence=0.95),
    )
    assert chances()[-1] == 1.0


def test_the_past_is_counted_by_period_and_no_further(propose: Propose, settings: Settings) -> None:
    """Keys are in the order of time, so proposals of another time are made by their keys."""
    made = propose(args=HARMLESS)
    now = timezone.now()
    last, this = sampling.periods(now, 30)
    for number in range(9):
        copy_at(made, last + timedelta(hours=number))
    copy_at(made, last - DAY)
    copy_at(made, this)
    newest = propose(args=HARMLESS)

    def past(floor: int) -> Past:
        plan = Plan(share=0.5, new_first=11, floor=floor)
        return sampling_queries.past_of(newest, ["accept"], plan, 30)

    assert past(floor=5) == Past(of_version=11, last_period=9, this_period=2)
    # The share reaches this floor by itself, so nobody asks how many came since.
    assert past(floor=4) == Past(of_version=11, last_period=8, this_period=0)


def copy_at(proposal: Proposal, at: datetime) -> None:
    key = sampling_queries.first_key(at)
    Proposal.objects.create(
        pk=key,
        run=proposal.run,
        agent=proposal.agent,
        action=proposal.action,
        payload=proposal.payload,
        digest=proposal.digest,
        disposition="accept",
    )


def test_counting_walks_an_index_and_stops_early(propose: Propose) -> None:
    """Which index is best, only a full table tells: `make bench-scale` has one."""
    made = propose(args=HARMLESS)
    plan = Plan(share=0.01, new_first=20, floor=5)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    with CaptureQueriesContext(connection) as asked:
        sampling_queries.past_of(made, ["revise", "escalate", "block"], plan, 30)
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + asked[0]["sql"])
        lines = "\n".join(line for (line,) in cursor.fetchall())
    assert "Seq Scan" not in lines, lines
    assert (lines.count("Limit"), lines.count("Index Cond")) == (3, 3), lines


# What follows for everything ------------------------------------------------------------------------


def test_strata_know_how_many_they_stand_for(cast: Cast, propose: Propose) -> None:
    for number in range(12):
        propose(args=HARMLESS, target=f"order/{number}")
    propose(args=HARMLESS, confidence=0.7)
    found = audit_queries.strata(timezone.now() - DAY)
    totals = {(one.disposition, one.chance): one.total for one in found}
    assert totals == {
        ("accept", 0.01): 4,
        ("accept", 0.2): 5,
        ("accept", 1.0): 3,
        ("revise", 1.0): 1,
    }
    assert sum(audit_queries.totals(timezone.now() - DAY).values()) == 13


def test_assurance_is_about_what_was_accepted(cast: Cast, propose: Propose) -> None:
    for number in range(12):
        propose(args=HARMLESS, agent_version="2" if number % 3 else "1", target=f"order/{number}")
    propose(args=HARMLESS, confidence=0.7)
    ReviewItem.objects.update(
        status="decided", closed_because="confirmed", closed_at=timezone.now()
    )
    found = audit_queries.assurance(timezone.now() - DAY)
    examined = ReviewItem.objects.filter(kind="audit").count()
    assert (found.all.accepted, found.all.examined, found.all.wrong) == (12, examined, 0)
    assert {key: one.accepted for key, one in found.each.items()} == {
        ("refund-agent", "1", "refund.create"): 4,
        ("refund-agent", "2", "refund.create"): 8,
    }
    watched = audit_queries.assurance(timezone.now() - DAY, watched=True)
    assert watched.all.at_most >= found.all.at_most


def test_what_was_drawn_before_chances_were_stored_is_a_sample_of_its_own() -> None:
    stratum = audit_queries.DrawnStratum("a", "1", "x", "accept", None, 30, 1, 0, 0, 0, 0, 3_000)
    recent = audit_queries.DrawnStratum("a", "1", "x", "accept", 0.01, 40, 0, 0, 0, 0, 0, 4_000)
    found = audit_queries.assurance_of([stratum, recent]).all
    assert (found.accepted, found.examined, found.wrong) == (7_000, 70, 1)


def test_nothing_that_was_accepted_is_nothing_to_be_sure_of(db: None) -> None:
    assert audit_queries.assurance(timezone.now()).all.accepted == 0
