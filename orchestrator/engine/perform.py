"""Run what was claimed: the call in no transaction, its intent and its outcome in one each.

A performer says what became of its command. Where something has to be stored before the call, it asks
for it through `record` and goes on once that is durable, or not at all.
"""

import hashlib
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from orchestrator.agents import registry as agents
from orchestrator.agents.base import AgentAnswer, AgentCall
from orchestrator.core import definitions, schemas
from orchestrator.core import events as ev
from orchestrator.core.codec import Json, JsonLimits, canonical, digest, storable
from orchestrator.core.commands import Dispose, TellParent
from orchestrator.core.errors import (
    AgentError,
    AgentTimedOut,
    CountersignError,
    EffectError,
    EffectInterrupted,
    EffectLeftOpen,
    OutputInvalid,
)
from orchestrator.effects import registry as executors
from orchestrator.effects.base import EffectCall, Executor
from orchestrator.engine.advance import Ending, Step
from orchestrator.engine.claim import Claimed
from orchestrator.engine.inputs import ForAgent
from orchestrator.failpoints import failpoint
from orchestrator.models import Effect

logger = logging.getLogger(__name__)

BACKOFF_FIRST_S = 1.0
BACKOFF_MAX_S = 300.0
REASON_LENGTH_MAX = 2_000

# Stores what it is given with the command's token; false means that the command is somebody else's.
type Record = Callable[[Ending], bool]


def here() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def call_agent(claimed: Claimed, given: ForAgent, record: Record) -> Ending:
    began = time.monotonic()
    call = _agent_call(claimed, given)
    try:
        answer = agents.find(call.config).call(call)
        _check_output(given, call, answer)
    except AgentError as error:
        return agent_failed(claimed, error, took_ms=_since(began))
    failpoint("agent-answered-not-recorded")
    event = ev.WorkFinished(
        work=call.work,
        attempt=call.attempt,
        index=call.index,
        visit=claimed.payload["visit"],
        output=answer.output,
        tokens_in=answer.usage.tokens_in,
        tokens_out=answer.usage.tokens_out,
        money_micros=answer.usage.money_micros,
        took_ms=_since(began),
        seed=call.seed,
        agent=answer.agent,
    )
    return Ending(claimed, "done", [Step(claimed.run, event, claimed.once)])


def agent_timeout_s(claimed: Claimed, given: ForAgent) -> float:
    return definitions.timeout_s(given.definition, claimed.payload["work"])


def agent_overdue(claimed: Claimed, timeout_s: float) -> Ending:
    """The thread is still at it. Whatever it says later comes too late."""
    error = AgentTimedOut("the worker gave up waiting", timeout_s=timeout_s)
    return agent_failed(claimed, error, took_ms=int(timeout_s * 1000))


def agent_failed(claimed: Claimed, error: CountersignError, *, took_ms: int = 0) -> Ending:
    described = describe(error, claimed)
    event = ev.WorkFailed(
        work=claimed.payload["work"],
        attempt=claimed.payload.get("attempt", 1),
        index=claimed.payload.get("index", 0),
        visit=claimed.payload.get("visit", 0),
        error=described,
        took_ms=took_ms,
    )
    return Ending(claimed, "failed", [Step(claimed.run, event, claimed.once)], error=described)


def desk_failed(claimed: Claimed, error: CountersignError) -> Ending:
    """A run that asked for the impossible hears why; one that only wanted to tell somebody need not.

    Nor does one whose proposal is over before it was disposed of.
    """
    if claimed.kind in {TellParent.kind, Dispose.kind}:
        return Ending(claimed, "failed", error=describe(error, claimed))
    return agent_failed(claimed, error)


def _agent_call(claimed: Claimed, given: ForAgent) -> AgentCall:
    payload = claimed.payload
    key = f"{claimed.run}/{payload['work']}/{payload['visit']}/{payload.get('index', 0)}"
    return AgentCall(
        key=key,
        run=claimed.run,
        work=payload["work"],
        index=payload.get("index", 0),
        attempt=payload["attempt"],
        intent=given.intent,
        inputs=given.inputs,
        item=given.item,
        seed=int.from_bytes(hashlib.sha256(key.encode()).digest()[:6]),
        timeout_s=definitions.timeout_s(given.definition, payload["work"]),
        config=definitions.agent_config(given.definition, payload["work"]),
    )


def _check_output(given: ForAgent, call: AgentCall, answer: AgentAnswer) -> None:
    """Between two works stands a schema: what does not fit goes no further."""
    if not storable(answer.output):
        raise OutputInvalid("it holds text or numbers that cannot be stored", pointer="")
    _check_size(given, call, answer)
    schema = definitions.output_schema(given.definition, call.work)
    problems = schemas.check(schema, answer.output) if schema is not None else []
    if problems:
        raise OutputInvalid(problems[0].reason, pointer=problems[0].pointer)


def _check_size(given: ForAgent, call: AgentCall, answer: AgentAnswer) -> None:
    """What a machine keeps for its guards, and what comes in hundreds, has to be small."""
    most = settings.SHORT_OUTPUT_BYTES_MAX
    is_kept = given.definition["pattern"] == "machine" or call.item is not None
    if is_kept and len(canonical(answer.output).encode()) > most:
        raise OutputInvalid(
            f"a state of a machine or a part of a fan-out may say at most {most:,} bytes",
            pointer="",
        )


