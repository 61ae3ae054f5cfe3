"""Run what was claimed: the call in no transaction, its intent and its outcome in one each.

A performer says what became of its command. Where something has to be stored before the call, it asks
for it through `record` and goes on once that is durable, or not at all.
"""

import hashlib
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from orchestrator.agents import registry
from orchestrator.agents.base import AgentAnswer, AgentCall, Usage, cost_of
from orchestrator.core import definitions, schemas
from orchestrator.core import events as ev
from orchestrator.core.codec import Json, JsonLimits, canonical, digest, storable
from orchestrator.core.commands import CancelRun, Dispose, Propose, TellParent
from orchestrator.core.errors import (
    AgentError,
    AgentTimedOut,
    CountersignError,
    EffectError,
    EffectInterrupted,
    EffectLeftOpen,
    NoEndpoint,
    OutputInvalid,
)
from orchestrator.core.observations import answer_schema
from orchestrator.core.policy.agent_versions import calls_out
from orchestrator.effects import registry as executors
from orchestrator.effects.base import EffectCall, Executor
from orchestrator.engine import agents, asking, observations, tainting
from orchestrator.engine.advance import Ending, Step
from orchestrator.engine.agent_configs import Resolved
from orchestrator.engine.claim import Claimed
from orchestrator.engine.inputs import ForAgent
from orchestrator.engine.pieces import kept, kept_refused
from orchestrator.engine.unsettled import without_receipt
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
    call = agent_call(claimed, given)
    answer: AgentAnswer | None = None
    try:
        answer = ask(call, given)
        said = _what_it_says(claimed, given, call, answer)
    except AgentError as error:
        return _call_failed(claimed, given, call, error, answer, took_ms=since(began))
    failpoint("agent-answered-not-recorded")
    event = (ev.WorkAsked if answer.asks else ev.WorkFinished)(
        work=call.work,
        attempt=call.attempt,
        index=call.index,
        visit=claimed.payload["visit"],
        turn=call.turn,
        recalled=observations.recalled(given.handed, given.before),
        notes=_not_handed(given, answer.notes),
        **said,
        **answer.usage.as_told(),
        took_ms=since(began),
        seed=call.seed,
        agent=agents.told_of(given.agent, answer.agent, call.config),
    )
    steps = [Step(claimed.run, event, claimed.once)]
    return Ending(claimed, "done", steps, pieces=kept(answer.pieces))


def _call_failed(
    claimed: Claimed,
    given: ForAgent,
    call: AgentCall,
    error: AgentError,
    answer: AgentAnswer | None,
    *,
    took_ms: int,
) -> Ending:
    """With who was asked, and with what was done and spent until then: an answer that is not taken cost as much."""
    described = _with_fallback(describe(error, claimed), given.agent)
    # An adapter hangs on its error what it had done before.
    done = answer.pieces if answer else getattr(error, "pieces", ())
    heard = _heard_by_failed(
        given, call, answer or AgentAnswer(None, pieces=tuple(done)), described
    )
    event = ev.WorkFailed(
        work=call.work,
        attempt=call.attempt,
        index=call.index,
        visit=claimed.payload["visit"],
        turn=claimed.payload.get("turn", 1),
        error=described,
        took_ms=took_ms,
        agent=agents.told_of(given.agent, answer.agent if answer else {}, call.config),
        # Whoever failed was handed its memory all the same.
        recalled=observations.recalled(given.handed, given.before),
        classes=given.handed.classes if given.handed else (),
        notes=_not_handed(given, answer.notes if answer else error.notes),
        **(answer.usage.as_told() if answer else cost_of(error)),
        **heard.to_json(),
    )
    pieces = [*kept(done), *(kept_refused(answer, took_ms) if answer else ())]
    steps = [Step(claimed.run, event, claimed.once)]
    return Ending(claimed, "failed", steps, error=described, pieces=pieces)


def _not_handed(given: ForAgent, notes: Sequence[str]) -> tuple[str, ...]:
    """Of shared memory, and of what its adapter had no room for."""
    return (*(given.handed.notes if given.handed else ()), *notes)


def _heard_by_failed(
    given: ForAgent, call: AgentCall, answer: AgentAnswer, described: Mapping[str, Json]
) -> tainting.Heard:
    """A reason may quote what the agent said, and that what it had read; one behind an address says what it likes."""
    is_outside = call.config.get("kind") == "http"
    if not is_outside and not observations.has_heard_tools(given.handed, given.before, answer):
        return tainting.NOTHING
    return tainting.of_failure(call.work, described["reason"])


def _what_it_says(
    claimed: Claimed, given: ForAgent, call: AgentCall, answer: AgentAnswer
) -> dict[str, Any]:
    """Its output, or what it asks for before it can have one."""
    if answer.asks:
        return asking.asks_of(call, answer, given.before, given.handed)
    brought = bring(claimed, given, call, answer)
    shadow = given.agent.shadow if given.agent else 0
    heard = tainting.heard(answer, observations.before_answer(given.handed, given.before))
    return {"output": brought.output, "shadow": shadow, **brought.facts, **heard.to_json()}


def bring(
    claimed: Claimed, given: ForAgent, call: AgentCall, answer: AgentAnswer
) -> observations.Brought:
    """Its output, out of the envelope that a stage with a memory has. What does not fit goes no further."""
    if not storable(answer.output):
        raise OutputInvalid("it holds text or numbers that cannot be stored", pointer="")
    brought = observations.bring(given.handed, given.before, answer)
    _check_size(given, call, brought.output)
    schema = _schema(given, call.work, claimed.payload.get("who", ""))
    problems = schemas.check(schema, brought.output) if schema is not None else []
    if problems:
        raise OutputInvalid(problems[0].reason, pointer=problems[0].pointer)
    return brought


