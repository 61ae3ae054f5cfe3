"""An answer as an agent outside writes it. Whatever it claims, who was asked is known here."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings

from orchestrator.agents.base import AgentAnswer, Ask, Piece, Usage, shorten
from orchestrator.agents.offered import Offered, wrong_with
from orchestrator.agents.scripted import FAILURES
from orchestrator.core.codec import Json
from orchestrator.core.errors import AgentError, AgentUnavailable, OutputInvalid

PIECES_MAX = 200
ASKS_MAX = 50
COUNT_MAX = 10**15
RETRY_AFTER_MAX_S = 86_400.0


def failure_in(whole: Json) -> AgentError | None:
    """`{"error": {"code", "reason"}}` in place of an answer."""
    told = whole.get("error") if isinstance(whole, dict) else None
    if not isinstance(told, dict):
        return None
    kind = FAILURES.get(str(told.get("code")), AgentError)
    error = kind(shorten(str(told.get("reason", "it does not say why"))))
    if isinstance(error, AgentUnavailable) and _is_number(told.get("retry_after_s")):
        error.retry_after_s = min(max(float(told["retry_after_s"]), 0.0), RETRY_AFTER_MAX_S)  # type: ignore[arg-type]
    if "usage" in told:
        error.usage = _usage(told["usage"])
    return error


def read_answer(
    whole: Json, *, offered: Offered, known: Mapping[str, str], turn: int
) -> AgentAnswer:
    if not isinstance(whole, dict) or not ("output" in whole or whole.get("asks")):
        raise OutputInvalid('it is not an answer: an object with "output", or with "asks".')
    told_pieces = _list(whole, "pieces", PIECES_MAX)
    pieces = tuple(map(_piece, told_pieces))
    return AgentAnswer(
        output=whole.get("output"),
        usage=_usage(whole.get("usage")),
        agent=_agent(whole.get("agent"), known),
        pieces=pieces,
        untrusted=tuple(_cut_from(told_pieces, pieces)),
        asks=tuple(
            _ask(told, offered, f"{turn}.{place}")
            for place, told in enumerate(_list(whole, "asks", ASKS_MAX), start=1)
        ),
        memory=whole.get("memory"),
    )


def _usage(told: Json) -> Usage:
    """Without a word on money nobody knows what it cost, which is not nothing."""
    if told is None:
        return Usage(money_micros=None)
    found = _object(told, "usage")
    money = found.get("money_micros")
    return Usage(
        _count(found, "tokens_in"),
        _count(found, "tokens_out"),
        None if money is None else _count(found, "money_micros"),
    )


def _agent(told: Json, known: Mapping[str, str]) -> dict[str, str]:
    said = {} if told is None else _object(told, "agent")
    return {shorten(name, 60): shorten(str(value), 200) for name, value in said.items()} | dict(
        known
    )


def _piece(told: Json) -> Piece:
    found, most = _object(told, "pieces"), settings.TRACE_TEXT_MAX
    if found.get("kind") not in {"model", "tool"}:
        raise OutputInvalid("the kind of each of its pieces has to be model or tool.")
    notes = found.get("notes") or []
    return Piece(
        kind=str(found["kind"]),
        name=shorten(str(found.get("name", "")), 200),
        began_ms=_count(found, "began_ms"),
        took_ms=_count(found, "took_ms"),
        usage=_usage(found.get("usage")),
        error=shorten(str(found.get("error") or "")),
        given=shorten(str(found.get("given") or ""), most),
        said=shorten(str(found.get("said") or ""), most),
        notes=tuple(shorten(str(note)) for note in (notes if isinstance(notes, list) else [])[:20]),
    )


def _cut_from(told: Sequence[Json], pieces: Sequence[Piece]) -> Iterator[Json]:
    """What tools said and the trace has not the whole of: what is followed must not end where that does."""
    for found, piece in zip(told, pieces, strict=True):
        if piece.kind == "tool" and isinstance(found, dict):
            for name, kept in (("said", piece.said), ("error", piece.error)):
                if (whole := str(found.get(name) or "")) != kept:
                    yield whole


def _ask(told: Json, offered: Offered, key: str) -> Ask:
    """Only of a tool that it was given and that writes; what it reads it has to read by itself."""
    found = _object(told, "asks")
    name, args = str(found.get("tool", "")), found.get("args")
    spec = next((spec for spec in offered.tools.values() if spec.name == name), None)
    if spec is None or spec.kind != "write":
        raise OutputInvalid(
            f"it asks for {shorten(name, 100)!r}, which is none of the tools that it may ask for."
        )
    problem = wrong_with(spec, args)
    if problem or not isinstance(args, dict):
        raise OutputInvalid(problem)
    return Ask(shorten(str(found.get("key") or key), 100), name, args)


def _list(whole: Mapping[str, Json], name: str, most: int) -> list[Json]:
    found = whole.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or len(found) > most:
        raise OutputInvalid(f"its {name} have to be a list of at most {most}.")
    return found


def _object(told: Json, name: str) -> dict[str, Json]:
    if not isinstance(told, dict):
        raise OutputInvalid(f"its {name} has to hold an object, not {type(told).__name__}.")
    return told


def _count(found: Mapping[str, Any], name: str) -> int:
    number = found.get(name, 0)
    if type(number) is not int or not 0 <= number <= COUNT_MAX:
        raise OutputInvalid(f"{name} is {shorten(repr(number), 50)}, not a whole number from 0.")
    return number


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
