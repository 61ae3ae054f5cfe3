"""What backtests counted: each proposal of their window once, whoever died over it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from orchestrator.core import typeid
from orchestrator.core.policy.backtest import Tally
from tests.chaos.evidence import Evidence

# What was disposed of so long before a backtest is in no open transaction any more.
SETTLED_SINCE = timedelta(seconds=10)
# What an operator is told about a backtest that cost several workers their lives one after the other.
WORN_OUT = "It was broken off"


def find_miscounted_backtests(evidence: Evidence) -> Iterator[str]:
    """Everything in the window was looked at, everything in scope was counted, and neither twice."""
    for key, status, error, done, total, counts, flips, tested, *window in evidence.rows(
        _BACKTESTS
    ):
        looked, in_scope, undecided, there = _count(evidence, window)
        tally = Tally.from_json(counts.get("cells", {}))
        if status != "done" and not error.startswith(WORN_OUT):
            yield f"backtest {key} is {status}: {error}"
        if status == "done" and not done == total == there:
            yield f"backtest {key} looked at {done} of {total}, and {there} are in its window"
        if done != looked:
            yield f"backtest {key} looked at {done}, and its place is behind number {looked}"
        if not in_scope - undecided <= tally.total() <= in_scope:
            yield (
                f"backtest {key} counted {tally.total()}, and looked at {in_scope} in scope, "
                f"{undecided} of which its validators may not have been heard about"
            )
        if tally.flips().total() != flips:
            yield f"backtest {key} counted {tally.flips().total()} flips, and kept {flips}"
        if tested != (status == "done"):
            yield f"backtest {key} is {status}, and was recorded as finished {tested} times"
    yield from _find_lost(evidence)


_BACKTESTS = """
    SELECT b.id, b.status, b.error, b.done, b.total, b.counts,
           (SELECT count(*) FROM orchestrator_backtestflip f WHERE f.backtest_id = b.id),
           (SELECT count(*) FROM orchestrator_auditentry a
             WHERE a.verb = 'rule.backtested' AND a.detail ->> 'backtest' = b.id),
           (extract(epoch FROM b.since) * 1000)::bigint, (extract(epoch FROM b.until) * 1000)::bigint,
           b.created_at, b.proposals_max, b.cursor
      FROM orchestrator_backtest b
"""


def _count(evidence: Evidence, window: Sequence[Any]) -> tuple[int, ...]:
    """Of the newest in the window: those up to the cursor, those of them in scope, and all.

    What was not disposed of while the backtest looked is in its scope and in no count.
    """
    since, until, at, most, cursor = window
    values = {
        "settled": at - SETTLED_SINCE,
        "since": typeid.make("prp", at_ms=since, entropy=0),
        "until": typeid.make("prp", at_ms=until, entropy=0),
        "most": most,
        "cursor": cursor,
    }
    (row,) = evidence.connection.execute(_WINDOW, values)
    return tuple(row)


# Rules are not asked about changes of rules.
_WINDOW = """
    SELECT count(*) FILTER (WHERE is_behind),
           count(*) FILTER (WHERE is_behind AND action NOT LIKE 'countersign.%%'),
           count(*) FILTER (WHERE is_behind AND action NOT LIKE 'countersign.%%' AND NOT EXISTS
               (SELECT 1 FROM orchestrator_disposition d
                 WHERE d.proposal_id = p.id AND d.created_at < %(settled)s)), count(*)
      FROM (SELECT id, action, %(cursor)s <> '' AND id::text COLLATE "C" >= %(cursor)s AS is_behind
              FROM orchestrator_proposal WHERE id >= %(since)s AND id < %(until)s
             ORDER BY id DESC LIMIT %(most)s) AS p
"""


def _find_lost(evidence: Evidence) -> Iterator[str]:
    there = {key for (key,) in evidence.rows("SELECT id FROM orchestrator_backtest")}
    for kind, key in evidence.asks():
        if kind == "backtest" and key not in there:
            yield f"backtest {key} was asked for and is gone"


def count_backtests(evidence: Evidence) -> dict[str, int]:
    """How they ended, and how often one was taken over from a worker that no longer held it."""
    found: Counter[str] = Counter()
    for status, fence in evidence.rows("SELECT status, fence FROM orchestrator_backtest"):
        found[status] += 1
        found["taken over"] += max(0, fence - 1)
    return dict(sorted(found.items()))
