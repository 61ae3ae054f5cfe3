"""Forms about contracts. Whether a version may be saved, the action decides."""

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings

from orchestrator.actions.contracts import MASKED_MAX, NAME, TEXT_MAX, TIMEOUT_S_MAX
from orchestrator.core.codec import Json, JsonLimits, safe_json
from orchestrator.core.errors import BadJson, Problem
from orchestrator.models import Contract, ContractVersion
from review.meeting_form import MeetingForm, meeting_initial
from review.presentation.contract_terms import IDEMPOTENCY
from review.presentation.json_lines import lines_of

# Blanks between the words of a schema are not stored.
SPACE_FACTOR = 4
PROBLEMS_SHOWN_MAX = 20
BEGINNING: Json = {
    "type": "object",
    "required": ["amount_minor"],
    "properties": {
        "amount_minor": {
            "type": "integer",
            "minimum": 1,
            "description": "in the smallest unit of the currency",
        }
    },
    "additionalProperties": False,
}
_LINE = re.compile(r"line (\d{1,7}),", re.IGNORECASE)
_CODE = {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}


def schema_text(schema: Json) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False)


class ContractFilter(forms.Form):
    kind = forms.ChoiceField(
        label="Describes", choices=[("", "Everything"), *Contract.Kind.choices], required=False
    )


class CompareForm(forms.Form):
    """Which older version the shown one is compared with."""

    against = forms.TypedChoiceField(label="Compare with", coerce=int, required=False)

    def __init__(self, data: Any, numbers: Sequence[int]) -> None:
        super().__init__(data)
        self.fields["against"].choices = [(number, f"Version {number}") for number in numbers]  # type: ignore[attr-defined]


