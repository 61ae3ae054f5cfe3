from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from orchestrator import routing_queries
from orchestrator.actions import dead_letters
from orchestrator.core.codec import Json, JsonLimits, safe_json
from orchestrator.core.errors import BadInput, Conflict, CountersignError, IllegalTransition
from review import routing_page as pages
from review.access import actor_of, may, requires
from review.routing_forms import LetterFilter, NoteForm, RedriveForm


@require_safe
@requires("routing.view")
def letters(request: HttpRequest) -> HttpResponse:
    form = LetterFilter(request.GET, types=pages.recent_types())
    chosen = form.cleaned_data if form.is_valid() else {}
    page = pages.letters_page(
        chosen, before=request.GET.get("before", ""), after=request.GET.get("after", "")
    )
    facts = {
        "form": form,
        "rows": page,
        "letters": [pages.letter(event) for event in page.rows],
        "is_filtered": any(chosen.values()),
        "is_one_kind": bool(chosen.get("reason") and chosen.get("type"))
        and not chosen.get("status"),
        "chosen": chosen,
    }
    return render(request, "review/dead_letters.html", facts | _may(request))


@require_safe
@requires("routing.view")
def letter(request: HttpRequest, pk: str) -> HttpResponse:
    return _letter(request, pk)


@require_POST
@requires("routing.edit")
def redrive_letter(request: HttpRequest, pk: str) -> HttpResponse:
    form = RedriveForm(request.POST)
    try:
        _check(form)
        corrected = _envelope_in(form.cleaned_data["envelope"])
        attempt = dead_letters.redrive(
            actor_of(request), pk, corrected=corrected, note=form.cleaned_data["note"]
        )
    except CountersignError as error:
        return _letter(request, pk, error=error, sent=form.data)
    if attempt.run_id:
        messages.success(request, "Sent again: it started a run.")
    else:
        messages.warning(request, "Sent again, and it is a dead letter again. The reason is below.")
    return redirect("letter", attempt.pk)


@require_POST
@requires("routing.edit")
def discard_letter(request: HttpRequest, pk: str) -> HttpResponse:
    form = NoteForm(request.POST)
    try:
        _check(form)
        dead_letters.discard(actor_of(request), pk, note=form.cleaned_data["note"])
    except CountersignError as error:
        return _letter(request, pk, error=error, sent=form.data)
    messages.success(request, "Discarded. It is kept, and never handed on.")
    return redirect("letter", pk)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("routing.edit")
def redrive_letters(request: HttpRequest) -> HttpResponse:
    """Opened it counts, sent it acts."""
    type_, reason = request.GET.get("type", ""), request.GET.get("reason", "")
    back = f"{reverse('letters')}?{urlencode({'type': type_, 'reason': reason})}"
    form = NoteForm(request.POST)
    try:
        if request.method == "POST":
            _check(form)
            done = dead_letters.redrive_all(
                actor_of(request), type_=type_, reason=reason, note=form.cleaned_data["note"]
            )
            messages.success(request, _told(done))
            return redirect(back)
        counted = dead_letters.count(type_, reason)
    except BadInput as error:
        messages.warning(request, str(error))
        return redirect("letters")
    facts = {
        "type": type_,
        "reason": pages.letter_reason(reason),
        "matching": counted.matching,
        "shown": pages.counted(counted.matching),
        "at_most": dead_letters.REDRIVEN_AT_ONCE_MAX,
        "back": back,
    }
    return render(request, "review/dead_letters_redrive.html", facts)


def _letter(
    request: HttpRequest, pk: str, *, error: CountersignError | None = None, sent: Any = None
) -> HttpResponse:
    event = routing_queries.event(pk)
    if event is None:
        raise Http404
    facts = pages.letter_page(event) | _may(request) | {"error": error, "sent": sent or {}}
    status = HTTPStatus.OK
    if error is not None:
        is_conflict = isinstance(error, Conflict | IllegalTransition)
        status = HTTPStatus.CONFLICT if is_conflict else HTTPStatus.UNPROCESSABLE_ENTITY
    return render(request, "review/dead_letter.html", facts, status=status)


def _envelope_in(text: str) -> Json:
    if not text:
        return None
    limits = JsonLimits(settings.JSON_BYTES_MAX, settings.JSON_DEPTH_MAX, settings.JSON_NODES_MAX)
    return safe_json(text.encode(), limits)


def _told(done: dead_letters.Bulk) -> str:
    said = f"Sent again: {done.routed:,} started a run, {done.dead:,} are dead letters again."
    return (
        f"{said} Too much is waiting now, so the rest was left as it is." if done.stopped else said
    )


def _check(form: Any) -> None:
    if not form.is_valid():
        name, found = next(iter(form.errors.items()))
        raise BadInput(name, str(found[0]))


def _may(request: HttpRequest) -> dict[str, bool]:
    return {"may_edit": may(request.user, "routing.edit")}
