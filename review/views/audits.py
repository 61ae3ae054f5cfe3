"""Blind audits: one at a time, on a page that tells nothing of what was done until a verdict is in."""

from collections.abc import Sequence
from http import HTTPStatus

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from orchestrator.actions import audits as actions
from orchestrator.actions import claims
from orchestrator.audit_queries import DISPUTES, HANDED_OUT
from orchestrator.core.errors import Conflict, CountersignError, NotFound
from review import audit_reads
from review.access import actor_of, may, person_of, requires
from review.audit_forms import JudgeForm
from review.audit_page import NEWS, audit_page
from review.desk import first_problem
from review.htmx import aim, is_partial
from review.sent import text_of
from review.statuses import status_of

EMPTY = "There is none left for you just now; the page says why."
TAKEN = "Somebody else has taken the one that you held. Ask for the next one."


@require_safe
@requires("queue.view")
def start(request: HttpRequest) -> HttpResponse:
    """What audits are for, and how many wait. Managers look; nobody sees who said what."""
    reader = person_of(request)
    facts = {
        "waiting": audit_reads.waiting(reader, HANDED_OUT),
        "disputed": audit_reads.waiting(reader, DISPUTES),
        "today": audit_reads.judged_today(reader),
        "figures": audit_reads.figures(),
        "may_judge": may(reader, "audits.decide"),
        "may_keep_gold": may(reader, "gold.edit"),
    }
    return render(request, "review/audits.html", facts)


@require_safe
@requires("audits.decide")
def disputes(request: HttpRequest) -> HttpResponse:
    """Where two verdicts disagree. Who said which stays hidden until somebody has settled it."""
    facts = {
        "waiting": audit_reads.waiting(person_of(request), DISPUTES),
        "rows": audit_reads.disputes(),
        "may_judge": True,
    }
    return render(request, "review/audit_disputes.html", facts)


@require_POST
@requires("audits.decide")
def take_next(request: HttpRequest) -> HttpResponse:
    return _hand_out(request, HANDED_OUT, "audits")


@require_POST
@requires("audits.decide")
def take_next_dispute(request: HttpRequest) -> HttpResponse:
    return _hand_out(request, DISPUTES, "disputes")


def _hand_out(request: HttpRequest, kinds: Sequence[str], start_page: str) -> HttpResponse:
    try:
        item = actions.take_next(actor_of(request), kinds=kinds)
    except Conflict:
        # Theirs until this very moment.
        messages.info(request, TAKEN)
        return redirect(start_page)
    if item is None:
        messages.info(request, EMPTY)
        return redirect(start_page)
    return redirect("audit", item.pk)


@require_safe
@requires("audits.decide")
def audit(request: HttpRequest, audit: str) -> HttpResponse:
    facts = audit_page(request, audit_reads.audit(audit, person_of(request)))
    return render(request, "review/audit.html", facts)


@require_POST
@requires("audits.decide")
def judge(request: HttpRequest, audit: str) -> HttpResponse:
    """Take the verdict in, then show what was hidden; a refusal keeps what was written."""
    form = JudgeForm(request.POST)
    if not form.is_valid():
        return _refuse(request, audit, form, first_problem(form))
    try:
        decision = actions.judge(actor_of(request), audit, seen=form.seen, **form.said)
    except CountersignError as error:
        return _refuse(request, audit, form, error)
    found = audit_reads.audit(audit, person_of(request))
    news = NEWS[found.item.closed_because]
    if not is_partial(request):
        messages.success(request, news)
        return redirect("audit", decision.item_id)
    facts = audit_page(request, found) | {"announce": news}
    return render(request, "review/audit.html#judged", facts)


@require_POST
@requires("audits.decide")
def put_back(request: HttpRequest, audit: str) -> HttpResponse:
    actions.put_back(actor_of(request), audit, text_of(request.POST, "lease"))
    messages.info(request, "Put back. Somebody else judges it.")
    return redirect("audits")


@require_POST
@requires("audits.decide")
def keep(request: HttpRequest, audit: str) -> HttpResponse:
    """A sign of life of an open page; it has nothing to show unless the hold is lost."""
    try:
        claims.keep(actor_of(request), audit, text_of(request.POST, "lease"))
    except (Conflict, NotFound):
        return render(request, "review/audit.html#hold_lost", status=HTTPStatus.CONFLICT)
    return HttpResponse(status=HTTPStatus.NO_CONTENT)


def _refuse(
    request: HttpRequest, audit: str, form: JudgeForm, error: CountersignError
) -> HttpResponse:
    facts = audit_page(request, audit_reads.audit(audit, person_of(request)))
    facts |= {"error": error, "sent": form.data}
    template = "review/audit.html#decide" if is_partial(request) else "review/audit.html"
    return aim(render(request, template, facts, status=status_of(error)), "#decide", "outerHTML")
