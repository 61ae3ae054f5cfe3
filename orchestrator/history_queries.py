"""The numbers that rules ask about the recent past, counted by the database for many proposals at once.

What cannot be counted exactly has no number but a reason, which makes the rule hold.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import batched
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg import sql
from psycopg.errors import QueryCanceled
from psycopg.types.json import Jsonb

from orchestrator.core import typeid
from orchestrator.core.codec import INTEGER_MAX, Json, canonical
from orchestrator.core.policy.history import (
    Ask,
    Past,
    ValueNeeded,
    Window,
    Windows,
    common_to,
    look_up,
    shown,
)

type Answer = int | float | str
type Answers = dict[tuple[str, Window], Answer]

# An id is made a moment before its row says when it was created.
ID_SLACK = timedelta(minutes=1)
# Questions of one statement: enough to save round trips, few enough to plan.
BATCH = 50

_SET_PATIENCE = """
SELECT current_setting('statement_timeout'), set_config('statement_timeout', %s, true)
"""
# Each question is a part of its own with its values written into it, not a join with a list of values:
# only so does the planner see whether few or many proposals have them, and takes the index that suits.
_QUESTION = """
SELECT {n}, count(*), {summed}
FROM (SELECT {taken} FROM orchestrator_proposal proposal WHERE {where} LIMIT {rows}) found
"""
_COUNTED = "NULL::text, NULL::numeric, NULL::boolean"
_SUMMED = """
    min(found.id) FILTER (WHERE jsonb_typeof(found.value) IS DISTINCT FROM 'number'),
    sum(CASE jsonb_typeof(found.value) WHEN 'number' THEN found.value::numeric END),
    bool_and(found.value::text NOT LIKE '%.%')
"""
_TAKEN = "proposal.id::text AS id, proposal.payload::jsonb -> 'args' #> {path} AS value"

_WITHIN = (
    # Ids sort by time, so the indexes that lists use find the newest of an agent or action as well.
    "proposal.id >= {first}",
    "proposal.created_at >= {since}",
    "proposal.id <> {id}",
)
_BEFORE = (
    "proposal.id <= {last}",
    "(proposal.created_at, proposal.id::text) < ({at}, {id})",
)
_SAME = {
    "agent": "proposal.agent = {agent}",
    "action": "proposal.action = {action}",
    "target": "proposal.target = {target}",
    "workflow": """proposal.run_id IN (
        SELECT run.id FROM orchestrator_run run
        JOIN orchestrator_workflowversion version ON version.id = run.workflow_version_id
        JOIN orchestrator_workflow workflow ON workflow.id = version.workflow_id
        WHERE workflow.slug = {workflow})""",
    # The index proposal_by_args is over this expression.
    "args": "((proposal.payload::jsonb) -> 'args') @> {args}",
}
_LET_THROUGH = "proposal.status IN ('accepted', 'executing', 'executed', 'unknown')"
_STATUS_NOW = {
    "any": "true",
    # What may have happened counts until somebody knows that it did not.
    "accepted": _LET_THROUGH,
    "rejected": "proposal.status IN ('rejected', 'blocked')",
}
# A recorded proposal saw what had become of the others by then, not what became of them since.
_STATUS_THEN = {
    "any": "true",
    "accepted": f"""EXISTS (
        SELECT FROM orchestrator_effect effect
        WHERE effect.proposal_id = proposal.id AND effect.created_at <= {{at}}
          AND ({_LET_THROUGH} OR effect.finished_at > {{at}}))""",
    "rejected": """(proposal.status = 'blocked' OR proposal.status = 'rejected' AND EXISTS (
        SELECT FROM orchestrator_reviewitem item
        WHERE item.proposal_id = proposal.id AND item.closed_at <= {at}))""",
}


@dataclass(frozen=True, slots=True)
class _Question:
    """One window of one proposal, with what the proposals in it have in common."""

    ask: Ask
    window: Window
    common: dict[str, Json]

    @property
    def key(self) -> tuple[str, Window]:
        return self.ask.id, self.window


def lock_windows(asks: Sequence[Ask], windows: Mapping[str, Windows]) -> None:
    """Let whoever counts the same things wait until this transaction ends.

    A statement of its own, before the counting: one that waited would still count what was there when
    it began. The keys are sorted, so that no two transactions wait for each other.
    """
    keys = sorted({key for ask in asks for key in _lock_keys(ask, windows)})
    if keys:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(key) FROM unnest(%s::int8[]) key", [keys])


def values_for(asks: Sequence[Ask], windows: Mapping[str, Windows]) -> dict[str, Past]:
    """By proposal id what each rule's windows hold. `windows` is by rule slug."""
    answers: Answers = {}
    for batch in batched(_questions(asks, windows, answers), BATCH):
        answers |= _ask(batch)
    return {ask.id: _past(ask, windows, answers) for ask in asks}


def _past(ask: Ask, windows: Mapping[str, Windows], answers: Answers) -> Past:
    past = Past()
    for rule, named in windows.items():
        for name, window in named.items():
            answer = answers[ask.id, window]
            if isinstance(answer, str):
                past.errors.setdefault(rule, {})[name] = answer
            else:
                past.numbers.setdefault(rule, {})[name] = answer
    return past


