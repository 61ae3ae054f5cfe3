"""What the page of a backtest shows, whether it tests a rule or a policy."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from orchestrator import audit_queries, backtest_queries
from orchestrator.models import Backtest, BacktestFlip
from review.access import may
from review.addresses import page_of
from review.findings import findings_facts
from review.htmx import is_unchanged, not_modified, tag_of, with_tag
from review.paging import Page
from review.reads import id_or_nothing

NO_FLIPS = Page[BacktestFlip](())
PROGRESS_STEPS = 1_000
CANCELLED = "Cancelled. What was counted until then is kept."


def page(request: HttpRequest, found: Backtest) -> HttpResponse:
    return render(request, "review/backtest.html", _facts(request, found))


def news(request: HttpRequest, found: Backtest) -> HttpResponse:
    """The part of the page that keeps asking how far it is, until it has come to its end."""
    facts = _facts(request, found)
    if is_unchanged(request, facts["tag"]):
        return not_modified(facts["tag"])
    return with_tag(render(request, "review/backtest.html#news", facts), facts["tag"])


def _facts(request: HttpRequest, found: Backtest) -> dict[str, Any]:
    report = backtest_queries.report_on(found)
    # What an untried version says of open proposals is not for those who have yet to judge them.
    sees_waiting = may(request.user, "audit.view")
    return findings_facts(report) | {
        "tested": found.tested,
        "tested_at": _page_of_tested(found),
        "address": page_of(found),
        "progress": round(report.share_done * PROGRESS_STEPS),
        "may_edit": may(request.user, "policies.edit" if found.policy else "rules.edit"),
        "tag": tag_of(found.status, found.done, found.total, found.cancel_asked),
        "flips": _flips(request, found, sees_waiting) if found.has_ended else NO_FLIPS,
        "held_back": 0 if sees_waiting else backtest_queries.count_waiting_flips(found),
        "announce": f"Backtest {found.get_status_display().lower()}." if found.has_ended else "",
    }


def _page_of_tested(found: Backtest) -> str:
    if found.policy:
        return reverse("policy", args=[found.policy.number])
    version = found.rule_version
    return reverse("rule_version", args=[version.rule.slug, version.number])


def _flips(request: HttpRequest, found: Backtest, sees_waiting: bool) -> Page[BacktestFlip]:
    size = settings.PAGE_SIZE
    before, after = (id_or_nothing(request.GET.get(name, "")) for name in ("before", "after"))
    rows = backtest_queries.flips_of(
        found,
        with_waiting=sees_waiting,
        without=audit_queries.veiled_proposals(request.user),
        before=before,
        after=after,
        at_most=size + 1,
    )
    shown, has_more = rows[:size], len(rows) > size
    if after:
        shown = shown[::-1]
    return Page(
        shown,
        older=shown[-1].proposal_id if shown and (has_more or after) else "",
        newer=shown[0].proposal_id if shown and (before or (after and has_more)) else "",
    )
