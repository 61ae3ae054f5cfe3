"""The part of a contract's form that says how people meet the action."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from django import forms

from orchestrator.core.codec import Json
from orchestrator.core.policy.display import (
    HEADING_LENGTH_MAX,
    KINDS,
    PARTS,
    SHOWS_MAX,
    UNDO_S_MAX,
    VERBS,
    read_review,
)

EMPTY_ROWS = 3
# Between two parts; what is no name of a part belongs to the pointer before it.
_BETWEEN = re.compile(rf",\s*(?=(?:{'|'.join(PARTS)})=)")


class ShowRow(NamedTuple):
    """As it is typed: `/amount_minor`, `money`, `currency=/currency`."""

    place: str
    kind: str
    parts: str


def _said(row: ShowRow) -> dict[str, str]:
    found = (part.partition("=") for part in _BETWEEN.split(row.parts.strip()) if part)
    return {"as": row.kind} | {name.strip(): text.strip() for name, _, text in found}


class ShowsInput(forms.Widget):
    """A row for each argument, and some empty ones."""

    template_name = "ui/shows.html"
    use_fieldset = True

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        empty = [ShowRow("", "", "")] * EMPTY_ROWS
        context["rows"] = [*(value or []), *empty][:SHOWS_MAX]
        context["kinds"] = list(KINDS)
        return context

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[ShowRow]:
        columns = [data.getlist(f"{name}_{part}") for part in ("place", "kind", "parts")]
        rows = (ShowRow(*row) for row in zip(*columns, strict=False))
        return [row for row in rows if row.place.strip() or row.parts.strip()][:SHOWS_MAX]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return f"{name}_place" not in data


class ShowsField(forms.Field):
    widget = ShowsInput

    def clean(self, value: list[ShowRow]) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for row in value:
            place = row.place.strip()
            if place in found:
                raise forms.ValidationError(f"{place} has two rows; it can be shown in one way.")
            found[place] = _said(row)
        return found


class MeetingForm(forms.Form):
    heading = forms.CharField(
        max_length=HEADING_LENGTH_MAX,
        required=False,
        help_text="One sentence with arguments in braces, such as Refund {amount_minor} for {target}.",
    )
    shows = ShowsField(label="Arguments shown as", required=False)
    verbs = forms.MultipleChoiceField(
        label="People may",
        choices=[(verb, verb.capitalize()) for verb in VERBS],
        initial=VERBS,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    undo_s = forms.IntegerField(
        label="Seconds in which an approval can be undone",
        min_value=0,
        max_value=UNDO_S_MAX,
        required=False,
        help_text="0 for not at all; empty for what the setting UNDO_S says.",
    )

    def meeting(self) -> dict[str, Any]:
        """Only what is not as usual, so that who says nothing changes nothing."""
        chosen = self.cleaned_data
        found = {name: chosen[name] for name in ("heading", "shows") if chosen[name]}
        # Boxes of which none is ticked are not sent, and neither are those of a form without them.
        if "heading" in self.data and tuple(chosen["verbs"]) != VERBS:
            found["verbs"] = chosen["verbs"]
        if chosen["undo_s"] is not None:
            found["undo_s"] = chosen["undo_s"]
        return found


def meeting_initial(stored: Mapping[str, Json]) -> dict[str, Any]:
    review = read_review(dict(stored))
    return {
        "heading": review.heading,
        "verbs": review.verbs,
        "undo_s": review.undo_s,
        "shows": [
            ShowRow(place, show.kind, ", ".join(f"{n}={text}" for n, text in show.parts.items()))
            for place, show in review.shows.items()
        ],
    }
