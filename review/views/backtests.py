"""Backtests of rules: asked for, watched, cancelled, and opened."""

from datetime import timedelta
from http import HTTPStatus

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from orchestrator import backtest_queries
from orchestrator.actions import backtests
from orchestrator.core.errors import CountersignError
from orchestrator.models import Backtest
from review import backtest_page
from review.access import actor_of, requires
from review.rule_forms import BacktestForm
from review.rule_page import version_facts
from review.rule_trial import Trial
from review.views.rules import version_or_404


@require_POST
@requires("rules.edit")
def start(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    version = version_or_404(slug, number)
    form = BacktestForm(request.POST)
    if not form.is_valid():
        facts = version_facts(request, version, Trial(), backtest_form=form)
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return render(request, "review/rule_version.html", facts, status=status)
    until = backtests.next_minute()
    try:
        found = backtests.request(
            actor_of(request),
            version,
            since=until - timedelta(days=form.cleaned_data["days"]),
            until=until,
            proposals_max=form.cleaned_data["proposals_max"],
        )
    except CountersignError as error:
        facts = version_facts(request, version, Trial(), error=error)
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return render(request, "review/rule_version.html", facts, status=status)
    return redirect("backtest", slug, number, found.pk)


@require_safe
@requires("rules.view")
def backtest(request: HttpRequest, slug: str, number: int, pk: str) -> HttpResponse:
    return backtest_page.page(request, _backtest_or_404(slug, number, pk))


@require_safe
@requires("rules.view")
def news(request: HttpRequest, slug: str, number: int, pk: str) -> HttpResponse:
    return backtest_page.news(request, _backtest_or_404(slug, number, pk))


@require_POST
@requires("rules.edit")
def cancel(request: HttpRequest, slug: str, number: int, pk: str) -> HttpResponse:
    backtests.cancel(actor_of(request), _backtest_or_404(slug, number, pk))
    messages.success(request, backtest_page.CANCELLED)
    return redirect("backtest", slug, number, pk)


def _backtest_or_404(slug: str, number: int, pk: str) -> Backtest:
    found = backtest_queries.backtest(pk)
    version = found.version if found else None
    if not found or not version or (version.rule.slug, version.number) != (slug, number):
        raise Http404
    return found
