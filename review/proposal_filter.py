"""Which proposals somebody wants to see in the list: what they choose, and what a number of a report led to."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django import forms

from orchestrator.models import ContractVersion
from orchestrator.proposal_queries import DISPOSITIONS, ENDINGS, RAN, ProposalFilter
from review.forms import offer
from review.presentation.chips import STATUSES, TIERS

# In the words of the reports.
ENDING_WORDS = {
    "automatic": "accepted by itself",
    "by_people": "approved by people",
    "after_edit": "approved after an edit",
    "rejected": "rejected",
    "blocked": "blocked",
    "expired": "nobody said yes in time",
    "withdrawn": "withdrawn",
    "replaced": "replaced by a revision",
    "with_agent": "still with the agent",
    "with_people": "still with people",
    "accepted_unchanged": "accepted without an edit",
    "refused": "refused",
    "undecided": "still open",
}
RAN_WORDS = {
    "executed": "done",
    "rolled_back": "rolled back",
    "failed": "failed",
    "unknown": "outcome unknown",
    "waiting": "about to run",
}
DISPOSITION_WORDS = {
    "accept": "accepted by itself",
    "escalate": "score too low",
    "hold": "held by a rule",
    "revise": "back to the agent",
    "block": "blocked",
    "people": "put before people",
}
BY_WORDS = {"agents": "by agents", "people": "by people, as edits"}
# What has no field of its own: shown with a way to take it away. Each with what it says before its value.
LED_TO = {
    "version": "version ",
    "model": "model ",
    "tier": "",
    "workflow": "workflow ",
    "rule": "stopped by ",
    "rule_version": "version of the rule ",
    "disposition": "the policy: ",
    "ending": "",
    "ran": "",
    "by": "",
}


def _hidden(**options: Any) -> forms.CharField:
    return forms.CharField(required=False, widget=forms.HiddenInput, **options)


def _one_of(words: Mapping[str, str], known: Mapping[str, Any]) -> forms.ChoiceField:
    choices = [("", "Any"), *((name, words[name]) for name in known)]
    return forms.ChoiceField(choices=choices, required=False, widget=forms.HiddenInput)


class ProposalFilterForm(forms.Form):
    status = forms.ChoiceField(
        choices=[("", "Any status"), *((name, look.label) for name, look in STATUSES.items())],
        required=False,
    )
    action = forms.ChoiceField(choices=[("", "Any action")], required=False)
    agent = forms.ChoiceField(choices=[("", "Any agent")], required=False)
    since = forms.DateField(
        label="From (UTC)", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        label="To (UTC)", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    version = _hidden(max_length=100)
    model = _hidden(max_length=200)
    tier = forms.ChoiceField(
        choices=[
            ("", "Any"),
            *((name, TIERS[name].label.lower()) for name in ContractVersion.Tier),
        ],
        required=False,
        widget=forms.HiddenInput,
    )
    workflow = _hidden(max_length=100)
    rule = _hidden(max_length=100)
    rule_version = forms.IntegerField(
        min_value=1, max_value=1_000_000, required=False, widget=forms.HiddenInput
    )
    disposition = _one_of(DISPOSITION_WORDS, DISPOSITIONS)
    ending = _one_of(ENDING_WORDS, ENDINGS)
    ran = _one_of(RAN_WORDS, RAN)
    by = _one_of(BY_WORDS, BY_WORDS)
    counted = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(
        self, data: Mapping[str, Any], *, actions: Sequence[str], agents: Sequence[str]
    ) -> None:
        super().__init__(data)
        offer(self.fields["action"], actions, data.get("action", ""))
        offer(self.fields["agent"], agents, data.get("agent", ""))

    @property
    def wanted(self) -> ProposalFilter:
        """What makes no sense narrows nothing; the form says so."""
        self.is_valid()
        known = self.cleaned_data
        return ProposalFilter(**{name: value for name, value in known.items() if value})

    @property
    def problems(self) -> list[str]:
        """Of what nobody sees a field of; the others say theirs themselves."""
        return [f"“{name}” in this address means nothing here, and narrows nothing."
                for name in self.errors if name in LED_TO]  # fmt: skip

    def led_to(self, address: Mapping[str, str]) -> list[tuple[str, str, str]]:
        """What else narrows the list: words, what somebody else called it, and the address without it."""
        return [
            (LED_TO[name], self._said(name), urlencode({k: v for k, v in address.items() if k not in {name, "before", "after"}}))
            for name in LED_TO
            if self.cleaned_data.get(name)
        ]  # fmt: skip

    def _said(self, name: str) -> str:
        value, field = self.cleaned_data[name], self.fields[name]
        if isinstance(field, forms.ChoiceField):
            return next((str(words) for known, words in field.choices if known == value), "")  # type: ignore[union-attr, misc]
        return str(value)
