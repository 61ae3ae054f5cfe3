"""A worker process as it is: threads, a committer, real transactions."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from pytest_django import Settings

from orchestrator import plugins, queue
from orchestrator.actions import runs, workflows
from orchestrator.actions.actor import Actor
from orchestrator.agents.base import AgentCall
from orchestrator.engine import crew as crew_module
from orchestrator.engine.crew import Crew
from orchestrator.engine.sweep import sweep
from orchestrator.jobs import DESK
from orchestrator.models import Command, Event, Run
from tests.work import output_of

pytestmark = pytest.mark.django_db(transaction=True)

SYSTEM = Actor(None)
PATIENCE_S = 15.0
# Longer than anybody here is waited for, so that only what takes its place can help.
HANGS_S = 4 * PATIENCE_S


@pytest.fixture(autouse=True)
def rung(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(queue, "ring", lambda name, ids: None)
    settings.RING_AGAIN_AFTER_S = 1


@pytest.fixture
def agents(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[AgentCall], Any]]:
    """Functions that workflows may name, as a module of AGENT_MODULES would bring them."""
    found: dict[str, Callable[[AgentCall], Any]] = {}
    monkeypatch.setattr("orchestrator.agents.function.load", lambda: plugins.Plugins(agents=found))
    return found


def stage(name: str, **more: Any) -> dict[str, Any]:
    agent = {"kind": "function", "name": name, "isolated": False}
    return {"name": name, "agent": agent, "attempts": 1, **more}


def start(*stages: dict[str, Any], intent: Any = None, slug: str = "w") -> Run:
    workflows.save(SYSTEM, slug, {"pattern": "pipeline", "stages": list(stages)})
    return runs.start(SYSTEM, workflow=slug, intent=intent)


@contextmanager
def working(threads: int = 4) -> Iterator[Crew]:
    crew = Crew("agents", threads=threads, desk=DESK)
    committer = threading.Thread(target=crew.work)
    committer.start()
    try:
        yield crew
    finally:
        crew.stop()
        committer.join(PATIENCE_S)
        assert not committer.is_alive(), "the crew did not drain"


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def ended(run: Run) -> bool:
    run.refresh_from_db()
    return run.ended_at is not None


def test_a_run_goes_through_without_a_bell_between_its_steps(agents: dict[str, Any]) -> None:
    agents.update(one=lambda call: {"n": 1}, two=lambda call: call.inputs["one"]["n"] + 1)
    run = start(stage("one"), stage("two"), intent={"wanted": "two"})
    with working():
        until(lambda: ended(run))
    assert run.status == "completed"
    assert output_of(run) == 2
    tokens = Command.objects.filter(run=run).values_list("token", "tries", "status")
    assert set(tokens) == {(1, 1, "done")}, "no command was claimed twice"


def test_every_stage_is_handed_the_intent(agents: dict[str, Any]) -> None:
    agents.update(one=lambda call: call.intent, two=lambda call: call.intent)
    run = start(stage("one"), stage("two"), intent={"wanted": "this"})
    with working():
        until(lambda: ended(run))
    assert output_of(run) == {"wanted": "this"}


def test_a_hundred_calls_wait_at_once_in_one_process(agents: dict[str, Any]) -> None:
    """Each waits until all hundred are there: fewer threads would wait for ever."""
    together = threading.Barrier(100)
    agents["wait"] = lambda call: together.wait(PATIENCE_S) >= 0
    intent = {"items": list(range(100))}
    run = start(stage("wait", for_each="/items", at_most=100), intent=intent)
    with working(threads=100):
        until(lambda: ended(run))
    assert run.status == "completed"


def test_who_ignores_the_deadline_is_fenced_off(
    agents: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew_module, "GRACE_S", 0.0)
    released = threading.Event()
    agents["hang"] = lambda call: released.wait(HANGS_S)
    run = start(stage("hang", timeout_seconds=1))
    with working(threads=1) as crew:
        until(lambda: ended(run))
        assert run.status == "failed"
        assert not crew.is_worn_out
        later = start(stage("fine"), slug="fine")
        agents["fine"] = lambda call: "done"
        until(lambda: ended(later))
        assert later.status == "completed", "another thread took its place"
        released.set()
        time.sleep(0.2)
    error = run.canonical_state.error
    assert error is not None
    assert error["cause"]["code"] == "agent-timed-out"
    assert Event.objects.filter(run=run, kind="work_finished").count() == 0


@pytest.mark.pulls("WORKER_STUCK_MAX")
def test_a_process_with_too_many_hanging_threads_asks_to_be_replaced(
    agents: dict[str, Any], monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setattr(crew_module, "GRACE_S", 0.0)
    settings.WORKER_STUCK_MAX = 2
    released = threading.Event()
    agents["hang"] = lambda call: released.wait(PATIENCE_S)
    intent = {"items": [1, 2]}
    run = start(stage("hang", timeout_seconds=1, for_each="/items"), intent=intent)
    crew = Crew("agents", threads=2, desk=DESK)
    crew.work()
    assert crew.is_worn_out
    assert ended(run), "what it held was recorded first"
    released.set()


def test_a_lease_is_renewed_while_the_agent_thinks(
    agents: dict[str, Any], settings: Settings
) -> None:
    settings.COMMAND_LEASE_S = 2
    agents["think"] = lambda call: time.sleep(4) or "thought"
    run = start(stage("think"))
    with working():
        until(lambda: bool(sweep()) and ended(run))
    assert run.status == "completed"
    assert Command.objects.get(run=run).crashes == 0


def test_an_answer_after_the_lease_was_lost_is_thrown_away(agents: dict[str, Any]) -> None:
    calls: list[int] = []
    first, overtaken = threading.Event(), threading.Event()

    def slow_at_first(call: AgentCall) -> str:
        calls.append(1)
        if len(calls) == 1:
            first.set()
            overtaken.wait(PATIENCE_S)
            return "late"
        return "in time"

    agents["slow"] = slow_at_first
    run = start(stage("slow"))
    with working(threads=2) as crew:
        assert first.wait(PATIENCE_S)
        Command.objects.filter(run=run).update(status="pending", lease_until=None)
        crew.wake()
        until(lambda: ended(run))
        overtaken.set()
    assert output_of(run) == "in time"
    assert Event.objects.filter(run=run, kind="work_finished").count() == 1


def test_stopping_finishes_what_is_in_hand_and_begins_nothing(agents: dict[str, Any]) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def first(call: AgentCall) -> str:
        begun.set()
        go_on.wait(PATIENCE_S)
        return "first"

    agents.update(first=first, second=lambda call: "second")
    run = start(stage("first"), stage("second"))
    with working() as crew:
        assert begun.wait(PATIENCE_S)
        crew.stop()
        go_on.set()
    run.refresh_from_db()
    assert (run.status, run.canonical_state.position) == ("running", "second")
    waiting = Command.objects.get(run=run, status="pending")
    assert (waiting.token, waiting.tries) == (0, 0)


def test_an_absent_database_costs_no_answer(
    agents: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent was asked once; its answer is kept until it can be stored."""
    calls: list[int] = []
    agents["ask"] = lambda call: calls.append(1) or "answer"
    away = iter(range(3))
    real = crew_module.advance

    def at_times(*args: Any, **options: Any) -> Any:
        if options.get("endings") and next(away, None) is not None:
            connection.ensure_connection()
            connection.connection.close()
            raise OperationalError("the server closed the connection")
        return real(*args, **options)

    run = start(stage("ask"))
    monkeypatch.setattr(crew_module, "advance", at_times)
    with working():
        until(lambda: ended(run))
    assert (run.status, calls) == ("completed", [1])


