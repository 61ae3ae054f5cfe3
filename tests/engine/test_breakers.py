"""Every limit on what an agent may use up: what happens there, and that nothing runs that nobody accepted."""

import re
import time
from importlib import import_module
from typing import Any

import pytest
from pytest_django import Settings

from orchestrator import settings as product_settings
from orchestrator.core.errors import DefinitionInvalid
from orchestrator.engine.sweep import sweep
from orchestrator.models import AgentTrial, Event, Proposal, Run
from tests import versions
from tests.breakers import pulled_by
from tests.conftest import Cast
from tests.engine.test_asking import ask, run_of
from tests.engine.test_hostile_agents import Mallory, error_of, pipeline, run_function
from tests.runs import save, scripted, stage, start
from tests.work import output_of, work_all

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_unapproved")]

HERE = __name__
# What says how much one agent, one run or all runs of somebody may use up, and where it is used up.
LIMITS = {
    "RUN_STEPS_MAX": HERE,
    "RUN_DEPTH_MAX": HERE,
    "RUN_AGENT_CALLS_MAX": HERE,
    "RUN_TOKENS_MAX": HERE,
    "RUN_MONEY_MICROS_MAX": HERE,
    "RUN_WALL_S_MAX": HERE,
    "RUN_REPEATS_MAX": HERE,
    "CALL_TURNS_MAX": HERE,
    "TURN_ASKS_MAX": HERE,
    "TURN_MEMORY_BYTES_MAX": HERE,
    "TURN_UNTRUSTED_BYTES_MAX": "tests.engine.test_asking",
    "SUPERVISOR_AT_ONCE": HERE,
    "SUPERVISOR_ROUNDS": HERE,
    "SUPERVISOR_DELEGATIONS": HERE,
    "SHORT_OUTPUT_BYTES_MAX": "tests.actions.test_runs",
    "PUBLISH_REACH_MAX": "tests.engine.test_between_runs",
    "RUNS_OPEN_PER_WORKFLOW_MAX": "tests.actions.test_runs",
    "RUNS_OPEN_PER_TOKEN_MAX": "tests.actions.test_runs",
    "QUEUE_PENDING_MAX": "tests.actions.test_runs",
    "REVISIONS_MAX": "tests.actions.test_revisions",
    "JSON_BYTES_MAX": HERE,
    "JSON_DEPTH_MAX": HERE,
    "JSON_NODES_MAX": HERE,
    "ISOLATED_MEMORY_MB": "tests.agents.test_isolated",
    "COMMAND_CRASHES_MAX": "tests.engine.test_crew",
    "MODEL_REQUESTS_MAX": "tests.agents.test_llm",
    "MODEL_TOKENS_IN_MAX": "tests.agents.test_llm",
    "MODEL_TOKENS_OUT_MAX": "tests.agents.test_llm",
    "MODEL_TOOL_USES_MAX": "tests.agents.test_llm",
    "MODEL_RESULT_BYTES_MAX": "tests.agents.test_llm",
    "MODEL_ANSWER_BYTES_MAX": "tests.agents.test_llm",
    "MODEL_CORRECTIONS_MAX": "tests.agents.test_llm",
    "TOOL_ANSWER_BYTES_MAX": "tests.tools.test_tools",
    "TOOL_RESULT_BYTES_MAX": "tests.tools.test_tools",
    "TOOL_DEPTH_MAX": "tests.engine.test_agents_behind_tools",
    "TOOL_STUCK_MAX": "tests.tools.test_tools",
    "MEMORY_VALUE_BYTES_MAX": HERE,
    "MEMORY_TAGS_MAX": HERE,
    "MEMORY_SPACE_MAX": "tests.engine.test_observations",
    "MEMORY_RUN_MAX": "tests.engine.test_observations",
    "MEMORY_TTL_DAYS_MAX": HERE,
    "MEMORY_HANDED_BYTES_MAX": "tests.engine.test_observations",
    "TOOL_TEXT_BYTES_MAX": "tests.actions.test_tools",
    "TOOL_TIMEOUT_MAX_S": "tests.tools.test_tools",
    "TRACE_EVENTS_MAX": "tests.engine.test_traces",
    "TRACE_PIECES_MAX": "tests.engine.test_traces",
    "TRACE_TEXT_MAX": "tests.engine.test_traces",
    "WORKER_STUCK_MAX": "tests.engine.test_crew",
    "SHADOW_CALLS_PER_DAY_MAX": "tests.engine.test_agents",
    "SHADOW_MONEY_MICROS_PER_DAY_MAX": HERE,
}

