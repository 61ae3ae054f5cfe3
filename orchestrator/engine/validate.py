"""Ask a validator: the call in no transaction, and what came of it as one event.

Whatever goes wrong is a doubt about the proposal and not about the run: nothing is tried again, and a
person looks at what could not be validated.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator import handed_queries
from orchestrator.agents import registry as agents
from orchestrator.agents.base import AgentAnswer, AgentCall
from orchestrator.core import events as ev
from orchestrator.core.codec import Json, canonical, digest
from orchestrator.core.errors import (
    AgentError,
    AgentTimedOut,
    CountersignError,
    OutputInvalid,
    ValidatorTooCostly,
)
from orchestrator.core.policy import validation
from orchestrator.core.policy.terms import Validator
from orchestrator.engine import perform
from orchestrator.engine.advance import Ending, Step
from orchestrator.engine.claim import Claimed
from orchestrator.failpoints import failpoint
from orchestrator.models import EvaluationPolicy, Proposal


@dataclass(frozen=True, slots=True)
class ForValidator:
    validator: Validator
    inputs: dict[str, Json]
    # Nobody waits for it any more: its time is up, or the run is over.
    is_late: bool = False

    @property
    def digest(self) -> str:
        return digest(canonical(self.inputs))


def load(claims: Sequence[Claimed]) -> dict[int, ForValidator]:
    """A validator sees what was masked when the proposal came, and no more than that."""
    policies = EvaluationPolicy.objects.in_bulk(
        {claimed.payload["policy"] for claimed in claims}, field_name="number"
    )
    proposals = {claimed.payload["proposal"] for claimed in claims}
    shown, waiting = handed_queries.shown_to_validators(proposals), _waiting(proposals)
    return {
        claimed.id: _for_validator(
            policies[claimed.payload["policy"]],
            claimed,
            shown[claimed.payload["proposal"]],
            is_late=claimed.payload["proposal"] not in waiting,
        )
        for claimed in claims
    }


def call(claimed: Claimed, given: ForValidator) -> Ending:
    if given.is_late:
        return Ending(claimed, "failed", error={"code": "late", "reason": "nobody waits for it"})
    began = time.monotonic()
    asked = _call(claimed, given)
    try:
        said = agents.find(asked.config).call(asked)
    except AgentError as error:
        return failed(claimed, error, given, took_ms=_since(began))
    took_ms = _since(began)
    try:
        answer = _check(given.validator, said, took_ms)
    except AgentError as error:
        return failed(claimed, error, given, said, took_ms=took_ms)
    failpoint("validator-answered-not-recorded")
    event = ev.ValidationFinished(
        **_names(claimed),
        score=answer.score,
        verdict=answer.verdict,
        reasons=answer.reasons,
        **_facts(claimed, given, said, took_ms),
    )
    return Ending(claimed, "done", [Step(claimed.run, event, claimed.once)])


def overdue(claimed: Claimed, given: ForValidator) -> Ending:
    """The thread is still at it. Whatever it says later comes too late."""
    timeout_s = given.validator.timeout_s
    error = AgentTimedOut("the worker gave up waiting", timeout_s=timeout_s)
    return failed(claimed, error, given, took_ms=timeout_s * 1000)


def failed(
    claimed: Claimed,
    error: CountersignError,
    given: ForValidator,
    said: AgentAnswer | None = None,
    *,
    took_ms: int = 0,
) -> Ending:
    """What it cost was spent all the same."""
    described = perform.describe(error, claimed) | {"retryable": False}
    event = ev.ValidationFailed(
        **_names(claimed), error=described, **_facts(claimed, given, said, took_ms)
    )
    return Ending(claimed, "failed", [Step(claimed.run, event, claimed.once)], error=described)


def given_up(payload: dict[str, Any], error: dict[str, Json]) -> ev.ValidationFailed:
    """By whoever ends a command that no worker survives."""
    return ev.ValidationFailed(
        proposal=payload["proposal"],
        validator=payload["validator"],
        policy_version=payload["policy"],
        error=error,
    )


def _waiting(proposals: set[str]) -> set[str]:
    rows = Proposal.objects.filter(pk__in=proposals, status=Proposal.Status.EVALUATING)
    return set(rows.values_list("pk", flat=True))


def _for_validator(
    policy: EvaluationPolicy, claimed: Claimed, shown: dict[str, Json], *, is_late: bool
) -> ForValidator:
    wanted = claimed.payload["validator"]
    validator = next(one for one in policy.terms.validators if one.name == wanted)
    return ForValidator(validator, {"rubric": validator.rubric, **shown}, is_late)


def _call(claimed: Claimed, given: ForValidator) -> AgentCall:
    validator = given.validator
    return AgentCall(
        key=_key(claimed),
        run=claimed.run,
        work=f"validator {validator.name}",
        index=0,
        attempt=1,
        intent=None,
        inputs=given.inputs,
        item=None,
        seed=_seed(claimed),
        timeout_s=validator.timeout_s,
        config={"kind": "function", "name": validator.agent, "isolated": False},
    )


def _key(claimed: Claimed) -> str:
    return f"{claimed.run}/{claimed.payload['proposal']}/{claimed.payload['validator']}"


def _seed(claimed: Claimed) -> int:
    return int.from_bytes(hashlib.sha256(_key(claimed).encode()).digest()[:6])


def _check(validator: Validator, said: AgentAnswer, took_ms: int) -> validation.Answer:
    """Within its time and its money, and in the form that is asked for."""
    if took_ms > validator.timeout_s * 1000:
        raise AgentTimedOut("its answer came too late", timeout_s=validator.timeout_s)
    most, cost = validator.money_micros_max, said.usage.money_micros
    if most is not None and cost is None:
        raise OutputInvalid("what it cost is not known, so its limit cannot be kept", pointer="")
    if most is not None and cost is not None and cost > most:
        raise ValidatorTooCostly("", cost=cost, most=most)
    return validation.read_answer(said.output)


def _names(claimed: Claimed) -> dict[str, Any]:
    payload = claimed.payload
    return {
        "proposal": payload["proposal"],
        "validator": payload["validator"],
        "policy_version": payload["policy"],
    }


def _facts(
    claimed: Claimed, given: ForValidator, said: AgentAnswer | None, took_ms: int
) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "inputs": given.digest,
        "took_ms": took_ms,
        "seed": _seed(claimed),
        "agent": {"name": given.validator.agent},
    }
    if said is None:
        return facts
    return facts | {
        **said.usage.as_told(),
        "agent": said.agent,
    }


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)
