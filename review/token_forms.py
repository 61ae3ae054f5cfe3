"""The form for a new token. Whether it may be made, the action decides."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.conf import settings

from orchestrator.actions.tokens import NAME_LENGTH_MAX, Wish
from orchestrator.actions.users import NAME_LENGTH_MAX as USERNAME_LENGTH_MAX
from orchestrator.core.policy.roles import SCOPES

_TEXT = {"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"}
PROGRAM, SELF = "program", "self"


class TokenForm(forms.Form):
    name = forms.CharField(
        max_length=NAME_LENGTH_MAX,
        help_text="Which program has it, and where it runs.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    scopes = forms.MultipleChoiceField(
        label="What it may do",
        choices=[(scope, f"{scope}: {means}") for scope, means in SCOPES.items()],
        widget=forms.CheckboxSelectMultiple,
        help_text="Least is best. Only admin holds the others.",
    )
    agents = forms.CharField(
        required=False,
        label="Agents that it speaks for",
        help_text="One name a line, as proposals state it. Empty: any.",
        widget=forms.Textarea(attrs={"rows": 2, **_TEXT}),
    )
    acts_as = forms.ChoiceField(label="It acts as", widget=forms.RadioSelect, initial=PROGRAM)
    program = forms.CharField(
        required=False,
        label="Account of the program",
        max_length=USERNAME_LENGTH_MAX,
        help_text="Nobody signs in to it. It is made if there is none of this name.",
        widget=forms.TextInput(attrs={"list": "programs", **_TEXT}),
    )
    days = forms.IntegerField(
        label="Days that it is good for", min_value=1, initial=lambda: settings.TOKEN_DAYS
    )

    def __init__(self, *args: Any, myself: str, programs: Sequence[str], **more: Any) -> None:
        super().__init__(*args, **more)
        self.myself, self.programs = myself, programs
        self.fields["acts_as"].choices = [  # type: ignore[attr-defined]
            (PROGRAM, "a program: nobody's decisions are in its way"),
            (SELF, f"me, {myself}: then I cannot decide about what it proposes"),
        ]

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if given.get("acts_as") == PROGRAM and not given.get("program"):
            self.add_error("program", "Name it, or let the token act as you.")
        return given

    @property
    def wish(self) -> Wish:
        given = self.cleaned_data
        return Wish(
            name=given["name"],
            owner=self.myself if given["acts_as"] == SELF else given["program"],
            scopes=given["scopes"],
            agents=given["agents"].split(),
            days=given["days"],
        )
