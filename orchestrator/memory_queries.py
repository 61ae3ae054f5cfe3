"""Reads of shared memory: what is in it, who was handed what, and all that followed from one observation."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Case, CharField, QuerySet, Value, When
from django.db.models.functions import Now

from orchestrator.core.observations import is_tag
from orchestrator.models import Observation, ObservationRead, Proposal

SPACES_MAX = 100
LISTED_MAX = 200
Status = Observation.Status


@dataclass(frozen=True, slots=True)
class MemoryFilter:
    space: str = ""
    key: str = ""
    tag: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class Followed:
    """An observation that was written by whoever had read another one.

    Sure: by the very call that had. Else by the same run later, which may have heard of it.
    """

    observation: Observation
    level: int
    after: str
    is_sure: bool


@dataclass(frozen=True, slots=True)
class Made:
    """A proposal of a run that had read it: sure, when it is the answer of the very call that had."""

    proposal: Proposal
    is_sure: bool


@dataclass(frozen=True, slots=True)
class Aftermath:
    """All that followed from one observation, as far as the log knows."""

    reads: Sequence[ObservationRead]
    followed: Sequence[Followed]
    proposals: Sequence[Made]
    # There is more than MEMORY_DERIVED_MAX of something.
    is_cut: bool

    def without(self, runs: Collection[str]) -> "Aftermath":
        """For a reader who is to know nothing of these runs."""
        if not runs:
            return self
        return replace(
            self,
            reads=[one for one in self.reads if one.run_id not in runs],
            followed=[one for one in self.followed if one.observation.run_id not in runs],
            proposals=[one for one in self.proposals if one.proposal.run_id not in runs],
        )

    def observations(self, *, sure: bool) -> list[Observation]:
        return [one.observation for one in self.followed if one.is_sure or not sure]


# What is there --------------------------------------------------------------------------------------


def observation(pk: str) -> Observation | None:
    return _rows().filter(pk=pk).first()


def browse(wanted: MemoryFilter, *, hidden: Collection[str] = ()) -> QuerySet[Observation]:
    """Without what runs in `hidden` wrote, and without their own memories."""
    rows = _rows()
    if wanted.space:
        rows = rows.filter(space=wanted.space)
    if wanted.key:
        rows = rows.filter(key=wanted.key)
    if wanted.tag:
        rows = _tagged(rows, wanted.tag) if is_tag(wanted.tag) else rows.none()
    if hidden:
        rows = rows.exclude(run__in=hidden).exclude(space__in=hidden)
    if wanted.status == Status.REVOKED:
        return rows.filter(revoked_at__isnull=False)
    if wanted.status == Status.EXPIRED:
        return rows.filter(revoked_at=None, expires_at__lte=Now())
    if wanted.status == Status.LIVE:
        return rows.filter(revoked_at=None, expires_at__gt=Now())
    return rows


def _tagged(rows: QuerySet[Observation], tag: str) -> QuerySet[Observation]:
    """Said twice over: else of a tag that it does not know the planner expects to meet one soon, and walks
    back through all there is. Twice as unlikely, it asks the index of tags."""
    return rows.filter(tags__contains=[tag], tags__overlap=[tag])


def _rows() -> QuerySet[Observation]:
    """With what each is by the database's clock."""
    status = Case(
        When(revoked_at__isnull=False, then=Value(Status.REVOKED.value)),
        When(expires_at__lte=Now(), then=Value(Status.EXPIRED.value)),
        default=Value(Status.LIVE.value),
        output_field=CharField(),
    )
    return Observation.objects.select_related("revoked_by").annotate(status=status)


# Steps from name to name over the index, past those of runs, however many observations each has. The
# column sorts by bytes, and "`" comes after "_".
_SPACES = """
    WITH RECURSIVE names AS (
        SELECT ''::text COLLATE "C" AS space
        UNION ALL
        SELECT coalesce(
                 (SELECT o.space FROM orchestrator_observation o
                   WHERE o.space > n.space AND o.space < 'run_' ORDER BY o.space LIMIT 1),
                 (SELECT o.space FROM orchestrator_observation o
                   WHERE o.space > greatest(n.space, 'run`' COLLATE "C") ORDER BY o.space LIMIT 1))
          FROM names n WHERE n.space IS NOT NULL
    )
    SELECT space FROM names WHERE space <> '' LIMIT %s
"""


def shared_spaces() -> list[str]:
    """Memories with a name. Those of runs are found from their runs."""
    with connection.cursor() as cursor:
        cursor.execute(_SPACES, [SPACES_MAX])
        return [space for (space,) in cursor.fetchall()]


