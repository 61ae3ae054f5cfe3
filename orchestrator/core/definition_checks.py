"""What no schema can say of a definition: names that must agree, and works that must fit together.

The form may be wrong as well; whatever does not have it is passed over here, because the schema has
said so already, and all the rest is still looked at.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.core import machine_checks, mesh_checks, pool_checks, router_checks
from orchestrator.core.codec import Json
from orchestrator.core.definition_works import Path, works
from orchestrator.core.errors import Problem
from orchestrator.core.policy import changes
from orchestrator.core.policy.agent_versions import calls_out
from orchestrator.core.schemas import check_schema, did_you_mean, pointer

# Each work's output is handed on under its name, beside these.
RESERVED = frozenset({"intent", "sent_back", "memory"})

type Work = Mapping[str, Any]


def check_meaning(raw: Json, slug: str) -> Iterator[Problem]:
    if not isinstance(raw, dict):
        return
    yield from _check_schema_at(("intent",), raw)
    if raw.get("pattern") == "pipeline":
        yield from _check_pipeline(raw.get("stages"), slug)
    if raw.get("pattern") == "mesh":
        yield from mesh_checks.check_mesh(raw)
        for name, peer in mesh_checks.peers_of(raw).items():
            yield from _check_work(("peers", name), peer, slug)
    if raw.get("pattern") == "machine":
        yield from machine_checks.check_machine(raw)
        for name, state in machine_checks.states_of(raw).items():
            if isinstance(state.get("run"), dict):
                yield from _check_work(("states", name, "run"), state["run"], slug)
                yield from _check_waits(("states", name, "run"), state["run"])
    if raw.get("pattern") == "router":
        yield from router_checks.check_router(raw)
        for name, worker in router_checks.workers_of(raw).items():
            yield from _check_work(("workers", name), worker, slug)
    yield from pool_checks.check(raw, slug)
    for path, work in works(raw):
        yield from _check_agent((*path, "agent"), work.get("agent"))


_ONLY_BY_NAME = (
    "what is asked over the network is no stage by itself: its endpoint and its limits belong to a version "
    "of an agent; name that agent here"
)


def _check_agent(path: Path, agent: Any) -> Iterator[Problem]:
    """Whose endpoint says which data it may see is asked by name: only then is that looked at."""
    if isinstance(agent, dict) and calls_out(agent):
        yield _at(path, _ONLY_BY_NAME)


def _check_pipeline(stages: Any, slug: str) -> Iterator[Problem]:
    found = stages if isinstance(stages, list) else []
    names = [stage.get("name") if isinstance(stage, dict) else None for stage in found]
    for place, stage in enumerate(found):
        if isinstance(stage, dict):
            path = ("stages", place)
            yield from _check_name(path, names, place)
            yield from _check_needs((*path, "needs"), stage, names, place)
            yield from _check_for_each((*path, "for_each"), found, place)
            yield from _check_work(path, stage, slug)
            yield from _check_collect((*path, "collect"), stage.get("collect"), found, place)


def _check_name(path: Path, names: list[Any], place: int) -> Iterator[Problem]:
    name = names[place]
    if not isinstance(name, str):
        return
    if name in RESERVED:
        yield _at((*path, "name"), f"“{name}” has a meaning of its own here; choose another name")
    if name in names[:place]:
        yield _at((*path, "name"), f"“{name}” is the name of stage {names.index(name) + 1} already")


def _check_needs(path: Path, stage: Work, names: list[Any], place: int) -> Iterator[Problem]:
    needs = stage.get("needs")
    known = [name for name in names if isinstance(name, str)]
    for index, name in enumerate(needs if isinstance(needs, list) else []):
        if not isinstance(name, str) or name in names[:place]:
            continue
        if name == names[place]:
            yield _at((*path, index), "a stage cannot need itself")
        elif name in names:
            yield _at((*path, index), f"“{name}” comes later; only earlier stages have an output")
        else:
            yield _at((*path, index), f"there is no stage “{name}”. {did_you_mean(name, known)}")


def _check_collect(path: Path, name: Any, stages: list[Any], place: int) -> Iterator[Problem]:
    """What is collected was started before, and not waited for."""
    if not isinstance(name, str):
        return
    started = [
        str(stage.get("name"))
        for stage in stages[:place]
        if isinstance(stage, dict) and "workflow" in stage and stage.get("wait") is False
    ]
    if name not in started:
        reason = f"no earlier stage “{name}” starts a workflow with “wait”: false."
        yield _at(path, f"{reason} {did_you_mean(name, started)}".strip())


def _check_for_each(path: Path, stages: list[Any], place: int) -> Iterator[Problem]:
    """A stage that fans out takes its list from the one before, which must surely bring one output."""
    before = stages[place - 1] if place else None
    if "for_each" not in stages[place] or not isinstance(before, dict):
        return
    name, why = before.get("name"), _no_single_output(before)
    if why:
        yield _at(path, f"its list would come from “{name}”, which {why}; {_ONE_CALL}")
    needs = stages[place].get("needs", [name])
    if isinstance(needs, list) and needs[:1] != [name]:
        yield _at((*path[:-1], "needs"), machine_checks.needs_first(name))


_ONE_CALL = "put a stage before it that is one call of an agent and always has an output"


def _no_single_output(work: Work) -> str:
    if "agent" not in work:
        return "is no call of an agent"
    if "for_each" in work:
        return "is itself many calls"
    if work.get("proposes") is True:
        return "proposes an action"
    return "is optional" if work.get("optional") is True else ""


def _check_work(path: Path, work: Work, slug: str) -> Iterator[Problem]:
    yield from _check_schema_at((*path, "output"), work)
    yield from _check_tools((*path, "tools"), work.get("tools"))
    if work.get("proposes") is True and "for_each" in work:
        yield _at((*path, "proposes"), "one proposal at a time: it cannot stand beside “for_each”")
    if "at_most" in work and "for_each" not in work:
        yield _at((*path, "at_most"), "says nothing without “for_each”")
    if "at_once" in work and "for_each" not in work:
        yield _at((*path, "at_once"), "says nothing without “for_each”")
    if slug and work.get("workflow") == slug:
        yield _at((*path, "workflow"), "a workflow cannot wait for a run of itself")


def _check_tools(path: Path, tools: Any) -> Iterator[Problem]:
    """No two of one name, and none for what only people may change."""
    seen: set[str] = set()
    for place, tool in enumerate(tools if isinstance(tools, list) else []):
        spec = tool if isinstance(tool, dict) else {"name": tool}
        name = spec.get("name")
        if isinstance(name, str) and name in seen:
            yield _at((*path, place), f"“{name}” is there already")
        seen |= {name} if isinstance(name, str) else set()
        action = spec.get("action", name)
        if isinstance(action, str) and changes.is_change(action):
            reason = f"{changes.RESERVED}* is Countersign itself, which only people may change"
            yield _at((*path, place), reason)
        yield from _check_schema_at((*path, place, "parameters"), spec)


def _check_waits(path: Path, run: Work) -> Iterator[Problem]:
    """A machine may come round, and what ends then would belong to another visit."""
    if "collect" in run or run.get("wait") is False:
        key = "collect" if "collect" in run else "wait"
        yield _at(
            (*path, key), "only stands in a pipeline; a state waits for the run that it starts"
        )


def _check_schema_at(path: Path, holder: Work) -> Iterator[Problem]:
    schema = holder.get(str(path[-1]))
    if isinstance(schema, dict):
        for problem in check_schema(schema):
            yield Problem(pointer(path) + problem.pointer, problem.reason)


def _at(path: Path, reason: str) -> Problem:
    return Problem(pointer(path), reason)
