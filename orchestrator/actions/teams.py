"""Teams: who is in them, what is theirs to decide, and to whom they hand on.

Whatever is given to a team finds somebody there: only people who may decide are members, and a team
that something rests on keeps one of them.
"""

from collections.abc import Sequence

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils.text import slugify

from orchestrator import team_queries
from orchestrator.actions.actor import Actor, audit, require
from orchestrator.core.errors import BadInput, NotFound, StillNeeded
from orchestrator.models import Assignment, ReviewItem, Team

NAME_LENGTH_MAX = 100
SLUG_LENGTH_MAX = 60
# Pages of teams have these addresses, or mean something else by them.
TAKEN = frozenset({"move", "no-team"})
# What rests on teams hangs together, and there is no row that all changes could lock.
_LOCK = 0x7465616D73


@transaction.atomic
def create(actor: Actor, name: str) -> Team:
    _begin(actor)
    if Team.objects.in_use().count() >= settings.TEAMS_MAX:
        raise BadInput("name", f"there are {settings.TEAMS_MAX:,} teams already. Retire one first.")
    name = _checked_name(name)
    team = Team.objects.create(name=name, slug=_free_slug(name))
    audit(actor, "team.created", _object(team), name=name)
    return team


@transaction.atomic
def rename(actor: Actor, slug: str, name: str) -> Team:
    """Its address and its name in the audit log stay what they were."""
    _begin(actor)
    team = _team(slug)
    name = _checked_name(name, but=team)
    if name != team.name:
        audit(actor, "team.renamed", _object(team), before=team.name, after=name)
        team.name = name
        team.save(update_fields=["name"])
    return team


@transaction.atomic
def set_members(
    actor: Actor, slug: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()
) -> Team:
    """Named one by one, so that two managers at once do not undo each other's changes."""
    _begin(actor)
    team = _team(slug)
    known = set(team.members.values_list("username", flat=True))
    added, removed = sorted(set(add) - known), sorted(set(remove) & known)
    team.members.add(*_deciders(added))
    team.members.remove(*team.members.filter(username__in=removed))
    if removed and not team_queries.able_members(team).exists():
        _check_unneeded(team, f"The last member of {team.name}", "Add somebody else first.")
    if added or removed:
        audit(
            actor,
            "team.members_changed",
            _object(team),
            added=[*added],
            removed=[*removed],
        )
    return team


@transaction.atomic
def set_escalation(actor: Actor, slug: str, to: str = "") -> Team:
    """The team that gets what this one hands on; none means whoever may decide."""
    _begin(actor)
    team = _team(slug)
    above = team_queries.able_team(to, "escalates_to") if to else None
    if above is not None:
        _check_no_circle(team, above)
    if team.escalates_to_id != (above.pk if above else None):
        team.escalates_to = above
        team.save(update_fields=["escalates_to"])
        audit(actor, "team.escalation_set", _object(team), to=to)
    return team


@transaction.atomic
def assign_to_team(actor: Actor, kind: str, name: str, slug: str) -> Assignment:
    """From now on; what waits already stays where it is. Whose it was before, it no longer is."""
    _begin(actor)
    name = _checked_subject(kind, name.strip())
    team = team_queries.able_team(slug, "name")
    before = Assignment.objects.select_related("team").filter(kind=kind, name=name).first()
    if before is not None and before.team == team:
        return before
    assignment, _ = Assignment.objects.update_or_create(
        kind=kind, name=name, defaults={"team": team}
    )
    was = before.team.slug if before else None
    audit(actor, "team.assigned", _object(team), kind=kind, name=name, before=was)
    return assignment


@transaction.atomic
def unassign(actor: Actor, kind: str, name: str) -> None:
    """From now on whoever may decide at all decides about it, unless something else names a team."""
    _begin(actor)
    found = Assignment.objects.select_related("team").filter(kind=kind, name=name).first()
    if found is None:
        raise NotFound("assignment", f"{kind} {name}")
    found.delete()
    audit(actor, "team.unassigned", _object(found.team), kind=kind, name=name)


