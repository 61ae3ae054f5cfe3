"""State machines, looked at before any run: every state can be reached, and none keeps a run for ever."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.core.errors import Problem, RuleInvalid
from orchestrator.core.policy.guards import check_guard
from orchestrator.core.schemas import did_you_mean, pointer

# What a state's own run says when it is over; every other event is a signal from outside.
OWN_EVENTS = ("done", "failed")
# `data.intent` is what was asked for, and CEL reads the others as words of its own.
RESERVED = frozenset({"intent", "memory", "in", "true", "false", "null"})

_STRING = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")
_DATA_FIELD = re.compile(r"(?<![\w.])data\.([A-Za-z_]\w*)")

type State = Mapping[str, Any]
type States = Mapping[str, State]


def check_machine(raw: Mapping[str, Any]) -> Iterator[Problem]:
    states = states_of(raw)
    for name, state in states.items():
        if name in RESERVED:
            yield _at(
                "states", name, reason="is a word with a meaning of its own; rename the state"
            )
        yield from _check_end(name, state) if "end" in state else _check_ways_out(name, state)
        for path, way in _ways_of(name, state):
            yield from _check_target(path, way, states)
            yield from _check_guard((*path, "if"), way, states)
        yield from _check_order(name, state)
        if isinstance(state.get("run"), dict):
            yield from _check_needs(name, state["run"], states)
            if "for_each" in state["run"]:
                yield from _check_fan_out(name, states, raw.get("initial"))
    yield from _check_map(raw.get("initial"), states)


def states_of(raw: Mapping[str, Any]) -> dict[str, State]:
    states = raw.get("states")
    found = states.items() if isinstance(states, dict) else ()
    return {name: state for name, state in found if isinstance(state, dict)}


def _check_end(name: str, state: State) -> Iterator[Problem]:
    for field in ("run", "on", "after"):
        if field in state:
            reason = (
                f"the run ends in this state, so “{field}” would never count; remove it or “end”"
            )
            yield _at("states", name, field, reason=reason)


def _check_ways_out(name: str, state: State) -> Iterator[Problem]:
    """For everything that can happen in a state there must be somewhere to go."""
    on = _events_of(state)
    if "run" not in state:
        for event in OWN_EVENTS:
            if event in on:
                reason = "never happens here: a state without “run” has nothing that ends"
                yield _at("states", name, "on", event, reason=reason)
        if not set(on) - set(OWN_EVENTS) and "after" not in state:
            reason = "is a dead end: give it a “run”, a signal in “on”, “after”, or “end”"
            yield _at("states", name, reason=reason)
        return
    for event in OWN_EVENTS:
        if event not in on:
            reason = f"has no way for “{event}”, which its “run” may say; add it to “on”"
            yield _at("states", name, reason=reason)
    yield from _check_awaited_signal(name, state["run"], on)


def _check_awaited_signal(name: str, run: Any, on: Mapping[str, Any]) -> Iterator[Problem]:
    signal = run.get("signal") if isinstance(run, dict) else None
    awaited = signal.get("name") if isinstance(signal, dict) else None
    if not isinstance(awaited, str):
        return
    if awaited in OWN_EVENTS:
        reason = f"“{awaited}” is what a run says of itself; choose another name"
        yield _at("states", name, "run", "signal", "name", reason=reason)
    elif awaited in on:
        reason = (
            f"never happens here: the state's own run waits for “{awaited}” and then says “done”"
        )
        yield _at("states", name, "on", awaited, reason=reason)


def _check_target(path: tuple[str | int, ...], way: State, states: States) -> Iterator[Problem]:
    to = way.get("to")
    if isinstance(to, str) and to not in states:
        reason = f"there is no state “{to}”. {did_you_mean(to, list(states))}"
        yield _at(*path, "to", reason=reason)


def _check_guard(path: tuple[str | int, ...], way: State, states: States) -> Iterator[Problem]:
    guard = way.get("if")
    if not isinstance(guard, str) or not guard:
        return
    try:
        check_guard(guard)
    except RuleInvalid as error:
        place = f"line {error.line}, column {error.column}"
        yield _at(*path, reason=f"the condition cannot be used: {error.reason} ({place})")
        return
    speaking = [name for name, state in states.items() if _is_seen(state)]
    for name in dict.fromkeys(_DATA_FIELD.findall(_STRING.sub("''", guard))):
        if name != "intent" and name not in speaking:
            hint = did_you_mean(name, ["intent", *speaking])
            yield _at(*path, reason=f"no state “{name}” has an output that it could see. {hint}")


def _is_seen(state: State) -> bool:
    """Of many calls a condition sees nothing: which answer came last is chance."""
    run = state.get("run")
    return isinstance(run, dict) and "for_each" not in run


def _check_order(name: str, state: State) -> Iterator[Problem]:
    """The first way that fits is taken, so the last of a run's own must fit always."""
    for event, ways in _events_of(state).items():
        guarded = ["if" in way for way in ways if isinstance(way, dict)]
        if event in OWN_EVENTS and guarded and all(guarded):
            reason = (
                "when no condition holds the run is stuck; end the list with a way without “if”"
            )
            yield _at("states", name, "on", event, reason=reason)
        if False in guarded[:-1]:
            path = ("states", name, "on", event, guarded.index(False) + 1)
            yield _at(*path, reason="is never taken: the way before it has no “if”")


