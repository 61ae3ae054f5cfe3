"""What the reports say, compared with the rows that it is about."""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db.backends.utils import CursorWrapper
from pytest_django import Settings

from orchestrator import audit_queries
from orchestrator.actions import contracts, revisions, runs
from orchestrator.actions.actor import Actor
from orchestrator.core.statistics import intervals
from orchestrator.core.statistics.calibration import reliability
from orchestrator.core.statistics.figures import Held, Outcomes
from orchestrator.core.statistics.judged import Judged
from orchestrator.engine import rollups
from orchestrator.models import Proposal, ProposalDay, ReviewItem
from orchestrator.report_queries.acceptance import acceptance
from orchestrator.report_queries.agents import agents, calibration
from orchestrator.report_queries.audits import audits
from orchestrator.report_queries.choices import choices
from orchestrator.report_queries.economics import economics
from orchestrator.report_queries.overview import overview
from orchestrator.report_queries.reviewers import reviewers
from orchestrator.report_queries.rules import rules
from orchestrator.report_queries.scope import Scope, Tally
from orchestrator.report_queries.scores import score_histogram
from tests.conftest import SYSTEM, Cast, LoadDemo, analyze
from tests.deciding import decide, look
from tests.engine.test_rollups import is_equal
from tests.runs import WORKFLOWS, save
from tests.work import work_all

Propose = Callable[..., Proposal]
Activate = Callable[..., None]
Owner = Callable[[], AbstractContextManager[CursorWrapper]]

LARGE = 500
TODAY = datetime.now(UTC).date()
TODAYS = Scope(since=TODAY, until=TODAY + timedelta(days=1))
HALF_A_YEAR = Scope(since=TODAY - timedelta(days=200), until=TODAY + timedelta(days=1))


@pytest.fixture
def money(cast: Cast) -> None:
    schema = {"type": "object", "properties": {"amount_minor": {"type": "integer"}}}
    contracts.save(
        SYSTEM,
        kind="action",
        name="refund.create",
        schema=schema,
        timeout_s=60,
        review={"shows": {"/amount_minor": {"as": "money", "currency": "EUR"}}},
    )


def of(amount: int) -> dict[str, object]:
    return {"args": {"amount_minor": amount}}


# A story that is short enough to be known by heart -------------------------------------------------


@pytest.fixture
def story(cast: Cast, propose: Propose, rule: Activate, money: None) -> None:
    """Of six refunds two run by themselves, and of four that a rule holds each ends in another way."""
    rule()
    for amount in (1_000, 2_000):
        propose(**of(amount))
    held = [propose(**of(amount)).review_items.get() for amount in (60_000, 70_000, 80_000, 90_000)]
    decide(cast.rita, held[0])
    decide(cast.rolf, held[1], "reject", reason="wrong_value")
    edited = revisions.edit(
        Actor(cast.rita),
        held[2].pk,
        args={"amount_minor": 500},
        seen=look(cast.rita, held[2]),
        idempotency_key="edit",
        reason="wrong_value",
    )
    decide(cast.rita, edited.review_items.get())
    work_all()
    rollups.refresh()


def test_the_overview_counts_each_line_once(story: None) -> None:
    report = overview(TODAYS)
    assert report.outcomes == Outcomes(
        automatic=2, by_people=1, after_edit=1, refused=1, undecided=1
    )
    assert report.amounts == {
        "EUR": Outcomes(
            automatic=3_000, by_people=60_000, after_edit=500, refused=70_000, undecided=90_000
        )
    }
    ways = {(one.ending, one.ran): one.tally for one in report.streams}
    assert ways == {
        ("automatic", "executed"): Tally(2, {"EUR": 3_000}),
        ("by_people", "executed"): Tally(1, {"EUR": 60_000}),
        ("after_edit", "executed"): Tally(1, {"EUR": 500}),
        ("rejected", ""): Tally(1, {"EUR": 70_000}),
        ("replaced", ""): Tally(1, {"EUR": 80_000}),
        ("with_people", ""): Tally(1, {"EUR": 90_000}),
    }
    assert report.proposed.proposals == 7
    (day,) = report.traffic
    assert (day.opened, day.decided, day.closed, day.late) == (5, 4, 4, 0)
    assert (report.in_time.k, report.in_time.n) == (4, 4)
    assert (report.wait.n, report.handling.n) == (4, 4)
    assert report.wait.median_s is not None and report.wait.median_s < 60


