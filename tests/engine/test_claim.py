"""Claims keep to their limit, whatever way the planner goes."""

from collections.abc import Callable

from orchestrator.engine import sql
from orchestrator.engine.claim import _CLAIM, claim
from orchestrator.models import Proposal

Propose = Callable[..., Proposal]


def test_no_more_are_taken_than_there_is_room_for(propose: Propose) -> None:
    for _ in range(4):
        propose()
    taken = [len(claim("effects", worker="w", at_most=1)) for _ in range(5)]
    assert taken == [1, 1, 1, 1, 0]


def test_what_is_ready_is_asked_once(db: None) -> None:
    """An inner query may be run for every row of the other side; a materialized one is run once."""
    values = {"queue": "effects", "worker": "w", "lease_s": 15, "crashes_max": 3, "at_most": 1}
    plan = "\n".join(line for (line,) in sql.execute(f"EXPLAIN {_CLAIM}", values))  # type: ignore[arg-type]
    assert "CTE ready" in plan
