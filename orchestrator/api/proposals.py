"""Operations on proposals."""

import time
from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from orchestrator import queries, revision_queries
from orchestrator.actions import proposals, revisions
from orchestrator.api.auth import Bearer, actor_of, token_of
from orchestrator.api.blind import refuse_blind, shut_runs
from orchestrator.api.idempotency import once
from orchestrator.api.parameters import refuse_unknown
from orchestrator.api.schemas import (
    BrowseIn,
    EffectOut,
    EvaluationOut,
    EvaluationPartOut,
    PolicyCheckOut,
    PolicyScopeOut,
    ProblemOut,
    ProposalIn,
    ProposalLineOut,
    ProposalOut,
    ProposalPageOut,
    ReviewItemOut,
    RevisionReasonOut,
    RevisionWantedOut,
    SuggestedOut,
    ValidationOut,
    ValidatorAskedOut,
    WaitIn,
)
from orchestrator.core import typeid
from orchestrator.core.errors import BadInput, NotFound
from orchestrator.models import Evaluation, PolicyCheck, Proposal

WAIT_STEP_S = 0.25
SETTLED = frozenset(Proposal.Status.values) - {
    Proposal.Status.RECEIVED,
    Proposal.Status.EVALUATING,
    Proposal.Status.IN_REVIEW,
    Proposal.Status.ACCEPTED,
    Proposal.Status.EXECUTING,
}

router = Router(tags=["proposals"])
_PROBLEMS: dict[Any, Any] = {frozenset({400, 401, 403, 409, 413, 415, 422, 429}): ProblemOut}
_READ_PROBLEMS: dict[Any, Any] = {frozenset({401, 403, 404, 422}): ProblemOut}


@router.post(
    "/proposals",
    auth=Bearer("propose"),
    response={201: ProposalOut, **_PROBLEMS},
    summary="Submit a proposal",
)
def submit(request: HttpRequest, suggestion: ProposalIn) -> HttpResponse:
    """Checks have run when the answer comes, and evaluation too unless it is `evaluating`. Send `Idempotency-Key` to retry safely."""

    def answer() -> HttpResponse:
        proposal = proposals.submit(actor_of(request), _suggestion(suggestion))
        return _created(proposal, f"{request.path}/{proposal.pk}")

    return once(request, answer)


def _suggestion(given: ProposalIn) -> proposals.Suggestion:
    trace = given.trace.model_dump(exclude_none=True) if given.trace else {}
    return proposals.Suggestion(**(given.model_dump() | {"trace": trace}))


def _created(proposal: Proposal, location: str) -> HttpResponse:
    return HttpResponse(
        render(queries.report_of(proposal)).model_dump_json(),
        status=201,
        content_type="application/json",
        headers={"Location": location},
    )


@router.post(
    "/proposals/{proposal_id}/revisions",
    auth=Bearer("propose"),
    response={201: ProposalOut, 404: ProblemOut, **_PROBLEMS},
    summary="Answer a proposal that was sent back",
)
def revise(request: HttpRequest, proposal_id: str, suggestion: ProposalIn) -> HttpResponse:
    """The answer stands in the place of what was sent back, and is checked like any proposal."""
    known = _find(request, proposal_id)

    def answer() -> HttpResponse:
        revision = revisions.revise(actor_of(request), known.pk, _suggestion(suggestion))
        return _created(revision, f"{request.path.split('/proposals/')[0]}/proposals/{revision.pk}")

    return once(request, answer)


@router.get(
    "/proposals/{proposal_id}",
    auth=Bearer("read", "propose"),
    response={200: ProposalOut, **_READ_PROBLEMS},
    summary="Read one proposal, or wait for its outcome",
)
def read(request: HttpRequest, proposal_id: str, query: Query[WaitIn]) -> ProposalOut:
    """With `wait`, answers as soon as the proposal is settled, or with its state when time is up."""
    refuse_unknown(request, WaitIn)
    deadline = time.monotonic() + min(query.wait, settings.API_WAIT_MAX_S)
    proposal = _find(request, proposal_id)
    while proposal.status not in SETTLED and time.monotonic() < deadline:
        # A waiting request must not sit on a database connection that others need.
        connection.close()
        time.sleep(WAIT_STEP_S)
        proposal = _find(request, proposal_id)
    return render(queries.report_of(proposal))


