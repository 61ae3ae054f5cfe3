"""What an auditor sends."""

from django import forms

from orchestrator.actions.confirmations import Seen
from orchestrator.models import Decision


class JudgeForm(forms.Form):
    """Whether it may be said, the action decides."""

    version = forms.IntegerField(min_value=1)
    lease = forms.CharField(max_length=40)
    confirmation = forms.CharField(max_length=100)
    idempotency_key = forms.CharField(max_length=255)
    verdict = forms.ChoiceField(choices=Decision.Verdict.choices)
    reason = forms.SlugField(max_length=40, required=False)
    note = forms.CharField(max_length=5_000, required=False)

    @property
    def seen(self) -> Seen:
        given = self.cleaned_data
        return Seen(given["version"], given["lease"], given["confirmation"])

    @property
    def said(self) -> dict[str, str]:
        names = ("verdict", "reason", "note", "idempotency_key")
        return {name: self.cleaned_data[name] for name in names}
