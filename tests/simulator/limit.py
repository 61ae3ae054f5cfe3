"""A rule in force: of so many that were let through, one more needs a person."""

from collections.abc import Iterable

from tests.simulator.tables import ProposalRow

LIMIT = 6
LET_THROUGH = frozenset({"accepted", "executing", "executed", "unknown"})


def is_reached(rows: Iterable[ProposalRow]) -> bool:
    return sum(row.status in LET_THROUGH for row in rows) >= LIMIT