def _lock_keys(ask: Ask, windows: Mapping[str, Windows]) -> Iterator[int]:
    for rule, named in windows.items():
        for name, window in named.items():
            try:
                text = canonical([rule, name, _as_counted(common_to(window, ask))])
            except ValueNeeded:
                continue
            yield int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], signed=True)


def _as_counted(value: Json) -> Json:
    """The database counts 7.0 and 7 as one number, so both wait at the same place."""
    if isinstance(value, dict):
        return {name: _as_counted(one) for name, one in value.items()}
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _questions(
    asks: Sequence[Ask], windows: Mapping[str, Windows], answers: Answers
) -> Iterator[_Question]:
    """What has to be looked up, once each. What cannot be asked at all is answered here."""
    distinct = dict.fromkeys(window for named in windows.values() for window in named.values())
    for ask in asks:
        for window in distinct:
            try:
                yield _Question(ask, window, common_to(window, ask))
            except ValueNeeded as reason:
                answers[ask.id, window] = str(reason)


def _ask(questions: Sequence[_Question]) -> Answers:
    patience_ms = _patience_ms(len(questions))
    try:
        rows = _fetch(questions, patience_ms)
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        return {question.key: f"counting took over {patience_ms:,} ms" for question in questions}
    return {questions[n].key: _answer(questions[n], *counted) for n, *counted in rows}


def _patience_ms(questions: int) -> int:
    """For each question little, because somebody may wait; never more than any statement has."""
    most: int = settings.DATABASE_STATEMENT_TIMEOUT_S * 1_000
    return min(settings.HISTORY_TIMEOUT_MS * questions, most)


def _fetch(questions: Sequence[_Question], patience_ms: int) -> list[tuple[Any, ...]]:
    """In a savepoint: a count that takes too long is one answer less, not the end of the transaction."""
    parts = [_part(n, question) for n, question in enumerate(questions)]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_SET_PATIENCE, [f"{patience_ms}ms"])
        before = cursor.fetchone()[0]
        cursor.execute(sql.SQL(" UNION ALL ").join(parts))
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        cursor.execute(_SET_PATIENCE, [before])
        return rows


def _part(n: int, question: _Question) -> sql.Composed:
    window, ask = question.window, question.ask
    status = _STATUS_NOW if ask.live else _STATUS_THEN
    where = [
        *_WITHIN,
        *(() if ask.live else _BEFORE),
        *(_SAME[name] for name in question.common),
        status[window.status],
    ]
    since = ask.at - window.within
    values: dict[str, Any] = {
        "id": ask.id,
        "at": ask.at,
        "since": since,
        "first": _id_at(since - ID_SLACK),
        "last": _id_at(ask.at + ID_SLACK),
        "path": list(window.sum),
        "rows": settings.HISTORY_ROWS_MAX + 1,
        **{name: Jsonb(v) if name == "args" else v for name, v in question.common.items()},
    }
    literals = {name: sql.Literal(value) for name, value in values.items()}
    return sql.SQL(_QUESTION).format(
        n=sql.Literal(n),
        summed=sql.SQL(_SUMMED if window.sum else _COUNTED),
        taken=sql.SQL(_TAKEN if window.sum else "").format(**literals),
        where=sql.SQL(" AND ").join(
            [*(sql.SQL(part).format(**literals) for part in where), _of_actions(window.actions)]
        ),
        rows=literals["rows"],
    )


def _of_actions(names: Sequence[str]) -> sql.Composable:
    if "*" in names:
        return sql.SQL("true")
    exact = [name for name in names if not name.endswith(".*")]
    families = [
        sql.SQL("proposal.action ^@ {}").format(sql.Literal(name[:-1]))
        for name in names
        if name.endswith(".*")
    ]
    listed = sql.SQL("proposal.action = ANY ({})").format(sql.Literal(exact))
    return sql.SQL("({})").format(sql.SQL(" OR ").join([listed, *families] if exact else families))


def _answer(
    question: _Question,
    looked_at: int,
    unusable: str | None,
    total: Decimal | None,
    whole: bool | None,
) -> Answer:
    rows_max = settings.HISTORY_ROWS_MAX
    if looked_at > rows_max:
        return f"too many to count, there are more than {rows_max:,}"
    if not question.window.sum:
        return looked_at
    if unusable is not None:
        return f"{shown(question.window.sum)} of {unusable} is not a number"
    return _sum(question, total or Decimal(0), whole is not False)


def _sum(question: _Question, total: Decimal, whole: bool) -> Answer:
    """Whole numbers stay whole and exact. Where the proposal itself has a fraction, so has the sum."""
    if abs(total) > INTEGER_MAX:
        return f"the sum of {shown(question.window.sum)} is beyond ±10^18"
    own = look_up(dict(question.ask.args), question.window.sum)
    return int(total) if whole and not isinstance(own, float) else float(total)


def _id_at(at: datetime) -> str:
    return typeid.make("prp", at_ms=max(0, int(at.timestamp() * 1_000)), entropy=0)
