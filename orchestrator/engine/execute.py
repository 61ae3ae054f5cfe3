"""Execute claimed commands: the intent in one transaction, the call in none, the outcome in another."""

import logging
import os
import socket
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from orchestrator.core import events as ev
from orchestrator.core.codec import digest
from orchestrator.core.errors import CountersignError, EffectError, EffectInterrupted
from orchestrator.effects.base import EffectCall
from orchestrator.effects.registry import EXECUTORS
from orchestrator.engine import claim
from orchestrator.engine.advance import Step, advance
from orchestrator.engine.claim import Claimed
from orchestrator.models import Command, Effect

logger = logging.getLogger(__name__)

BACKOFF_FIRST_S = 1.0
BACKOFF_MAX_S = 300.0
WORKER = f"{socket.gethostname()}:{os.getpid()}"


def queue_of(command: int) -> str | None:
    return Command.objects.filter(pk=command).values_list("queue", flat=True).first()


def work_shift(queue: str, *, at_most: int) -> int:
    """Drain a queue; says how many commands were run."""
    for done in range(at_most):
        claimed = claim.claim(queue, worker=WORKER)
        if claimed is None:
            return done
        run(claimed)
    return at_most


def run(claimed: Claimed) -> None:
    """One command to its end. A lost lease ends it quietly: whoever took over will finish it."""
    effect = _begin(claimed)
    if effect is None:
        return
    try:
        receipt = _call(effect)
    except EffectError as error:
        _fail(claimed, effect, error)
    else:
        _succeed(claimed, effect, receipt)


def _begin(claimed: Claimed) -> Effect | None:
    """Write down what is about to be called. What does not match what was approved is never called."""
    with transaction.atomic():
        if claim.still_ours(claimed).select_for_update().first() is None:
            return None
        effect = (
            Effect.objects.select_for_update(of=("self",))
            .select_related("proposal")
            .get(pk=claimed.payload["effect"])
        )
        problem = _mismatch(effect, claimed)
        if problem is not None:
            _record_failure(claimed, effect, problem)
            return None
        started = ev.EffectStarted(
            proposal=effect.proposal_id,
            effect=effect.pk,
            digest=effect.payload_digest,
            executor=effect.executor,
        )
        advance([Step(effect.proposal.run_id, started)])
        # Still CALLING: an earlier call never came back, so from now on it may have happened.
        effect.may_have_happened |= effect.status == Effect.Status.CALLING
        Effect.objects.filter(pk=effect.pk).update(
            status=Effect.Status.CALLING,
            called_at=Now(),
            may_have_happened=effect.may_have_happened,
        )
    return effect


def _mismatch(effect: Effect, claimed: Claimed) -> EffectError | None:
    stored = digest(effect.proposal.payload)
    if stored == effect.payload_digest == claimed.payload["digest"]:
        return None
    return EffectError(
        f"the stored payload is {stored}, what was accepted is {effect.payload_digest}"
    )


def _call(effect: Effect) -> dict[str, Any]:
    """Outside any transaction. What an executor did not foresee may have happened all the same."""
    call = EffectCall(
        key=effect.idempotency_key,
        action=effect.proposal.action,
        target=effect.proposal.target,
        args=effect.proposal.args,
        payload=effect.proposal.payload,
    )
    try:
        return EXECUTORS[effect.executor].call(call)
    except EffectError:
        raise
    except Exception as error:
        logger.exception("executor %s failed on %s", effect.executor, effect.pk)
        raise EffectInterrupted(f"{type(error).__name__}: {error}") from error


def _succeed(claimed: Claimed, effect: Effect, receipt: dict[str, Any]) -> None:
    with transaction.atomic():
        if not claim.finish(claimed, status=Command.Status.DONE):
            return
        Effect.objects.filter(pk=effect.pk).update(
            status=Effect.Status.DONE, receipt=receipt, error=None, finished_at=Now()
        )
        event = ev.EffectSucceeded(proposal=effect.proposal_id, effect=effect.pk, receipt=receipt)
        advance([Step(claimed.run, event, key=f"cmd:{claimed.id}")])


def _fail(claimed: Claimed, effect: Effect, error: EffectError) -> None:
    """Again later while that may help; an outage of the target must not cost accepted work."""
    if error.retryable and _may_try_again(effect):
        _put_back(claimed, effect, error)
        return
    with transaction.atomic():
        _record_failure(claimed, effect, error)


def _may_try_again(effect: Effect) -> bool:
    given_up = Now() - timedelta(minutes=settings.EFFECT_RETRY_MINUTES)
    return Effect.objects.filter(pk=effect.pk, created_at__gt=given_up).exists()


def _put_back(claimed: Claimed, effect: Effect, error: EffectError) -> None:
    wait_s = min(BACKOFF_FIRST_S * 2 ** min(claimed.tries - 1, 16), BACKOFF_MAX_S)
    with transaction.atomic():
        ours = claim.put_back(claimed, after_s=wait_s, error=_described(error, claimed))
        if ours and not isinstance(error, EffectInterrupted):
            # Nothing reached the target, so this call is not one that may have happened.
            Effect.objects.filter(pk=effect.pk).update(status=Effect.Status.PENDING)


def _record_failure(claimed: Claimed, effect: Effect, error: EffectError) -> None:
    described = _described(error, claimed)
    if not claim.finish(claimed, status=Command.Status.FAILED, error=described):
        return
    lost = effect.may_have_happened or isinstance(error, EffectInterrupted)
    end_effect(effect, described, key=f"cmd:{claimed.id}", lost=lost)


def end_effect(effect: Effect, error: dict[str, Any], *, key: str, lost: bool) -> None:
    """Without a receipt. Also called by the sweeper, for a command that keeps killing its worker."""
    status = Effect.Status.UNKNOWN if lost else Effect.Status.FAILED
    Effect.objects.filter(pk=effect.pk).update(status=status, error=error, finished_at=Now())
    kind = ev.EffectLost if lost else ev.EffectFailed
    event = kind(proposal=effect.proposal_id, effect=effect.pk, error=error)
    advance([Step(effect.proposal.run_id, event, key=key)])


def _described(error: CountersignError, claimed: Claimed) -> dict[str, Any]:
    """Structured, so that who, where, why and whether to retry survive to the page."""
    return {
        "code": error.code,
        "reason": str(error),
        "where": WORKER,
        "tries": claimed.tries,
        "retryable": isinstance(error, EffectError) and error.retryable,
    }