@pytest.mark.pulls("COMMAND_CRASHES_MAX")
def test_one_answer_that_cannot_be_stored_does_not_hold_up_the_others(
    agents: dict[str, Any], monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.COMMAND_CRASHES_MAX = 1
    agents["say"] = lambda call: call.item
    real = crew_module.advance

    def refuses_poison(*args: Any, **options: Any) -> Any:
        for ending in options.get("endings", ()):
            for step in ending.steps:
                if getattr(step.event, "output", None) == "poison":
                    raise crew_module.DatabaseError("no")
        return real(*args, **options)

    monkeypatch.setattr(crew_module, "advance", refuses_poison)
    run = start(stage("say", for_each="/items"), intent={"items": ["a", "poison", "b"]})
    with working():
        done = Command.objects.filter(run=run, status="done")
        until(lambda: done.count() == 2 and sweep() is not None and quarantined(run))
    run.refresh_from_db()
    assert run.status == "running", "it waits for a person"


def quarantined(run: Run) -> bool:
    return Command.objects.filter(run=run, status="quarantined").exists()


def test_waiting_threads_hold_no_connections(agents: dict[str, Any]) -> None:
    there, go_on = threading.Barrier(21), threading.Event()
    agents["wait"] = lambda call: (there.wait(PATIENCE_S), go_on.wait(PATIENCE_S))[1]
    before = connection_count()
    run = start(stage("wait", for_each="/items"), intent={"items": list(range(20))})
    with working(threads=20):
        there.wait(PATIENCE_S)
        assert connection_count() - before <= 2, "twenty calls wait; the committer has its own"
        go_on.set()
        until(lambda: ended(run))


def connection_count() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        (count,) = cursor.fetchone()
    return int(count)


def test_a_child_an_approval_and_a_proposal_pass_over_the_desk(agents: dict[str, Any]) -> None:
    agents["suggest"] = lambda call: {"action": "note.write", "confidence": 0.95}
    workflows.save(
        SYSTEM, "inner", {"pattern": "pipeline", "stages": [stage("suggest", proposes=True)]}
    )
    run = start({"name": "inside", "workflow": "inner"})
    with working():
        until(lambda: Command.objects.filter(kind="run_effect").exists())
        Crew("effects", threads=1, desk=DESK).drain()
        until(lambda: ended(run))
    assert run.status == "completed"
    connections.close_all()
