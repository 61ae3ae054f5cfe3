"""Proposals: taken in and disposed of in one transaction, where they stand for themselves or for another."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from orchestrator.core import commands as cm
from orchestrator.core import events as ev
from orchestrator.core.codec import read
from tests.simulator import limit, validators
from tests.simulator.engine import Claimed, Engine, Step
from tests.simulator.options import DUE_MS
from tests.simulator.tables import EffectRow, ProposalRow

UNSEEN = frozenset({"accept", "revise"})
JUDGEMENTS = ("accept", "accept", "accept", "hold", "escalate", "revise", "block")
# For how long people may take back what they decide about a proposal.
UNDO_S = (0, 1, 2, 4)


class BlockedError(Exception):
    """A rule blocks what a person wrote: nothing of it is kept."""


@dataclass(frozen=True, slots=True)
class Place:
    """The work of a run whose output it is, and which coming to it."""

    work: str = ""
    visit: int = 0
    asked: int = 0
    ask: int = 0


@dataclass(frozen=True, slots=True)
class Replaced:
    """The proposal in whose place a new one stands, and who put it there."""

    proposal: ProposalRow
    by: str
    # A person who wrote the new one. An agent's answer has none.
    editor: str = ""
    item: str | None = None
    # People had it already, so it comes back to people.
    asked_by_people: bool = True


@dataclass(frozen=True, slots=True)
class Taken:
    """What is to be said of a proposal that was looked at."""

    row: ProposalRow
    judged: str
    effect: str | None
    events: tuple[ev.Event, ...]


def dispose(engine: Engine, claimed: Claimed, chance: Random) -> None:
    """All validators of it were heard. Rules are asked now, whatever they said when it came."""
    row = engine.tables.proposals[claimed.payload["proposal"]]
    after = _stood_for(engine, row)
    judged, needed = _judge(engine, chance, after)
    if engine.is_mutant("what was judged when it came still counts"):
        judged, needed = row.judged, 0
    if judged in UNSEEN and validators.is_in_doubt(engine, row.run, row.id):
        judged, needed = "escalate", 1
    engine.complete(claimed, *_dispose(engine, row, judged, needed, chance).events)


def submit(engine: Engine, run: str, name: str, chance: Random) -> None:
    """From outside, in a run of its own."""
    taken = _take_in(engine, ProposalRow(name, run, _digest_of(name)), chance, None)
    engine.advance([Step(run, event) for event in taken.events])
    _release_too_soon(engine, taken)


def propose(engine: Engine, claimed: Claimed, chance: Random) -> None:
    """What an agent of a run said, or its answer to what was sent back to it."""
    name = f"p-{claimed.id}"
    payload = claimed.payload
    ask = payload.get("ask", 0)
    asked = payload["output"] if ask else 0
    place = Place(payload["work"], payload.get("visit", 0), asked, ask)
    after = _asked_again(engine, claimed.run, place) if ask else _sent_back(engine, claimed)
    taken = _take_in(engine, _row_of(name, claimed.run, place, after), chance, after)
    engine.complete(claimed, *taken.events)
    _release_too_soon(engine, taken)


def replace_with(engine: Engine, after: Replaced, chance: Random) -> None:
    """A revision in the place of a proposal."""
    before = after.proposal
    name = f"{before.id}-r{before.revision + 1}"
    place = Place(before.work, before.visit, before.asked, before.ask)
    taken = _take_in(engine, _row_of(name, before.run, place, after), chance, after)
    engine.advance([Step(before.run, event) for event in taken.events])


def was_sent_back(engine: Engine, proposal: str) -> bool:
    """By a person, and not by its score."""
    return any(
        item.proposal == proposal and item.closed_because == "sent back"
        for item in engine.tables.items.values()
    )


def _sent_back(engine: Engine, claimed: Claimed) -> Replaced | None:
    """What the agent was handed back, unless that is over meanwhile."""
    known = engine.state_of(claimed.run).works.get(claimed.payload["work"])
    before = known.inputs.get("sent_back") if known is not None else None
    row = engine.tables.proposals.get(str(before))
    if row is None or row.status != "revision_requested":
        return None
    return Replaced(row, by="a", asked_by_people=was_sent_back(engine, row.id))


def _asked_again(engine: Engine, run: str, place: Place) -> Replaced | None:
    """What the same call of the agent asked for before, and was sent back."""
    for row in engine.tables.proposals.values():
        if (row.run, row.work, row.visit) == (run, place.work, place.visit) and row.asked:
            same = _index_of(engine, run, row.asked) == _index_of(engine, run, place.asked)
            if same and row.status == "revision_requested":
                return Replaced(row, by="a", asked_by_people=was_sent_back(engine, row.id))
    return None


def _index_of(engine: Engine, run: str, asked: int) -> int:
    data = read(engine.tables.events[run, asked].payload)
    return int(str(data.get("index", 0))) if isinstance(data, dict) else 0


def _digest_of(name: str) -> str:
    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()


def _row_of(name: str, run: str, place: Place, after: Replaced | None) -> ProposalRow:
    return ProposalRow(
        name,
        run,
        _digest_of(name),
        work=place.work,
        visit=place.visit,
        asked=place.asked,
        ask=place.ask,
        revises=after.proposal.id if after else "",
        revision=after.proposal.revision + 1 if after else 1,
    )


def _take_in(engine: Engine, row: ProposalRow, chance: Random, after: Replaced | None) -> Taken:
    judged, needed = _judge(engine, chance, after)
    row = replace(row, judged=judged)
    engine.tables.proposals.insert(row.id, row)
    came = tuple(_received(engine, row, after))
    if judged in UNSEEN and chance.random() < validators.SHARE:
        return Taken(row, judged, None, (*came, validators.request(row.id, chance)))
    taken = _dispose(engine, row, judged, needed, chance)
    return replace(taken, events=(*came, *taken.events))


def _stood_for(engine: Engine, row: ProposalRow) -> Replaced | None:
    before = engine.tables.proposals.get(row.revises)
    if before is None:
        return None
    return Replaced(before, by="a", asked_by_people=was_sent_back(engine, before.id))


def _dispose(engine: Engine, row: ProposalRow, judged: str, needed: int, chance: Random) -> Taken:
    due_at = engine.now + DUE_MS if judged == "revise" else 0.0
    engine.tables.proposals[row.id] = replace(engine.tables.proposals[row.id], due_at=due_at)
    item = _open_item(engine, row, needed, chance) if needed else None
    effect = None
    if judged == "accept" or engine.is_mutant("effects are released with the proposal"):
        effect = f"eff-{row.id}"
        engine.tables.effects.insert(effect, EffectRow(effect, row.run, row.id, row.digest))
    disposed = ev.ProposalDisposed(
        proposal=row.id,
        disposition=judged,
        score=0.5,
        policy_version=1,
        rules=(),
        approvals_needed=needed,
        item=item,
        effect=effect,
    )
    return Taken(row, judged, effect, (disposed,))


def _judge(engine: Engine, chance: Random, after: Replaced | None) -> tuple[str, int]:
    """What the guardrails make of it is drawn. An edit is never just let through."""
    judged = chance.choice(JUDGEMENTS)
    if judged == "accept" and limit.is_reached(engine.tables.proposals.values()):
        judged = "hold"
    needed = chance.randint(1, 2) if judged in {"hold", "escalate"} else 0
    if after is None:
        return judged, needed
    if after.editor and judged == "block":
        raise BlockedError
    if judged == "block" or needed or not after.asked_by_people:
        return judged, needed
    if engine.is_mutant("edits are judged like anything else"):
        return judged, needed
    return "hold", 1


def _open_item(engine: Engine, row: ProposalRow, needed: int, chance: Random) -> str:
    return engine.open_item(
        row.run,
        "proposal",
        proposal=row.id,
        digest=row.digest,
        approvals_needed=needed,
        undo_s=chance.choice(UNDO_S),
    )


def _received(
    engine: Engine, row: ProposalRow, after: Replaced | None
) -> Iterator[ev.ProposalSuperseded | ev.ProposalReceived]:
    still_stands = engine.is_mutant("what is revised still stands")
    if after is not None and not still_stands:
        yield ev.ProposalSuperseded(
            proposal=after.proposal.id, revision=row.id, by=after.by, item=after.item
        )
    yield ev.ProposalReceived(
        proposal=row.id,
        action="refund.create",
        digest=row.digest,
        agent="a",
        agent_version="1",
        model="m",
        work=row.work,
        visit=row.visit,
        asked=row.asked,
        ask=row.ask,
        revises="" if still_stands else row.revises,
        edited_by=after.editor if after else "",
    )


def _release_too_soon(engine: Engine, taken: Taken) -> None:
    """What only one of the mutants does."""
    if taken.effect and taken.judged != "accept":
        row = taken.row
        early = cm.RunEffect(proposal=row.id, effect=taken.effect, digest=row.digest)
        engine.want(row.run, 1, early, False)
