"""Revisions: another proposal in the place of one, written by a person or by its agent."""

from dataclasses import replace
from random import Random

from tests.simulator import decisions, proposals
from tests.simulator.decisions import RefusedError
from tests.simulator.engine import Engine
from tests.simulator.proposals import Replaced
from tests.simulator.tables import ItemRow, ProposalRow

# How often a proposal is revised at most; then people decide about it as it is.
REVISIONS_MAX = 3


def edit(engine: Engine, seen: ItemRow, person: str, chance: Random) -> None:
    """A decision that closes the item, and what was edited before people in its place."""
    before = engine.tables.proposals[seen.proposal]
    _check_rounds(before)
    item = decisions.check_open(engine, seen, person)
    decisions.record(engine, item, person, "edit")
    if not engine.is_mutant("what was edited can still be decided"):
        engine.tables.items[item.id] = replace(
            item, status="decided", closed_because="edited", version=item.version + 1
        )
    after = Replaced(before, by=person, editor=person, item=item.id)
    proposals.replace_with(engine, after, chance)


def answer(engine: Engine, proposal: str, chance: Random) -> None:
    """An outside agent's answer to what was sent back to it."""
    before = engine.tables.proposals[proposal]
    is_asked = before.status == "revision_requested"
    if not is_asked and not engine.is_mutant("agents answer what nobody asks any more"):
        raise RefusedError(f"it is {before.status}")
    _check_rounds(before)
    by_people = proposals.was_sent_back(engine, proposal)
    proposals.replace_with(engine, Replaced(before, by="a", asked_by_people=by_people), chance)


def _check_rounds(before: ProposalRow) -> None:
    if before.revision > REVISIONS_MAX:
        raise RefusedError("it was revised often enough")
