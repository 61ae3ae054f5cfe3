"""Forms of the pages about routers. Whether something may be done, the action decides."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from orchestrator.core.route_report import RIGHT, UNKNOWN, WRONG
from review.forms import offer

PERIODS = {"7": "Last 7 days", "30": "Last 30 days", "90": "Last 90 days", "365": "Last year"}
USUAL = "30"
BY = {"rule": "A rule", "model": "The model", "fallback": "The fallback"}
VERDICTS = {RIGHT: "Right", WRONG: "Wrong", UNKNOWN: "Not known"}


class DecisionFilter(forms.Form):
    """A field that makes no sense is left out, and the rest counts."""

    period = forms.ChoiceField(choices=list(PERIODS.items()), required=False)
    version = forms.ChoiceField(choices=[("", "Any version")], required=False)
    by = forms.ChoiceField(
        label="Decided by", choices=[("", "Anything"), *BY.items()], required=False
    )
    worker = forms.ChoiceField(choices=[("", "Any worker")], required=False)
    verdict = forms.ChoiceField(
        label="The choice was", choices=[("", "Anything"), *VERDICTS.items()], required=False
    )

    def __init__(
        self, data: Mapping[str, Any], *, versions: Sequence[int], workers: Sequence[str]
    ) -> None:
        super().__init__({"period": USUAL, **{name: data[name] for name in data}})
        field: Any = self.fields["version"]
        field.choices = [*field.choices, *((str(one), f"v{one}") for one in versions)]
        offer(self.fields["worker"], workers, "")

    @property
    def chosen(self) -> dict[str, str]:
        self.is_valid()
        return {"period": USUAL} | {
            name: value for name, value in self.cleaned_data.items() if value
        }


class CorrectionForm(forms.Form):
    worker = forms.CharField(max_length=60)
    note = forms.CharField(max_length=1_000, required=False)
