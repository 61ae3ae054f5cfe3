"""What /metrics says, read from PostgreSQL: so it is right whichever of the web processes is asked.

Of what grows for ever the counters of the reports are added up, which are a few lines a day; of what is
open, rows are counted through partial indexes, and only so far.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, LiteralString

from django.conf import settings
from django.db import connection

# The seconds up to which calls are counted, see `CallDay`.
CALL_ENDS_S = (1, 5, 15, 60)


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: what the name ends in, its labels and its value."""

    labels: dict[str, str]
    value: float
    ending: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    kind: str  # gauge, counter, histogram
    about: str
    samples: list[Sample]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A metric that is one statement, whose columns are the labels and then the value."""

    name: str
    kind: str
    about: str
    labels: tuple[str, ...]
    sql: LiteralString


_ASKED = (
    _Asked(
        "countersign_commands_ready",
        "gauge",
        "Commands that wait for a worker, counted up to METRICS_COUNT_MAX.",
        ("queue",),
        """SELECT q.name, (SELECT count(*) FROM (SELECT FROM orchestrator_command c WHERE c.queue = q.name AND c.status = 'pending' AND c.not_before <= statement_timestamp()
                             LIMIT %(most)s) AS found) FROM unnest(%(queues)s::text[]) AS q(name)""",
    ),
    _Asked(
        "countersign_oldest_ready_seconds",
        "gauge",
        "For how long the command that waits longest could have been taken up.",
        ("queue",),
        """SELECT q.name, greatest(0, extract(epoch FROM statement_timestamp() - (
                SELECT c.not_before FROM orchestrator_command c WHERE c.queue = q.name AND c.status = 'pending' AND c.not_before <= statement_timestamp()
                 ORDER BY c.not_before LIMIT 1)), 0) FROM unnest(%(queues)s::text[]) AS q(name)""",
    ),
    _Asked(
        "countersign_commands_running",
        "gauge",
        "Commands that a worker has.",
        ("queue",),
        """SELECT q.name, count(c.queue) FROM unnest(%(queues)s::text[]) AS q(name)
              LEFT JOIN orchestrator_command c ON c.queue = q.name AND c.status = 'running'
             GROUP BY q.name""",
    ),
    _Asked(
        "countersign_runs_open",
        "gauge",
        "Runs that have not ended, counted up to METRICS_COUNT_MAX.",
        ("status",),
        """SELECT s.name, (SELECT count(*) FROM (SELECT FROM orchestrator_run r
                             WHERE r.status = s.name LIMIT %(most)s) AS found)
             FROM unnest(ARRAY['new', 'running', 'waiting']) AS s(name)""",
    ),
    _Asked(
        "countersign_proposals",
        "gauge",
        "Proposals as the reports count them: what was made of them, and what has become of them.",
        ("disposition", "status"),
        """SELECT p.disposition, p.status, sum(p.proposals) FROM orchestrator_proposalday p
             JOIN orchestrator_segment s ON s.id = p.segment_id AND s.workflow = ''
            GROUP BY p.disposition, p.status""",
    ),
    _Asked(
        "countersign_effects",
        "gauge",
        "Effects as the reports count them, by what has become of them.",
        ("status",),
        """SELECT CASE p.status WHEN 'accepted' THEN 'waiting' WHEN 'executing' THEN 'calling'
                       WHEN 'executed' THEN 'done' ELSE p.status END, sum(p.proposals)
             FROM orchestrator_proposalday p
             JOIN orchestrator_segment s ON s.id = p.segment_id AND s.workflow = ''
            WHERE p.status IN ('accepted', 'executing', 'executed', 'failed', 'unknown',
                               'rolling_back', 'rolled_back')
            GROUP BY 1""",
    ),
    _Asked(
        "countersign_review_items_waiting",
        "gauge",
        "What waits for people, counted up to METRICS_COUNT_MAX.",
        ("kind",),
        """SELECT w.kind, count(*) FROM (SELECT i.kind FROM orchestrator_reviewitem i
                                          WHERE i.status = 'waiting' LIMIT %(most)s) AS w
            GROUP BY w.kind""",
    ),
    _Asked(
        "countersign_oldest_review_item_seconds",
        "gauge",
        "For how long the oldest item has waited.",
        (),
        """SELECT greatest(0, extract(epoch FROM statement_timestamp() - min(w.created_at)), 0)
             FROM (SELECT i.created_at FROM orchestrator_reviewitem i
                    WHERE i.status = 'waiting' ORDER BY i.created_at LIMIT 1) AS w""",
    ),
    _Asked(
        "countersign_decisions",
        "gauge",
        "What people decided and did not take back, as the reports count it.",
        ("verdict",),
        """SELECT d.verdict, sum(d.decisions) FROM orchestrator_reviewerday d
             JOIN orchestrator_segment s ON s.id = d.segment_id AND s.workflow = ''
            GROUP BY d.verdict""",
    ),
    _Asked(
        "countersign_dead_letters",
        "gauge",
        "Events that went nowhere and wait for an admin, counted up to METRICS_COUNT_MAX.",
        ("reason",),
        """SELECT d.reason, count(*) FROM (SELECT e.reason FROM orchestrator_inboundevent e
                                            WHERE e.status = 'dead' LIMIT %(most)s) AS d
            GROUP BY d.reason""",
    ),
    _Asked(
        "countersign_counters_behind_seconds",
        "gauge",
        "The age of the oldest change that is not in the counters of the reports.",
        (),
        """SELECT greatest(0, extract(epoch FROM statement_timestamp() - (
               SELECT at FROM orchestrator_changedday ORDER BY id LIMIT 1)), 0)""",
    ),
)

# Those that are called most; of the others there is one line.
_CALLS: LiteralString = """
    WITH calls AS (
        SELECT s.agent, s.agent_version AS version, sum(c.calls) AS calls, sum(c.failed) AS failed,
               sum(c.tokens_in) AS tokens_in, sum(c.tokens_out) AS tokens_out,
               sum(c.money_micros) AS money, sum(c.unpriced) AS unpriced, sum(c.took_ms) AS took_ms,
               sum(c.within_1s) AS a, sum(c.within_5s) AS b, sum(c.within_15s) AS c,
               sum(c.within_60s) AS d
          FROM orchestrator_callday c JOIN orchestrator_segment s ON s.id = c.segment_id
         GROUP BY s.agent, s.agent_version
    ), ranked AS (
        SELECT *, row_number() OVER (ORDER BY calls DESC, agent, version) <= %(agents)s AS is_named
          FROM calls
    )
    SELECT CASE WHEN is_named THEN agent ELSE '(others)' END,
           CASE WHEN is_named THEN version ELSE '' END, sum(calls), sum(failed), sum(tokens_in),
           sum(tokens_out), sum(money), sum(unpriced), sum(took_ms), sum(a), sum(b), sum(c), sum(d)
      FROM ranked GROUP BY 1, 2 ORDER BY 1, 2
