"""Roll an effect back: the call in no transaction, and its outcome in one.

An executor that declares how is called with a key of its own, the same at every attempt, so that
undoing twice undoes once. What cannot be undone still stands, and is put before a person.
"""

import logging
from typing import Any

from orchestrator.core import events as ev
from orchestrator.core.codec import Json, JsonLimits, storable
from orchestrator.core.errors import EffectError, EffectInterrupted, EffectRefused
from orchestrator.effects import registry as executors
from orchestrator.effects.base import EffectCall
from orchestrator.engine import perform
from orchestrator.engine.advance import Ending, Step
from orchestrator.engine.claim import Claimed
from orchestrator.engine.unsettled import not_undone
from orchestrator.failpoints import failpoint
from orchestrator.models import Effect

logger = logging.getLogger(__name__)

TRIES_MAX = 5
RECEIPT_BYTES_MAX = 50_000


def roll_back(claimed: Claimed, effect: Effect, record: perform.Record) -> Ending | None:
    """Whoever was frozen since the claim undoes nothing that people have settled meanwhile."""
    if not perform.may_begin(claimed, record):
        return None
    try:
        receipt = _call(effect)
    except EffectError as error:
        return failed(claimed, effect, error)
    failpoint("rolled-back-not-recorded")
    done = ev.RollbackDone(proposal=effect.proposal_id, effect=effect.pk, receipt=receipt)
    return Ending(claimed, "done", [Step(claimed.run, done, claimed.once)])


def overdue(claimed: Claimed, effect: Effect, timeout_s: float) -> Ending:
    return failed(claimed, effect, EffectInterrupted(f"no answer within {timeout_s:g} s"))


def failed(claimed: Claimed, effect: Effect, error: EffectError) -> Ending:
    """Again while that may help: the key makes a repeat harmless."""
    described = perform.describe(error, claimed)
    if error.retryable and claimed.tries < TRIES_MAX:
        wait_s = min(perform.BACKOFF_FIRST_S * 2**claimed.tries, perform.BACKOFF_MAX_S)
        return Ending(claimed, "pending", error=described, after_s=wait_s)
    return ended(claimed, effect, described)


def ended(claimed: Claimed, effect: Effect, described: dict[str, Json]) -> Ending:
    event = not_undone(effect, described)
    return Ending(claimed, "failed", [Step(claimed.run, event, claimed.once)], error=described)


def _call(effect: Effect) -> dict[str, Any]:
    undo = executors.undo_of(executors.find(effect.executor))
    if undo is None:
        raise EffectRefused(f"the executor {effect.executor} declares no way to undo it")
    call = EffectCall(
        key=f"{effect.idempotency_key}:undo",
        action=effect.proposal.action,
        target=effect.proposal.target,
        args=effect.proposal.args,
        payload=effect.proposal.payload,
    )
    try:
        receipt: dict[str, Any] = undo(call, effect.receipt or {})
    except EffectError:
        raise
    except Exception as error:
        logger.exception("executor %s could not undo %s", effect.executor, effect.pk)
        raise EffectInterrupted(f"{type(error).__name__}: {error}") from error
    if not storable(receipt, JsonLimits(bytes_max=RECEIPT_BYTES_MAX)):
        return {"target": effect.executor, "unreadable": repr(receipt)[:1_000].replace("\x00", "")}
    return receipt
