"""Teams: whose something is, who is in them, and that what is given to one finds somebody there."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.db.models import F
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from orchestrator import team_queries
from orchestrator.actions import teams
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import BadInput, NotAllowed, NotFound, StillNeeded
from orchestrator.models import Assignment, AuditEntry, Proposal, ReviewItem, Team
from tests.conftest import SYSTEM, Cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def max_(cast: Cast) -> Actor:
    return Actor(cast.max)


@pytest.fixture
def refunds(max_: Actor) -> Team:
    """Rita's team."""
    team = teams.create(max_, "Refunds")
    return teams.set_members(max_, team.slug, add=["rita"])


@pytest.fixture
def waiting(propose: Callable[..., Proposal], rule: Callable[..., None]) -> Callable[..., None]:
    """Refunds that a rule holds."""
    rule()

    def submit(count: int = 1) -> None:
        for number in range(count):
            propose(target=f"order/{number}")

    return submit


def members(team: Team) -> list[str]:
    return sorted(team.members.values_list("username", flat=True))


def last_entry() -> tuple[str, str, dict[str, object]]:
    entry = AuditEntry.objects.latest("pk")
    return entry.verb, entry.object_id, entry.detail


# Making and naming ----------------------------------------------------------------------------


def test_a_team_has_an_address_made_from_its_name(max_: Actor) -> None:
    team = teams.create(max_, "  Payments  &   refunds ")
    assert (team.name, team.slug) == ("Payments & refunds", "payments-refunds")
    assert last_entry() == (
        "team.created",
        "team/payments-refunds",
        {"name": "Payments & refunds"},
    )


def test_addresses_are_never_given_twice(max_: Actor) -> None:
    teams.retire(max_, teams.create(max_, "Refunds").slug)
    assert teams.create(max_, "Refunds").slug == "refunds-2"
    assert teams.create(max_, "Ελλάδα").slug == "team"
    assert teams.create(max_, "日本").slug == "team-2"
    assert teams.create(max_, "Move").slug == "move-2"
    assert len(teams.create(max_, "x" * 100).slug) <= 60


@pytest.mark.parametrize("name", ["", "  ", "\x00", "x" * 101, "refunds"])
def test_a_name_is_short_and_one_teams_alone(max_: Actor, refunds: Team, name: str) -> None:
    with pytest.raises(BadInput, match=r"^name: "):
        teams.create(max_, name)
    with pytest.raises(BadInput, match=r"^name: "):
        teams.rename(max_, teams.create(max_, "Others").slug, name)


def test_there_is_a_limit(max_: Actor, refunds: Team, settings: Settings) -> None:
    settings.TEAMS_MAX = 1
    with pytest.raises(BadInput, match="there are 1 teams already"):
        teams.create(max_, "One more")


def test_a_new_name_leaves_the_address(max_: Actor, refunds: Team) -> None:
    assert teams.rename(max_, "refunds", "REFUNDS").slug == "refunds"
    assert last_entry() == (
        "team.renamed",
        "team/refunds",
        {"before": "Refunds", "after": "REFUNDS"},
    )
    teams.rename(max_, "refunds", "REFUNDS")
    assert AuditEntry.objects.filter(verb="team.renamed").count() == 1


def test_only_admins_and_managers_change_them(cast: Cast, refunds: Team, agent: Actor) -> None:
    for actor in (Actor(cast.rita), agent):
        with pytest.raises(NotAllowed, match="admin or manager"):
            teams.create(actor, "Mine")
        with pytest.raises(NotAllowed, match="change teams"):
            teams.set_members(actor, "refunds", add=["rolf"])
    assert teams.create(Actor(cast.ada), "Ada's").pk
    assert teams.create(SYSTEM, "Of nobody in particular").pk


def test_what_is_not_there_cannot_be_changed(max_: Actor, refunds: Team) -> None:
    teams.set_members(max_, "refunds", remove=["rita"])
    teams.retire(max_, "refunds")
    for change in (
        lambda slug: teams.rename(max_, slug, "x"),
        lambda slug: teams.set_members(max_, slug, add=["rita"]),
        lambda slug: teams.set_escalation(max_, slug),
        lambda slug: teams.retire(max_, slug),
    ):
        for slug in ("refunds", "nope"):
            with pytest.raises(NotFound, match=f"There is no team {slug}"):
                change(slug)


# Members --------------------------------------------------------------------------------------


def test_members_are_added_and_removed_by_name(max_: Actor, refunds: Team) -> None:
    teams.set_members(max_, "refunds", add=["rolf", "rita", "rolf"])
    assert members(refunds) == ["rita", "rolf"]
    assert last_entry()[2] == {"added": ["rolf"], "removed": []}
    teams.set_members(max_, "refunds", add=["ada"], remove=["rolf", "somebody"])
    assert members(refunds) == ["ada", "rita"]
    assert last_entry()[2] == {"added": ["ada"], "removed": ["rolf"]}