"""


def metrics() -> list[Metric]:
    values = {
        "queues": list(settings.QUEUES),
        "most": settings.METRICS_COUNT_MAX,
        "agents": settings.METRICS_AGENTS_MAX,
    }
    found = [_metric(asked, _rows(asked.sql, values)) for asked in _ASKED]
    return [*found, *_calls(_rows(_CALLS, values))]


def _metric(asked: _Asked, rows: list[tuple[Any, ...]]) -> Metric:
    samples = [
        Sample(dict(zip(asked.labels, map(str, labels), strict=True)), float(value))
        for *labels, value in rows
    ]
    return Metric(asked.name, asked.kind, asked.about, samples)


def _calls(rows: list[tuple[Any, ...]]) -> Iterator[Metric]:
    """Of runs that have ended, as the reports count them."""
    calls: list[Sample] = []
    seconds: list[Sample] = []
    tokens: list[Sample] = []
    money: list[Sample] = []
    unpriced: list[Sample] = []
    for agent, version, *figures in rows:
        who = {"agent": str(agent), "version": str(version)}
        called, failed, tokens_in, tokens_out, micros, unknown, took_ms, *within = map(int, figures)
        calls.append(Sample(who | {"outcome": "done"}, called - failed))
        calls.append(Sample(who | {"outcome": "failed"}, failed))
        seconds += _histogram(who, within, called, took_ms)
        tokens.append(Sample(who | {"way": "in"}, tokens_in))
        tokens.append(Sample(who | {"way": "out"}, tokens_out))
        money.append(Sample(who, micros / 1_000_000))
        unpriced.append(Sample(who, unknown))
    yield Metric("countersign_agent_calls_total", "counter", "Calls of agents.", calls)
    yield Metric(
        "countersign_agent_call_seconds", "histogram", "How long calls of agents took.", seconds
    )
    yield Metric("countersign_agent_tokens_total", "counter", "Tokens of those calls.", tokens)
    yield Metric(
        "countersign_agent_cost_total", "counter", "What they cost, as far as it is known.", money
    )
    yield Metric(
        "countersign_agent_unpriced_calls_total", "counter", "Whose cost nobody knows.", unpriced
    )


def _histogram(
    who: dict[str, str], within: list[int], calls: int, took_ms: int
) -> Iterator[Sample]:
    for end, count in zip(CALL_ENDS_S, within, strict=True):
        yield Sample(who | {"le": str(end)}, count, "_bucket")
    yield Sample(who | {"le": "+Inf"}, calls, "_bucket")
    yield Sample(who, took_ms / 1_000, "_sum")
    yield Sample(who, calls, "_count")


def _rows(statement: LiteralString, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