# How far pages and people count, and how much of it there is.
OTHERS = {
    "MEMORY_DERIVED_MAX",
    "SHADOW_TRIALS_COUNTED_MAX",
    "TOOL_PIECES_READ_MAX",
    "TOOL_PROPOSALS_COUNTED_MAX",
    "TOOL_SERVERS_MAX",
}
# Settings that are named so bound what agents do.
BOUNDS = re.compile(
    r"(RUN|CALL|TURN|MODEL|TOOL|MEMORY|SHADOW|TRACE|WORKER)_\w*_MAX(_S)?|SUPERVISOR_\w+|ISOLATED_\w+_MB"
)

USAGE = {"tokens_in": 50, "tokens_out": 10, "money_micros": 60}
GREEDY = {"kind": "scripted", "name": "clerk", "turns": [{"asks": [ask("none")]}], "usage": USAGE}


def pulling(setting: str, *more: Any) -> Any:
    return pytest.param(setting, *more, marks=pytest.mark.pulls(setting))


def test_no_limit_is_forgotten() -> None:
    named = {name for name in dir(product_settings) if BOUNDS.fullmatch(name)}
    assert named - OTHERS <= LIMITS.keys()


@pytest.mark.parametrize("setting", LIMITS)
def test_every_limit_is_reached_by_a_test(setting: str) -> None:
    """One that carries the mark, so that it fails when nothing asks for the limit it sets."""
    assert setting in pulled_by(import_module(LIMITS[setting]))


BUDGETS = [("agent_calls", 3, 3), ("tokens", 100, 2), ("money_micros", 100, 2)]


def comes_to_its_end(name: str, most: int, calls: int, **own: Any) -> None:
    run = run_of(agent=GREEDY, **own)
    error = error_of(run)
    assert (run.status, error["code"], error["budget"]) == ("failed", "budget-exceeded", name)
    assert error["limit"] == most < error["spent"]
    assert f"the budget of {most}" in error["reason"]
    assert Event.objects.filter(run=run, kind="work_asked").count() == calls
    assert not Proposal.objects.exists()


@pytest.mark.parametrize(("name", "most", "calls"), BUDGETS)
def test_who_goes_on_and_on_comes_to_the_end_of_its_budget(
    name: str, most: int, calls: int
) -> None:
    comes_to_its_end(name, most, calls, budget={name: most})


@pytest.mark.parametrize(
    ("name", "most", "calls"),
    [pytest.param(*one, marks=pytest.mark.pulls(f"RUN_{one[0].upper()}_MAX")) for one in BUDGETS],
)
def test_who_goes_on_and_on_without_a_budget_comes_to_the_end_of_ours(
    name: str, most: int, calls: int, settings: Settings
) -> None:
    setattr(settings, f"RUN_{name.upper()}_MAX", most)
    comes_to_its_end(name, most, calls)


@pytest.mark.pulls("CALL_TURNS_MAX")
def test_turns_of_one_call(settings: Settings) -> None:
    settings.CALL_TURNS_MAX = 3
    with pytest.raises(DefinitionInvalid, match="turns"):
        run_of({"asks": [ask()]}, budget={"turns": 4})
    run = run_of(agent=GREEDY)
    assert error_of(run)["cause"]["code"] == "turns-used-up"
    assert run.canonical_state.spent.agent_calls == 3


