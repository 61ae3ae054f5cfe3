"""Forms about gold items. Whether something may be one, the action decides."""

from django import forms

from orchestrator.actions.gold import WHY_LENGTH_MAX


class WhyForm(forms.Form):
    why = forms.CharField(
        label="Why, for whoever says otherwise",
        max_length=WHY_LENGTH_MAX,
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class GoldForm(WhyForm):
    """In the order of reading: which, then why."""

    field_order = ("proposal", "why")
    proposal = forms.CharField(
        label="Id of a settled proposal",
        max_length=40,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
