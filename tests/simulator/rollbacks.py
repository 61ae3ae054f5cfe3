"""Rolling back what was done, where its target can do so twice without harm."""

from orchestrator.core import events as ev
from tests.simulator.decisions import RefusedError
from tests.simulator.engine import Engine, Step


def request(engine: Engine, effect_id: str, *, can_be_undone: bool) -> None:
    """The worker does it; a failure is put before people."""
    effect = engine.tables.effects[effect_id]
    if not engine.is_mutant("who failed to roll back is not waited for"):
        _check_not_failed(engine, effect.proposal)
    if effect.status != "done" or not can_be_undone:
        raise RefusedError("nothing was done, or nothing undoes it")
    wanted = ev.RollbackRequested(
        proposal=effect.proposal, effect=effect.id, by="rita", reason="wrong"
    )
    engine.advance([Step(effect.run, wanted)])


def _check_not_failed(engine: Engine, proposal: str) -> None:
    """While people are asked what becomes of a roll back that failed, there is no second one."""
    for item in engine.tables.items.values():
        is_asked = item.proposal == proposal and item.kind == "failed_compensation"
        if is_asked and item.status == "waiting":
            raise RefusedError("rolling it back failed before, and people are asked about that")
