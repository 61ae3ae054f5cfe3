"""Reads of teams: whose something is, who is in them, and how much each has before it.

Counts stop one above QUEUE_COUNT_MAX, so that an answer costs the same however much is waiting.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Case, Count, IntegerField, Min, Q, QuerySet, Value, When
from django.db.models.functions import Now

from orchestrator.core.errors import BadInput
from orchestrator.core.policy.roles import roles_with
from orchestrator.models import Assignment, Contract, ReviewItem, Rule, Team, Workflow

DECIDED_WINDOW = timedelta(days=7)
# Of what is overdue the oldest, and of what was decided of late the newest, that are looked at to
# count those of each team.
READ_MAX = 10_000
NAMES_MAX = 200
_BLIND = [str(kind.value) for kind in ReviewItem.BLIND]
# A rule knows best why something was held, a workflow least.
_FIRST = Case(
    When(kind=Assignment.Kind.RULE, then=Value(0)),
    When(kind=Assignment.Kind.ACTION, then=Value(1)),
    default=Value(2),
    output_field=IntegerField(),
)


def team_for(action: str, rules: Collection[str], workflow: str) -> Team | None:
    """Who decides about it; of several rules that name teams, the first by name."""
    named = (
        Q(kind=Assignment.Kind.RULE, name__in=rules)
        | Q(kind=Assignment.Kind.ACTION, name=action)
        | Q(kind=Assignment.Kind.WORKFLOW, name=workflow)
    )
    found = Assignment.objects.filter(named).select_related("team").order_by(_FIRST, "name")
    assignment = found.first()
    return assignment.team if assignment else None


# Teams and people -----------------------------------------------------------------------------


def teams() -> list[Team]:
    """Those in use, and retired ones for which something waits all the same."""
    waiting = ReviewItem.objects.in_queue().filter(team__retired_at__isnull=False).values("team")
    rows = Team.objects.filter(Q(retired_at=None) | Q(pk__in=waiting))
    return list(rows.select_related("escalates_to").order_by("name", "pk"))


def team(slug: str) -> Team | None:
    return Team.objects.select_related("escalates_to").filter(slug=slug).first()


def deciders() -> QuerySet[User]:
    """People who may decide at all; only they can be in a team."""
    may_decide = Q(groups__name__in=roles_with("queue.decide")) | Q(is_superuser=True)
    return User.objects.filter(may_decide, is_active=True).distinct().order_by("username")


def able_team(slug: str, field: str) -> Team:
    """Raises BadInput about the field where it was named: what it were given, nobody would find."""
    found = Team.objects.in_use().filter(slug=slug).first()
    if found is None:
        raise BadInput(field, f"there is no team {slug} in use.")
    if not able_members(found).exists():
        raise BadInput(field, f"nobody in {found.name} may decide. Add a member to it first.")
    return found


def able_teams() -> list[Team]:
    """What can be given something."""
    rows = Team.objects.in_use().filter(members__in=deciders())
    return list(rows.distinct().order_by("name", "pk"))


def able_members(team: Team) -> QuerySet[User]:
    """Of its members those who still could decide: people leave, and roles are taken away."""
    return deciders().filter(teams=team)


def able_by_team() -> dict[int, list[str]]:
    """The names of those people, by team."""
    rows = deciders().exclude(teams=None).values_list("teams", "username")
    found: dict[int, list[str]] = {}
    for key, name in rows:
        found.setdefault(key, []).append(name)
    return found


def assignments_by_team() -> dict[int, list[Assignment]]:
    found: dict[int, list[Assignment]] = {}
    for one in Assignment.objects.order_by(_FIRST, "name"):
        found.setdefault(one.team_id, []).append(one)
    return found


def assignments_of(team: Team) -> list[Assignment]:
    return list(team.assignments.order_by(_FIRST, "name"))


def escalating_to(team: Team) -> list[Team]:
    return list(Team.objects.in_use().filter(escalates_to=team).order_by("name"))


def exists(kind: str, name: str) -> bool:
    """Whether there is such a rule or workflow. Actions are what agents call them: any could come."""
    if kind == Assignment.Kind.RULE:
        return Rule.objects.filter(slug=name).exists()
    if kind == Assignment.Kind.WORKFLOW:
        return Workflow.objects.filter(slug=name).exists()
    return True


def names_to_assign() -> dict[str, list[str]]:
    """Suggestions by kind: what exists, of actions what has a contract."""
    actions = Contract.objects.filter(kind=Contract.Kind.ACTION).order_by("name")
    return {
        Assignment.Kind.RULE: _first_names(Rule.objects.order_by("slug"), "slug"),
        Assignment.Kind.ACTION: _first_names(actions, "name"),
        Assignment.Kind.WORKFLOW: _first_names(Workflow.objects.order_by("slug"), "slug"),
    }


def _first_names(rows: QuerySet[Any], field: str) -> list[str]:
    return list(rows.values_list(field, flat=True)[:NAMES_MAX])


# Load -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Load:
    """What a team has before it, and what it got done. Blind audits are nobody's queue."""

    waiting: int = 0
    held: int = 0
    overdue: int = 0
    # Of what was counted: with more waiting than that, something older may be among the rest.
    oldest: datetime | None = None
    decided: int = 0


