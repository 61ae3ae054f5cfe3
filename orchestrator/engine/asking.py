"""What an agent asks for, looked at before its run is told: by people it will only be looked at later.

An ask that cannot be proposed is answered with an error in the next turn, and counts like any other. What
is too much altogether is no answer at all.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from orchestrator.agents.base import AgentAnswer, AgentCall, Ask, shorten
from orchestrator.core import events as ev
from orchestrator.core import schemas
from orchestrator.core.codec import Json, JsonLimits, canonical, storable
from orchestrator.core.errors import OutputInvalid
from orchestrator.core.handing import find
from orchestrator.core.policy import agent_versions
from orchestrator.engine import tainting
from orchestrator.engine.observations import Handed, before_answer
from orchestrator.engine.turns import TurnBefore

NAME_LENGTH_MAX = 100
TARGET_LENGTH_MAX = 500
RATIONALE_LENGTH_MAX = 20_000
PROBLEMS_MAX = 5

type Spec = Mapping[str, Any]


def tools_of(named: Sequence[Json] | None, config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What an agent may use: its own tools, of which a stage may name some and bring others.

    A name that is none of its own tools gives it nothing, and nothing gives what writes to who only reads.
    """
    own = {tool["name"]: tool for tool in config.get("tools") or () if isinstance(tool, dict)}
    names = own.keys() if named is None else named
    found = [own.get(tool) if isinstance(tool, str) else tool for tool in names]
    tier = config.get("tier", agent_versions.ELEVATED)
    return agent_versions.tools_for(tier, [tool for tool in found if isinstance(tool, dict)])


def asks_of(
    call: AgentCall, answer: AgentAnswer, before: TurnBefore, handed: Handed | None
) -> dict[str, Any]:
    """The fields of WorkAsked that are about asking. Raises OutputInvalid."""
    _check_size(answer)
    specs = {str(tool["name"]): tool for tool in call.tools}
    asks, keys = [], set[str]()
    for ask in answer.asks:
        wanted = _read(
            ask, specs, keys, read_only=call.config.get("tier") == agent_versions.READ_ONLY
        )
        asks.append(wanted)
        keys.add(ask.key)
    said = tainting.heard(answer, before_answer(handed, before)).to_json()
    classes = handed.classes if handed else ()
    return {"asks": tuple(asks), "memory": answer.memory, "classes": classes, **said}


def refused(payload: Mapping[str, Any], error: dict[str, Json]) -> ev.AskRefused:
    """Of a command that was to propose it."""
    return ev.AskRefused(
        work=payload["work"],
        asked=payload["output"],
        ask=payload["ask"],
        visit=payload.get("visit", 0),
        error=error,
    )


def _check_size(answer: AgentAnswer) -> None:
    count, most = len(answer.asks), settings.TURN_ASKS_MAX
    if count > most:
        raise OutputInvalid(f"it asks for {count:,} things at once, at most {most:,} are taken")
    if not _fits(answer.memory, settings.TURN_MEMORY_BYTES_MAX):
        most = settings.TURN_MEMORY_BYTES_MAX
        raise OutputInvalid(f"what it wants kept cannot be stored, or has over {most:,} bytes")


def _fits(value: Any, most: int) -> bool:
    return storable(
        value, JsonLimits(most, settings.JSON_DEPTH_MAX - 4, settings.JSON_NODES_MAX - 1_000)
    )


def _read(
    ask: Ask, specs: Mapping[str, Spec], keys: set[str], *, read_only: bool
) -> dict[str, Json]:
    """The ask as it is stored; with an `error` when nothing can be proposed of it, and without its args."""
    named: dict[str, Json] = {"key": _name(ask.key), "tool": _name(ask.tool)}
    spec = specs.get(ask.tool, {})
    problem = _problem(ask, spec, keys, read_only=read_only)
    if problem:
        code, reason = problem
        error: dict[str, Json] = {"code": code, "reason": shorten(reason), "retryable": False}
        return {**named, "error": error}
    told: dict[str, Json] = {"action": spec.get("action") or ask.tool, "args": ask.args}
    if target := _target(ask, spec):
        told["target"] = target
    if ask.rationale:
        told["rationale"] = _legible(ask.rationale)[:RATIONALE_LENGTH_MAX]
    if ask.confidence is not None:
        told["confidence"] = ask.confidence
    return named | told


def _problem(ask: Ask, spec: Spec, keys: set[str], *, read_only: bool) -> tuple[str, str] | None:
    """The first reason why it cannot be proposed: its code, and words that the agent can act on."""
    if read_only and spec.get("kind") != "read":
        return "read-only", "an agent of the tier read-only may not ask for what changes something"
    if not spec:
        return "tool-unknown", f"there is no tool {_name(ask.tool)!r} for it here"
    if spec.get("kind") != "write":
        return "tool-reads", f"{ask.tool} changes nothing, so it is used and not asked for"
    if not ask.key or ask.key in keys:
        return "key-taken", "each ask of a turn needs a key of its own"
    wrong = _what_is_wrong(ask, spec)
    return ("args-invalid", wrong) if wrong else None


def _what_is_wrong(ask: Ask, spec: Spec) -> str:
    """With its arguments. A tool whose schema cannot be used takes none."""
    if not _fits(ask.args, settings.SHORT_OUTPUT_BYTES_MAX):
        most = settings.SHORT_OUTPUT_BYTES_MAX
        return f"the arguments cannot be stored, or have over {most:,} bytes"
    try:
        wrong = schemas.check(spec["parameters"], ask.args) if spec.get("parameters") else []
    except ValueError as error:
        return f"what the tool wants cannot be read: {error}"
    if wrong:
        return "; ".join(f"{one.pointer} {one.reason}".strip() for one in wrong[:PROBLEMS_MAX])
    if len(_target(ask, spec)) > TARGET_LENGTH_MAX:
        return f"its target has over {TARGET_LENGTH_MAX} characters"
    return ""


def _target(ask: Ask, spec: Spec) -> str:
    found = find(ask.args, str(spec["target"])) if spec.get("target") else None
    if found is None:
        return ""
    return found if isinstance(found, str) else canonical(found)


def _name(text: str) -> str:
    return _legible(text)[:NAME_LENGTH_MAX]


def _legible(text: str) -> str:
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()
