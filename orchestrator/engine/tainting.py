"""What tools said to an agent, kept with its answer, so that it can be followed into whatever its run proposes.

Each is named by its tool as far as that is known. What is too much to follow is not kept in part: then
everything counts as tainted.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import batched
from typing import Any

from django.conf import settings

from orchestrator.agents.base import AgentAnswer, Piece
from orchestrator.core.codec import Json, JsonLimits, canonical, read, storable
from orchestrator.core.state import RunState
from orchestrator.core.taint import Source
from orchestrator.engine import sql

A_TOOL = "the result of a tool"
TOO_MUCH = "more results of tools than are followed"
NAMED_MAX = 3
# The fields of what a piece keeps, in their order.
_WRAPPING = {"result": None, "notes": None}.keys()
# Events that are read at once: what is too much is known before all of it is read.
AT_ONCE = 20

_EVENTS = """
    SELECT payload FROM orchestrator_event
     WHERE run_id = %(run)s AND seq = ANY(%(seqs)s::integer[]) ORDER BY seq
"""


@dataclass(frozen=True, slots=True)
class Heard:
    sources: tuple[Source, ...] = ()
    # It was too much.
    is_all: bool = False

    def to_json(self) -> dict[str, Any]:
        """The fields of an event that has it."""
        told = tuple({"origin": one.origin, "value": one.value} for one in self.sources)
        return {"untrusted": told, "taints_all": self.is_all}

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> "Heard":
        told = event.get("untrusted", ())
        sources = tuple(Source(one["origin"], one["value"]) for one in told)
        return cls(sources, event.get("taints_all", False))


NOTHING = Heard()


def heard(answer: AgentAnswer, before: Heard = NOTHING) -> Heard:
    """In this turn and all before."""
    pieces = [piece for piece in answer.pieces if piece.kind == "tool"]
    raw = [*answer.untrusted, *(text for piece in pieces for text in (piece.said, piece.error))]
    if before.is_all or not _fits(raw):
        return Heard(is_all=True)
    named = [source for piece in pieces for source in _said_by(piece)]
    known = {canonical(source.value) for source in named}
    others = [Source(A_TOOL, value) for value in answer.untrusted if canonical(value) not in known]
    return _kept([*before.sources, *named, *others])


def and_receipt(before: Heard, tool: str, words: Json, known: Json) -> Heard:
    """What a tool's target says of what was done counts like any result, but for what it was told itself."""
    news = _without(words, {canonical(one) for one in _leaves(known)})
    if news in (None, {}, []):
        return before
    return Heard((*before.sources, Source(f"the receipt of `{tool}`", news)), before.is_all)


def of_run(run: str, state: RunState) -> Heard:
    """What tools said to any agent of a run, and what came with what others handed on to it.

    A run to which no tool said anything costs no query.
    """
    found: dict[str, Source] = {}
    for places in batched(state.heard, AT_ONCE):
        for (payload,) in sql.execute(_EVENTS, {"run": run, "seqs": list(places)}).fetchall():
            data = read(payload)
            one = Heard.of(data if isinstance(data, dict) else {})
            found |= {canonical([source.origin, source.value]): source for source in one.sources}
            if one.is_all or not _fits([source.value for source in found.values()]):
                return Heard(is_all=True)
    return _kept(list(found.values()))


def of_message(before: Heard, topic: str, data: Json) -> Heard:
    """A message reaches many, so its own words count in place of all that its sender had heard."""
    if not before.sources and not before.is_all:
        return NOTHING
    origins = list(dict.fromkeys(source.origin for source in before.sources)) or [TOO_MUCH]
    after = ", ".join(origins[:NAMED_MAX]) + (" and more" if origins[NAMED_MAX:] else "")
    return _kept([Source(f"the message `{_legible(topic)}`, sent after {after}", data)])


def of_signal(name: str, data: Json) -> Heard:
    """What was sent along, where whoever sent it does not vouch for it."""
    return _kept([Source(f"the signal `{_legible(name)}`", data)])


def of_failure(work: str, reason: Json) -> Heard:
    """Why a call failed counts in place of all that it had heard: nothing else of it goes on."""
    return _kept([Source(f"the reason why `{_legible(work)}` failed", reason)])


def _kept(sources: Sequence[Source]) -> Heard:
    found = Heard(tuple(sources))
    return found if _fits(list(found.to_json()["untrusted"])) else Heard(is_all=True)


def _leaves(value: Json) -> Iterator[Json]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)
    else:
        yield value


def _without(value: Json, known: Set[str]) -> Json:
    """Without the values that are known, and what holds nothing else."""
    if isinstance(value, dict):
        kept = {name: _without(inner, known) for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if inner not in (None, {}, [])}
    if isinstance(value, list):
        found = [_without(inner, known) for inner in value]
        return [inner for inner in found if inner not in (None, {}, [])]
    return None if canonical(value) in known else value


def _said_by(piece: Piece) -> Iterator[Source]:
    origin = f"the result of tool `{_legible(piece.name)}`"
    if piece.said:
        for value in _values_in(piece.said):
            yield Source(origin, value)
    if piece.error:
        yield Source(origin, piece.error)


def _values_in(text: str) -> list[Json]:
    """What stands in the text as JSON, if it is some: a piece keeps what was said as text, perhaps cut.

    A result stands in it beside the notes on it, and a tool may call what it says itself by the same names.
    """
    try:
        found = read(text)
    except (ValueError, RecursionError):
        return [text]
    if isinstance(found, dict) and found.keys() <= _WRAPPING:
        return [found[name] for name in _WRAPPING if name in found]
    return [found]


def _fits(value: Any) -> bool:
    most = settings.TURN_UNTRUSTED_BYTES_MAX
    # Room for the event around it.
    depth, nodes = settings.JSON_DEPTH_MAX - 6, settings.JSON_NODES_MAX - 1_000
    return storable(value, JsonLimits(most, depth, nodes))


def _legible(text: str) -> str:
    return text.encode(errors="replace").decode()[:100]