@pytest.mark.parametrize("asks", [2, 3])
@pytest.mark.pulls("TURN_ASKS_MAX")
def test_asks_of_one_turn(settings: Settings, asks: int) -> None:
    settings.TURN_ASKS_MAX = 2
    run = run_of({"asks": [ask() for _ in range(asks)]}, {"says": "done"}, attempts=1)
    assert Proposal.objects.count() == (2 if asks == 2 else 0)
    if asks == 3:
        assert "at most 2" in error_of(run)["reason"]


@pytest.mark.pulls("TURN_MEMORY_BYTES_MAX")
def test_what_it_wants_kept_between_turns(settings: Settings) -> None:
    settings.TURN_MEMORY_BYTES_MAX = 100
    run = run_of({"asks": [ask()], "memory": "x" * 101}, attempts=1)
    assert "over 100 bytes" in error_of(run)["reason"]
    assert not Proposal.objects.exists()


@pytest.mark.parametrize(
    ("setting", "most", "said"),
    [
        pulling("JSON_BYTES_MAX", 1_000, "x" * 1_001),
        pulling("JSON_DEPTH_MAX", 8, [[[[[[[[[[1]]]]]]]]]]),
        pulling("JSON_NODES_MAX", 100, [1] * 101),
    ],
)
def test_an_answer(
    mallory: Mallory, settings: Settings, setting: str, most: int, said: Any
) -> None:
    mallory(lambda call: said)
    setattr(settings, setting, most)
    run = run_function()
    assert (run.status, error_of(run)["cause"]["code"]) == ("failed", "output-invalid")


@pytest.mark.pulls("RUN_STEPS_MAX")
def test_steps_of_a_run(settings: Settings) -> None:
    settings.RUN_STEPS_MAX = 3
    run = start("steps", definition=pipeline(*(stage(f"s{n}", n) for n in range(5))))
    assert (error_of(run)["budget"], error_of(run)["limit"]) == ("steps", 3)


ROUND = {
    "pattern": "machine",
    "initial": "think",
    "states": {
        "think": {
            "run": {"agent": scripted("m", 1)},
            "on": {"done": [{"to": "think"}], "failed": [{"to": "end"}]},
        },
        "end": {"end": "completed"},
    },
}


def comes_back_too_often(definition: dict[str, Any]) -> None:
    error = error_of(start("round", definition=definition))
    assert error["code"] == "cycle"
    assert "4 times" in error["reason"]


def test_coming_back_to_the_same_place() -> None:
    comes_back_too_often(ROUND | {"budget": {"repeats": 3}})


@pytest.mark.pulls("RUN_REPEATS_MAX")
def test_coming_back_to_the_same_place_without_a_budget(settings: Settings) -> None:
    settings.RUN_REPEATS_MAX = 3
    comes_back_too_often(ROUND)


@pytest.mark.pulls("RUN_DEPTH_MAX")
def test_runs_above_each_other(settings: Settings) -> None:
    """Each hands on to another one, so that no circle stops them."""
    settings.RUN_DEPTH_MAX = 2
    save("w3", pipeline(stage("do", 1)))
    for n in (2, 1, 0):
        save(f"w{n}", pipeline({"name": "on", "workflow": f"w{n + 1}"}))
    run = start("w0", definition=pipeline({"name": "on", "workflow": "w1"}))
    deepest = error_of(Run.objects.latest("pk"))
    assert (run.status, deepest["budget"], deepest["limit"]) == ("failed", "depth", 2)
    assert Run.objects.count() == 3


@pytest.mark.pulls("RUN_WALL_S_MAX")
def test_the_time_of_a_run(settings: Settings) -> None:
    """It ends while it waits, be it for a person."""
    settings.RUN_WALL_S_MAX = 1
    question = {"name": "may", "approval": {"question": "May it?"}}
    run = start("slow", definition=pipeline(question, stage("do", 1)))
    time.sleep(1.1)
    sweep()
    run.refresh_from_db()
    assert (run.status, error_of(run)["budget"]) == ("failed", "wall_s")
    assert run.review_items.get().status == "withdrawn"


