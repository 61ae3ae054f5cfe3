"""Forms about rules. Whether something may be done, the actions decide."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.core.validators import validate_slug

from orchestrator.core.policy.conditions import CONDITION_LENGTH_MAX
from orchestrator.models import RuleVersion
from review.presentation.chips import STAGES
from review.rule_windows import names_in

NAMES_LENGTH_MAX = 2_000
NOTE_LENGTH_MAX = 2_000
BACKTEST_DAYS_MAX = 365
BACKTEST_PROPOSALS_MAX = 1_000_000
TIERS = ("low", "normal", "high")
EFFECT_MEANS = {
    "block": "Block: it is closed, nothing runs",
    "hold": "Hold: one person decides",
    "two_person": "Two people: both have to approve",
    "flag": "Flag: it goes on, and that is recorded",
}


class NamesField(forms.CharField):
    """Names with commas between, as a list."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=NAMES_LENGTH_MAX, required=False, **options)

    def clean(self, value: Any) -> list[str]:
        return list(names_in(super().clean(value) or ""))


class RuleForm(forms.Form):
    """Everything a version says but its condition and its windows, which are rows of their own."""

    slug = forms.CharField(
        label="Name",
        max_length=100,
        validators=[validate_slug],
        help_text="Letters, digits and hyphens. It stays; everything else can change.",
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )
    title = forms.CharField(max_length=200, help_text="What people read.")
    actions = NamesField(help_text="Commas between; refund.* is a family. Empty: all actions.")
    agents = NamesField(help_text="Empty: all agents.")
    workflows = NamesField(help_text="Empty: all workflows.")
    tiers = forms.MultipleChoiceField(
        label="Risk",
        choices=[(tier, tier.capitalize()) for tier in TIERS],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None ticked: every risk.",
    )
    effect = forms.ChoiceField(
        label="When it does not hold", choices=list(EFFECT_MEANS.items()), widget=forms.RadioSelect
    )
    message = forms.CharField(
        max_length=2_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="What people are told, with values: the amount {proposal.args.amount_minor} is "
        "over the limit.",
    )
    owner = forms.CharField(max_length=100, required=False, help_text="A team or a person.")
    note = forms.CharField(
        label="Note on this change",
        max_length=NOTE_LENGTH_MAX,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Why: it stays with the version.",
    )
    base = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    condition = forms.CharField(
        max_length=CONDITION_LENGTH_MAX, required=False, strip=False, widget=forms.Textarea
    )

    def __init__(self, *args: Any, is_new: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        # A new rule follows no version, whatever is sent.
        del self.fields["base" if is_new else "slug"]

    @property
    def scope(self) -> dict[str, list[str]]:
        """Only what narrows it."""
        names = ("actions", "agents", "workflows", "tiers")
        given = {name: self.cleaned_data.get(name) or [] for name in names}
        return {name: patterns for name, patterns in given.items() if patterns}


def initial_of(version: RuleVersion, base: int) -> dict[str, Any]:
    scope = {name: _shown(patterns) for name, patterns in version.applies_to.items()}
    return scope | {
        "title": version.title,
        "tiers": version.applies_to.get("tiers", []),
        "effect": version.effect,
        "message": version.message,
        "owner": version.rule.owner,
        "condition": version.condition,
        "base": base,
    }


def _shown(patterns: Sequence[str]) -> str:
    return "" if list(patterns) == ["*"] else ", ".join(patterns)


class RuleListFilter(forms.Form):
    stage = forms.ChoiceField(
        choices=[("", "Any stage"), *((name, look.label) for name, look in STAGES.items())],
        required=False,
    )
    effect = forms.ChoiceField(
        choices=[("", "Any effect"), *RuleVersion.Effect.choices], required=False
    )
    action = forms.CharField(
        label="Asked about",
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs={"placeholder": "refund.create", "autocapitalize": "none"}),
    )


class StageForm(forms.Form):
    """One step of a version, with the reason where one is wanted."""

    step = forms.ChoiceField(
        choices=[
            (name, name) for name in ("shadow", "stop_shadow", "activate", "roll_back", "retire")
        ]
    )
    note = forms.CharField(max_length=NOTE_LENGTH_MAX, required=False)


class BacktestForm(forms.Form):
    days = forms.IntegerField(
        label="Days back", min_value=1, max_value=BACKTEST_DAYS_MAX, initial=30
    )
    proposals_max = forms.IntegerField(
        label="Newest, at most",
        min_value=1,
        max_value=BACKTEST_PROPOSALS_MAX,
        initial=10_000,
    )


class CompareForm(forms.Form):
    """Which two versions: `from` is a word of Python."""

    def __init__(self, data: Mapping[str, Any], numbers: Sequence[int]) -> None:
        super().__init__(data)
        choices = [(str(number), f"version {number}") for number in numbers]
        self.fields["from"] = forms.ChoiceField(label="From", choices=choices)
        self.fields["to"] = forms.ChoiceField(label="To", choices=choices)
