"""Which part of the past a report is about: what its address says, as far as it makes sense."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from django import forms

from orchestrator.report_queries.scope import Scope
from review.presentation.money import is_currency
from review.presentation.values import reveal_plainly
from review.reports import periods
from review.reports.periods import Period

# The names of the fields, by those of a scope, in the order of the form.
FIELDS = {
    "agent": "agent",
    "agent_version": "version",
    "model": "model",
    "action": "action",
    "tier": "tier",
    "rule": "rule",
    "workflow": "workflow",
    "reviewer": "reviewer",
}
ANY = {
    "agent": "Any agent",
    "agent_version": "Any version",
    "model": "Any model",
    "action": "Any action",
    "tier": "Any risk",
    "rule": "Any rule",
    "workflow": "Any workflow",
    "reviewer": "Anybody",
}
WORDS = {"tier": "risk", "agent_version": "version"}
COUNT, VALUE = "count", "value"
MISSING = "There is no “{}” to filter by. The report is shown without that filter."

type Choices = Mapping[str, Sequence[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to see."""

    scope: Scope
    period: Period
    compares: bool = False
    in_value: bool = False
    # Of amounts; empty where the report has to choose one.
    currency: str = ""

    @property
    def before(self) -> Scope | None:
        return self.scope.before if self.compares else None

    def of_reviewer(self, pk: int) -> "Asked":
        return replace(self, scope=replace(self.scope, reviewer=pk))


class ReportFilter(forms.Form):
    """Each field that makes no sense is said so, and the rest counts all the same."""

    period = forms.ChoiceField(choices=list(periods.CHOICES.items()), required=False)
    since = forms.DateField(
        label="From", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        label="To", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    measure = forms.ChoiceField(
        label="Counted by",
        choices=[(COUNT, "Proposals"), (VALUE, "Their value")],
        required=False,
    )
    compare = forms.BooleanField(label="Compare with the time before", required=False)
    currency = forms.CharField(max_length=3, required=False, widget=forms.HiddenInput)

    def __init__(
        self,
        data: Mapping[str, Any],
        *,
        today: date,
        choices: Choices,
        has_value: bool = True,
        compares: bool = True,
    ) -> None:
        """`choices` are the values of what this report can be narrowed by, each with its words."""
        super().__init__(_completed(data))
        self.today = today
        self.words = {FIELDS[name]: dict(values) for name, values in choices.items()}
        if not has_value:
            del self.fields["measure"]
        if not compares:
            del self.fields["compare"]
        for name, field in FIELDS.items():
            if name in choices:
                self.fields[field] = forms.ChoiceField(
                    label=WORDS.get(name, name).capitalize(),
                    choices=[("", ANY[name]), *choices[name]],
                    required=False,
                )
        self._say_what_is_unknown()

    def clean(self) -> None:
        if self.cleaned_data.get("period") == periods.DAYS:
            first, last = self.cleaned_data.get("since"), self.cleaned_data.get("until")
            for name, problem in periods.problems_of(first, last, self.today).items():
                if name not in self.errors:
                    self.add_error(name, problem)

    def clean_currency(self) -> str:
        code: str = self.cleaned_data["currency"]
        return code if is_currency(code) else ""

    @property
    def dimensions(self) -> list[forms.BoundField]:
        return [self[field] for field in FIELDS.values() if field in self.fields]

    def words_of(self, field: forms.BoundField) -> str:
        """What was chosen, as the form says it."""
        return self.words[field.name].get(str(field.value()), "")

    @property
    def is_narrowed(self) -> bool:
        return any(field.value() for field in self.dimensions)

    @property
    def problems(self) -> list[str]:
        return [
            f"{self.fields[name].label or name.capitalize()}: {' '.join(map(str, errors))}"
            for name, errors in self.errors.items()
        ]

    @property
    def asked(self) -> Asked:
        self.is_valid()
        known, period = self.cleaned_data, self._period()
        narrowed = {name: known[field] for name, field in FIELDS.items() if known.get(field)}
        if "reviewer" in narrowed:
            narrowed["reviewer"] = int(narrowed["reviewer"])
        return Asked(
            scope=Scope(since=period.first, until=period.last + timedelta(days=1), **narrowed),
            period=period,
            compares=bool(known.get("compare")),
            in_value=known.get("measure") == VALUE,
            currency=known.get("currency", ""),
        )

    def _period(self) -> Period:
        choice = self.cleaned_data.get("period") or periods.USUAL
        if choice != periods.DAYS:
            return periods.period_of(choice, self.today)
        first, last = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        if first is None or last is None:
            return periods.period_of(periods.USUAL, self.today)
        return Period(first, min(last, self.today))

    def _say_what_is_unknown(self) -> None:
        for name, field in self.fields.items():
            if isinstance(field, forms.ChoiceField):
                given = reveal_plainly(str(self.data.get(name, "")))[:60]
                field.error_messages["invalid_choice"] = MISSING.format(given)


def _completed(data: Mapping[str, Any]) -> dict[str, Any]:
    """Whoever names days and no period means those."""
    given = {name: str(text).replace("\x00", "") for name, text in data.items()}
    if not given.get("period"):
        names_days = given.get("since") or given.get("until")
        given["period"] = periods.DAYS if names_days else periods.USUAL
    return {"measure": COUNT} | given


def fitting(choices: Choices, known: Collection[str]) -> Choices:
    """Of what there is, what a report knows."""
    return {name: values for name, values in choices.items() if name in known}