class ContractForm(MeetingForm):
    """One version. The text of the schema stays as it was typed until it is saved."""

    schema = forms.CharField(
        label="JSON Schema",
        strip=False,
        widget=forms.Textarea(attrs={"rows": 26, "class": "code", **_CODE}),
        help_text=(
            "Draft 2020-12. With “additionalProperties”: false a later version can add fields; "
            "an open object already accepts anything under any name."
        ),
    )
    description = forms.CharField(
        max_length=TEXT_MAX["description"],
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="One sentence.",
    )
    owner = forms.CharField(
        max_length=TEXT_MAX["owner"], required=False, help_text="Who is asked about it."
    )
    tier = forms.ChoiceField(
        label="Risk",
        choices=ContractVersion.Tier.choices,
        initial=ContractVersion.Tier.NORMAL,
        help_text="Rules can ask for it.",
    )
    timeout_s = forms.IntegerField(
        label="Timeout in seconds",
        min_value=1,
        max_value=TIMEOUT_S_MAX,
        initial=60,
        help_text="For an event, how late it may come; else how long an answer may take.",
    )
    idempotency = forms.ChoiceField(
        label="Delivered again",
        choices=[(name, words.capitalize()) for name, words in IDEMPOTENCY.items()],
        initial=ContractVersion.Idempotency.REQUIRED,
    )
    budget = forms.DecimalField(
        label="Error budget in percent",
        min_value=Decimal(0),
        max_value=Decimal(100),
        decimal_places=2,
        initial=Decimal(1),
        help_text="Of all events, how many may fail.",
    )
    masked = forms.CharField(
        label="Masked values",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "class": "code", **_CODE}),
        help_text=(
            "One JSON Pointer a line, such as /card_number or /lines/*/iban. "
            "Checks are stored without what stands there."
        ),
    )
    note = forms.CharField(
        label="What changes, and why",
        max_length=TEXT_MAX["note"],
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    based_on = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    field_order = ("kind", "name", "description", "owner", "tier", "timeout_s", "idempotency")

    def clean_schema(self) -> Json:
        text: str = self.cleaned_data["schema"]
        most = settings.CONTRACT_BYTES_MAX * SPACE_FACTOR
        limits = JsonLimits(most, settings.JSON_DEPTH_MAX, settings.JSON_NODES_MAX)
        try:
            return safe_json(text.encode(), limits)
        except BadJson as error:
            raise _at_line(f"It was refused: {error.reason}") from error

    def clean_masked(self) -> list[str]:
        lines = [line.strip() for line in self.cleaned_data["masked"].splitlines()]
        found = [line for line in lines if line]
        if len(found) > MASKED_MAX:
            raise forms.ValidationError(f"At most {MASKED_MAX} pointers are taken.")
        return found

    def wording(self) -> dict[str, Any]:
        """What the action takes."""
        given = dict(self.cleaned_data)
        given["error_budget_bp"] = int(given.pop("budget") * 100)
        for name in MeetingForm.base_fields:
            del given[name]
        return given | {"review": self.meeting()}

    def add_problems(self, problems: Sequence[Problem]) -> None:
        """Each at the line of the text where it is."""
        lines = lines_of(self.data.get("schema", ""))
        for problem in problems[:PROBLEMS_SHOWN_MAX]:
            if problem.pointer.startswith("/masked/"):
                self.add_error("masked", problem.reason)
            elif problem.pointer.startswith("/review/"):
                self._add_meeting_problem(problem)
            else:
                self.add_error("schema", _sentence(problem, lines))

    def _add_meeting_problem(self, problem: Problem) -> None:
        _, _, field, *inside = problem.pointer.split("/")
        place = "".join(f"{part} " for part in inside).replace("~1", "/").replace("~0", "~")
        known = field if field in self.fields else None
        self.add_error(known, f"{place}{problem.reason}.")

    def marked_lines(self) -> list[tuple[int, str, bool]]:
        """The lines of the schema around those that errors name: number, text, whether it is named."""
        errors = self.errors.as_data().get("schema", [])
        named = {
            error.params["line"] for error in errors if error.params and "line" in error.params
        }
        lines = self.data.get("schema", "").splitlines()
        found: list[tuple[int, str, bool]] = []
        for number in sorted({line + step for line in named for step in (-1, 0, 1)}):
            if 0 < number <= len(lines):
                if found and found[-1][0] < number - 1:
                    found.append((0, "", False))
                found.append((number, lines[number - 1], number in named))
        return found


class NewContractForm(ContractForm):
    kind = forms.ChoiceField(label="Describes", choices=Contract.Kind.choices)
    name = forms.RegexField(
        NAME,
        max_length=100,
        help_text="The type of the event, the action or the agent, such as order.damaged.",
        error_messages={"invalid": "Use letters, digits and . _ : - only."},
        widget=forms.TextInput(attrs=_CODE),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["note"].label = "Why it is needed"


def initial_of(version: ContractVersion, based_on: int) -> dict[str, Any]:
    """The form of a new version that begins with what this one says."""
    return {
        "schema": schema_text(version.parsed),
        "description": version.description,
        "owner": version.owner,
        "tier": version.tier,
        "timeout_s": version.timeout_s,
        "idempotency": version.idempotency,
        "budget": Decimal(version.error_budget_bp) / 100,
        "masked": "\n".join(version.masked),
        "based_on": based_on,
        **meeting_initial(version.review),
    }


def _sentence(problem: Problem, lines: dict[str, int]) -> forms.ValidationError:
    pointer = problem.pointer
    # What is missing has no line of its own; what is around it has.
    while pointer and pointer not in lines:
        pointer = pointer.rpartition("/")[0]
    line = lines.get(pointer, 1)
    place = problem.pointer or "the whole"
    return _at_line(f"Line {line}, {place}: {problem.reason}.")


def _at_line(text: str) -> forms.ValidationError:
    """What a sentence says about a line is marked there as well."""
    named = _LINE.search(text)
    params = {"text": text, "line": int(named[1])} if named else {"text": text}
    return forms.ValidationError("%(text)s", params=params)