def _check_needs(name: str, run: State, states: States) -> Iterator[Problem]:
    needs = run.get("needs")
    speaking = [other for other, state in states.items() if "run" in state]
    for index, need in enumerate(needs if isinstance(needs, list) else []):
        if isinstance(need, str) and need not in speaking:
            reason = f"no state “{need}” has an output. {did_you_mean(need, speaking)}"
            yield _at("states", name, "run", "needs", index, reason=reason)


def _check_fan_out(name: str, states: States, initial: Any) -> Iterator[Problem]:
    """Its list comes with the one way into the state: of the run's start, or of one agent's answer."""
    run = states[name]["run"]
    ways = [
        (other, event) for other, state in states.items() for event in _events_into(name, state)
    ]
    sources = {other for other, _ in ways}
    if name == initial:
        sources.add("the start of the run")
    for other, event in ways:
        if event != "done" or not _is_one_call(states[other].get("run")):
            reason = f"“{event}” of “{other}” also leads here, and brings no output of one agent"
            yield _at("states", name, "run", "for_each", reason=reason)
    if len(sources) > 1:
        reason = f"its list may come from one place only, not from {' and '.join(sorted(sources))}"
        yield _at("states", name, "run", "for_each", reason=reason)
    first = ways[0][0] if ways and name != initial else None
    needs = run.get("needs", [])
    if isinstance(needs, list) and needs[:1] != ([first] if first else []):
        reason = (
            needs_first(first) if first else "its list comes from the intent; it needs no state"
        )
        yield _at("states", name, "run", "needs", reason=reason)


def needs_first(name: Any) -> str:
    return f"“for_each” takes its list from “{name}”, so that has to be named here, and first"


def _events_into(name: str, state: State) -> Iterator[str]:
    for event, ways in _events_of(state).items():
        if any(isinstance(way, dict) and way.get("to") == name for way in ways):
            yield event
    after = state.get("after")
    if isinstance(after, dict) and after.get("to") == name:
        yield "after"


def _is_one_call(run: Any) -> bool:
    if not isinstance(run, dict) or "agent" not in run:
        return False
    return "for_each" not in run and run.get("proposes") is not True


def _check_map(initial: Any, states: States) -> Iterator[Problem]:
    """Every state lies on a way from the first one, and from each some end can be reached."""
    if not states:
        return
    ends = {name for name, state in states.items() if "end" in state}
    if not ends:
        yield _at("states", reason="no state is an end; give one of them “end”")
    if not isinstance(initial, str):
        return
    if initial not in states:
        hint = did_you_mean(initial, list(states))
        yield _at("initial", reason=f"there is no state “{initial}”. {hint}")
        return
    onward = {name: _targets_of(state) for name, state in states.items()}
    reached = _spread({initial}, onward)
    for name in states:
        if name not in reached:
            yield _at("states", name, reason=f"is never reached from “{initial}”")
    # A state that leads nowhere was named already; what leads to it is not to blame.
    sinks = ends | {name for name in states if not onward[name]}
    backward = {name: {one for one in states if name in onward[one]} for name in states}
    ending = _spread(sinks, backward) if ends else set(states)
    for name in states.keys() - ending:
        yield _at("states", name, reason="goes round for ever: no end can be reached from here")


def _spread(start: set[str], onward: Mapping[str, set[str]]) -> set[str]:
    reached, found = set(start), list(start)
    while found:
        for name in onward.get(found.pop(), ()):
            if name not in reached:
                reached.add(name)
                found.append(name)
    return reached


def _targets_of(state: State) -> set[str]:
    ways = (way.get("to") for _, way in _ways_of("", state))
    return {to for to in ways if isinstance(to, str)}


def _ways_of(name: str, state: State) -> Iterator[tuple[tuple[str | int, ...], State]]:
    for event, ways in _events_of(state).items():
        for index, way in enumerate(ways):
            if isinstance(way, dict):
                yield ("states", name, "on", event, index), way
    if isinstance(state.get("after"), dict):
        yield ("states", name, "after"), state["after"]


def _events_of(state: State) -> dict[str, list[Any]]:
    on = state.get("on")
    found = on.items() if isinstance(on, dict) else ()
    return {event: ways for event, ways in found if isinstance(ways, list)}


def _at(*path: str | int, reason: str) -> Problem:
    return Problem(pointer(path), reason)