@transaction.atomic
def retire(actor: Actor, slug: str) -> Team:
    """It is offered no more, and keeps its name in what it decided."""
    _begin(actor)
    team = _team(slug)
    _check_unneeded(team, f"The team {team.name}", "Give all of that to another team first.")
    team.retired_at = Now()
    team.save(update_fields=["retired_at"])
    audit(actor, "team.retired", _object(team))
    return team


def what_rests_on(team: Team) -> list[str]:
    """In words; as long as there is any, it keeps a member and is not retired."""
    waiting = team_queries.count_waiting(team)
    most = settings.QUEUE_COUNT_MAX
    count = f"{most:,} items or more" if waiting > most else f"{waiting:,} item{'s'[: waiting > 1]}"
    return [
        *([f"{count} waiting for it"] if waiting else ()),
        *(f"it decides the {one.kind} {one.name}" for one in team_queries.assignments_of(team)),
        *(f"{one.name} escalates to it" for one in team_queries.escalating_to(team)),
    ]


def _begin(actor: Actor) -> None:
    """Nobody in particular is whoever may run commands on this machine."""
    if actor.user is not None or actor.token is not None:
        require(actor, "teams.edit", "change teams")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _team(slug: str) -> Team:
    """Locked: an item that is just being opened for it is waited for, and then counts."""
    team = Team.objects.in_use().select_for_update().filter(slug=slug).first()
    if team is None:
        raise NotFound("team", slug)
    return team


def _checked_name(name: str, but: Team | None = None) -> str:
    name = " ".join(name.replace("\x00", "").split())
    if not name:
        raise BadInput("name", "a team needs one.")
    if len(name) > NAME_LENGTH_MAX:
        raise BadInput("name", f"at most {NAME_LENGTH_MAX} characters are taken.")
    if any(team != but for team in Team.objects.in_use().filter(name__iexact=name)):
        raise BadInput("name", "another team is called that. Choose another name.")
    return name


def _free_slug(name: str) -> str:
    """Made from the name, and told from older ones by a number."""
    stem = slugify(name)[: SLUG_LENGTH_MAX - 6].strip("-") or "team"
    known = {*TAKEN, *Team.objects.filter(slug__startswith=stem).values_list("slug", flat=True)}
    number, slug = 1, stem
    while slug in known:
        number += 1
        slug = f"{stem}-{number}"
    return slug


def _deciders(names: Sequence[str]) -> list[User]:
    found = list(team_queries.deciders().filter(username__in=names))
    missing = sorted(set(names) - {person.get_username() for person in found})
    if missing:
        raise BadInput("add", f"{', '.join(missing)} may not decide, so cannot be in a team.")
    return found


def _check_unneeded(team: Team, what: str, advice: str) -> None:
    """Nobody will decide for it any more. Blind audits, which nobody can move, go to whoever audits."""
    rests = what_rests_on(team)
    if rests:
        raise StillNeeded(what, ", ".join(rests), advice)
    blind = ReviewItem.objects.waiting().filter(team=team, kind__in=ReviewItem.BLIND)
    blind.update(team=None)


def _check_no_circle(team: Team, above: Team) -> None:
    seen = [team]
    while above is not None:
        seen.append(above)
        if above == team:
            way = " → ".join(one.name for one in seen)
            raise BadInput("escalates_to", f"what is handed on would come back: {way}.")
        above = above.escalates_to  # type: ignore[assignment]


def _checked_subject(kind: str, name: str) -> str:
    if kind not in Assignment.Kind.values:
        raise BadInput("kind", f"choose among {', '.join(Assignment.Kind.values)}.")
    if not name or "\x00" in name or len(name) > NAME_LENGTH_MAX:
        raise BadInput("name", f"it takes 1 to {NAME_LENGTH_MAX} characters.")
    if not team_queries.exists(kind, name):
        raise BadInput("name", f"there is no {kind} {name}.")
    return name


def _object(team: Team) -> str:
    return f"team/{team.slug}"
