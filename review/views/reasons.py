from http import HTTPStatus
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from orchestrator import reason_queries
from orchestrator.actions import reasons as actions
from orchestrator.core.errors import BadInput, CountersignError, NotFound, StillNeeded
from orchestrator.models import Reason
from review.access import actor_of, requires
from review.reason_forms import MoveForm, NewReasonForm, ReasonForm

# In the review screen the first ones have keys of their own.
KEYS = 9


@require_http_methods(["GET", "HEAD", "POST"])
@requires("reasons.edit")
def reasons(request: HttpRequest) -> HttpResponse:
    form = NewReasonForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            reason = actions.add(actor_of(request), **form.cleaned_data)
        except BadInput as error:
            form.add_error("label", error.reason)
        else:
            messages.success(request, f"“{reason.label}” is offered from now on.")
            return redirect("reasons")
    return _list(request, form)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("reasons.edit")
def reason(request: HttpRequest, code: str) -> HttpResponse:
    found = _reason_or_404(code)
    if request.method != "POST":
        initial = {"label": found.label, "needs_note": found.needs_note}
        return _one(request, found, ReasonForm(initial=initial))
    form = ReasonForm(request.POST)
    if form.is_valid():
        try:
            actions.change(actor_of(request), code, **form.cleaned_data)
        except BadInput as error:
            form.add_error("label", error.reason)
        else:
            messages.success(request, "Saved.")
            return redirect("reasons")
    return _one(request, found, form)


@require_POST
@requires("reasons.edit")
def move_reason(request: HttpRequest, code: str) -> HttpResponse:
    form = MoveForm(request.POST)
    if not form.is_valid():
        raise Http404
    try:
        actions.move(actor_of(request), code, form.cleaned_data["direction"])
    except NotFound as error:
        # Somebody retired it meanwhile.
        messages.warning(request, str(error))
    return redirect("reasons")


@require_POST
@requires("reasons.edit")
def retire_reason(request: HttpRequest, code: str) -> HttpResponse:
    found = _reason_or_404(code)
    try:
        actions.retire(actor_of(request), code)
    except StillNeeded as error:
        return _refuse(request, found, error)
    messages.success(request, f"“{found.label}” is retired. Decisions that name it keep it.")
    return redirect("reasons")


@require_POST
@requires("reasons.edit")
def bring_back_reason(request: HttpRequest, code: str) -> HttpResponse:
    found = _reason_or_404(code)
    try:
        actions.bring_back(actor_of(request), code)
    except BadInput as error:
        return _refuse(request, found, error)
    messages.success(request, f"“{found.label}” is offered again.")
    return redirect("reasons")


def _refuse(request: HttpRequest, found: Reason, error: CountersignError) -> HttpResponse:
    said = error.reason if isinstance(error, BadInput) else str(error)
    form = ReasonForm({"label": found.label, "needs_note": found.needs_note})
    form.add_error(None, said)
    return _one(request, found, form)


def _list(request: HttpRequest, form: forms.Form) -> HttpResponse:
    used = reason_queries.used(timezone.now())
    rows = [(one, used.get(one.code, 0)) for one in reason_queries.reasons()]
    facts: dict[str, Any] = {
        "form": form,
        "offered": [row for row in rows if row[0].retired_at is None],
        "retired": [row for row in rows if row[0].retired_at is not None],
        "keys": KEYS,
        "days": reason_queries.USED_WINDOW.days,
        "used_read_max": reason_queries.USED_READ_MAX,
    }
    return render(request, "settings/reasons.html", facts, status=_status(form))


def _one(request: HttpRequest, found: Reason, form: forms.Form) -> HttpResponse:
    facts = {"reason": found, "form": form}
    return render(request, "settings/reason.html", facts, status=_status(form))


def _reason_or_404(code: str) -> Reason:
    found = reason_queries.reason(code)
    if found is None:
        raise Http404
    return found


def _status(form: forms.Form) -> HTTPStatus:
    return HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
