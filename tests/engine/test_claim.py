"""Claims keep to their limit, whatever way the planner goes."""

from collections.abc import Callable

import pytest
from django.db import connection

from orchestrator.engine.claim import claim
from orchestrator.models import Proposal

Propose = Callable[..., Proposal]
# With nothing else left it joins by asking the inner query again for every row of the outer one.
NESTED = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_material = off; SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_memoize = off"


@pytest.mark.parametrize("ways", ["SELECT 1", NESTED])
def test_no_more_are_taken_than_there_is_room_for(propose: Propose, ways: str) -> None:
    for _ in range(4):
        propose()
    with connection.cursor() as cursor:
        cursor.execute(ways)
    taken = [len(claim("effects", worker="w", at_most=1)) for _ in range(5)]
    assert taken == [1, 1, 1, 1, 0]
