"""What a workflow version says, in rows and words: all that its drawing shows, and what that leaves out."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from orchestrator.core.definition_schema import WORKS
from review.presentation.money import cost

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
# What happens of itself comes before what others say, and of that the good.
_FIRST = ("done", "failed")


def _whole(number: int) -> str:
    return f"{number:,}"


class Exit(NamedTuple):
    """A way out of a state: what has to happen, what has to hold, and where it leads."""

    event: str
    guard: str
    target: str

    @property
    def is_signal(self) -> bool:
        return self.event not in _FIRST and not self.event.startswith("after ")


@dataclass(frozen=True, slots=True)
class Row:
    """A stage of a pipeline, or a state of a machine."""

    name: str
    kind: str
    about: str
    facts: list[str]
    limits: list[str]
    schema: str
    config: str
    exits: list[Exit]


class Share(NamedTuple):
    """One part of the budget."""

    name: str
    limit: str


def rows_of(definition: Mapping[str, Any]) -> list[Row]:
    if definition["pattern"] == "pipeline":
        return [_row(stage["name"], stage, _needs(stage, at)) for at, stage in _stages(definition)]
    if definition["pattern"] == "router":
        return list(_router(definition))
    if definition["pattern"] == "machine":
        return [_state(name, state) for name, state in ordered_states(definition)]
    if definition["pattern"] == "mesh":
        return [_row(name, peer, []) for name, peer in definition["peers"].items()]
    if definition["pattern"] == "supervisor":
        return _supervised(definition)
    return _weighed(definition) if definition["pattern"] == "consensus" else []


def _supervised(definition: Mapping[str, Any]) -> list[Row]:
    rounds, at_once = definition["rounds"], definition["at_once"]
    stops = definition["stops_at"]
    facts = [
        f"plans at most {rounds:,} round{'s' * (rounds > 1)}, {at_once:,} tasks at once",
        f"begins nothing more from {stops['tokens']:,} tokens or {cost(stops['money_micros'])} on",
    ]
    boss = _row("supervisor", definition["supervisor"], facts)
    boss.limits.append(f"{definition['tasks_at_most']:,} tasks a round")
    boss.limits.append(f"{lasting(definition['deadline_seconds'])} a round")
    workers = definition["workers"].items()
    told = [
        _row(name, worker, [worker["description"]] if worker["description"] else [])
        for name, worker in workers
    ]
    return [boss, *told]


def _weighed(definition: Mapping[str, Any]) -> list[Row]:
    facts = ["is handed the intent alone, and sees no other member’s answer"]
    members = [_row(name, member, facts) for name, member in definition["members"].items()]
    for row in members:
        row.limits.append(f"{lasting(definition['deadline_seconds'])} in all")
    asks = [f"{name}: {asks}" for name, asks in definition["rubric"].items()]
    count = f"hears at least {definition['quorum']} of {len(members)} members, by letters"
    return [*members, _row("judge", definition["judge"], [count, *asks])]


def budget_of(definition: Mapping[str, Any]) -> list[Share]:
    limits = definition.get("budget", {})
    # Only a machine can come round.
    named = [name for name in limits if name != "repeats" or definition["pattern"] == "machine"]
    return [Share(words, say(limits[name])) for name, words, say in _SHARES if name in named]


def ordered_states(definition: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """In the order in which a run may come to them; they are stored by name."""
    states: Mapping[str, Mapping[str, Any]] = definition["states"]
    order = [definition["initial"]]
    for name in order:
        order += dict.fromkeys(
            one.target for one in exits_of(states[name]) if one.target not in order
        )
    ends = [name for name in order if "end" in states[name]]
    return [(name, states[name]) for name in [*(n for n in order if n not in ends), *ends]]


def exits_of(state: Mapping[str, Any]) -> list[Exit]:
    on: Mapping[str, Any] = state.get("on", {})
    events = [*(event for event in _FIRST if event in on), *sorted(on.keys() - set(_FIRST))]
    found = [Exit(event, way.get("if", ""), way["to"]) for event in events for way in on[event]]
    if "after" in state:
        found.append(Exit(f"after {lasting(state['after']['seconds'])}", "", state["after"]["to"]))
    return found


def kind_of(work: Mapping[str, Any]) -> str:
    return next(kind for kind in WORKS if kind in work)


def about(work: Mapping[str, Any]) -> str:
    """Who does it, what is asked, what is waited for."""
    kind = kind_of(work)
    if kind == "approval":
        return str(work["approval"]["question"])
    if kind == "signal":
        return str(work["signal"]["name"])
    if kind in {"workflow", "collect"}:
        return str(work[kind])
    if kind in {"publish", "subscribe"}:
        return str(work[kind]["topic"])
    return str(work["agent"].get("name", work["agent"]["kind"]))


def handling(memory: Mapping[str, Any]) -> str:
    """What a work may do with shared memory."""
    does = [f"{verb} {', '.join(memory[verb])}" for verb in ("reads", "writes") if memory.get(verb)]
    return ", ".join([*does, f"of {memory['space']}"] if "space" in memory else does)


def lasting(seconds: int) -> str:
    """Exactly, as it was meant: 90 s, 5 min, 1 d."""
    for size, unit in _UNITS:
        if seconds % size == 0:
            return f"{seconds // size:,} {unit}"
    return f"{seconds:,} s"


def pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


_SHARES: tuple[tuple[str, str, Callable[[int], str]], ...] = (
    ("steps", "Steps", _whole),
    ("agent_calls", "Agent calls", _whole),
    ("tokens", "Tokens", _whole),
    ("money_micros", "Money", cost),
    ("wall_s", "Time", lasting),
    ("depth", "Depth", _whole),
    ("repeats", "Same state again", _whole),
    ("turns", "Turns of a call", _whole),
)


def _stages(definition: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    return enumerate(definition["stages"])


def _needs(stage: Mapping[str, Any], place: int) -> list[str]:
    needs = stage["needs"]
    if not needs:
        return ["is handed the intent alone"] if place else []
    return _handed(needs)


def _handed(needs: Sequence[str]) -> list[str]:
    return [f"is handed the output of {', '.join(needs)}"] if needs else []


def _state(name: str, state: Mapping[str, Any]) -> Row:
    exits = exits_of(state)
    if "run" in state:
        return _row(name, state["run"], _handed(state["run"].get("needs", [])), exits)
    if "end" in state:
        return Row(name, state["end"], f"as {state['end']}", [], [], "", "", [])
    return Row(name, "state", "until something happens", [], [], "", "", exits)


def _router(definition: Mapping[str, Any]) -> Iterator[Row]:
    """The model first, then the workers; their rules have a table of their own."""
    if "model" in definition:
        model = definition["model"]
        least = f"asked when no rule fits; followed from a confidence of {model['confidence_at_least']} on"
        yield _row("route", model, [least])
    for name, worker in definition["workers"].items():
        facts = [worker["description"]] if worker["description"] else []
        if name == definition["fallback"]:
            facts.append("takes everything else" + _CATCHES[definition["on_failure"]])
        yield _row(name, worker, facts)


_CATCHES = {"fallback": ", and takes over from a worker that failed", "fail": ""}


def _row(
    name: str, work: Mapping[str, Any], facts: list[str], exits: list[Exit] | None = None
) -> Row:
    return Row(
        name=name,
        kind=kind_of(work),
        about=about(work),
        facts=[*_facts(work), *facts],
        limits=_limits(work),
        schema=pretty(work["output"]) if "output" in work else "",
        config=pretty(work["agent"]) if "agent" in work else "",
        exits=exits or [],
    )


def _facts(work: Mapping[str, Any]) -> Iterator[str]:
    if work.get("proposes"):
        yield "proposes an action: guardrails and people decide before the run goes on"
    if tools := work.get("tools"):
        names = (tool if isinstance(tool, str) else tool["name"] for tool in tools)
        yield f"may use {', '.join(names)}"
    if "for_each" in work:
        turns = f", {work['at_once']:,} at once" if "at_once" in work else ""
        yield f"called for each element of {work['for_each'] or 'the whole'}{turns}"
    if work.get("wait") is False:
        yield "the run goes on meanwhile"
    if memory := work.get("memory"):
        yield f"memory: {handling(memory)}"
    if work.get("optional"):
        yield "optional: when it fails, the run goes on without it"


def _limits(work: Mapping[str, Any]) -> list[str]:
    if "approval" in work:
        asked = work["approval"]
        people = "1 person" if asked["approvals"] == 1 else f"{asked['approvals']} people"
        return [people, f"within {lasting(asked['due_seconds'])}"]
    if "signal" in work:
        return [f"within {lasting(work['signal']['due_seconds'])}"]
    if "subscribe" in work:
        return [f"within {lasting(work['subscribe']['due_seconds'])}"]
    if "agent" not in work:
        return []
    attempts = work["attempts"]
    found = [f"{lasting(work['timeout_seconds'])} a call"]
    found.append("1 attempt" if attempts == 1 else f"{attempts} attempts")
    return [*found, f"at most {work['at_most']:,} elements"] if "for_each" in work else found
