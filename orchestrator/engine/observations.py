"""Shared memory as calls see it: what one is handed, what its answer brings, and what of it is forgotten.

Values are handed to agents as data beside their other inputs. The event of an answer names what its call
was handed by id and digest, and carries what is to be remembered; the rows are made of that event in the
transaction that stores it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from orchestrator.agents.base import AgentAnswer
from orchestrator.core import definitions, observations
from orchestrator.core import events as ev
from orchestrator.core.codec import Json, canonical, digest, read
from orchestrator.core.observations import Scope
from orchestrator.core.taint import Source
from orchestrator.engine import sql
from orchestrator.engine.claim import Claimed
from orchestrator.engine.plans import definition_of
from orchestrator.engine.tainting import Heard
from orchestrator.engine.turns import TurnBefore
from orchestrator.models import Observation
from orchestrator.models.ids import new_id

WHO_LENGTH_MAX = 100
# Observations that a note names.
CLOSED_NAMED_MAX = 10

# The run at the top of each one's family.
_ROOTS = """
    WITH RECURSIVE up AS (
        SELECT r.id AS run, r.id, r.parent_id FROM orchestrator_run r WHERE r.id = ANY(%(runs)s::text[])
        UNION ALL
        SELECT up.run, p.id, p.parent_id FROM up JOIN orchestrator_run p ON p.id = up.parent_id
    )
    SELECT run, id FROM up WHERE parent_id IS NULL
"""

# Of each memory the newest live observations all of whose tags may be read, and in whose place nothing
# newer stands. The statement's own time decides what is live. What lives is sorted once, without its
# values: of a key that was written a thousand times with the same tags one row is left.
_HANDED = """
    SELECT w.n, o.id, o.key, o.value, o.tags, o.digest, o.agent, o.tainted, o.classes
      FROM unnest(%(spaces)s::text[], %(reads)s::text[], %(mosts)s::integer[])
           WITH ORDINALITY AS w(space, reads, most, n)
     CROSS JOIN LATERAL (
        WITH newest AS MATERIALIZED (
            SELECT DISTINCT ON (l.key, l.tags) l.id, l.key, l.tags, l.at
              FROM orchestrator_observation l
             WHERE l.space = w.space AND l.revoked_at IS NULL
               AND l.expires_at > statement_timestamp()
             ORDER BY l.key, l.tags, l.at DESC, l.id DESC
        ), several AS MATERIALIZED (
            SELECT counted.* FROM (
                SELECT n.*, count(*) OVER (PARTITION BY n.key) AS sets FROM newest n
            ) AS counted WHERE counted.sets > 1
        )
        SELECT n.id FROM newest n
         WHERE n.tags <@ ARRAY(SELECT jsonb_array_elements_text(w.reads::jsonb))::varchar[]
           AND NOT EXISTS (SELECT FROM several s
                            WHERE s.key = n.key AND s.tags @> n.tags
                              AND (s.at, s.id) > (n.at, n.id))
         ORDER BY n.at DESC, n.id DESC LIMIT w.most
     ) AS found
      JOIN orchestrator_observation o ON o.id = found.id
     ORDER BY w.n, o.at DESC, o.id DESC
"""

# How much is there already; counting ends where no more is taken.
_COUNTS = """
    SELECT w.n,
           (SELECT count(*) FROM (SELECT FROM orchestrator_observation o
                                   WHERE o.space = w.space AND o.revoked_at IS NULL
                                     AND o.expires_at > statement_timestamp()
                                   LIMIT %(space_max)s::integer) AS f),
           (SELECT count(*) FROM (SELECT FROM orchestrator_observation o
                                   WHERE o.run_id = w.run LIMIT %(run_max)s::integer) AS f)
      FROM unnest(%(spaces)s::text[], %(runs)s::text[]) WITH ORDINALITY AS w(space, run, n)
"""

# Whoever revokes one of them waits until this is stored, or is waited for.
_REVOKED = """
    SELECT o.id, o.revoked_at IS NOT NULL FROM orchestrator_observation o
     WHERE o.id = ANY(%(ids)s::text[]) ORDER BY o.id FOR SHARE
"""

_READ = """
    INSERT INTO orchestrator_observationread (observation_id, run_id, seq, work, index, attempt, at)
    SELECT o.id, t.run, t.seq, t.work, t.index, t.attempt, %(at)s::timestamptz
      FROM unnest(%(ids)s::text[], %(runs)s::text[], %(seqs)s::integer[], %(works)s::text[],
                  %(indexes)s::integer[], %(attempts)s::integer[])
           AS t(id, run, seq, work, index, attempt)
      JOIN orchestrator_observation o ON o.id = t.id
    ON CONFLICT DO NOTHING
