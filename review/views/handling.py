"""What is done with an item besides deciding it: taken, let go, handed on, put off, talked about."""

from functools import partial
from http import HTTPStatus

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from orchestrator.actions import claims, handling
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import CountersignError
from review import item_reads
from review.access import actor_of, requires
from review.desk import Desk, carry_out, refuse
from review.htmx import aim, is_partial
from review.sent import text_of
from review.snoozing import read_snooze
from review.statuses import status_of


@require_POST
@requires("queue.decide")
def claim(request: HttpRequest, pk: str, page: str) -> HttpResponse:
    return carry_out(request, Desk(page, pk), claims.take, "You hold it.", "taken")


@require_POST
@requires("queue.decide")
def release(request: HttpRequest, pk: str, page: str) -> HttpResponse:
    act = partial(_release, lease=text_of(request.POST, "lease"))
    return carry_out(request, Desk(page, pk), act, "Released. Others can take it.")


@require_POST
@requires("queue.decide")
def keep(request: HttpRequest, pk: str, page: str) -> HttpResponse:
    """A sign of life from an open page. What was lost comes back as what others would see."""
    desk = Desk(page, pk)
    try:
        item = desk.item_of(request)
        held = claims.keep(actor_of(request), item, text_of(request.POST, "lease"))
    except CountersignError as error:
        return _lost(request, desk, error)
    if is_partial(request):
        return render(request, "review/lease.html", {"item": held})
    return HttpResponse(status=HTTPStatus.NO_CONTENT)


@require_POST
@requires("queue.decide")
def escalate(request: HttpRequest, pk: str, page: str) -> HttpResponse:
    sent = request.POST
    act = partial(_escalate, reason=text_of(sent, "reason"), note=sent.get("note", ""))
    return carry_out(
        request, Desk(page, pk), act, "Escalated. Nothing runs before somebody decides."
    )


@require_POST
@requires("queue.decide")
def snooze(request: HttpRequest, pk: str, page: str) -> HttpResponse:
    act = partial(_snooze, sent=request.POST.dict())
    return carry_out(request, Desk(page, pk), act, "Snoozed. Its deadline goes on.")


@require_POST
@requires("queue.decide")
def wake(request: HttpRequest, pk: str, page: str) -> HttpResponse:
    return carry_out(request, Desk(page, pk), handling.wake, "Awake. It is in the queue again.")


@require_POST
@requires("queue.assign")
def assign(request: HttpRequest, pk: str, page: str) -> HttpResponse:
    act = partial(_assign, team=text_of(request.POST, "team"))
    return carry_out(request, Desk(page, pk), act, "Handed on.")


@require_POST
@requires("proposals.view")
def comment(request: HttpRequest, pk: str, page: str) -> HttpResponse:
    """Answers with the conversation alone, so that a decision being written stays untouched."""
    desk, text = Desk(page, pk), request.POST.get("text", "")
    if not item_reads.has_page(page, pk):
        raise Http404
    try:
        handling.comment(actor_of(request), desk.item_of(request), text)
    except CountersignError as error:
        return _not_said(request, desk, error, text)
    if not is_partial(request):
        return redirect(f"{desk.url}#comments")
    facts = desk.facts(request) | {"announce": "Your comment is there.", "was_said": True}
    return render(request, "review/comments.html", facts)


def _not_said(request: HttpRequest, desk: Desk, error: CountersignError, text: str) -> HttpResponse:
    facts = desk.facts(request) | {"comment_error": error, "comment_text": text}
    template = "review/comments.html" if is_partial(request) else desk.template
    return render(request, template, facts, status=status_of(error))


def _lost(request: HttpRequest, desk: Desk, error: CountersignError) -> HttpResponse:
    if not is_partial(request):
        return refuse(request, desk, error)
    facts = desk.facts(request) | {"is_lost": True}
    response = render(request, f"{desk.template}#lost", facts, status=status_of(error))
    return aim(response, "#decide", "outerHTML")


def _release(actor: Actor, item: str, *, lease: str) -> None:
    claims.release(actor, item, lease)


def _escalate(actor: Actor, item: str, *, reason: str, note: str) -> None:
    handling.escalate(actor, item, reason=reason, note=note)


def _snooze(actor: Actor, item: str, *, sent: dict[str, str]) -> None:
    until, wakes_on = read_snooze(sent, item_reads.item(item), timezone.now())
    handling.snooze(actor, item, until=until, wakes_on=wakes_on)


def _assign(actor: Actor, item: str, *, team: str) -> None:
    handling.assign(actor, item, team)
