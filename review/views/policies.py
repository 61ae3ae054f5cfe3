"""Evaluation policies to look at, the steps of a version, and its backtests."""

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from orchestrator import backtest_queries, policy_queries
from orchestrator.actions import backtests, changes
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import BadInput, CountersignError
from orchestrator.models import Backtest, EvaluationPolicy, Proposal
from review import backtest_page
from review.access import actor_of, closed_to_auditors, may, requires
from review.policy_forms import ScopeForm, StepForm
from review.policy_page import lines_of, policy_facts
from review.reads import number_or_none
from review.rule_forms import BacktestForm
from review.statuses import status_of
from review.version_way import ASKED, ASKED_ALONE

PAGE = "review/policy.html"


@require_safe
@requires("policies.view")
@closed_to_auditors
def policy_list(request: HttpRequest) -> HttpResponse:
    """With the one that decides about a proposal, if somebody asks."""
    form = ScopeForm(request.GET)
    scope = form.scope if form.is_valid() else None
    is_asked = bool(scope and any(name in request.GET for name in form.fields))
    deciding = policy_queries.decides(scope) if scope and is_asked else None
    size = settings.PAGE_SIZE
    after = number_or_none(request.GET.get("after", ""))
    found = policy_queries.policy_lines(after=after, at_most=size + 1)
    facts = {
        "form": form,
        "is_asked": is_asked,
        "deciding": deciding,
        "deciding_scope": str(deciding.scope) if deciding else "",
        "asked_scope": scope if scope and scope.named else None,
        "asked_query": scope.key if scope else "",
        "lines": lines_of(found[:size]),
        "following": found[size - 1].number if found[size:] else "",
        "lately_max": policy_queries.LATELY_MAX,
        "may_edit": may(request.user, "policies.edit"),
    }
    return render(request, "review/policies.html", facts)


@require_safe
@requires("policies.view")
@closed_to_auditors
def policy(request: HttpRequest, number: int) -> HttpResponse:
    return render(request, PAGE, policy_facts(request, policy_or_404(number)))


@require_POST
@requires("policies.edit")
def change_stage(request: HttpRequest, number: int) -> HttpResponse:
    found = policy_or_404(number)
    form = StepForm(request.POST)
    try:
        if not form.is_valid():
            name, problems = next(iter(form.errors.items()))
            raise BadInput(str(name), str(problems[0]))
        ask = _STEPS[form.cleaned_data["step"]]
        ask(actor_of(request), found, form.cleaned_data["note"])
    except CountersignError as error:
        return _refuse(request, found, error, form=form)
    messages.success(request, ASKED if settings.RULES_FOUR_EYES else ASKED_ALONE)
    return redirect("policy", number)


_STEPS: dict[str, Callable[[Actor, EvaluationPolicy, str], Proposal]] = {
    "activate": changes.propose_activation,
    "roll_back": changes.roll_back,
    "retire": changes.propose_retirement,
}


@require_POST
@requires("policies.edit")
def start_backtest(request: HttpRequest, number: int) -> HttpResponse:
    found = policy_or_404(number)
    form = BacktestForm(request.POST)
    if not form.is_valid():
        facts = policy_facts(request, found, backtest_form=form)
        return render(request, PAGE, facts, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    until = backtests.next_minute()
    try:
        begun = backtests.request(
            actor_of(request),
            found,
            since=until - timedelta(days=form.cleaned_data["days"]),
            until=until,
            proposals_max=form.cleaned_data["proposals_max"],
        )
    except CountersignError as error:
        return _refuse(request, found, error)
    return redirect("policy_backtest", number, begun.pk)


@require_safe
@requires("policies.view")
@closed_to_auditors
def backtest(request: HttpRequest, number: int, pk: str) -> HttpResponse:
    return backtest_page.page(request, _backtest_or_404(number, pk))


@require_safe
@requires("policies.view")
@closed_to_auditors
def backtest_news(request: HttpRequest, number: int, pk: str) -> HttpResponse:
    return backtest_page.news(request, _backtest_or_404(number, pk))


@require_POST
@requires("policies.edit")
def cancel_backtest(request: HttpRequest, number: int, pk: str) -> HttpResponse:
    backtests.cancel(actor_of(request), _backtest_or_404(number, pk))
    messages.success(request, backtest_page.CANCELLED)
    return redirect("policy_backtest", number, pk)


def _refuse(
    request: HttpRequest,
    found: EvaluationPolicy,
    error: CountersignError,
    form: StepForm | None = None,
) -> HttpResponse:
    facts = policy_facts(request, found, error=error, sent=form.data if form else {})
    return render(request, PAGE, facts, status=status_of(error))


def policy_or_404(number: int) -> EvaluationPolicy:
    found = policy_queries.policy(number)
    if found is None:
        raise Http404
    return found


def _backtest_or_404(number: int, pk: str) -> Backtest:
    found = backtest_queries.backtest(pk)
    if found is None or found.policy is None or found.policy.number != number:
        raise Http404
    return found