def covering(one: Observation) -> Observation | None:
    """The newer live observation that stands in its place."""
    newer = _rows().filter(
        space=one.space, key=one.key, tags__contains=one.tags, revoked_at=None, expires_at__gt=Now()
    )
    newest = newer.order_by("-at", "-pk").first()
    is_newer = newest is not None and (newest.at, newest.pk) > (one.at, one.pk)
    return newest if is_newer else None


def written_by(run: str) -> list[Observation]:
    return list(_rows().filter(run=run).order_by("seq", "pk")[:LISTED_MAX])


def read_by(run: str) -> list[ObservationRead]:
    rows = ObservationRead.objects.filter(run=run).select_related("observation")
    return list(rows.order_by("seq", "observation_id")[:LISTED_MAX])


# What followed --------------------------------------------------------------------------------------

# Of what was read, by the calls that had; and where asked for, by their runs from then on.
_FOLLOWED = """
    SELECT DISTINCT ON (o.id) o.id, r.observation_id
      FROM orchestrator_observationread r
      JOIN orchestrator_observation o
        ON o.run_id = r.run_id AND (o.seq = r.seq OR %(wide)s AND o.seq > r.seq)
     WHERE r.observation_id = ANY(%(ids)s::text[]) AND NOT o.id = ANY(%(known)s::text[])
     ORDER BY o.id, r.id LIMIT %(at_most)s
"""

# What the runs proposed from then on. The command that proposed names the answer that it put forward.
_PROPOSED = """
    WITH runs AS (
        SELECT run_id, min(seq) AS seq FROM orchestrator_observationread
         WHERE observation_id = ANY(%(ids)s::text[]) GROUP BY run_id
    )
    SELECT e.payload::jsonb->>'proposal',
           EXISTS (SELECT FROM orchestrator_observationread r
                    WHERE r.run_id = f.run_id AND r.observation_id = ANY(%(sure)s::text[])
                      AND c.kind = 'propose' AND c.key = 'propose:' || r.seq)
      FROM runs f
      JOIN orchestrator_event e
        ON e.run_id = f.run_id AND e.seq > f.seq AND e.kind = 'proposal_received'
      LEFT JOIN orchestrator_command c
        ON c.id = CASE WHEN e.key LIKE 'cmd:%%' THEN substr(e.key, 5)::bigint END
     ORDER BY 1 LIMIT %(at_most)s
"""


def aftermath(one: Observation) -> Aftermath:
    """Everything that read it, what they wrote, what read that, and so on."""
    most: int = settings.MEMORY_DERIVED_MAX
    sure = _closure(one.pk, wide=False, at_most=most + 1)
    every = _closure(one.pk, wide=True, at_most=most + 1)
    shown = dict(list(every.items())[:most])
    ids = [one.pk, *shown]
    reads = list(_reads_of(ids)[: most + 1])
    proposals = _proposals_of(ids, [one.pk, *sure], at_most=most + 1)
    is_cut = max(len(every), len(reads), len(proposals)) > most
    return Aftermath(reads[:most], _followed(shown, sure), proposals[:most], is_cut)


def _reads_of(ids: Collection[str]) -> QuerySet[ObservationRead]:
    rows = ObservationRead.objects.filter(observation__in=ids).select_related("observation")
    return rows.order_by("pk")


def _followed(shown: dict[str, tuple[int, str]], sure: Collection[str]) -> list[Followed]:
    rows = {one.pk: one for one in _rows().filter(pk__in=shown)}
    return [
        Followed(rows[pk], level, after, pk in sure)
        for pk, (level, after) in shown.items()
        if pk in rows
    ]


def _closure(root: str, *, wide: bool, at_most: int) -> dict[str, tuple[int, str]]:
    """By id: how many steps away it is, and after which observation. What was met once is not met again."""
    found: dict[str, tuple[int, str]] = {}
    frontier, level = [root], 0
    while frontier and len(found) < at_most:
        level += 1
        values: dict[str, Any] = {
            "ids": frontier,
            "known": [root, *found],
            "wide": wide,
            "at_most": at_most - len(found),
        }
        with connection.cursor() as cursor:
            cursor.execute(_FOLLOWED, values)
            rows = cursor.fetchall()
        found |= {pk: (level, after) for pk, after in rows}
        frontier = [pk for pk, _ in rows]
    return found


def _proposals_of(ids: Sequence[str], sure: Sequence[str], *, at_most: int) -> list[Made]:
    with connection.cursor() as cursor:
        cursor.execute(_PROPOSED, {"ids": list(ids), "sure": list(sure), "at_most": at_most})
        found = dict(cursor.fetchall())
    rows = Proposal.objects.filter(pk__in=found).order_by("pk")
    return [Made(one, found[one.pk]) for one in rows]
