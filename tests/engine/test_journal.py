"""The chain: every way to change a run's past is noticed, and at the right place."""

from collections.abc import Callable

import pytest

from orchestrator import journal
from orchestrator.models import Event, Proposal, Run
from tests.roles import as_owner
from tests.work import work_shift

pytestmark = pytest.mark.broken_log

CHANGES = {
    "another payload": ("UPDATE orchestrator_event SET payload = '{}' WHERE seq = 2", 2),
    "another time": ("UPDATE orchestrator_event SET at = at - interval '1 day' WHERE seq = 3", 3),
    "another kind": ("UPDATE orchestrator_event SET kind = 'proposal_approved' WHERE seq = 3", 3),
    "one left out": ("DELETE FROM orchestrator_event WHERE seq = 2", 2),
    "its end cut off": ("DELETE FROM orchestrator_event WHERE seq >= 4", 4),
    "all of it gone": ("DELETE FROM orchestrator_event", 1),
    "two swapped": (
        "UPDATE orchestrator_event e SET payload = o.payload, kind = o.kind FROM orchestrator_event o"
        " WHERE (e.seq, o.seq) IN ((1, 2), (2, 1))",
        1,
    ),
    "its hash made to fit": (
        "UPDATE orchestrator_event SET payload = '{}', hash = repeat('0', 64) WHERE seq = 2",
        2,
    ),
}


@pytest.fixture
def run(propose: Callable[..., Proposal]) -> str:
    proposal = propose()
    work_shift("effects", at_most=1)
    return proposal.run_id


def behind_our_back(statement: str) -> None:
    """As the owner of the tables could: the triggers switched off."""
    with as_owner() as cursor:
        cursor.execute("ALTER TABLE orchestrator_event DISABLE TRIGGER append_only")
        cursor.execute(statement)


def test_an_untouched_run_is_whole(run: str) -> None:
    assert Event.objects.filter(run=run).count() == 5
    assert journal.first_broken(Run.objects.get()) is None


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_found_where_it_was_made(run: str, name: str) -> None:
    statement, seq = CHANGES[name]
    behind_our_back(statement)
    assert journal.first_broken(Run.objects.get()) == seq


def test_replaying_gives_the_stored_state(run: str) -> None:
    assert journal.replay(Run.objects.get(pk=run)).status == "completed"