def test_the_time_of_a_call() -> None:
    slow = scripted("slow", takes_ms=5_000)
    run = start("late", definition=pipeline(stage("do", agent=slow, timeout_seconds=1, attempts=1)))
    assert error_of(run)["cause"]["code"] == "agent-timed-out"


@pytest.mark.pulls("SUPERVISOR_AT_ONCE", "SUPERVISOR_ROUNDS", "SUPERVISOR_DELEGATIONS")
def test_tasks_at_once_rounds_and_supervisors_below(settings: Settings) -> None:
    """A supervisor whose worker hands everything to another supervisor, and so on."""
    settings.SUPERVISOR_AT_ONCE = settings.SUPERVISOR_ROUNDS = settings.SUPERVISOR_DELEGATIONS = 1
    tasks = {"tasks": [{"worker": "on", "task": n} for n in range(3)], "result": "so far"}
    boss = scripted("boss", tasks)
    save("last", pipeline(stage("do", 1)))
    for name, below in (("two", "last"), ("one", "two")):
        definition = {"pattern": "supervisor", "supervisor": {"agent": boss}}
        save(name, definition | {"workers": {"on": {"workflow": below}}})
    top = {"pattern": "supervisor", "supervisor": {"agent": boss}}
    run = start("top", definition=top | {"workers": {"on": {"workflow": "two"}}})
    found: Any = output_of(run)
    assert (run.status, found["rounds"], len(found["gaps"])) == ("completed", 1, 3)
    assert "the last one" in found["notes"][0]
    below_it = Run.objects.filter(parent=run).order_by("pk")
    assert {error_of(one)["budget"] for one in below_it} == {"delegations"}
    # One after the other: each began when the one before had ended.
    assert below_it.count() == 3
    assert not Run.objects.filter(workflow_version__workflow__slug="last").exists()


@pytest.mark.parametrize(
    ("setting", "most", "wish", "why"),
    [
        pulling("MEMORY_VALUE_BYTES_MAX", 100, {"value": "x" * 200}, "100"),
        pulling("MEMORY_TAGS_MAX", 1, {"tags": ["facts", "more"]}, "1"),
        pulling("MEMORY_TTL_DAYS_MAX", 1, {"ttl_s": 86_401}, "86,400"),
    ],
)
def test_what_it_remembers(
    settings: Settings, setting: str, most: int, wish: dict[str, Any], why: str
) -> None:
    setattr(settings, setting, most)
    one = {"key": "k", "value": 1, "tags": ["facts"]} | wish
    agent = scripted("writer", {"output": 1, "remember": [one]})
    memory = {"writes": ["facts", "more"]}
    run = start("full", definition=pipeline(stage("do", agent=agent, memory=memory, attempts=1)))
    assert error_of(run)["cause"]["code"] == "output-invalid"
    assert why in error_of(run)["reason"]


@pytest.mark.pulls("SHADOW_MONEY_MICROS_PER_DAY_MAX")
def test_what_shadows_spend_in_a_day(settings: Settings, cast: Cast) -> None:
    """Nothing of it is a proposal of anybody."""
    settings.SHADOW_MONEY_MICROS_PER_DAY_MAX = 100
    ada = versions.keep(cast.ada)
    for says in ("refund.create", "refund.settle"):
        dear = versions.scripted({"action": says}, usage={"money_micros": 80})
        versions.write(ada, "clerk", dear)
    versions.deploy(ada, "clerk", stable=1, shadow=2)
    known = Proposal.objects.count()
    found = [start("asked", definition=pipeline(versions.stage("help"))) for _ in range(4)]
    work_all()
    assert {run.status for run in found} == {"completed"}
    assert AgentTrial.objects.filter(run__in=found, error__isnull=True).count() == 2
    assert Proposal.objects.count() == known
