"""Validators of a proposal: asked where nobody else would look, and heard from the log."""

from typing import Any

from django.conf import settings

from orchestrator.actions.judgements import Judgement
from orchestrator.core import events as ev
from orchestrator.core.codec import read
from orchestrator.core.policy.terms import Validator
from orchestrator.core.policy.validation import Answer, Heard
from orchestrator.models import EvaluationPolicy, Event, Proposal

_COSTS = ("tokens_in", "tokens_out", "money_micros", "took_ms")


def requested(proposal: Proposal, judgement: Judgement) -> ev.Event:
    return ev.ValidationRequested(
        proposal=proposal.pk,
        policy_version=judgement.policy.number,
        validators=tuple(one.name for one in judgement.policy.terms.validators),
        due_s=settings.VALIDATION_DUE_S,
    )


def heard(proposal: Proposal) -> list[Heard]:
    """What each of those that were asked said. The caller holds the run, and all of them were heard."""
    asked = proposal.run.canonical_state.proposals[proposal.pk].validations
    policy = _policy_of(proposal)
    said = Event.objects.filter(run=proposal.run_id, seq__in=set(asked.values()))
    answers = {event.seq: _read(event) for event in said}
    # Of two by one name the first was asked.
    named = {one.name: one for one in reversed(policy.terms.validators)}
    return [_heard(named[name], answers[seq], policy.number) for name, seq in sorted(asked.items())]


def _policy_of(proposal: Proposal) -> EvaluationPolicy:
    """By whose rubrics they were asked, whatever is in force by now."""
    request = Event.objects.get(
        run=proposal.run_id, kind=ev.ValidationRequested.kind, payload__contains=proposal.pk
    )
    data: Any = read(request.payload)
    return EvaluationPolicy.objects.get(number=data["policy_version"])


def _heard(validator: Validator, answer: ev.Event, policy: int) -> Heard:
    if isinstance(answer, ev.ValidationFinished):
        said = Answer(answer.score, answer.verdict, answer.reasons)
        return Heard(validator, said, facts=_facts(answer, policy))
    if isinstance(answer, ev.ValidationFailed):
        error = str(answer.error.get("reason", ""))
        return Heard(validator, None, error, _facts(answer, policy))
    return Heard(validator, None, "it was not heard of in time", {"policy": policy})


def _facts(answer: ev.ValidationFinished | ev.ValidationFailed, policy: int) -> dict[str, Any]:
    """Its version is more than a number: who answered, by whose rubric, on what, and by which chance."""
    return {
        "policy": policy,
        "agent": dict(answer.agent),
        "inputs": answer.inputs,
        "seed": answer.seed,
        **{name: getattr(answer, name) for name in _COSTS},
    }


def _read(event: Event) -> ev.Event:
    data = read(event.payload)
    return ev.from_json(event.kind, data if isinstance(data, dict) else {})
