"""Operations on rules. What is in force changes only when another admin approves it in the queue."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status

from orchestrator import rule_queries
from orchestrator.actions import changes, rules
from orchestrator.actions.actor import Actor, require
from orchestrator.api import rule_trial
from orchestrator.api.auth import Bearer, actor_of
from orchestrator.api.idempotency import once
from orchestrator.api.parameters import refuse_unknown
from orchestrator.api.rule_schemas import (
    ChangeIn,
    ConditionProblemOut,
    Number,
    ProposedOut,
    RollBackIn,
    RuleIn,
    RuleLineOut,
    RuleOut,
    RulePageOut,
    RulesIn,
    RuleVersionOut,
    TestIn,
    TestOut,
)
from orchestrator.api.schemas import ProblemOut, Slug
from orchestrator.core.errors import BadInput, NotFound
from orchestrator.core.policy import rule_text
from orchestrator.core.policy.guardrails import Check, Rule
from orchestrator.models import Proposal, RuleVersion

router = Router(tags=["rules"])
_READERS = Bearer("read", "admin")
_ADMINS = Bearer("admin")
_READ_PROBLEMS: dict[Any, Any] = {frozenset({401, 403, 404, 422}): ProblemOut}
_PROBLEMS: dict[Any, Any] = {
    frozenset({400, 401, 403, 404, 409, 413, 415}): ProblemOut,
    422: ConditionProblemOut,
}
_VERSION = "/rules/{slug}/versions/{number}"


@router.get(
    "/rules", auth=_READERS, response={200: RulePageOut, **_READ_PROBLEMS}, summary="List rules"
)
def browse(request: HttpRequest, query: Query[RulesIn]) -> RulePageOut:
    """By name, each with the version that decides, else the one that watches, else the newest."""
    refuse_unknown(request, RulesIn)
    if query.stage and query.stage not in RuleVersion.Stage.values:
        raise BadInput("stage", f"choose among {', '.join(RuleVersion.Stage.values)}.")
    wanted = rule_queries.RuleFilter(stage=query.stage)
    found = rule_queries.rule_lines(wanted, after=query.after, at_most=query.limit + 1)
    shown = found[: query.limit]
    following = shown[-1].rule.slug if len(found) > query.limit else None
    return RulePageOut(rules=[_line(version) for version in shown], next=following)


@router.get(
    "/rules/{slug}",
    auth=_READERS,
    response={200: RuleOut, **_READ_PROBLEMS},
    summary="Read a rule",
)
def read(request: HttpRequest, response: HttpResponse, slug: Slug) -> RuleOut:
    """The version that decides, else the one that watches, else the newest."""
    version = _known(rule_queries.rule_version(slug), slug)
    newest = rule_queries.newest_number(slug)
    response["ETag"] = f'"{newest}"'
    return RuleOut(**_render(version).model_dump(), newest=newest)


@router.get(
    _VERSION,
    auth=_READERS,
    response={200: RuleVersionOut, **_READ_PROBLEMS},
    summary="Read one version",
)
def read_version(request: HttpRequest, slug: Slug, number: Number) -> RuleVersionOut:
    return _render(_find(slug, number))


@router.put(
    "/rules/{slug}",
    auth=_ADMINS,
    response={frozenset({200, 201}): RuleVersionOut, **_PROBLEMS},
    summary="Draft a version",
)
def put(request: HttpRequest, response: HttpResponse, slug: Slug, wish: RuleIn) -> Status[Any]:
    """201 for a new version; 200 with the newest one when that says the same. It decides nothing yet."""
    if wish.slug not in {None, slug}:
        raise BadInput("slug", f"the address says {slug}; send the same name or none.")
    before = rule_queries.newest_number(slug)
    version = rules.draft(
        actor_of(request),
        slug=slug,
        title=wish.title,
        effect=wish.effect,
        condition=wish.require,
        message=wish.message,
        applies_to=wish.applies_to.model_dump(exclude_none=True),
        history=wish.history,
        owner=wish.owner,
        note=wish.note,
        base=_base(request, wish.base),
    )
    response["ETag"] = f'"{version.number}"'
    return Status(201 if version.number > before else 200, _render(version))


@router.post(
    f"{_VERSION}/test",
    auth=_ADMINS,
    response={200: TestOut, **_PROBLEMS},
    summary="Try a version",
)
def test(request: HttpRequest, slug: Slug, number: Number, wish: TestIn) -> TestOut:
    """On a recorded proposal, or on inputs of your own. Nothing is stored."""
    require(actor_of(request), "rules.edit", "try rules")
    check = _try(_find(slug, number).as_rule, wish)
    return TestOut(result=check.result, message=check.reason, explain=list(check.explain))


@router.post(
    f"{_VERSION}/shadow",
    auth=_ADMINS,
    response={200: RuleVersionOut, **_PROBLEMS},
    summary="Let a version watch",
)
def start_shadow(request: HttpRequest, slug: Slug, number: Number) -> HttpResponse:
    """It is asked about every proposal and decides nothing."""
    return once(request, lambda: _move(request, slug, number, rules.start_shadow))


@router.post(
    f"{_VERSION}/shadow/stop",
    auth=_ADMINS,
    response={200: RuleVersionOut, **_PROBLEMS},
    summary="Let a version watch no longer",
)
def stop_shadow(request: HttpRequest, slug: Slug, number: Number) -> HttpResponse:
    return once(request, lambda: _move(request, slug, number, rules.stop_shadow))


@router.post(
    f"{_VERSION}/activate",
    auth=_ADMINS,
    response={202: ProposedOut, **_PROBLEMS},
    summary="Propose that a version decides",
)
def activate(request: HttpRequest, slug: Slug, number: Number, wish: ChangeIn) -> HttpResponse:
    """202 with the proposal that another admin approves in the queue. Its author cannot."""

    def propose() -> HttpResponse:
        version = _find(slug, number)
        return _proposed(changes.propose_activation(actor_of(request), version, wish.note))

    return once(request, propose)


@router.post(
    f"{_VERSION}/retire",
    auth=_ADMINS,
    response={202: ProposedOut, **_PROBLEMS},
    summary="Propose that a rule decides no more",
)
def retire(request: HttpRequest, slug: Slug, number: Number, wish: ChangeIn) -> HttpResponse:
    """202 with the proposal that another admin approves in the queue."""

    def propose() -> HttpResponse:
        version = _find(slug, number)
        return _proposed(changes.propose_retirement(actor_of(request), version, wish.note))

    return once(request, propose)


@router.post(
    "/rules/{slug}/rollback",
    auth=_ADMINS,
    response={202: ProposedOut, **_PROBLEMS},
    summary="Propose to go back to a version",
)
def roll_back(request: HttpRequest, slug: Slug, wish: RollBackIn) -> HttpResponse:
    """202 with the proposal that another admin approves in the queue."""

    def propose() -> HttpResponse:
        version = _find(slug, wish.to)
        return _proposed(changes.roll_back(actor_of(request), version, wish.note))

    return once(request, propose)


def _base(request: HttpRequest, base: int | None) -> int | None:
    """The newest version that the sender knows of, which an ETag says as well."""
    tag = request.headers.get("If-Match")
    if tag is None:
        return base
    number = tag.strip().removeprefix("W/").strip('"')
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise BadInput("If-Match", "send the ETag of the rule as it was given.")
    if base not in {None, int(number)}:
        raise BadInput("base", f"If-Match says {number}; send the same number or one of the two.")
    return int(number)


def _try(rule: Rule, wish: TestIn) -> Check:
    if (wish.proposal is None) == (wish.inputs is None):
        raise BadInput("proposal", "send either `proposal` or `inputs`.")
    if wish.inputs is not None:
        return rule_trial.try_inputs(rule, wish.inputs)
    return rule_trial.try_recorded(rule, wish.proposal or "")


def _move(
    request: HttpRequest, slug: str, number: int, move: Callable[[Actor, RuleVersion], None]
) -> HttpResponse:
    move(actor_of(request), _find(slug, number))
    return _answer(_render(_find(slug, number)))


def _proposed(proposal: Proposal) -> HttpResponse:
    return _answer(ProposedOut(proposal=proposal.pk, status=proposal.status), status=202)


def _answer(body: Schema, *, status: int = 200) -> HttpResponse:
    return HttpResponse(body.model_dump_json(), status=status, content_type="application/json")


def _find(slug: str, number: int) -> RuleVersion:
    return _known(rule_queries.rule_version(slug, number), f"{slug} v{number}")


def _known(version: RuleVersion | None, key: str) -> RuleVersion:
    if version is None:
        raise NotFound("rule", key[:100])
    return version


def _line(version: RuleVersion) -> RuleLineOut:
    return RuleLineOut(
        slug=version.rule.slug,
        version=version.number,
        stage=version.stage,
        title=version.title,
        effect=version.effect,
        owner=version.rule.owner,
        content_hash=version.content_hash,
        created_at=version.created_at,
        created_by=version.created_by.get_username() if version.created_by else None,
    )


def _render(version: RuleVersion) -> RuleVersionOut:
    document = rule_text.document_of(version)
    return RuleVersionOut(
        **_line(version).model_dump(),
        applies_to=dict(document.applies_to),
        require=document.require,
        message=document.message,
        history=dict(document.history),
        note=version.note,
        shadowed_at=version.shadowed_at,
        activated_at=version.activated_at,
    )
