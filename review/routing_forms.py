"""Forms of the router's pages. Whether something may be done, the action decides."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.forms.formsets import BaseFormSet, formset_factory

from orchestrator.core.errors import RoutesInvalid
from orchestrator.core.policy.routing import ROUTES_MAX
from orchestrator.models import InboundEvent
from review.presentation.letters import EVENTS

BLANK_ROWS = 2
ENVELOPE_LENGTH_MAX = 1_000_000


class LetterFilter(forms.Form):
    reason = forms.ChoiceField(
        choices=[("", "Any reason"), *InboundEvent.Reason.choices], required=False
    )
    type = forms.ChoiceField(choices=[("", "Any type")], required=False)
    status = forms.ChoiceField(
        choices=[
            ("", "Not seen to"),
            *((name, EVENTS[name].label) for name in ("redriven", "discarded")),
        ],
        required=False,
    )

    def __init__(self, data: Mapping[str, Any], *, types: Sequence[str]) -> None:
        super().__init__(data)
        known = sorted({*types, data.get("type", "").replace("\x00", "")} - {""})
        field: Any = self.fields["type"]
        field.choices = [*field.choices, *((name, name) for name in known)]


class RedriveForm(forms.Form):
    """`envelope` is empty for an event that is sent again as it came."""

    envelope = forms.CharField(required=False, max_length=ENVELOPE_LENGTH_MAX, strip=True)
    note = forms.CharField(required=False, max_length=1_000)


class NoteForm(forms.Form):
    note = forms.CharField(required=False, max_length=1_000)


class RouteRow(forms.Form):
    """One route. A row without a name is left out; so is one that is marked as removed."""

    name = forms.CharField(required=False, max_length=100)
    when = forms.CharField(
        required=False, max_length=20_000, widget=forms.Textarea(attrs={"rows": 2})
    )
    workflow = forms.CharField(required=False, max_length=100)


RouteRows = formset_factory(
    RouteRow,
    extra=BLANK_ROWS,
    can_order=True,
    can_delete=True,
    max_num=ROUTES_MAX + BLANK_ROWS,
    absolute_max=ROUTES_MAX + BLANK_ROWS,
)


def routes_in(rows: "BaseFormSet[RouteRow]") -> tuple[list[dict[str, str]], list[RouteRow]]:
    """The routes in the order wanted, and the row that each came from."""
    named = [
        row
        for row in rows.forms
        if not row.cleaned_data.get("DELETE")
        and any(row.cleaned_data.get(field) for field in ("name", "when", "workflow"))
    ]
    kept = sorted(named, key=_place)
    return [
        {field: row.cleaned_data.get(field, "") for field in ("name", "when", "workflow")}
        for row in kept
    ], kept


def point_at(error: RoutesInvalid, rows: Sequence[RouteRow]) -> None:
    """Each mistake at the field that it is about."""
    for problem in error.problems:
        place, _, field = problem.pointer.lstrip("/").partition("/")
        if place.isdecimal() and int(place) < len(rows):
            row = rows[int(place)]
            row.add_error(field if field in row.fields else "name", problem.reason)


def _place(row: RouteRow) -> tuple[bool, float]:
    """Rows without a number come last, in the order in which they stand."""
    place = row.cleaned_data.get("ORDER")
    return place is None, place or 0