def ask(call: AgentCall, given: ForAgent) -> AgentAnswer:
    """Nothing is sent to an agent that must not be asked."""
    if given.agent and given.agent.refusal:
        raise given.agent.refusal
    # Stored before definitions were looked at for it, or by whoever writes to the database.
    if given.agent is None and calls_out(call.config):
        raise NoEndpoint(
            f"what is of the kind {call.config['kind']} is only asked by the name of an agent, whose version has "
            "endpoints that say what they may see; nothing was sent"
        )
    return registry.find(call.config).call(call)


def agent_timeout_s(claimed: Claimed, given: ForAgent) -> float:
    payload = claimed.payload
    return definitions.timeout_s(given.definition, payload["work"], payload.get("who", ""))


def agent_overdue(claimed: Claimed, timeout_s: float, given: ForAgent | None = None) -> Ending:
    """The thread is still at it. Whatever it says later comes too late."""
    error = AgentTimedOut("the worker gave up waiting", timeout_s=timeout_s, usage=_unheard(given))
    return agent_failed(claimed, error, took_ms=int(timeout_s * 1000), given=given)


def _unheard(given: ForAgent | None) -> Usage | None:
    """Whoever sent something out has spent something, and nobody hears any more how much."""
    is_sent = given is not None and given.agent is not None and calls_out(given.agent.config)
    return Usage(money_micros=None) if is_sent else None


def agent_failed(
    claimed: Claimed,
    error: CountersignError,
    *,
    took_ms: int = 0,
    given: ForAgent | None = None,
    agent: Resolved | None = None,
) -> Ending:
    agent = given.agent if given else agent
    described = _with_fallback(describe(error, claimed), agent)
    event = ev.WorkFailed(
        work=claimed.payload["work"],
        attempt=claimed.payload.get("attempt", 1),
        index=claimed.payload.get("index", 0),
        visit=claimed.payload.get("visit", 0),
        turn=claimed.payload.get("turn", 1),
        error=described,
        took_ms=took_ms,
        agent=agents.told_of(agent, {}),
        recalled=observations.recalled(given.handed, given.before) if given else (),
        notes=_not_handed(given, ()) if given else (),
        **cost_of(error),
    )
    return Ending(claimed, "failed", [Step(claimed.run, event, claimed.once)], error=described)


def _with_fallback(described: dict[str, Json], agent: Resolved | None) -> dict[str, Json]:
    """However hopeless for this version: the next attempt asks another one."""
    if agent is None or not agent.falls_back_to:
        return described
    return described | {"retryable": True, "falls_back_to": agent.falls_back_to}


def desk_failed(claimed: Claimed, error: CountersignError) -> Ending:
    """A run that asked for the impossible hears why; one that only wanted to tell somebody need not.

    Nor does one whose proposal is over before it was disposed of.
    """
    if claimed.kind in {TellParent.kind, CancelRun.kind, Dispose.kind}:
        return Ending(claimed, "failed", error=describe(error, claimed))
    if claimed.payload.get("ask"):
        described = describe(error, claimed)
        event = asking.refused(claimed.payload, described)
        return Ending(claimed, "failed", [Step(claimed.run, event, claimed.once)], described)
    canary = agents.canary_behind(claimed) if claimed.kind == Propose.kind else None
    return agent_failed(claimed, error, agent=canary)


def agent_call(claimed: Claimed, given: ForAgent) -> AgentCall:
    payload, who = claimed.payload, claimed.payload.get("who", "")
    key = f"{claimed.run}/{payload['work']}/{payload['visit']}/{payload.get('index', 0)}"
    turn = payload.get("turn", 1)
    if turn > 1:
        key += f"/{turn}"
    config = _config(given, payload["work"], who)
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
        timeout_s=definitions.timeout_s(given.definition, payload["work"], who),
        config=config,
        output=_asked_schema(given, payload["work"], who),
        tools=asking.tools_of(definitions.tools(given.definition, payload["work"], who), config),
        turn=turn,
        memory=given.before.memory,
        answers=given.before.answers,
    )


def _config(given: ForAgent, work: str, who: str) -> dict[str, Any]:
    if given.agent:
        return given.agent.config
    return definitions.agent_config(given.definition, work, who)


def _asked_schema(given: ForAgent, work: str, who: str) -> dict[str, Json] | None:
    """With what it wants remembered, if it may."""
    scope = given.handed.scope if given.handed else None
    return answer_schema(_schema(given, work, who), scope)


def _schema(given: ForAgent, work: str, who: str) -> dict[str, Json] | None:
    """The workflow's own, else what the version of the agent promises."""
    own = definitions.output_schema(given.definition, work, who)
    return own if own is not None or given.agent is None else given.agent.schema


def _check_size(given: ForAgent, call: AgentCall, output: Json) -> None:
    """What a machine keeps for its guards, and what comes in hundreds, has to be small."""
    most = settings.SHORT_OUTPUT_BYTES_MAX
    is_kept = given.definition["pattern"] in {"machine", "consensus"} or call.item is not None
    if is_kept and len(canonical(output).encode()) > most:
        raise OutputInvalid(
            f"a state of a machine, a part of a fan-out and a member may say at most {most:,} bytes",
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
        tool_version=effect.tool_version_id,
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
    event = without_receipt(effect, described, lost=lost)
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
        **_routing(error),
    }


def _routing(error: CountersignError) -> dict[str, Json]:
    """What was to be seen, and who was looked at in vain."""
    if not isinstance(error, NoEndpoint):
        return {}
    return {"data": list(error.data), "endpoints": list(error.endpoints)}


def legible(text: str) -> str:
    """What somebody else's exception says, in letters that can be stored."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()[:REASON_LENGTH_MAX]


def since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)