@router.get(
    "/proposals",
    auth=Bearer("read", "propose"),
    response={200: ProposalPageOut, **_READ_PROBLEMS},
    summary="List proposals, newest first",
)
def browse(request: HttpRequest, query: Query[BrowseIn]) -> ProposalPageOut:
    """Paged by key, so that a page costs the same at any depth. Without those that the owner judges blind."""
    refuse_unknown(request, BrowseIn)
    if query.status and query.status not in Proposal.Status.values:
        raise BadInput("status", f"choose among {', '.join(Proposal.Status.values)}.")
    if query.before and not typeid.is_id(query.before, "prp"):
        raise BadInput("before", "pass the value of `next` as it was given.")
    wanted = query.model_dump(include={"status", "disposition", "agent", "action"})
    found = Proposal.objects.visible_to_token(token_of(request)).filter(
        **{name: value for name, value in wanted.items() if value}
    )
    if query.before:
        found = found.filter(pk__lt=query.before)
    if shut := shut_runs(request):
        found = found.exclude(run__in=shut)
    rows = list(found.order_by("-pk")[: query.limit + 1])
    following = rows[query.limit - 1].pk if len(rows) > query.limit else None
    lines = [ProposalLineOut.from_orm(row) for row in rows[: query.limit]]
    return ProposalPageOut(proposals=lines, next=following)


def render(report: queries.ProposalReport) -> ProposalOut:
    proposal = report.proposal
    return ProposalOut(
        id=proposal.pk,
        external_id=proposal.external_id,
        run=proposal.run_id,
        workflow=proposal.run.workflow_version.workflow.slug,
        agent=proposal.agent,
        agent_version=proposal.agent_version,
        model=proposal.model,
        status=proposal.status,
        disposition=proposal.disposition,
        requires_human=report.requires_human,
        confidence=proposal.confidence,
        created_at=proposal.created_at,
        proposal=SuggestedOut(
            action=proposal.action,
            target=proposal.target,
            args=proposal.args,
            digest=proposal.digest,
        ),
        policy_checks=[_check(check) for check in report.checks],
        evaluation=_evaluation(report),
        validators=[
            ValidatorAskedOut(name=one.name, heard=one.is_heard) for one in report.validators
        ],
        revision=proposal.revision,
        revises=proposal.revises_id,
        revised_by=report.revised_by,
        edited_by_person=proposal.edited_by_id is not None,
        revision_wanted=_wanted(report),
        review_item=ReviewItemOut.from_orm(report.item) if report.item else None,
        effect=EffectOut.from_orm(report.effect) if report.effect else None,
    )


def _wanted(report: queries.ProposalReport) -> RevisionWantedOut | None:
    if report.proposal.status != Proposal.Status.REVISION_REQUESTED:
        return None
    wanted = revision_queries.request_of(report.proposal)
    return RevisionWantedOut(
        reasons=[RevisionReasonOut.model_validate(reason.to_json()) for reason in wanted.reasons],
        asked=wanted.asked,
        round=wanted.round,
        rounds_left=wanted.rounds_left,
        due_at=wanted.due_at,
    )


def _check(check: PolicyCheck) -> PolicyCheckOut:
    return PolicyCheckOut(
        name=check.rule_version.rule.slug,
        version=check.rule_version.number,
        effect=check.effect,
        result=check.result,
        reason=check.reason,
        explain=check.explain,
    )


def _evaluation(report: queries.ProposalReport) -> EvaluationOut | None:
    if report.disposition is None:
        return None
    return EvaluationOut(
        score=report.disposition.score,
        band=report.disposition.band,
        policy_version=report.disposition.policy.number,
        policy_scope=PolicyScopeOut.from_orm(report.disposition.policy.scope),
        reasons=report.disposition.reasons,
        parts=[_part(part) for part in report.evaluations],
    )


def _part(one: Evaluation) -> EvaluationPartOut:
    is_validator = one.evaluator == Evaluation.Evaluator.VALIDATOR
    return EvaluationPartOut(
        evaluator=one.evaluator,
        name=one.name,
        version=one.version,
        score=one.score,
        validation=ValidationOut.model_validate(one.raw) if is_validator else None,
    )


def _find(request: HttpRequest, proposal_id: str) -> Proposal:
    """Somebody else's proposal and no proposal at all look the same from outside."""
    visible = Proposal.objects.visible_to_token(token_of(request))
    found = (
        visible.select_related("run__workflow_version__workflow").filter(pk=proposal_id).first()
        if typeid.is_id(proposal_id, "prp")
        else None
    )
    if found is None:
        raise NotFound("proposal", proposal_id[:60])
    refuse_blind(request, found.run_id, "this proposal")
    return found