def run_effect(claimed: Claimed, effect: Effect, record: Record) -> Ending | None:
    """Write down what is about to be called, call it, and say what came of it."""
    # Still CALLING: an earlier call never came back, so from now on it may have happened.
    effect.may_have_happened |= effect.status == Effect.Status.CALLING
    try:
        executor = _executor_for(effect, claimed)
    except EffectError as error:
        return _effect_failed(claimed, effect, error)
    started = ev.EffectStarted(
        proposal=effect.proposal_id,
        effect=effect.pk,
        digest=effect.payload_digest,
        executor=effect.executor,
    )
    if not may_begin(claimed, record, [Step(claimed.run, started)]):
        return None
    try:
        receipt = _call(executor, effect)
    except EffectError as error:
        return _effect_failed(claimed, effect, error)
    failpoint("effect-called-not-recorded")
    event = ev.EffectSucceeded(proposal=effect.proposal_id, effect=effect.pk, receipt=receipt)
    return Ending(claimed, "done", [Step(claimed.run, event, claimed.once)])


def may_begin(claimed: Claimed, record: Record, intent: Sequence[Step] = ()) -> bool:
    """Just before a target is called: the command is still ours, and what is intended is written down."""
    asked = time.monotonic()
    if not record(Ending(claimed, "running", intent)):
        return False
    failpoint("intent-written")
    # Storing it began the lease anew. If this process was frozen since, somebody else may have the command.
    return time.monotonic() - asked <= settings.COMMAND_LEASE_S


def _executor_for(effect: Effect, claimed: Claimed) -> Executor:
    """Unless what is stored is not what was accepted, or calling again might do it twice."""
    stored = digest(effect.proposal.payload)
    if not stored == effect.payload_digest == claimed.payload["digest"]:
        raise EffectError(
            f"the stored payload is {stored}, what was accepted is {effect.payload_digest}"
        )
    executor = executors.find(effect.executor)
    if effect.may_have_happened and not _is_repeatable(effect, executor):
        raise EffectLeftOpen("the worker that called the target stopped before its answer came")
    return executor


def effect_overdue(claimed: Claimed, effect: Effect, timeout_s: float) -> Ending:
    executor = executors.find(effect.executor)
    error = _interrupted(effect, executor, f"no answer within {timeout_s:g} s")
    return _effect_failed(claimed, effect, error)


def effect_timeout_s(effect: Effect) -> int:
    """What the contract of the action allows its target, within what any target is allowed."""
    contract = effect.proposal.contract_version
    most: int = settings.EFFECT_TIMEOUT_S
    return min(most, contract.timeout_s) if contract else most


def _is_repeatable(effect: Effect, executor: Executor) -> bool:
    """Only where the executor and the contract of the action both say that a second call does no harm."""
    contract = effect.proposal.contract_version
    every_call_counts = contract is not None and contract.idempotency == "none"
    return executors.is_repeatable(executor) and not every_call_counts


def _interrupted(effect: Effect, executor: Executor, reason: str) -> EffectInterrupted:
    return (EffectInterrupted if _is_repeatable(effect, executor) else EffectLeftOpen)(reason)


def _call(executor: Executor, effect: Effect) -> dict[str, Any]:
    """What an executor did not foresee may have happened all the same."""
    call = EffectCall(
        key=effect.idempotency_key,
        action=effect.proposal.action,
        target=effect.proposal.target,
        args=effect.proposal.args,
        payload=effect.proposal.payload,
    )
    try:
        receipt = executor.call(call)
    except EffectError:
        raise
    except Exception as error:
        logger.exception("executor %s failed on %s", effect.executor, effect.pk)
        raise _interrupted(effect, executor, f"{type(error).__name__}: {error}") from error
    if not storable(receipt, JsonLimits(bytes_max=settings.SHORT_OUTPUT_BYTES_MAX)):
        return {"target": effect.executor, "unreadable": repr(receipt)[:1_000].replace("\x00", "")}
    return receipt


def _effect_failed(claimed: Claimed, effect: Effect, error: EffectError) -> Ending:
    """Again later while that may help; an outage of the target must not cost accepted work."""
    described = describe(error, claimed)
    interrupted = isinstance(error, EffectInterrupted)
    if error.retryable and _may_try_again(effect):
        wait_s = min(BACKOFF_FIRST_S * 2 ** min(claimed.tries - 1, 16), BACKOFF_MAX_S)
        # Nothing reached the target, so this call is not one that may have happened.
        rests = "" if interrupted else effect.pk
        return Ending(claimed, "pending", error=described, after_s=wait_s, rests=rests)
    return effect_ended(claimed, effect, described, lost=effect.may_have_happened or interrupted)


def effect_ended(
    claimed: Claimed, effect: Effect, described: dict[str, Json], *, lost: bool
) -> Ending:
    """Without a receipt. What may have happened is lost, and never called a failure."""
    kind = ev.EffectLost if lost else ev.EffectFailed
    event = kind(proposal=effect.proposal_id, effect=effect.pk, error=described)
    return Ending(claimed, "failed", [Step(claimed.run, event, claimed.once)], error=described)


def _may_try_again(effect: Effect) -> bool:
    return effect.created_at > timezone.now() - timedelta(minutes=settings.EFFECT_RETRY_MINUTES)


def describe(error: CountersignError, claimed: Claimed) -> dict[str, Json]:
    """Structured, so that who, where, why and whether to retry survive to the page."""
    return {
        "code": error.code,
        "who": str(getattr(error, "who", "") or claimed.kind),
        "reason": legible(str(error)),
        "where": str(getattr(error, "where", "") or here()),
        "tries": claimed.tries,
        "retryable": bool(getattr(error, "retryable", False)),
    }


def legible(text: str) -> str:
    """What somebody else's exception says, in letters that can be stored."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()[:REASON_LENGTH_MAX]


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)
