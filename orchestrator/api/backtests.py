"""Operations on backtests: a version of a rule or of a policy, asked about recorded proposals."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router

from orchestrator import backtest_queries, policy_queries, rule_queries
from orchestrator.actions import backtests
from orchestrator.api.auth import Bearer, actor_of
from orchestrator.api.idempotency import once
from orchestrator.api.rule_schemas import (
    BacktestIn,
    BacktestOut,
    CountsOut,
    Number,
    ReasonOut,
    VerdictsOut,
)
from orchestrator.api.schemas import ProblemOut, Slug
from orchestrator.core import typeid
from orchestrator.core.errors import NotFound
from orchestrator.core.policy.backtest import COUNTED, Counts
from orchestrator.core.policy.second_look import Effect
from orchestrator.models import Backtest

router = Router(tags=["backtests"])
_ADMINS = Bearer("admin")
_READ_PROBLEMS: dict[Any, Any] = {frozenset({401, 403, 404, 422}): ProblemOut}
_PROBLEMS: dict[Any, Any] = {frozenset({400, 401, 403, 404, 409, 413, 415, 422}): ProblemOut}


@router.post(
    "/rules/{slug}/versions/{number}/backtest",
    auth=_ADMINS,
    response={202: BacktestOut, **_PROBLEMS},
    summary="Backtest a version",
)
def start(request: HttpRequest, slug: Slug, number: Number, wish: BacktestIn) -> HttpResponse:
    """A job. While one of this version is open, asking again gives that one."""

    def ask() -> HttpResponse:
        version = rule_queries.rule_version(slug, number)
        if version is None:
            raise NotFound("rule", f"{slug} v{number}")
        begun = backtests.request(actor_of(request), version, **wish.model_dump())
        return _answer(begun.pk, status=202)

    return once(request, ask)


@router.post(
    "/policies/{number}/backtest",
    auth=_ADMINS,
    response={202: BacktestOut, **_PROBLEMS},
    summary="Backtest a policy",
)
def start_of_policy(request: HttpRequest, number: Number, wish: BacktestIn) -> HttpResponse:
    """A job. While one of this version is open, asking again gives that one."""

    def ask() -> HttpResponse:
        policy = policy_queries.policy(number)
        if policy is None:
            raise NotFound("policy", str(number))
        begun = backtests.request(actor_of(request), policy, **wish.model_dump())
        return _answer(begun.pk, status=202)

    return once(request, ask)


@router.get(
    "/backtests/{backtest_id}",
    auth=Bearer("read", "admin"),
    response={200: BacktestOut, **_READ_PROBLEMS},
    summary="Read a backtest",
)
def read(request: HttpRequest, backtest_id: str) -> BacktestOut:
    """With what it found so far."""
    return _render(_find(backtest_id))


@router.post(
    "/backtests/{backtest_id}/cancel",
    auth=_ADMINS,
    response={200: BacktestOut, **_PROBLEMS},
    summary="Cancel a backtest",
)
def cancel(request: HttpRequest, backtest_id: str) -> HttpResponse:
    """After the batch in hand. What it found so far stays; what has ended stays as it is."""

    def stop() -> HttpResponse:
        backtests.cancel(actor_of(request), _find(backtest_id))
        return _answer(backtest_id)

    return once(request, stop)


def _find(key: str) -> Backtest:
    found = backtest_queries.backtest(key) if typeid.is_id(key, "bkt") else None
    if found is None:
        raise NotFound("backtest", key[:60])
    return found


def _answer(key: str, *, status: int = 200) -> HttpResponse:
    body = _render(_find(key)).model_dump_json()
    return HttpResponse(body, status=status, content_type="application/json")


def _render(found: Backtest) -> BacktestOut:
    report = backtest_queries.report_on(found)
    findings = report.findings
    return BacktestOut(
        id=found.pk,
        slug=found.version.rule.slug if found.version else None,
        version=found.version.number if found.version else None,
        policy=found.policy.number if found.policy else None,
        content_hash=found.content_hash,
        against=found.against.number if found.against else None,
        status=found.status,
        since=found.since,
        until=found.until,
        oldest=report.oldest,
        proposals_max=found.proposals_max,
        done=found.done,
        total=found.total,
        error=found.error,
        tested=_counts(findings.after),
        in_force=_counts(findings.before) if findings.before else None,
        flips=dict(findings.flips),
        verdicts=_verdicts(report.effect) if report.effect else None,
        reasons=[ReasonOut(reason=reason, count=count) for reason, count in report.reasons],
        created_at=found.created_at,
        ended_at=found.ended_at,
    )


def _verdicts(effect: Effect) -> VerdictsOut:
    return VerdictsOut(
        then=dict(effect.before),
        tested=dict(effect.after),
        days=effect.days,
        audits_a_day_then=effect.audits_before,
        audits_a_day_tested=effect.audits_after,
    )


def _counts(counts: Counts) -> CountsOut:
    return CountsOut(**{name: getattr(counts, name) for name in COUNTED})
