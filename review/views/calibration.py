"""Track records: what agents' scores are worth, what may run by itself because of it, and what stands down."""

from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from orchestrator import calibration_queries
from orchestrator.actions import calibration as actions
from orchestrator.actions import stand_downs
from orchestrator.core.errors import CountersignError
from orchestrator.core.typeid import is_id
from orchestrator.models import StandDown, TrackRecord
from review.access import actor_of, closed_to_auditors, person_of, requires
from review.calibration_forms import ChooseForm, LiftForm
from review.calibration_page import lines_of, record_facts
from review.paging import newest_first
from review.statuses import status_of
from review.views.errors import lead_to_audit

CHOSEN = {
    "newest": "The newest calibrator is in force from now on.",
    "off": "No calibrator is in force. Where the policy asks for calibrated scores, people decide.",
    "pinned": "It stays in force, whatever is fitted after it.",
}


@require_safe
@requires("calibration.view")
def records(request: HttpRequest) -> HttpResponse:
    rows = newest_first(
        calibration_queries.records_for(person_of(request)),
        before=_key(request, "before"),
        after=_key(request, "after"),
    )
    return render(request, "review/calibration.html", {"rows": rows, "lines": lines_of(rows.rows)})


@require_safe
@requires("calibration.view")
def record(request: HttpRequest, pk: str) -> HttpResponse:
    found = _record_or_404(pk)
    if audit := calibration_queries.blind_item_within(person_of(request), found):
        return lead_to_audit(request, audit)
    return _show(request, found)


@require_POST
@requires("calibration.edit")
@closed_to_auditors
def fit(request: HttpRequest, pk: str) -> HttpResponse:
    found = _record_or_404(pk)
    try:
        made = actions.fit(actor_of(request), pk)
    except CountersignError as error:
        return _show(request, found, error=error)
    messages.success(request, f"Calibrator {made.number} is fitted, on {made.labels:,} labels.")
    return redirect("track_record", pk)


@require_POST
@requires("calibration.edit")
@closed_to_auditors
def choose(request: HttpRequest, pk: str) -> HttpResponse:
    found, form = _record_or_404(pk), ChooseForm(request.POST)
    if not form.is_valid():
        raise Http404
    use, number = form.wish
    try:
        actions.choose(actor_of(request), pk, use=use, number=number)
    except CountersignError as error:
        return _show(request, found, error=error)
    messages.success(request, CHOSEN[use])
    return redirect("track_record", pk)


@require_POST
@requires("stand_downs.lift")
@closed_to_auditors
def lift(request: HttpRequest, pk: str) -> HttpResponse:
    """A refusal keeps what was written."""
    found, form = _record_or_404(pk), LiftForm(request.POST)
    if not form.is_valid():
        return _show(request, found, form=form)
    try:
        said = form.cleaned_data
        stand_downs.lift(
            actor_of(request),
            said["stand_down"],
            reason=said["reason"],
            overturned=said["overturned"],
        )
    except CountersignError as error:
        return _show(request, found, form=form, error=error)
    messages.success(
        request, "Automatic accepting goes on, as far as policy and certificate allow."
    )
    return redirect("track_record", pk)


def _lift_form(standing: StandDown, reason: str) -> LiftForm:
    """About what stands now, with what was written before."""
    count = standing.causes.count()
    return LiftForm(initial={"stand_down": standing.pk, "overturned": count, "reason": reason})


def _show(
    request: HttpRequest,
    found: TrackRecord,
    *,
    form: LiftForm | None = None,
    error: CountersignError | None = None,
) -> HttpResponse:
    facts: dict[str, Any] = record_facts(request, found)
    standing = facts["standing"]
    if standing is not None and (form is None or form.is_valid()):
        form = _lift_form(standing, form.cleaned_data["reason"] if form else "")
    status = status_of(error) if error else HTTPStatus.OK
    if error is None and form is not None and form.errors:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
    facts |= {"form": form, "error": error}
    return render(request, "review/calibration_record.html", facts, status=status)


def _record_or_404(pk: str) -> TrackRecord:
    found = calibration_queries.record(pk)
    if found is None:
        raise Http404
    return found


def _key(request: HttpRequest, name: str) -> str | None:
    given = request.GET.get(name, "")
    return given if is_id(given, "trk") else None