def test_nothing_changed_is_nothing_to_audit(max_: Actor, refunds: Team) -> None:
    before = AuditEntry.objects.count()
    teams.set_members(max_, "refunds", add=["rita"], remove=["rolf"])
    assert AuditEntry.objects.count() == before


@pytest.mark.parametrize("name", ["max", "agents", "nobody", "rolf"])
def test_only_people_who_may_decide_are_members(
    max_: Actor, cast: Cast, refunds: Team, name: str
) -> None:
    cast.rolf.is_active = False
    cast.rolf.save()
    with pytest.raises(BadInput, match=f"{name} may not decide"):
        teams.set_members(max_, "refunds", add=["ada", name])
    assert members(refunds) == ["rita"]


def test_an_admin_may_join_and_it_is_written_down(cast: Cast, refunds: Team) -> None:
    teams.set_members(Actor(cast.ada), "refunds", add=["ada"])
    entry = AuditEntry.objects.latest("pk")
    assert (entry.user, entry.detail["added"]) == (cast.ada, ["ada"])


def test_the_last_member_may_go_while_nothing_rests_on_the_team(max_: Actor, refunds: Team) -> None:
    teams.set_members(max_, "refunds", remove=["rita"])
    assert members(refunds) == []


def test_the_last_member_stays_while_the_team_decides_something(max_: Actor, refunds: Team) -> None:
    teams.assign_to_team(max_, "action", "refund.create", "refunds")
    with pytest.raises(StillNeeded, match=r"it decides the action refund\.create\. Nothing was"):
        teams.set_members(max_, "refunds", remove=["rita"])
    teams.set_members(max_, "refunds", add=["rolf"], remove=["rita"])
    assert members(refunds) == ["rolf"]


def test_a_member_who_may_decide_no_more_does_not_count(
    max_: Actor, cast: Cast, refunds: Team
) -> None:
    teams.set_members(max_, "refunds", add=["rolf"])
    teams.assign_to_team(max_, "action", "refund.create", "refunds")
    cast.rolf.groups.set([Group.objects.get(name="manager")])
    assert [one.username for one in team_queries.able_members(refunds)] == ["rita"]
    assert team_queries.able_by_team() == {refunds.pk: ["rita"]}
    with pytest.raises(StillNeeded, match="The last member of Refunds"):
        teams.set_members(max_, "refunds", remove=["rita"])


def test_the_last_member_stays_while_items_wait(
    max_: Actor, refunds: Team, waiting: Callable[..., None], settings: Settings
) -> None:
    waiting(2)
    ReviewItem.objects.update(team=refunds)
    with pytest.raises(StillNeeded, match="2 items waiting for it"):
        teams.set_members(max_, "refunds", remove=["rita"])
    settings.QUEUE_COUNT_MAX = 1
    with pytest.raises(StillNeeded, match="1 items or more waiting for it"):
        teams.retire(max_, "refunds")


# What is a team's -----------------------------------------------------------------------------


