"""Operations on evaluation policies. What is in force changes only when another admin approves it in the queue."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from orchestrator import policy_queries
from orchestrator.actions import changes, policies
from orchestrator.actions.actor import Actor
from orchestrator.api.auth import Bearer, actor_of
from orchestrator.api.idempotency import once
from orchestrator.api.parameters import refuse_unknown
from orchestrator.api.policy_schemas import (
    PoliciesIn,
    PolicyIn,
    PolicyOut,
    PolicyPageOut,
    ValidatorOut,
)
from orchestrator.api.rule_schemas import ChangeIn, Number, ProposedOut
from orchestrator.api.schemas import PolicyScopeOut, ProblemOut
from orchestrator.core.errors import NotFound
from orchestrator.models import EvaluationPolicy, Proposal

router = Router(tags=["policies"])
_READERS = Bearer("read", "admin")
_ADMINS = Bearer("admin")
_READ_PROBLEMS: dict[Any, Any] = {frozenset({401, 403, 404, 422}): ProblemOut}
_PROBLEMS: dict[Any, Any] = {frozenset({400, 401, 403, 404, 409, 413, 415, 422}): ProblemOut}


@router.get(
    "/policies",
    auth=_READERS,
    response={200: PolicyPageOut, **_READ_PROBLEMS},
    summary="List policies",
)
def browse(request: HttpRequest, query: Query[PoliciesIn]) -> PolicyPageOut:
    """By scope, everything first; of each scope the version in force, else the newest."""
    refuse_unknown(request, PoliciesIn)
    found = policy_queries.policy_lines(after=query.after, at_most=query.limit + 1)
    shown = found[: query.limit]
    following = shown[-1].number if len(found) > query.limit else None
    return PolicyPageOut(policies=[_render(policy) for policy in shown], next=following)


@router.get(
    "/policies/{number}",
    auth=_READERS,
    response={200: PolicyOut, **_READ_PROBLEMS},
    summary="Read one version",
)
def read(request: HttpRequest, number: Number) -> PolicyOut:
    return _render(_find(number))


@router.post(
    "/policies",
    auth=_ADMINS,
    response={frozenset({200, 201}): PolicyOut, **_PROBLEMS},
    summary="Draft a version",
)
def draft(request: HttpRequest, wish: PolicyIn) -> Status[Any]:
    """201 for a new version; 200 with the newest one of the scope when that says the same. It decides nothing yet."""
    scope = wish.wanted_scope
    before = policy_queries.newest_number(scope)
    policy = policies.draft(actor_of(request), scope, wish.terms, note=wish.note, base=wish.base)
    return Status(201 if policy.number > before else 200, _render(policy))


@router.post(
    "/policies/{number}/activate",
    auth=_ADMINS,
    response={202: ProposedOut, **_PROBLEMS},
    summary="Propose that a version decides",
)
def activate(request: HttpRequest, number: Number, wish: ChangeIn) -> HttpResponse:
    """202 with the proposal that another admin approves in the queue. Its author cannot."""
    return _propose(request, number, wish, changes.propose_activation)


@router.post(
    "/policies/{number}/retire",
    auth=_ADMINS,
    response={202: ProposedOut, **_PROBLEMS},
    summary="Propose that a version decides no more",
)
def retire(request: HttpRequest, number: Number, wish: ChangeIn) -> HttpResponse:
    """202 with the proposal. A wider scope decides then; the policy for everything can only be replaced."""
    return _propose(request, number, wish, changes.propose_retirement)


@router.post(
    "/policies/{number}/rollback",
    auth=_ADMINS,
    response={202: ProposedOut, **_PROBLEMS},
    summary="Propose to go back to a version",
)
def roll_back(request: HttpRequest, number: Number, wish: ChangeIn) -> HttpResponse:
    """202 with the proposal. It decided before, so it needs no new backtest."""
    return _propose(request, number, wish, changes.roll_back)


type Ask = Callable[[Actor, EvaluationPolicy, str], Proposal]


def _propose(request: HttpRequest, number: int, wish: ChangeIn, ask: Ask) -> HttpResponse:
    def propose() -> HttpResponse:
        proposal = ask(actor_of(request), _find(number), wish.note)
        body = ProposedOut(proposal=proposal.pk, status=proposal.status).model_dump_json()
        return HttpResponse(body, status=202, content_type="application/json")

    return once(request, propose)


def _find(number: int) -> EvaluationPolicy:
    found = policy_queries.policy(number)
    if found is None:
        raise NotFound("policy", str(number))
    return found


def _render(policy: EvaluationPolicy) -> PolicyOut:
    terms = policy.terms
    return PolicyOut(
        number=policy.number,
        scope=PolicyScopeOut.from_orm(policy.scope),
        stage=policy.stage,
        accept_above=policy.accept_above,
        escalate_at_or_below=policy.escalate_at_or_below,
        score=policy.score,
        target_error=policy.target_error,
        validators=[ValidatorOut.from_orm(one) for one in terms.validators],
        content_hash=policy.digest,
        note=policy.note,
        created_at=policy.created_at,
        created_by=policy.created_by.get_username() if policy.created_by else None,
        activated_at=policy.activated_at,
    )
