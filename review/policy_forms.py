"""Forms about evaluation policies. Whether something may be done, the actions decide."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from orchestrator.core.policy.evaluation import Bands
from orchestrator.core.policy.terms import Scope, Terms
from orchestrator.models import ContractVersion, EvaluationPolicy

NOTE_LENGTH_MAX = 2_000
NAME_LENGTH_MAX = 100
STEP = {"step": "0.01", "min": "0", "max": "1", "inputmode": "decimal"}
DAYS = (("7", "7 days"), ("30", "30 days"), ("90", "90 days"))
DAYS_SHOWN = "30"
SCOPE = ("agent", "agent_version", "action", "tier")
_TEXT = {"autocapitalize": "none", "spellcheck": "false"}


class ScopeForm(forms.Form):
    """What a policy is for, or what a proposal is. What is empty is left open."""

    agent = forms.CharField(
        max_length=NAME_LENGTH_MAX, required=False, widget=forms.TextInput(attrs=_TEXT)
    )
    agent_version = forms.CharField(
        label="Its version",
        max_length=NAME_LENGTH_MAX,
        required=False,
        widget=forms.TextInput(attrs=_TEXT),
    )
    action = forms.CharField(
        max_length=NAME_LENGTH_MAX,
        required=False,
        widget=forms.TextInput(attrs={**_TEXT, "placeholder": "refund.create"}),
    )
    tier = forms.ChoiceField(
        label="Risk", choices=[("", "Any risk"), *ContractVersion.Tier.choices], required=False
    )

    @property
    def scope(self) -> Scope:
        return Scope(**{name: self.cleaned_data.get(name, "") for name in SCOPE})


class PolicyForm(ScopeForm):
    """Everything a version says but its validators, which are rows of their own."""

    accept_above = forms.FloatField(
        min_value=0,
        max_value=1,
        help_text="A score over it is accepted; exactly it is not.",
        widget=forms.NumberInput(attrs=STEP),
    )
    escalate_at_or_below = forms.FloatField(
        label="Before people at or below",
        min_value=0,
        max_value=1,
        help_text="Between the two lines it goes back to the agent.",
        widget=forms.NumberInput(attrs=STEP),
    )
    days = forms.ChoiceField(label="Scores of the last", choices=DAYS, required=False)
    score = forms.ChoiceField(
        label="Whose score counts",
        choices=EvaluationPolicy.Score.choices,
        widget=forms.RadioSelect,
        help_text="An agent without a calibration, or one that has gone stale, is then decided by people.",
    )
    target_percent = forms.FloatField(
        label="Target error in %",
        min_value=0,
        max_value=100,
        required=False,
        widget=forms.NumberInput(
            attrs={"step": "any", "min": "0", "max": "100", "inputmode": "decimal"}
        ),
        help_text="Accept only what a certified threshold for this error covers; whatever else is over "
        "the line goes before people. Empty: no certificate is asked for.",
    )
    note = forms.CharField(
        label="Note on this version",
        max_length=NOTE_LENGTH_MAX,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Why: it stays with the version.",
    )
    base = forms.IntegerField(min_value=0, required=False, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        accept, escalate = found.get("accept_above"), found.get("escalate_at_or_below")
        if accept is not None and escalate is not None and escalate >= accept:
            self.add_error(
                "escalate_at_or_below",
                "It must be lower than the line to accept; between the two lies the revise band.",
            )
        target = found.get("target_percent")
        if target is not None and not 0 < target < 100:
            self.add_error("target_percent", "Give more than 0 and less than 100, or nothing.")
        return found

    @property
    def terms(self) -> Terms:
        """Without its validators."""
        given = self.cleaned_data
        target = given["target_percent"]
        return Terms(
            bands=Bands(given["accept_above"], given["escalate_at_or_below"]),
            score=given["score"],
            target_error=None if target is None else round(target / 100, 8),
        )


def initial_of(scope: Scope, terms: Terms, base: int) -> dict[str, Any]:
    target = terms.target_error
    return {
        **{name: getattr(scope, name) for name in SCOPE},
        "accept_above": terms.bands.accept_above,
        "escalate_at_or_below": terms.bands.escalate_at_or_below,
        "score": terms.score,
        "target_percent": None if target is None else round(target * 100, 6),
        "days": DAYS_SHOWN,
        "base": base,
    }


class StepForm(forms.Form):
    """One step of a version, with the reason."""

    step = forms.ChoiceField(choices=[(name, name) for name in ("activate", "roll_back", "retire")])
    note = forms.CharField(max_length=NOTE_LENGTH_MAX, required=False)


def kept(sent: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What was typed so far, right or not."""
    return {name: values[0] for name, values in sent.items() if values}