def test_it_is_narrowed_by_a_rule_and_says_what_it_does_not_know(story: None, cast: Cast) -> None:
    scope = Scope(
        since=TODAYS.since, until=TODAYS.until, rule="refund-limit", reviewer=cast.rita.pk
    )
    report = overview(scope)
    # What was edited passes the rule, and was hit before.
    assert report.proposed.proposals == 4
    assert (report.traffic, report.wait.n, report.ignored) == ((), 0, ("reviewer",))


def test_a_rule_is_judged_by_what_people_made_of_what_it_held(story: None) -> None:
    report = rules(TODAYS)
    (limit,) = report.versions
    assert limit.held == Held(rejected=1, approved_unchanged=1, approved_edited=1, undecided=1)
    assert (limit.hits, limit.errors) == (Tally(4, {"EUR": 300_000}), 0)
    assert (limit.decisions, limit.measured, report.proposed) == (3, 3, 7)
    assert limit.minutes < 1


def test_reviewers_stand_by_name_and_alone_where_they_should(story: None, cast: Cast) -> None:
    rita, rolf = reviewers(TODAYS).people
    assert (rita.username, rita.verdicts) == ("rita", {"approve": 2, "edit": 1})
    assert (rolf.username, rolf.verdicts) == ("rolf", {"reject": 1})
    alone = reviewers(Scope(since=TODAY, until=TODAYS.until, reviewer=cast.rolf.pk)).people
    assert [(one.username, one.decisions) for one in alone] == [("rolf", 1)]


def test_economics_adds_no_currencies_and_shows_no_cost_that_nobody_set(
    story: None, settings: Settings
) -> None:
    report = economics(TODAYS)
    assert report.prevented.rejected == Tally(1, {"EUR": 70_000})
    assert report.prevented.blocked == Tally()
    assert (report.spending.decisions, report.spending.measured) == (4, 4)
    assert report.spending.cost_minor is None
    assert report.inflow == {TODAY: 5}
    settings.REVIEWER_HOUR_MINOR = 6_000
    spending = economics(TODAYS).spending
    assert spending.cost_minor == round(spending.minutes * 100)


def test_what_was_not_measured_counts_as_the_setting_says(story: None, as_owner: Owner) -> None:
    with as_owner() as cursor:
        cursor.execute("ALTER TABLE orchestrator_decision DISABLE TRIGGER immutable")
        cursor.execute("UPDATE orchestrator_decision SET handled_ms = NULL")
        cursor.execute("ALTER TABLE orchestrator_decision ENABLE TRIGGER immutable")
    rollups.count_day(TODAY)
    spending = economics(TODAYS).spending
    assert (spending.measured, spending.minutes) == (0, 4 * 2)
    assert economics(TODAYS).handling_minutes == 2
    assert overview(TODAYS).handling.n == 0
    assert rules(TODAYS).versions[0].minutes == 3 * 2


def test_scores_are_put_where_the_bands_would_put_them(propose: Propose) -> None:
    for score in (0.0, 0.07, 0.9, 0.9000001, 1.0, None):
        propose(confidence=score)
    rollups.refresh()
    found = score_histogram(TODAYS)
    filled = {round(one.up_to, 2): one.proposals for one in found.bins if one.proposals}
    assert filled == {0.01: 1, 0.07: 1, 0.9: 1, 0.91: 1, 1.0: 1}
    assert found.without_score == 1
    assert score_histogram(TODAYS, ("revise",)).bins[89].proposals == 1


