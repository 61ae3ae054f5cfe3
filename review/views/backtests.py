"""Backtests of rules: asked for, watched, cancelled, and opened."""

from datetime import timedelta
from http import HTTPStatus
from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from orchestrator import backtest_queries
from orchestrator.actions import backtests
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import CountersignError
from orchestrator.models import Backtest, BacktestFlip
from review.access import may, requires
from review.htmx import is_unchanged, not_modified, tag_of, with_tag
from review.paging import Page
from review.reads import id_or_nothing
from review.rule_findings import findings_facts
from review.rule_forms import BacktestForm
from review.rule_page import version_facts
from review.rule_trial import Trial
from review.views.rules import version_or_404

NO_FLIPS = Page[BacktestFlip](())
PROGRESS_STEPS = 1_000
CANCELLED = "Cancelled. What was counted until then is kept."


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
            Actor(cast(User, request.user)),
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
    found = _backtest_or_404(slug, number, pk)
    return render(request, "review/rule_backtest.html", _facts(request, found))


@require_safe
@requires("rules.view")
def news(request: HttpRequest, slug: str, number: int, pk: str) -> HttpResponse:
    """The part of the page that keeps asking how far it is, until it has come to its end."""
    found = _backtest_or_404(slug, number, pk)
    facts = _facts(request, found)
    if is_unchanged(request, facts["tag"]):
        return not_modified(facts["tag"])
    response = render(request, "review/rule_backtest.html#news", facts)
    return with_tag(response, facts["tag"])


@require_POST
@requires("rules.edit")
def cancel(request: HttpRequest, slug: str, number: int, pk: str) -> HttpResponse:
    backtests.cancel(Actor(cast(User, request.user)), _backtest_or_404(slug, number, pk))
    messages.success(request, CANCELLED)
    return redirect("backtest", slug, number, pk)


def _facts(request: HttpRequest, found: Backtest) -> dict[str, Any]:
    report = backtest_queries.report_on(found)
    # What an untried version says of open proposals is not for those who have yet to judge them.
    sees_waiting = may(request.user, "audit.view")
    return findings_facts(report) | {
        "version": found.version,
        "progress": round(report.share_done * PROGRESS_STEPS),
        "may_edit": may(request.user, "rules.edit"),
        "tag": tag_of(found.status, found.done, found.total, found.cancel_asked),
        "flips": _flips(request, found, sees_waiting) if found.has_ended else NO_FLIPS,
        "held_back": 0 if sees_waiting else backtest_queries.count_waiting_flips(found),
        "announce": f"Backtest {found.get_status_display().lower()}." if found.has_ended else "",
    }


def _flips(request: HttpRequest, found: Backtest, sees_waiting: bool) -> Page[BacktestFlip]:
    size = settings.PAGE_SIZE
    before, after = (id_or_nothing(request.GET.get(name, "")) for name in ("before", "after"))
    rows = backtest_queries.flips_of(
        found, with_waiting=sees_waiting, before=before, after=after, at_most=size + 1
    )
    shown, has_more = rows[:size], len(rows) > size
    if after:
        shown = shown[::-1]
    return Page(
        shown,
        older=shown[-1].proposal_id if shown and (has_more or after) else "",
        newer=shown[0].proposal_id if shown and (before or (after and has_more)) else "",
    )


def _backtest_or_404(slug: str, number: int, pk: str) -> Backtest:
    found = backtest_queries.backtest(pk)
    if found is None or (found.version.rule.slug, found.version.number) != (slug, number):
        raise Http404
    return found
