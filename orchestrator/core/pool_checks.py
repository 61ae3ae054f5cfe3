"""What no schema can say of supervisors and of consensus. See `core/definition_checks.py`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.core.errors import Problem
from orchestrator.core.schemas import check_schema, pointer

type Path = tuple[str | int, ...]


def check(raw: Mapping[str, Any], slug: str) -> Iterator[Problem]:
    if raw.get("pattern") == "supervisor":
        yield from _check_supervisor(raw, slug)
    if raw.get("pattern") == "consensus":
        yield from _check_consensus(raw)


def _check_supervisor(raw: Mapping[str, Any], slug: str) -> Iterator[Problem]:
    yield from _check_schema(("result",), raw.get("result"))
    yield from _check_names("workers", raw, ("supervisor", "result"))
    for name, worker in _by_name(raw.get("workers")):
        yield from _check_schema(("workers", name, "output"), worker.get("output"))
        if slug and worker.get("workflow") == slug:
            yield _at(("workers", name, "workflow"), "a workflow cannot wait for a run of itself")
    stops, budget = raw.get("stops_at"), raw.get("budget")
    if not isinstance(stops, dict) or not isinstance(budget, dict):
        return
    for field in ("tokens", "money_micros"):
        most, stop = budget.get(field), stops.get(field)
        if isinstance(most, int) and isinstance(stop, int) and stop > most:
            yield _at(("stops_at", field), f"the budget of a run has {most:,} only")


def _check_consensus(raw: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _check_schema(("output",), raw.get("output"))
    yield from _check_names("members", raw, ("intent", "judge", "verdict"))
    members = dict(_by_name(raw.get("members")))
    quorum = raw.get("quorum")
    if members and isinstance(quorum, int) and quorum > len(members):
        yield _at(("quorum",), f"there are {len(members)} members only")
    judge = _who(raw.get("judge"))
    for name, member in members.items():
        if judge and _who(member) == judge:
            yield _at(("judge", "agent"), f"the judge may not be a member, and is “{name}”")


def _check_names(field: str, raw: Mapping[str, Any], taken: Sequence[str]) -> Iterator[Problem]:
    for name, _ in _by_name(raw.get(field)):
        if name in taken:
            yield _at((field, name), f"“{name}” has a meaning of its own here; choose another name")


def _who(asked: Any) -> tuple[str, str] | None:
    agent = asked.get("agent") if isinstance(asked, dict) else None
    if not isinstance(agent, dict) or not isinstance(agent.get("name"), str):
        return None
    return str(agent.get("kind")), agent["name"]


def _by_name(found: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, one in found.items() if isinstance(found, dict) else ():
        if isinstance(one, dict):
            yield name, one


def _check_schema(path: Path, schema: Any) -> Iterator[Problem]:
    for problem in check_schema(schema) if isinstance(schema, dict) else ():
        yield Problem(pointer(path) + problem.pointer, problem.reason)


def _at(path: Path, reason: str) -> Problem:
    return Problem(pointer(path), reason)