def test_a_rule_goes_before_an_action_and_that_before_a_workflow(
    max_: Actor,
    refunds: Team,
    rule: Callable[..., None],
    propose: Callable[..., Proposal],
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    rule()
    rule(slug="another", title="Another")
    propose(workflow="support")
    for name in ("Rule", "Another rule", "Workflow"):
        teams.set_members(max_, teams.create(max_, name).slug, add=["rita"])
    teams.assign_to_team(max_, "workflow", "support", "workflow")
    teams.assign_to_team(max_, "action", "refund.create", "refunds")
    teams.assign_to_team(max_, "rule", "refund-limit", "rule")

    def whose(action: str, rules: list[str], workflow: str) -> str:
        team = team_queries.team_for(action=action, rules=rules, workflow=workflow)
        return team.slug if team else ""

    assert whose("refund.create", ["refund-limit", "other"], "support") == "rule"
    assert whose("refund.create", ["other"], "support") == "refunds"
    assert whose("mail.send", [], "support") == "workflow"
    assert whose("mail.send", [], "default") == whose("", [], "") == ""
    # Names of one kind are nobody's of another kind.
    assert whose("support", ["refund.create"], "refund-limit") == ""
    teams.assign_to_team(max_, "rule", "another", "another-rule")
    assert whose("refund.create", ["refund-limit", "another"], "support") == "another-rule"
    with django_assert_num_queries(1):
        whose("refund.create", ["refund-limit"], "support")


def test_what_opens_is_its_teams(
    max_: Actor, refunds: Team, rule: Callable[..., None], propose: Callable[..., Proposal]
) -> None:
    rule()
    first = propose().review_items.get()
    teams.assign_to_team(max_, "rule", "refund-limit", "refunds")
    second = propose(target="order/2").review_items.get()
    first.refresh_from_db()
    assert (first.team, second.team) == (None, refunds)


def test_giving_it_to_another_team_takes_it_from_the_first(max_: Actor, refunds: Team) -> None:
    teams.set_members(max_, teams.create(max_, "Payments").slug, add=["rolf"])
    first = teams.assign_to_team(max_, "action", " refund.create ", "refunds")
    assert teams.assign_to_team(max_, "action", "refund.create", "refunds") == first
    assert AuditEntry.objects.filter(verb="team.assigned").count() == 1
    teams.assign_to_team(max_, "action", "refund.create", "payments")
    assert Assignment.objects.get().team.slug == "payments"
    assert last_entry() == (
        "team.assigned",
        "team/payments",
        {"kind": "action", "name": "refund.create", "before": "refunds"},
    )
    teams.unassign(max_, "action", "refund.create")
    assert last_entry() == (
        "team.unassigned",
        "team/payments",
        {"kind": "action", "name": "refund.create"},
    )
    assert not Assignment.objects.exists()
    with pytest.raises(NotFound, match=r"no assignment action refund\.create"):
        teams.unassign(max_, "action", "refund.create")


def test_an_action_may_be_one_that_nobody_has_proposed_yet(max_: Actor, refunds: Team) -> None:
    assert teams.assign_to_team(max_, "action", "not.yet", "refunds").name == "not.yet"


@pytest.mark.parametrize(
    ("kind", "name", "problem"),
    [
        ("rule", "nope", "there is no rule nope"),
        ("workflow", "nope", "there is no workflow nope"),
        ("action", " ", "1 to 100"),
        ("action", "a\x00b", "1 to 100"),
        ("action", "x" * 101, "1 to 100"),
        ("agent", "x", "choose among rule, action, workflow"),
    ],
)
def test_what_cannot_be_given_to_a_team(
    max_: Actor, refunds: Team, kind: str, name: str, problem: str
) -> None:
    with pytest.raises(BadInput, match=problem):
        teams.assign_to_team(max_, kind, name, "refunds")
    assert not Assignment.objects.exists()


def test_a_team_without_members_is_given_nothing(max_: Actor, refunds: Team) -> None:
    teams.create(max_, "Empty")
    with pytest.raises(BadInput, match="nobody in Empty may decide"):
        teams.assign_to_team(max_, "action", "refund.create", "empty")
    with pytest.raises(BadInput, match="nobody in Empty may decide"):
        teams.set_escalation(max_, "refunds", "empty")
    with pytest.raises(BadInput, match="there is no team nope in use"):
        teams.assign_to_team(max_, "action", "refund.create", "nope")


# Escalation and retirement --------------------------------------------------------------------


def test_escalation_never_comes_back(max_: Actor, refunds: Team) -> None:
    for name in ("Second", "Third"):
        teams.set_members(max_, teams.create(max_, name).slug, add=["ada"])
    teams.set_escalation(max_, "refunds", "second")
    assert last_entry() == ("team.escalation_set", "team/refunds", {"to": "second"})
    teams.set_escalation(max_, "second", "third")
    with pytest.raises(BadInput, match="come back: Third → Refunds → Second → Third"):
        teams.set_escalation(max_, "third", "refunds")
    with pytest.raises(BadInput, match="come back: Third → Third"):
        teams.set_escalation(max_, "third", "third")
    assert teams.set_escalation(max_, "refunds", "").escalates_to is None
    before = AuditEntry.objects.count()
    teams.set_escalation(max_, "refunds", "")
    assert AuditEntry.objects.count() == before


def test_a_team_is_retired_when_nothing_rests_on_it(
    max_: Actor, refunds: Team, waiting: Callable[..., None]
) -> None:
    waiting()
    ReviewItem.objects.update(team=refunds)
    teams.assign_to_team(max_, "rule", "refund-limit", "refunds")
    lower = teams.create(max_, "First line")
    teams.set_escalation(max_, lower.slug, "refunds")
    with pytest.raises(StillNeeded) as refusal:
        teams.retire(max_, "refunds")
    assert str(refusal.value) == (
        "The team Refunds is still needed: 1 item waiting for it, it decides the rule refund-limit, "
        "First line escalates to it. Nothing was changed. Give all of that to another team first."
    )
    ReviewItem.objects.update(team=None)
    teams.unassign(max_, "rule", "refund-limit")
    teams.set_escalation(max_, lower.slug)
    team = teams.retire(max_, "refunds")
    assert team.retired_at is not None
    assert last_entry() == ("team.retired", "team/refunds", {})
    assert [one.slug for one in team_queries.teams()] == ["first-line"]


@pytest.mark.parametrize("last", ["retired", "left"])
def test_blind_audits_go_to_whoever_audits(
    max_: Actor, refunds: Team, waiting: Callable[..., None], last: str
) -> None:
    waiting()
    ReviewItem.objects.update(team=refunds, kind="audit")
    if last == "retired":
        teams.retire(max_, "refunds")
    else:
        teams.set_members(max_, "refunds", remove=["rita"])
    assert ReviewItem.objects.get().team is None


def test_a_retired_team_is_shown_while_something_waits_for_it(
    max_: Actor, refunds: Team, waiting: Callable[..., None]
) -> None:
    waiting()
    teams.retire(max_, "refunds")
    # As when it opened in the very moment of the retirement.
    ReviewItem.objects.update(team=refunds)
    assert [one.slug for one in team_queries.teams()] == ["refunds"]


@pytest.mark.django_db(transaction=True)
def test_what_is_given_and_retired_at_once_is_only_one_of_the_two(cast: Cast) -> None:
    names = [f"Team {number}" for number in range(8)]
    for name in names:
        teams.set_members(SYSTEM, teams.create(SYSTEM, name).slug, add=["rita"])
    start = threading.Barrier(2 * len(names))

    def give(slug: str) -> None:
        teams.assign_to_team(SYSTEM, "action", f"action.{slug}", slug)

    def retire(slug: str) -> None:
        teams.retire(SYSTEM, slug)

    def attempt(change: Callable[[str], None], slug: str) -> bool:
        start.wait()
        try:
            change(slug)
        except (BadInput, StillNeeded):
            return False
        finally:
            connection.close()
        return True

    slugs = [team.slug for team in Team.objects.all()]
    with ThreadPoolExecutor(2 * len(slugs)) as pool:
        given = [pool.submit(attempt, give, slug) for slug in slugs]
        retired = [pool.submit(attempt, retire, slug) for slug in slugs]
    for one, other in zip(given, retired, strict=True):
        assert one.result() is not other.result()
    assert not Assignment.objects.exclude(team__retired_at=None).exists()


# Load -----------------------------------------------------------------------------------------


def test_load_counts_what_a_team_has_before_it(
    cast: Cast, refunds: Team, waiting: Callable[..., None], max_: Actor
) -> None:
    waiting(6)
    now = timezone.now()
    first, second, third, fourth, fifth, sixth = ReviewItem.objects.order_by("pk")
    of_team = ReviewItem.objects.filter(pk__in=[one.pk for one in (first, second, third, fourth)])
    of_team.update(team=refunds)
    hour = timedelta(hours=1)
    ReviewItem.objects.filter(pk=first.pk).update(
        created_at=now - 5 * hour, due_at=now - hour, holder=cast.rita, lease_until=now + hour
    )
    # A hold that ran out is none.
    ReviewItem.objects.filter(pk=second.pk).update(holder=cast.rita, lease_until=now - hour)
    ReviewItem.objects.filter(pk=third.pk).update(kind="audit")
    ReviewItem.objects.filter(pk=fourth.pk).update(status="decided", closed_at=now - hour)
    ReviewItem.objects.filter(pk=sixth.pk).update(
        status="decided", closed_at=now - timedelta(days=8), team=refunds
    )
    found = team_queries.load([refunds], now)
    assert found[refunds.pk] == team_queries.Load(
        waiting=2, held=1, overdue=1, oldest=now - 5 * hour, decided=1
    )
    fifth.refresh_from_db()
    assert found[None] == team_queries.Load(waiting=1, oldest=fifth.created_at)


def test_counting_stops_at_the_limit(
    refunds: Team, waiting: Callable[..., None], settings: Settings
) -> None:
    settings.QUEUE_COUNT_MAX = 2
    waiting(5)
    ReviewItem.objects.update(team=refunds, due_at=F("created_at") - timedelta(hours=1))
    found = team_queries.load([refunds], timezone.now())[refunds.pk]
    assert (found.waiting, found.overdue) == (3, 5)
    assert team_queries.count_waiting(refunds) == 3


def test_load_asks_the_same_number_of_times_for_any_number_of_teams(
    max_: Actor, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    some = [teams.create(max_, f"Team {number}") for number in range(12)]
    with django_assert_num_queries(5):
        assert len(team_queries.load(some, timezone.now())) == 13
    with django_assert_num_queries(5):
        assert set(team_queries.load([], timezone.now())) == {None}
