"""How much a proposal is to be trusted, said by everybody who is asked; what is held against the bands.

Each of them is kept with its version and with what it said, and the lowest counts. Whoever could not
answer is a doubt, and a doubt is never overruled by a good score.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator import calibration_queries
from orchestrator.actions import lineage
from orchestrator.core.codec import Json, canonical, digest
from orchestrator.core.policy import validation
from orchestrator.core.policy.guardrails import Check
from orchestrator.core.policy.terms import CALIBRATED, Terms
from orchestrator.core.policy.validation import Heard
from orchestrator.models import Evaluation, Proposal, Snapshot

Evaluator = Evaluation.Evaluator


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one evaluator says. `counts` is false of one that is only kept."""

    evaluator: str
    version: str
    score: float | None
    raw: Json
    counts: bool = True
    # Which one, where there are several of a kind.
    name: str = ""


@dataclass(frozen=True, slots=True)
class Scored:
    """What is held against the bands, and what it was made of."""

    score: float | None
    opinions: Sequence[Opinion]
    # Why no score is to be trusted, in sentences: nothing is accepted without a person.
    doubts: Sequence[str] = ()


def score(
    proposal: Proposal, terms: Terms, checks: Sequence[Check], heard: Sequence[Heard] | None = None
) -> Scored:
    """`heard` is what validators said; None when they were not asked yet, which is no doubt."""
    confidence, doubts = _confidence(proposal, terms)
    opinions = [*confidence, _checked(checks), *_taint(proposal), *map(_validated, heard or ())]
    counting = [one.score for one in opinions if one.counts]
    known = [one for one in counting if one is not None]
    lowest = min(known) if len(known) == len(counting) else None
    if heard is not None:
        doubts = (*doubts, *validation.doubts(heard, terms.validators))
    return Scored(lowest, opinions, doubts)


def store(proposal: Proposal, snapshot: Snapshot, scored: Scored) -> None:
    Evaluation.objects.bulk_create(
        Evaluation(
            proposal=proposal,
            snapshot=snapshot,
            evaluator=one.evaluator,
            name=one.name,
            version=one.version,
            score=one.score,
            raw=one.raw,
        )
        for one in scored.opinions
    )


def _confidence(proposal: Proposal, terms: Terms) -> tuple[list[Opinion], tuple[str, ...]]:
    """As the agent stated it; or calibrated, and then what it stated is kept beside it."""
    stated = Opinion(
        Evaluator.CONFIDENCE, proposal.agent_version, proposal.confidence, proposal.confidence
    )
    if terms.score != CALIBRATED:
        return [stated], ()
    found = calibration_queries.calibrated(proposal.scope, proposal.confidence)
    calibrated = Opinion(Evaluator.CALIBRATED, found.version, found.score, proposal.confidence)
    doubts = (found.doubt,) if found.doubt else ()
    return [replace(stated, counts=False), calibrated], doubts


def _validated(one: Heard) -> Opinion:
    answer = one.answer
    said: dict[str, Json] = {"error": one.error}
    if answer is not None:
        said = {"verdict": answer.verdict, "reasons": list(answer.reasons)}
    agent = one.facts.get("agent")
    version = str(agent.get("version", "")) if isinstance(agent, dict) else ""
    return Opinion(
        Evaluator.VALIDATOR,
        version=version[:100],
        score=answer.score if answer else None,
        raw={**one.facts, **said},
        name=one.validator.name,
    )


def _taint(proposal: Proposal) -> list[Opinion]:
    """That arguments came from untrusted data is kept as a check of its own, with where each came from."""
    found = lineage.sentences(proposal)
    if not found:
        return []
    raw: list[Json] = list(found)
    return [Opinion(Evaluator.CHECK, "1", 0.0, raw, counts=False, name=lineage.CHECK)]


def _checked(checks: Sequence[Check]) -> Opinion:
    """The part of the rules in force that it passes. They hold by themselves, so it is only kept."""
    asked = [check for check in checks if check.enforced]
    passed = sum(check.result == "pass" for check in asked)
    versions: list[Json] = [f"{check.rule} v{check.number}" for check in asked]
    return Opinion(
        Evaluator.CHECK,
        version=digest(canonical(versions)),
        score=passed / len(asked) if asked else None,
        raw={"asked": len(asked), "passed": passed},
        counts=False,
    )
