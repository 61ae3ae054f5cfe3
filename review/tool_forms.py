"""Forms about tools. Whether something may be done, the action decides."""

from typing import Any

from django import forms
from django.conf import settings

from orchestrator.actions.tool_retirements import WHY_LENGTH_MAX
from orchestrator.models import ToolServer, ToolVersion

_PLAIN = {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}


class ApproveForm(forms.Form):
    """The version that was looked at, by number and by what it says."""

    number = forms.IntegerField(min_value=1, widget=forms.HiddenInput)
    digest = forms.CharField(max_length=71, widget=forms.HiddenInput)


class KindForm(forms.Form):
    """What a server says of itself is not believed: a person says what its tool does."""

    number = forms.IntegerField(min_value=1, widget=forms.HiddenInput)
    kind = forms.ChoiceField(label="What it does", choices=ToolVersion.Kind)
    is_repeatable = forms.BooleanField(
        label="A second call with the same key does no harm", required=False
    )


class RetireForm(forms.Form):
    why = forms.CharField(
        label="Why",
        max_length=WHY_LENGTH_MAX,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class ServerForm(forms.Form):
    slug = forms.SlugField(
        label="Name",
        max_length=50,
        help_text="Its tools are named after it, such as shop_get-order. "
        "What is saved takes the place of a server of the same name.",
        widget=forms.TextInput(attrs=_PLAIN),
    )
    transport = forms.ChoiceField(label="Where it is", choices=ToolServer.Transport)
    command = forms.ChoiceField(
        label="Program",
        required=False,
        help_text="Those that TOOL_COMMANDS names. What may be started is not set here.",
    )
    url = forms.CharField(
        label="Address",
        required=False,
        max_length=2_000,
        widget=forms.TextInput(attrs=_PLAIN | {"inputmode": "url"}),
    )
    secret = forms.CharField(
        label="Secret",
        required=False,
        max_length=100,
        help_text="For an address: the name of a variable of the workers that begins with "
        "TOOL_SECRET_, and never the secret itself.",
        widget=forms.TextInput(attrs=_PLAIN),
    )
    env = forms.CharField(
        label="Secrets of the program",
        required=False,
        max_length=2_000,
        help_text="Names of such variables, one per line. The program gets TOOL_SECRET_SHOP_KEY as "
        "SHOP_KEY.",
        widget=forms.Textarea(attrs=_PLAIN | {"rows": 3}),
    )

    def __init__(self, *args: Any, server: ToolServer | None = None, **options: Any) -> None:
        if server is not None:
            options["initial"] = server.config | {"env": "\n".join(server.env)}
        super().__init__(*args, **options)
        # Tools are named after it, so another name is another server.
        self.fields["slug"].disabled = server is not None
        names = sorted(settings.TOOL_COMMANDS)
        choices = [("", "None"), *((name, name) for name in names)]
        self.fields["command"] = forms.ChoiceField(
            label=self.fields["command"].label,
            required=False,
            help_text=self.fields["command"].help_text,
            choices=choices,
        )

    def clean_env(self) -> list[str]:
        return list(dict.fromkeys(self.cleaned_data["env"].split()))
