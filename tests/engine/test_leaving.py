"""Nothing happens twice because a run gave up what people had not decided about, and asked for it anew."""

import time
from typing import Any

import pytest
from pytest_django import Settings

from orchestrator.actions import reviews, runs
from orchestrator.actions.actor import Actor
from orchestrator.core import events as ev
from orchestrator.core.errors import AlreadyDecided
from orchestrator.engine.sweep import sweep
from orchestrator.models import Effect, Proposal, ReviewItem, Run
from tests import versions
from tests.conftest import SYSTEM, Cast
from tests.deciding import decide
from tests.runs import save, scripted, start
from tests.versions import pipeline, stage
from tests.work import work_all

pytestmark = pytest.mark.django_db

GAVE_UP = "the run gave up on the work that asked for this"
ARGS = {"amount_minor": 900, "order": "A-20931"}
# So unsure that people look at it.
TURNS = [
    {"asks": [{"tool": "refund", "args": ARGS, "confidence": 0.5}]},
    {"says": {"echo": "answers"}},
]
# The supervisor gives out the same task again when its worker waited too long for people.
POOL: dict[str, Any] = {
    "pattern": "supervisor",
    "supervisor": {"agent": scripted("boss", {"tasks": [{"worker": "clerk", "task": "refund"}]})},
    "workers": {"clerk": {"agent": {"kind": "agent", "name": "clerk"}, "description": "refunds"}},
    "deadline_seconds": 1,
    "rounds": 2,
}
STOPPED = [{"to": "good"}]
MACHINE: dict[str, Any] = {
    "pattern": "machine",
    "initial": "help",
    "states": {
        "help": {
            "run": {"agent": {"kind": "agent", "name": "clerk"}},
            "on": {"done": STOPPED, "failed": STOPPED, "enough": STOPPED},
        },
        "good": {"end": "completed"},
    },
}


@pytest.fixture(autouse=True)
def _clerk(cast: Cast) -> None:
    ada = versions.keep(cast.ada)
    versions.approve_tool(ada, "refund", action="refund.create")
    wish = versions.scripted(None, turns=TURNS, tools=("refund",))
    versions.deploy(ada, "clerk", stable=versions.write(ada, "clerk", wish).number)


def test_of_two_rounds_that_ask_for_the_same_only_the_last_can_be_approved(cast: Cast) -> None:
    run = start("pool", definition=POOL)
    first = asked(run)
    the_deadline_passes()
    first.refresh_from_db()
    assert (first.status, first.closed_because) == ("withdrawn", GAVE_UP)
    second = asked(run)
    with pytest.raises(AlreadyDecided, match=rf"The run was first: past it \({GAVE_UP}\)"):
        decide(cast.rita, first)
    decide(cast.rita, second)
    assert statuses(run) == ["withdrawn", "accepted"]
    assert Effect.objects.filter(proposal__run=run).count() == 1


def test_a_run_that_completes_without_it_closes_its_item(cast: Cast) -> None:
    run = start("machine", definition=MACHINE)
    item = asked(run)
    leave(run)
    item.refresh_from_db()
    assert (item.status, item.closed_because) == ("withdrawn", GAVE_UP)
    with pytest.raises(AlreadyDecided, match="past it"):
        decide(cast.rita, item)


def test_an_approval_that_is_taken_back_when_nobody_waits_opens_nothing(
    cast: Cast, settings: Settings
) -> None:
    settings.UNDO_S = 60
    run = start("machine", definition=MACHINE)
    decision = decide(cast.rita, asked(run))
    leave(run)
    item = reviews.undo(Actor(cast.rita), decision.pk)
    assert (item.status, item.closed_because) == ("withdrawn", GAVE_UP)
    work_all()
    assert statuses(run) == ["withdrawn"]
    assert Effect.objects.get(proposal__run=run).status == "withdrawn"


def test_of_runs_from_before_nobody_approves_what_they_gave_up(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their items stay, and can be rejected."""
    today = ev.RunStarted
    monkeypatch.setattr(ev, "RunStarted", lambda **told: today(**told | {"withdraws": False}))
    pool, machine = start("pool", definition=POOL), start("machine", definition=MACHINE)
    of_pool, of_machine = asked(pool), asked(machine)
    leave(machine)
    the_deadline_passes()
    with pytest.raises(AlreadyDecided, match="past it"):
        decide(cast.rita, of_pool)
    with pytest.raises(AlreadyDecided, match=r"over \(completed\)"):
        decide(cast.rita, of_machine)
    decide(cast.rita, of_machine, "reject", reason="wrong_value")
    assert statuses(machine) == ["rejected"]
    assert not Effect.objects.filter(proposal__run__in=[pool, machine]).exists()


def test_nothing_of_a_run_is_approved_that_the_run_above_has_given_up(cast: Cast) -> None:
    """Not even before a worker came by to cancel it, and not two levels below either."""
    runs_below = {"workflow": "middle", "description": "refunds"}
    save("below", pipeline(stage("help")))
    save("middle", pipeline({"name": "sub", "workflow": "below"}))
    run = start("pool", definition=POOL | {"workers": {"clerk": runs_below}})
    item = asked(Run.objects.get(parent__parent=run))
    time.sleep(1.05)
    sweep()
    with pytest.raises(AlreadyDecided, match="past it"):
        decide(cast.rita, item)
    work_all()
    item.refresh_from_db()
    assert (item.status, item.closed_because) == ("withdrawn", "the run cancelled")


def asked(run: Run) -> ReviewItem:
    return ReviewItem.objects.waiting().get(run=run)


def leave(run: Run) -> None:
    runs.signal(SYSTEM, run.pk, name="enough", data=None)
    run.refresh_from_db()
    assert run.status == "completed"


def the_deadline_passes() -> None:
    time.sleep(1.05)
    sweep()
    work_all()


def statuses(run: Run) -> list[str]:
    return list(Proposal.objects.filter(run=run).order_by("pk").values_list("status", flat=True))
