"""The one form that matters: a person's decision, on the page of whatever it is about."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from orchestrator.actions import reviews, rollbacks
from orchestrator.core.errors import (
    BadInput,
    CountersignError,
    IllegalTransition,
    NotAllowed,
    NotFound,
)
from orchestrator.models import Decision
from review import item_reads, step_up, undoing
from review.access import actor_of, requires
from review.addresses import page_of
from review.desk import Desk, first_problem, refuse, show, show_decided
from review.forms import DecisionForm
from review.views.errors import refuse_role

DONE = {
    "approve": "Approved.",
    "reject": "Rejected. Nothing runs.",
    "respond": "Sent back to the agent. Nothing runs.",
    "happened": "Recorded: it happened.",
    "not_happened": "Recorded: it did not happen. It is not run again.",
    "retry": "Recorded. It is run again.",
    "give_up": "Given up. It is not run again.",
}
# These have something run: an effect, once more or for the first time, or another rule.
PROVEN = frozenset({Decision.Verdict.APPROVE, Decision.Verdict.RETRY})
MORE_NEEDED = "Your approval is recorded. Another person must approve before anything runs."


@require_POST
@requires("queue.decide")
def decide(request: HttpRequest, pk: str, page: str) -> HttpResponse:
    """Decide, then show the page again; a refusal keeps what was written."""
    desk, form = Desk(page, pk), DecisionForm(request.POST)
    if not form.is_valid():
        return refuse(request, desk, first_problem(form))
    try:
        item = desk.item_of(request)
        if _asks_for_proof(request, item, form.cleaned_data["verdict"]):
            return step_up.ask(request, desk.url)
        decision = _decide(request, item, form)
    except CountersignError as error:
        return refuse(request, desk, error)
    # What it says next follows from what is remembered, also in this very answer.
    request.COOKIES[undoing.COOKIE] = decision.pk
    return undoing.remember(show_decided(request, desk, _news(decision)), decision)


def _decide(request: HttpRequest, item: str, form: DecisionForm) -> Decision:
    given = form.cleaned_data
    return reviews.decide(
        actor_of(request),
        item,
        verdict=given["verdict"],
        seen=form.seen,
        idempotency_key=given["idempotency_key"],
        reason=given["reason"],
        note=given["note"],
    )


@require_POST
@requires("queue.decide")
def undo(request: HttpRequest, pk: str, page: str) -> HttpResponse:
    """Back to what was asked, in the hands of whoever takes their decision back."""
    desk = Desk(page, pk)
    decision = request.POST.get("decision", "").replace("\x00", "")
    try:
        item = reviews.undo(actor_of(request), decision)
    except CountersignError as error:
        return undoing.forget(refuse(request, desk, error))
    request.COOKIES.pop(undoing.COOKIE, None)
    if page_of(item) != desk.url:
        return undoing.forget(redirect(page_of(item)))
    return undoing.forget(show(request, desk, "Taken back. It waits for your decision again."))


@require_POST
@requires("queue.decide")
def reopen(request: HttpRequest, pk: str) -> HttpResponse:
    """What a rule blocked goes before two people."""
    try:
        reviews.reopen(actor_of(request), pk, note=request.POST.get("note", ""))
    except IllegalTransition:
        messages.warning(request, "It is not blocked any more, or its run has gone another way.")
    except NotFound as error:
        raise Http404 from error
    except NotAllowed:
        return refuse_role(request, "queue.decide")
    except BadInput as error:
        messages.warning(request, f"Not reopened. {error}")
    else:
        messages.success(request, "Reopened. Two people must approve before anything runs.")
    return redirect("proposal", pk)


@require_POST
@requires("effects.undo")
def roll_back(request: HttpRequest, pk: str) -> HttpResponse:
    """What was done is undone by its target, if somebody who signed in a moment ago wants it."""
    if not step_up.is_fresh(request):
        return step_up.ask(request, reverse("proposal", args=[pk]))
    try:
        rollbacks.request(actor_of(request), pk, reason=request.POST.get("reason", ""))
    except NotFound as error:
        raise Http404 from error
    except CountersignError as error:
        messages.warning(request, f"Not rolled back. {error}")
    else:
        messages.success(request, "It is being rolled back.")
    return redirect("proposal", pk)


def _asks_for_proof(request: HttpRequest, item: str, verdict: str) -> bool:
    """What does much has to come from whoever signed in, not from their open browser."""
    if verdict not in PROVEN or step_up.is_fresh(request):
        return False
    return item_reads.needs_proof(item)


def _news(decision: Decision) -> str:
    is_one_of_many = (
        decision.verdict == Decision.Verdict.APPROVE and decision.item.approvals_needed > 1
    )
    if is_one_of_many and item_reads.is_waiting(decision.item_id):
        return MORE_NEEDED
    return DONE[decision.verdict]
