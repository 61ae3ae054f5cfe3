"""Calls of the target: effects, with their intent before and their outcome after, and their undoing."""

from orchestrator.core import events as ev
from orchestrator.core.codec import Json
from tests.simulator.engine import Claimed, Ending, Step
from tests.simulator.jobs import Job, Tell, ended
from tests.simulator.options import LEASE_MS
from tests.simulator.schedule import FOREVER_MS, Waiting
from tests.simulator.tables import EffectRow
from tests.simulator.target import Away, Refused, Silent
from tests.simulator.world import World

EFFECT_TRIES_MAX = 6
ROLLBACK_TRIES_MAX = 5


def run_effect(world: World, job: Job, tell: Tell) -> Waiting:
    """The intent, the call, the outcome."""
    claimed = job.claimed
    yield None
    effect = world.tables.effects[claimed.payload["effect"]]
    may_have_happened = effect.may_have_happened or effect.status == "calling"
    started = Step(
        claimed.run,
        ev.EffectStarted(
            proposal=effect.proposal, effect=effect.id, digest=effect.digest, executor="sim"
        ),
    )
    says_so_later = world.is_mutant("the intent is not written before the call")
    if not says_so_later:
        tell(job, Ending(claimed, "running", (started,)))
        while job.stored is None and not job.is_void:
            yield FOREVER_MS
        if not job.stored or job.is_void:
            tell(job, None)
            return
    yield None
    if may_have_happened and not _may_call_again(world):
        tell(job, _ended_without_receipt(world, claimed, effect, lost=True))
        return
    if world.strikes("target slow", 0.3):
        yield world.chance.uniform(0, 1.5 * LEASE_MS)
    ending = _call_target(world, claimed, effect, may_have_happened)
    yield None
    if says_so_later:
        ending = Ending(claimed, ending.status, (started, *ending.steps), ending.after_ms)
    tell(job, ending)


def _call_target(
    world: World, claimed: Claimed, effect: EffectRow, may_have_happened: bool
) -> Ending:
    key = effect.id
    if world.is_mutant("a key for each attempt"):
        key = f"{effect.id} {claimed.tries}"
    common = {"proposal": effect.proposal, "effect": effect.id}
    try:
        if world.strikes("target away", 0.3):
            raise Away("no line")
        world.auditor.see_call(effect, world.schedule.now)
        receipt = world.target.call(
            key,
            refuses=world.strikes("target refuses", 0.2),
            falls_silent=world.strikes("target silent after it executed", 0.3),
        )
    except (Away, Silent) as error:
        is_silent = isinstance(error, Silent)
        if claimed.tries < EFFECT_TRIES_MAX and (_may_call_again(world) or not is_silent):
            rests = "" if is_silent else effect.id
            return Ending(claimed, "pending", after_ms=500.0 * claimed.tries, rests=rests)
        lost = may_have_happened or is_silent
    except Refused:
        lost = may_have_happened
    else:
        return ended(claimed, "done", ev.EffectSucceeded(receipt={"entry": receipt}, **common))
    return _ended_without_receipt(world, claimed, effect, lost=lost)


def _may_call_again(world: World) -> bool:
    mutant = "careless targets are called again"
    return world.target.is_repeatable or world.is_mutant(mutant)


def _ended_without_receipt(
    world: World, claimed: Claimed, effect: EffectRow, *, lost: bool
) -> Ending:
    common = {"proposal": effect.proposal, "effect": effect.id}
    error_said: dict[str, Json] = {"code": "effect-failed", "reason": "no receipt"}
    if lost and not world.is_mutant("what is unknown is called a failure"):
        lost_here = ev.EffectLost(error=error_said, item=f"lost-{claimed.id}", **common)
        return ended(claimed, "failed", lost_here)
    return ended(claimed, "failed", ev.EffectFailed(error=error_said, **common))


def roll_back(world: World, job: Job, tell: Tell) -> Waiting:
    """The call and its outcome: its key makes a repeat harmless, so that no intent is needed."""
    yield None
    effect = world.tables.effects[job.claimed.payload["effect"]]
    if world.strikes("target slow", 0.3):
        yield world.chance.uniform(0, 1.5 * LEASE_MS)
    ending = _call_undo(world, job.claimed, effect)
    yield None
    tell(job, ending)


def _call_undo(world: World, claimed: Claimed, effect: EffectRow) -> Ending:
    key = f"{effect.id}:undo"
    if world.is_mutant("a key for each undoing"):
        key = f"{effect.id}:undo {claimed.tries}"
    try:
        if world.strikes("target away", 0.3):
            raise Away("no line")
        world.auditor.reviews.see_undoing(effect)
        receipt = world.target.undo(
            key,
            refuses=world.strikes("target refuses", 0.2),
            falls_silent=world.strikes("target silent after it executed", 0.3),
        )
    except (Away, Silent):
        return rollback_interrupted(world, claimed)
    except Refused:
        return _not_rolled_back(claimed)
    done = ev.RollbackDone(proposal=effect.proposal, effect=effect.id, receipt={"entry": receipt})
    return ended(claimed, "done", done)


def rollback_interrupted(world: World, claimed: Claimed) -> Ending:
    """Again while that may help, whether it reached the target or not."""
    if world.is_mutant("silence is taken for an undoing"):
        return ended(claimed, "done", ev.RollbackDone(receipt={}, **_names(claimed)))
    if claimed.tries < ROLLBACK_TRIES_MAX:
        return Ending(claimed, "pending", after_ms=500.0 * claimed.tries)
    return _not_rolled_back(claimed)


def _not_rolled_back(claimed: Claimed) -> Ending:
    error: dict[str, Json] = {"code": "effect-failed", "reason": "no receipt"}
    failed = ev.RollbackFailed(error=error, item=f"stuck-{claimed.id}", **_names(claimed))
    return ended(claimed, "failed", failed)


def _names(claimed: Claimed) -> dict[str, str]:
    return {"proposal": claimed.payload["proposal"], "effect": claimed.payload["effect"]}
