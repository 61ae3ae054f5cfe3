"""What a call that goes on is handed: what its agent wanted kept, and what became of each of its asks.

Commands name all of it by sequence number. The words of people come from their decisions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator import revision_queries
from orchestrator.core.codec import Json, read
from orchestrator.engine import sql
from orchestrator.engine.claim import Claimed
from orchestrator.engine.tainting import NOTHING, Heard, and_receipt
from orchestrator.models import Decision, Effect, Proposal
from orchestrator.tool_queries import ONCE, REPEATABLE

_EVENTS = """
    SELECT e.run_id, e.seq, e.kind, e.payload
      FROM unnest(%(runs)s::text[], %(seqs)s::integer[]) AS t(run, seq)
      JOIN orchestrator_event e ON e.run_id = t.run AND e.seq = t.seq
"""
# How an event that settles an ask is told to whoever asked.
STATUS = {
    "work_asked": "refused",
    "ask_refused": "refused",
    "effect_succeeded": "done",
    "effect_failed": "failed",
    "proposal_rejected": "rejected",
    "proposal_expired": "expired",
    "proposal_withdrawn": "withdrawn",
    "revision_requested": "sent_back",
}
AFTER_DISPOSITION = {"block": "blocked", "revise": "sent_back"}
AFTER_SETTLING = {"happened": "done", "not_happened": "failed"}


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
        _answer(ask, *events[claimed.run, seq])
        for ask, seq in zip(said["asks"], claimed.payload["answers"], strict=True)
    )
    heard = Heard.of(said)
    for ask, seq in zip(said["asks"], claimed.payload["answers"], strict=True):
        _, facts = events[claimed.run, seq]
        if (words := _words_from_outside(facts)) is not None:
            heard = and_receipt(heard, str(ask["tool"]), words, ask.get("args"))
    recalled = tuple((pk, mark) for pk, mark in said.get("recalled", ()))
    return TurnBefore(memory=said.get("memory"), answers=answers, heard=heard, recalled=recalled)


def _answer(ask: Mapping[str, Json], kind: str, facts: Mapping[str, Any]) -> dict[str, Json]:
    answer: dict[str, Json] = {
        "key": ask["key"],
        "tool": ask["tool"],
        "status": _status(kind, facts),
    }
    if kind == "work_asked":
        return answer | {"error": ask.get("error")}
    if "proposal" in facts:
        answer["proposal"] = facts["proposal"]
    told = {name: facts[name] for name in ("receipt", "error", "reason") if facts.get(name)}
    return answer | told | _words(kind, facts)


def _status(kind: str, facts: Mapping[str, Any]) -> str:
    if kind == "proposal_disposed":
        return AFTER_DISPOSITION[facts["disposition"]]
    if kind == "effect_settled":
        return AFTER_SETTLING[facts["verdict"]]
    return STATUS[kind]


def _words(kind: str, facts: Mapping[str, Any]) -> dict[str, Json]:
    """What people and rules had to say about it, and what was done where somebody edited it."""
    if kind == "proposal_rejected":
        decision = Decision.objects.filter(pk=facts["decision"]).first()
        return {"note": decision.note} if decision and decision.note else {}
    if kind not in {"proposal_disposed", "revision_requested", "effect_succeeded"}:
        return {}
    proposal = Proposal.objects.get(pk=facts["proposal"])
    if kind == "effect_succeeded":
        return {"edited": True, "args": proposal.args} if proposal.edited_by_id else {}
    request = revision_queries.request_of(proposal)
    reasons: list[Json] = [reason.to_json() for reason in request.reasons]
    return {"reasons": reasons} | ({"asked": request.asked} if request.asked else {})


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