def load(teams: Sequence[Team], now: datetime) -> dict[int | None, Load]:
    """By team, and under None what belongs to no team, so that whoever may decide can."""
    held, overdue, decided = _held(), _overdue(), _decided(now - DECIDED_WINDOW)
    return {
        key: Load(waiting, held.get(key, 0), overdue.get(key, 0), oldest, decided.get(key, 0))
        for key, waiting, oldest in [_before_nobody_in_particular(), *_before(teams)]
    }


def waiting_of(team: Team | None, *, at_most: int) -> list[ReviewItem]:
    """The most urgent first."""
    related = ("proposal", "command", "holder")
    rows = ReviewItem.objects.in_queue().filter(team=team).select_related(*related)
    return list(rows.order_by("-priority", "due_at", "pk")[:at_most])


def waiting_among(team: Team | None, ids: Collection[str]) -> list[ReviewItem]:
    """Of these the ones that still wait for this team."""
    rows = ReviewItem.objects.in_queue().filter(team=team, pk__in=ids)
    related = ("proposal", "command", "holder")
    return list(rows.select_related(*related).order_by("-priority", "due_at", "pk"))


def count_waiting(team: Team) -> int:
    """Counting stops one above QUEUE_COUNT_MAX."""
    rows = ReviewItem.objects.in_queue().filter(team=team).values("pk")
    return rows[: settings.QUEUE_COUNT_MAX + 1].count()


def _before(teams: Sequence[Team]) -> list[tuple[Any, ...]]:
    keys = [team.pk for team in teams]
    return _ask(_BEFORE, teams=keys, blind=_BLIND, at_most=settings.QUEUE_COUNT_MAX + 1)


def _before_nobody_in_particular() -> tuple[None, int, datetime | None]:
    waiting = ReviewItem.objects.in_queue().filter(team=None)
    first = waiting.order_by("-priority", "due_at", "pk")[: settings.QUEUE_COUNT_MAX + 1]
    found = first.aggregate(waiting=Count("pk"), oldest=Min("created_at"))
    return None, found["waiting"], found["oldest"]


def _held() -> Mapping[int | None, int]:
    """Holds are as many as people have taken up; one that ran out does not count."""
    rows = ReviewItem.objects.in_queue().filter(holder__isnull=False, lease_until__gt=Now())
    return dict(rows.order_by().values_list("team").annotate(count=Count("pk")))


def _overdue() -> Mapping[int | None, int]:
    return dict(_ask(_OVERDUE, blind=_BLIND, at_most=READ_MAX))


def _decided(since: datetime) -> Mapping[int | None, int]:
    return dict(_ask(_DECIDED, since=since, at_most=READ_MAX))


def _ask(statement: str, **values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


# It walks the index review_item_team_queue of each team, in its order, and stops at the limit.
_BEFORE = """
    SELECT team.id, before.waiting, before.oldest
      FROM unnest(%(teams)s::bigint[]) AS team (id)
      CROSS JOIN LATERAL (
        SELECT count(*) AS waiting, min(created_at) AS oldest FROM (
            SELECT created_at FROM orchestrator_reviewitem
             WHERE status = 'waiting' AND team_id = team.id AND kind <> ALL (%(blind)s)
             ORDER BY priority DESC, due_at, id LIMIT %(at_most)s
        ) AS first
      ) AS before
"""
_OVERDUE = """
    SELECT team_id, count(*) FROM (
        SELECT team_id FROM orchestrator_reviewitem
         WHERE status = 'waiting' AND due_at <= now() AND kind <> ALL (%(blind)s)
         ORDER BY due_at LIMIT %(at_most)s
    ) AS first GROUP BY team_id
"""
_DECIDED = """
    SELECT team_id, count(*) FROM (
        SELECT team_id FROM orchestrator_reviewitem
         WHERE closed_at >= %(since)s AND status = 'decided'
         ORDER BY closed_at DESC LIMIT %(at_most)s
    ) AS newest GROUP BY team_id
"""
