"""What a call that goes on is handed: what its agent wanted kept, and what became of each of its asks.

Commands name all of it by sequence number. The words of people come from their decisions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator import handed_queries
from orchestrator.core.codec import Json, read
from orchestrator.engine import sql
from orchestrator.engine.claim import Claimed
from orchestrator.engine.tainting import NOTHING, Heard, and_receipt
from orchestrator.models import Effect
from orchestrator.tool_queries import ONCE, REPEATABLE

_EVENTS = """
    SELECT e.run_id, e.seq, e.kind, e.payload
      FROM unnest(%(runs)s::text[], %(seqs)s::integer[]) AS t(run, seq)
      JOIN orchestrator_event e ON e.run_id = t.run AND e.seq = t.seq
"""


@dataclass(frozen=True, slots=True)
class TurnBefore:
    memory: Json = None
    answers: tuple[dict[str, Json], ...] = ()
    # What tools said up to here, what was asked for among it.
    heard: Heard = NOTHING
    # What of shared memory it was handed up to here.
    recalled: tuple[tuple[str, str], ...] = ()


NO_TURN = TurnBefore()

type Place = tuple[str, int]
type Told = tuple[str, dict[str, Any]]


def load(claims: Sequence[Claimed]) -> dict[int, TurnBefore]:
    """By command; those in their first turn have none."""
    later = [claimed for claimed in claims if claimed.payload.get("asked")]
    if not later:
        return {}
    events = _read_events(later)
    return {claimed.id: _turn_before(claimed, events) for claimed in later}


def _read_events(claims: Sequence[Claimed]) -> dict[Place, Told]:
    places = {
        (claimed.run, seq)
        for claimed in claims
        for seq in (claimed.payload["asked"], *claimed.payload["answers"])
    }
    wanted = {"runs": [run for run, _ in places], "seqs": [seq for _, seq in places]}
    rows = sql.execute(_EVENTS, wanted).fetchall()
    found: dict[Place, Told] = {}
    for run, seq, kind, payload in rows:
        data = read(payload)
        found[run, seq] = kind, data if isinstance(data, dict) else {}
    return found


def _turn_before(claimed: Claimed, events: Mapping[Place, Told]) -> TurnBefore:
    _, said = events[claimed.run, claimed.payload["asked"]]
    answers = tuple(
        handed_queries.answer(ask, *events[claimed.run, seq])
        for ask, seq in zip(said["asks"], claimed.payload["answers"], strict=True)
    )
    heard = Heard.of(said)
    for ask, seq in zip(said["asks"], claimed.payload["answers"], strict=True):
        _, facts = events[claimed.run, seq]
        if (words := _words_from_outside(facts)) is not None:
            heard = and_receipt(heard, str(ask["tool"]), words, ask.get("args"))
    recalled = tuple((pk, mark) for pk, mark in said.get("recalled", ()))
    return TurnBefore(memory=said.get("memory"), answers=answers, heard=heard, recalled=recalled)


def _words_from_outside(facts: Mapping[str, Any]) -> Json:
    """What somebody else's system said when an effect was tried.

    An executor is code of this house, as is a function behind a tool, and receipts of theirs are believed:
    else no letter could name the refund that it is about. What stands behind an address, an MCP server or
    another agent says what it likes.
    """
    receipt, error = facts.get("receipt") or {}, facts.get("error")
    if "effect" not in facts or not (receipt or error):
        return None
    effect = Effect.objects.only("executor").get(pk=facts["effect"])
    if effect.executor not in {ONCE, REPEATABLE}:
        return None
    if error:
        return str(error.get("reason", ""))
    own = receipt.get("backend") == "function"
    return None if own else {name: receipt.get(name) for name in ("said", "notes")}