def test_what_agents_of_runs_cost_is_recorded_or_unknown(cast: Cast, propose: Propose) -> None:
    save("refunds", WORKFLOWS["refunds"])
    run = runs.start(SYSTEM, workflow="refunds", intent=None)
    work_all()
    decide(cast.rita, run.review_items.get())
    work_all()
    propose(agent="outside")
    rollups.refresh()
    by_agent = {one.agent: one.cost for one in agents(TODAYS).versions}
    assert by_agent["outside"] is None
    cost = by_agent["refund-agent"]
    assert cost is not None
    assert (cost.calls, cost.tokens_in, cost.money_micros) == (1, 1_200, 4_200)


def test_nothing_is_said_of_nothing(db: None) -> None:
    assert overview(TODAYS).outcomes == Outcomes()
    assert overview(TODAYS).wait.median_s is None
    assert acceptance(TODAYS).markers == ()
    assert agents(TODAYS).versions == ()
    assert calibration(TODAYS).reliability.brier is None
    assert audits(TODAYS).assurance.accepted == 0
    assert rules(TODAYS).versions == ()
    assert reviewers(TODAYS).people == ()
    assert economics(TODAYS).spending.minutes == 0
    assert score_histogram(TODAYS).without_score == 0
    assert choices().agents == ()


# Half a year --------------------------------------------------------------------------------------


@pytest.fixture(scope="class")
def large(load_demo: LoadDemo) -> None:
    load_demo(LARGE)
    rollups.refresh()
    analyze()