"""

# Rows that somebody read are evidence, and so are revoked ones. So many are looked at and no more,
# whatever is done with them, from where the last look ended.
_FORGET = """
    WITH looked AS MATERIALIZED (
        SELECT o.id, o.expires_at FROM orchestrator_observation o
         WHERE o.revoked_at IS NULL
           AND o.expires_at < statement_timestamp() - make_interval(days => %(days)s::integer)
           AND (o.expires_at, o.id) > (%(expired)s::timestamptz, %(id)s::text)
         ORDER BY o.expires_at, o.id LIMIT %(at_most)s::integer FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM orchestrator_observation WHERE id IN (
            SELECT l.id FROM looked l
             WHERE NOT EXISTS (SELECT FROM orchestrator_observationread r
                                WHERE r.observation_id = l.id))
        RETURNING id
    )
    SELECT l.expires_at, l.id, (SELECT count(*) FROM gone), (SELECT count(*) FROM looked)
      FROM looked l ORDER BY l.expires_at DESC, l.id DESC LIMIT 1
"""
_FROM_THE_FIRST = (datetime.min.replace(tzinfo=UTC), "")


@dataclass(frozen=True, slots=True)
class Sight:
    """Classes of data of a work: what was said of it, or came into its run; and what it may see."""

    said: frozenset[str]
    may_see: frozenset[str]


@dataclass(frozen=True, slots=True)
class Handed:
    """What one call is handed of its memory, and how much its answer may add."""

    scope: Scope
    space: str
    seen: tuple[dict[str, Json], ...] = ()
    recalled: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    room: int = 0
    tainted: bool = False
    # The classes of data that were said of its work; and those of what it sees that were not.
    said: frozenset[str] = frozenset()
    classes: tuple[str, ...] = ()

    @property
    def untrusted(self) -> list[Source]:
        """What came into it from tools. Its writer chose the key as freely as the value."""
        return [
            Source(f"the memory `{one['key']}`", [one["key"], one["value"]])
            for one in self.seen
            if one["tainted"]
        ]

    @property
    def told(self) -> Json:
        """Among the inputs of the call."""
        return {"space": self.space, "observations": list(self.seen)}


@dataclass(frozen=True, slots=True)
class Brought:
    """An answer out of its envelope, with what the event says of memory."""

    output: Json
    facts: dict[str, Any] = field(default_factory=dict)


# Before the call --------------------------------------------------------------------------------


def load(claims: Sequence[Claimed], data: Mapping[int, frozenset[str]]) -> dict[int, Handed]:
    """By command. Only stages that declare a memory cost a query.

    `data` has the classes that an endpoint was chosen for, where an agent is asked by name.
    """
    scopes = {claimed.id: scope for claimed in claims if (scope := _scope(claimed))}
    if not scopes:
        return {}
    wanted = [claimed for claimed in claims if claimed.id in scopes]
    families = _families([one.run for one in wanted if not scopes[one.id].space])
    spaces = [scopes[one.id].space or families[one.run] for one in wanted]
    rooms = _rooms(spaces, [one.run for one in wanted])
    rows = _rows(spaces, [scopes[one.id] for one in wanted])
    return {
        one.id: _handed(
            scopes[one.id], spaces[n], rows.get(n, ()), rooms[n], _sight(one, data.get(one.id))
        )
        for n, one in enumerate(wanted)
    }


def _scope(claimed: Claimed) -> Scope | None:
    work, who = claimed.payload["work"], claimed.payload.get("who", "")
    return definitions.memory_of(definition_of(claimed.version), work, who)


def _sight(claimed: Claimed, data: frozenset[str] | None) -> Sight:
    work, who = claimed.payload["work"], claimed.payload.get("who", "")
    said = definitions.data_of(definition_of(claimed.version), work, who)
    came = frozenset(claimed.payload.get("classes", ()))
    may_see = (said or frozenset(settings.DATA_CLASSES_DEFAULT)) | came
    return Sight(said | came, may_see if data is None else data)


def _families(runs: Sequence[str]) -> dict[str, str]:
    if not runs:
        return {}
    return dict(sql.execute(_ROOTS, {"runs": list(set(runs))}).fetchall())


def _rows(spaces: Sequence[str], scopes: Sequence[Scope]) -> dict[int, list[tuple[Any, ...]]]:
    values = {
        "spaces": list(spaces),
        "reads": [canonical(list(scope.reads)) for scope in scopes],
        "mosts": [scope.at_most for scope in scopes],
    }
    found: dict[int, list[tuple[Any, ...]]] = {}
    for number, *row in sql.execute(_HANDED, values):
        found.setdefault(number - 1, []).append(tuple(row))
    return found


def _rooms(spaces: Sequence[str], runs: Sequence[str]) -> list[int]:
    values = {
        "spaces": list(spaces),
        "runs": list(runs),
        "space_max": settings.MEMORY_SPACE_MAX,
        "run_max": settings.MEMORY_RUN_MAX,
    }
    rows = sorted(sql.execute(_COUNTS, values).fetchall())
    return [
        min(settings.MEMORY_SPACE_MAX - in_space, settings.MEMORY_RUN_MAX - of_run)
        for _, in_space, of_run in rows
    ]


def _handed(
    scope: Scope,
    space: str,
    rows: Sequence[tuple[Any, ...]],
    room: int,
    sight: Sight,
) -> Handed:
    """The newest that fit together, of those of whose classes of data its work may see all."""
    open_to_it = [row for row in rows if sight.may_see.issuperset(row[-1])]
    closed = [(row[1], row[-1]) for row in rows if not sight.may_see.issuperset(row[-1])]
    seen: list[dict[str, Json]] = []
    recalled: list[tuple[str, str]] = []
    size, is_tainted, came = 0, False, set[str]()
    for pk, key, value, tags, mark, agent, tainted, classes in open_to_it:
        size += len(value.encode())
        if size > settings.MEMORY_HANDED_BYTES_MAX:
            break
        one = {"id": pk, "key": key, "value": read(value), "tags": tags, "by": agent}
        seen.append(one | {"tainted": tainted})
        recalled.append((pk, mark))
        is_tainted |= tainted
        came.update(classes)
    left_out = len(open_to_it) - len(seen)
    notes = (
        (
            f"{left_out} older observations were not handed over: together they have more than "
            f"{settings.MEMORY_HANDED_BYTES_MAX:,} bytes (MEMORY_HANDED_BYTES_MAX)",
        )
        if left_out
        else ()
    )
    return Handed(
        scope,
        space,
        tuple(seen),
        tuple(recalled),
        (*_closed_notes(closed, sight.may_see), *notes),
        max(room, 0),
        is_tainted,
        sight.said,
        tuple(sorted(came - sight.said)),
    )


def _closed_notes(
    closed: Sequence[tuple[str, Sequence[str]]], may_see: frozenset[str]
) -> tuple[str, ...]:
    """Which were left out for their classes of data, without a word of what stands in them."""
    if not closed:
        return ()
    named = [f"`{key}` ({', '.join(classes)})" for key, classes in closed[:CLOSED_NAMED_MAX]]
    more = len(closed) - len(named)
    return (
        f"not handed over, since this work may see {', '.join(sorted(may_see))} and no more: "
        + ", ".join(named)
        + (f" and {more} more" if more else ""),
    )


# After the call ---------------------------------------------------------------------------------


def bring(handed: Handed | None, before: TurnBefore, answer: AgentAnswer) -> Brought:
    """Raises OutputInvalid for what its stage may not write."""
    if handed is None:
        return Brought(answer.output)
    output, wishes = observations.open_envelope(handed.scope, answer.output)
    read_out = observations.read_wishes(handed.scope, wishes, _limits())
    tainted = has_heard_tools(handed, before, answer)
    forgotten = len(read_out) - handed.room
    notes = (f"{forgotten} were not remembered: the memory is full",) if forgotten > 0 else ()
    about: dict[str, Json] = {"tainted": True} if tainted else {}
    if classes := sorted(handed.said.union(handed.classes)):
        about["classes"] = list(classes)
    remembered = tuple(_remembered(handed.space, one, about) for one in read_out[: handed.room])
    facts = {"remembered": remembered, "memory_notes": notes, "classes": handed.classes}
    return Brought(output, facts)


def recalled(handed: Handed | None, before: TurnBefore) -> tuple[tuple[str, str], ...]:
    """In this turn and in those before: what it writes now may rest on all of it."""
    now = handed.recalled if handed else ()
    return tuple(dict.fromkeys((*before.recalled, *now)))


def before_answer(handed: Handed | None, before: TurnBefore) -> Heard:
    """What tools said before, to this call or to whoever wrote what it was handed."""
    known = before.heard.sources
    news = [one for one in handed.untrusted if one not in known] if handed else []
    return Heard((*known, *news), before.heard.is_all)


def has_heard_tools(handed: Handed | None, before: TurnBefore, answer: AgentAnswer) -> bool:
    """In this turn, or in one before, or through what it was handed."""
    if before.heard.sources or before.heard.is_all or answer.untrusted:
        return True
    if handed is not None and handed.tainted:
        return True
    return any(piece.kind == "tool" for piece in answer.pieces)


def _remembered(
    space: str, one: observations.Remembered, about: dict[str, Json]
) -> dict[str, Json]:
    said: dict[str, Json] = {
        "id": new_id("obs"),
        "space": space,
        "key": one.key,
        "value": one.value,
        "tags": list(one.tags),
        "ttl_s": one.ttl_s,
    }
    return said | about


def _limits() -> observations.Limits:
    return observations.Limits(
        value_bytes=settings.MEMORY_VALUE_BYTES_MAX,
        tags=settings.MEMORY_TAGS_MAX,
        ttl_s=settings.MEMORY_TTL_DAYS_MAX * 86_400,
    )


# In the transaction that stores the answer ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """An answer as the log has it. What came late is not remembered; what it had read is kept."""

    run: str
    seq: int
    event: ev.WorkFinished | ev.WorkAsked | ev.WorkFailed
    is_late: bool
    # Tools had said something to its run, whoever in it asked them.
    is_tainted: bool = False

    @property
    def remembered(self) -> Sequence[Mapping[str, Any]]:
        return self.event.remembered if isinstance(self.event, ev.WorkFinished) else ()


def store(told: Sequence[Told], at: datetime) -> None:
    """Rows for what was read and written. What was revoked while a call was out spoils what it wrote."""
    writing = [one for one in told if one.remembered and not one.is_late]
    spoilt = _revoked({pk for one in writing for pk, _ in one.event.recalled})
    Observation.objects.bulk_create(
        [
            _row(one, said, at, [pk for pk, _ in one.event.recalled if pk in spoilt])
            for one in writing
            for said in one.remembered
        ]
    )
    reads = [(pk, one) for one in told for pk, _ in one.event.recalled]
    if reads:
        _store_reads(reads, at)


def _revoked(ids: set[str]) -> set[str]:
    if not ids:
        return set()
    rows = sql.execute(_REVOKED, {"ids": sorted(ids)}).fetchall()
    return {pk for pk, is_revoked in rows if is_revoked}


def _row(told: Told, said: Mapping[str, Any], at: datetime, spoilt: Sequence[str]) -> Observation:
    event = told.event
    text = canonical(said["value"])
    why = f"whoever wrote it had read {spoilt[0]}, which was revoked meanwhile" if spoilt else ""
    return Observation(
        pk=said["id"],
        space=said["space"],
        key=said["key"],
        value=text,
        digest=digest(text),
        tags=said["tags"],
        at=at,
        expires_at=at + timedelta(seconds=said["ttl_s"]),
        run_id=told.run,
        seq=told.seq,
        work=event.work,
        index=event.index,
        attempt=event.attempt,
        agent=event.agent.get("name", "")[:WHO_LENGTH_MAX],
        agent_version=event.agent.get("version", "")[:WHO_LENGTH_MAX],
        tainted=told.is_tainted or said.get("tainted", False),
        classes=said.get("classes", []),
        revoked_at=at if spoilt else None,
        revoked_why=why,
    )


def _store_reads(reads: Sequence[tuple[str, Told]], at: datetime) -> None:
    values = {
        "at": at,
        "ids": [pk for pk, _ in reads],
        "runs": [told.run for _, told in reads],
        "seqs": [told.seq for _, told in reads],
        "works": [told.event.work for _, told in reads],
        "indexes": [told.event.index for _, told in reads],
        "attempts": [told.event.attempt for _, told in reads],
    }
    sql.execute(_READ, values)


# Afterwards -------------------------------------------------------------------------------------


class _Forgetting:
    """What has expired for long and nobody was handed, some at a time and round and round."""

    def __init__(self) -> None:
        self._after = _FROM_THE_FIRST

    def __call__(self) -> int:
        expired, pk = self._after
        most = settings.SWEEP_BATCH
        values = {"days": settings.MEMORY_KEEP_DAYS, "at_most": most, "expired": expired, "id": pk}
        row = sql.execute(_FORGET, values).fetchone()
        expired, pk, gone, looked = row or (*_FROM_THE_FIRST, 0, 0)
        self._after = (expired, pk) if looked == most else _FROM_THE_FIRST
        return int(gone)


_forgetting = _Forgetting()


def forget() -> int:
    return _forgetting()
