"""Forms of the pages, and how their fields look."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.forms.renderers import DjangoTemplates
from django.template.loader import get_template

from orchestrator.actions.confirmations import Seen
from orchestrator.core.errors import BadInput, CountersignError
from orchestrator.models import Decision, ReviewItem
from review.presentation.chips import RUNS

# Blind audits are handed out elsewhere, one by one.
QUEUE_KINDS = [choice for choice in ReviewItem.Kind.choices if choice[0] not in ReviewItem.BLIND]


class Renderer(DjangoTemplates):
    """Fields look as `templates/ui/field.html` says; widgets stay Django's own."""

    form_template_name = "ui/form.html"
    field_template_name = "ui/field.html"

    def get_template(self, template_name: str) -> Any:
        if template_name.startswith("ui/"):
            return get_template(template_name)
        return super().get_template(template_name)


SEEN = ("version", "lease", "confirmation", "target")


class SeenForm(forms.Form):
    """What a reviewer had in front of them, and what they say. Whether it may be done, the action decides."""

    item = forms.CharField(max_length=40)
    version = forms.IntegerField(min_value=1)
    lease = forms.CharField(max_length=40)
    confirmation = forms.CharField(max_length=64)
    # Empty where nobody can look at the target.
    target = forms.CharField(max_length=71, required=False)
    idempotency_key = forms.CharField(max_length=255)
    reason = forms.SlugField(max_length=40, required=False)
    note = forms.CharField(max_length=5_000, required=False)

    @property
    def seen(self) -> Seen:
        return Seen(**{name: self.cleaned_data[name] for name in SEEN})


class DecisionForm(SeenForm):
    verdict = forms.ChoiceField(choices=Decision.Verdict.choices)


class SetupForm(forms.Form):
    """The first admin of an empty instance."""

    code = forms.CharField(
        label="Setup code",
        max_length=40,
        help_text="Printed in the terminal where Countersign was started.",
        widget=forms.TextInput(attrs={"autofocus": True, "autocomplete": "one-time-code"}),
    )
    username = forms.CharField(
        label="User name",
        max_length=150,
        validators=[User.username_validator],
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none"}),
    )
    password = forms.CharField(
        strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )
    password_again = forms.CharField(
        label="Password again",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean_password_again(self) -> str:
        again: str = self.cleaned_data["password_again"]
        if again != self.cleaned_data.get("password", again):
            raise forms.ValidationError("The two passwords differ.")
        return again


class QueueFilter(forms.Form):
    # Shorter words would be looked for in every waiting item.
    q = forms.CharField(
        label="Search",
        min_length=3,
        max_length=100,
        required=False,
        error_messages={"min_length": "At least three letters."},
        widget=forms.TextInput(
            attrs={
                "type": "search",
                "placeholder": "Target, agent, action or id",
                "autocomplete": "off",
                "spellcheck": "false",
            }
        ),
    )
    kind = forms.ChoiceField(
        label="Why it waits", choices=[("", "Any reason"), *QUEUE_KINDS], required=False
    )
    action = forms.ChoiceField(choices=[("", "Any action")], required=False)
    team = forms.ChoiceField(choices=[("", "Any team")], required=False)
    view = forms.CharField(max_length=220, required=False, widget=forms.HiddenInput)

    def __init__(
        self, data: Mapping[str, Any], *, actions: Sequence[str], teams: Mapping[str, str]
    ) -> None:
        super().__init__(data)
        offer(self.fields["action"], actions, data.get("action", ""))
        self.fields["team"].choices = [("", "Any team"), *teams.items()]  # type: ignore[attr-defined]


class SavedViewForm(forms.Form):
    name = forms.CharField(max_length=60)
    query = forms.CharField(max_length=1_000, required=False, widget=forms.HiddenInput)
    is_shared = forms.BooleanField(label="For everybody", required=False)


class RunListFilter(forms.Form):
    status = forms.ChoiceField(
        choices=[("", "Any status"), *((name, look.label) for name, look in RUNS.items())],
        required=False,
    )
    workflow = forms.ChoiceField(choices=[("", "Any workflow")], required=False)
    # Chosen by a link; hidden, so that filtering further keeps it.
    mine = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, data: Mapping[str, Any], *, workflows: Sequence[str]) -> None:
        super().__init__(data)
        offer(self.fields["workflow"], workflows, data.get("workflow", ""))


class CancelForm(forms.Form):
    reason = forms.CharField(max_length=1_000)


class AuditFilter(forms.Form):
    verb = forms.ChoiceField(label="What", choices=[("", "Anything")], required=False)
    who = forms.ChoiceField(choices=[("", "Anybody")], required=False)

    def __init__(
        self, data: Mapping[str, Any], *, verbs: Sequence[str], people: Sequence[str]
    ) -> None:
        super().__init__(data)
        offer(self.fields["verb"], verbs, data.get("verb", ""))
        offer(self.fields["who"], people, data.get("who", ""))


def offer(field: forms.Field, names: Sequence[str], chosen: str) -> None:
    """The choice in the address stays valid even when no recent row has it."""
    known = sorted({*names, chosen.replace("\x00", "")} - {""})
    field.choices = [*field.choices, *((name, name) for name in known)]  # type: ignore[attr-defined]


def show_error(form: forms.Form, error: CountersignError, **shown_at: str) -> None:
    """Beside the field that it is about, or where that one is shown; else above the form."""
    if not isinstance(error, BadInput):
        form.add_error(None, str(error))
        return
    name = error.field.split("/")[0]
    field = shown_at.get(name, name)
    form.add_error(field if field in form.fields else None, error.reason)