class TestHalfAYear:
    """Nothing that one of them does is there for the next."""

    def test_a_recount_finds_the_same(self, large: None) -> None:
        assert is_equal()
        workflows = ProposalDay.objects.exclude(segment__workflow="")
        assert sum(workflows.values_list("proposals", flat=True)) == LARGE

    def test_narrowed_or_not_the_parts_are_the_whole(self, large: None) -> None:
        whole = overview(HALF_A_YEAR)
        assert whole.proposed.proposals == LARGE
        known = choices()
        for name, values in {
            "agent": known.agents,
            "action": known.actions,
            "tier": known.tiers,
            "model": known.models,
        }.items():
            parts = [
                overview(Scope(since=HALF_A_YEAR.since, until=HALF_A_YEAR.until, **{name: value}))  # type: ignore[arg-type]
                for value in values
            ]
            assert sum((part.proposed for part in parts), Tally()) == whole.proposed
            for one in ("opened", "decided", "expired"):
                of_parts = sum(getattr(day, one) for part in parts for day in part.traffic)
                assert of_parts == sum(getattr(day, one) for day in whole.traffic)
        weeks = acceptance(HALF_A_YEAR)
        assert sum(week.outcomes.decided for week in weeks.weeks) == whole.outcomes.decided
        assert weeks.outcomes == whole.outcomes
        assert {marker.kind for marker in weeks.markers} >= {"agent"}

    def test_the_flow_is_that_of_the_proposals(self, large: None) -> None:
        report = overview(HALF_A_YEAR)
        rows = Counter(Proposal.objects.values_list("disposition", "status"))
        counted = {(one.disposition, one.status): one.tally.proposals for one in report.streams}
        assert counted == rows
        closed = ReviewItem.objects.exclude(status="waiting").exclude(kind__in=ReviewItem.BLIND)
        assert sum(day.closed for day in report.traffic) == closed.count()

    def test_the_time_before_is_as_long_and_ends_where_it_begins(self, large: None) -> None:
        until = TODAY + timedelta(days=1)
        scope = Scope(since=until - timedelta(days=60), until=until)
        assert (scope.before.until, scope.before.days) == (scope.since, 60)
        both = Scope(since=scope.before.since, until=until)
        parts = overview(scope).proposed + overview(scope.before).proposed
        assert overview(both).proposed == parts
        with pytest.raises(ValueError, match="no day lies"):
            Scope(since=date(2026, 1, 2), until=date(2026, 1, 2))

    def test_versions_are_compared_with_the_one_before(self, large: None) -> None:
        report = agents(HALF_A_YEAR)
        assert sum(one.proposed.proposals for one in report.versions) == LARGE
        before = None
        for one in report.versions:
            if before is None or before.agent != one.agent:
                assert one.difference is None
            else:
                assert one.difference is not None
                rate, other = one.outcomes.acceptance, before.outcomes.acceptance
                assert one.difference.to == before.agent_version
                assert one.difference.bounds == intervals.difference(
                    rate.k, rate.n, other.k, other.n
                )
                assert one.first_seen >= before.first_seen
            before = one

    def test_calibration_is_that_of_the_labels(self, large: None, settings: Settings) -> None:
        settings.AUDIT_SHARE, settings.LABEL_SHARE = 0.01, 0.02
        for day in rollups.all_days():
            rollups.count_day(day)
        shares = {"accept": 0.01, "block": 0.02, "revise": 0.02}
        rows = {proposal.pk: proposal for proposal in Proposal.objects.all()}
        judged = [
            Judged(rows[pk].confidence, truth.should_run, shares.get(rows[pk].disposition, 1.0))
            for pk, truth in audit_queries.truths_of(list(rows)).items()
        ]
        found = calibration(HALF_A_YEAR)
        wanted = reliability(judged)
        assert (found.labels, found.is_capped) == (len(judged), False)
        assert found.reliability.brier == pytest.approx(wanted.brier, abs=1e-12)
        assert found.reliability.calibration_error == pytest.approx(
            wanted.calibration_error, abs=1e-12
        )
        assert [one.right for one in found.reliability.bins] == [one.right for one in wanted.bins]
        settings.CALIBRATION_LABELS_MAX = 10
        assert (calibration(HALF_A_YEAR).labels, calibration(HALF_A_YEAR).is_capped) == (10, True)

    def test_audits_are_weighed_by_everything_that_was_accepted(self, large: None) -> None:
        report = audits(HALF_A_YEAR)
        accepted = Proposal.objects.filter(disposition="accept")
        assert report.assurance.accepted == accepted.count() == report.estimate.total
        drawn = ReviewItem.objects.filter(kind="audit")
        assert sum(one.drawn for one in report.accepted) == drawn.count()
        assert report.assurance.examined == drawn.filter(closed_because="confirmed").count()
        assert report.open == audits_open()

    def test_what_is_left_out_of_a_table_is_in_its_sums(
        self, large: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = audits(HALF_A_YEAR)
        assert not whole.has_more and len(whole.accepted) > 1
        monkeypatch.setattr("orchestrator.report_queries.audits.STRATA_MAX", 1)
        cut = audits(HALF_A_YEAR)
        assert cut.has_more and len(cut.accepted) + len(cut.others) == 1
        assert cut.accepted[:1] + cut.others[:1] == (whole.accepted or whole.others)[:1]
        assert (cut.assurance, cut.estimate) == (whole.assurance, whole.estimate)
        assert (cut.open, cut.expired) == (whole.open, whole.expired)

    def test_versions_with_the_fewest_proposals_are_left_out(
        self, large: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = agents(HALF_A_YEAR).versions
        counts = sorted((one.proposed.proposals for one in whole), reverse=True)
        monkeypatch.setattr("orchestrator.report_queries.agents.VERSIONS_MAX", 2)
        cut = agents(HALF_A_YEAR)
        assert cut.has_more
        assert sorted((one.proposed.proposals for one in cut.versions), reverse=True) == counts[:2]


def audits_open() -> int:
    return ReviewItem.objects.waiting().filter(kind__in=["audit", "blind_label"]).count()
