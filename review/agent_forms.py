"""Forms about agents, their versions and endpoints. Whether something may be done, the actions decide."""

import json
from collections.abc import Sequence
from typing import Any, cast

from django import forms
from django.conf import settings

from orchestrator.actions.agents import LIMITS, Wish
from orchestrator.actions.endpoints import Terms, Whereabouts
from orchestrator.core.policy.agent_versions import Deployed
from orchestrator.models import Agent, AgentVersion, Endpoint

NOTE_LENGTH_MAX = 2_000
_TEXT = {"autocapitalize": "none", "spellcheck": "false"}
_CODE = {"class": "mono", "rows": 6, **_TEXT}
_NOTHING = [("", "none")]
# What a recorded agent is told that is no step.
_RECORDED = {"trajectory", "in_time"}


def _note(label: str = "Why", *, required: bool = True) -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=NOTE_LENGTH_MAX,
        required=required,
        widget=forms.Textarea(attrs={"rows": 2}),
    )


def _classes(label: str, help_text: str) -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        label=label,
        choices=lambda: [(name, name) for name in settings.DATA_CLASSES],
        widget=forms.CheckboxSelectMultiple,
        help_text=help_text,
    )


class AgentForm(forms.Form):
    slug = forms.SlugField(
        label="Name",
        max_length=100,
        help_text="Stages of workflows name it; it never changes.",
        widget=forms.TextInput(attrs=_TEXT),
    )
    title = forms.CharField(max_length=200, required=False, label="What it does, in one line")
    owner = forms.CharField(max_length=100, required=False, label="Whose it is")
    tier = forms.ChoiceField(
        choices=Agent.Tier.choices,
        widget=forms.RadioSelect,
        initial="read_only",
        help_text="A read-only agent proposes nothing and gets no tool that writes. An elevated one may propose.",
    )


class DeployForm(forms.Form):
    """What the runs that start from then on get."""

    stable = forms.TypedChoiceField(coerce=int, label="Stable version")
    canary = forms.TypedChoiceField(coerce=int, empty_value=None, required=False)
    share = forms.IntegerField(
        label="Runs that get the canary, in %", min_value=0, max_value=99, required=False
    )
    shadow = forms.TypedChoiceField(
        coerce=int,
        empty_value=None,
        required=False,
        help_text="Is asked beside, and decides nothing.",
    )
    note = _note()

    def __init__(self, *args: Any, versions: Sequence[AgentVersion], **more: Any) -> None:
        super().__init__(*args, **more)
        choices = [(one.number, f"{one.number} {one.label}".strip()) for one in versions]
        self.fields["stable"].choices = choices  # type: ignore[attr-defined]
        for name in ("canary", "shadow"):
            self.fields[name].choices = [*_NOTHING, *choices]  # type: ignore[attr-defined]

    @property
    def wanted(self) -> Deployed:
        given = self.cleaned_data
        return Deployed(
            given["stable"], given["canary"], given["share"] or 0, given["shadow"] or None
        )


class WayBackForm(forms.Form):
    back_note = _note()


class _JsonField(forms.CharField):
    """An object, as it would stand in a file."""

    def __init__(self, **more: Any) -> None:
        super().__init__(required=False, widget=forms.Textarea(attrs=_CODE), **more)

    def clean(self, value: Any) -> Any:
        text = super().clean(value).strip()
        return self.check(self.read(text) if text else {})

    def read(self, text: str) -> Any:
        return _read(text, "It")

    def check(self, found: Any) -> Any:
        if not isinstance(found, dict):
            raise forms.ValidationError("It has to be an object: { … }.")
        return found


class _SettingsField(_JsonField):
    """Of a recorded agent the steps are enough: as a list, or one a line as in a file of JSONL."""

    def read(self, text: str) -> Any:
        try:
            return super().read(text)
        except forms.ValidationError:
            lines = [
                (number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()
            ]
            if len(lines) < 2 or not _is_json(lines[0][1]):
                raise
            return [_read(line, f"Line {number}") for number, line in lines]

    def check(self, found: Any) -> Any:
        """It takes the adapter to know what is meant: the form checks."""
        return found

    def of(self, adapter: str, found: Any) -> Any:
        if adapter == "recorded":
            is_step = isinstance(found, dict) and found and not found.keys() & _RECORDED
            steps = [found] if is_step else found
            found = {"trajectory": steps} if isinstance(steps, list) else steps
        return super().check(found)


def _read(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise forms.ValidationError(f"{what} is no JSON: {error}.") from error


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


class VersionForm(forms.Form):
    adapter = forms.ChoiceField(choices=AgentVersion.Adapter.choices)
    model = forms.CharField(max_length=200, required=False, widget=forms.TextInput(attrs=_TEXT))
    endpoints = forms.CharField(
        required=False,
        help_text="One name a line, in order: the first that may see the data is called.",
        widget=forms.Textarea(attrs={"rows": 2, **_TEXT}),
    )
    prompt = forms.CharField(required=False, strip=False, widget=forms.Textarea(attrs={"rows": 12}))
    data_classes = _classes("Made for data that is", "Other data it is not handed.")
    tools = forms.CharField(
        required=False,
        help_text="One name a line. What is not approved when it is called is not offered.",
        widget=forms.Textarea(attrs={"rows": 2, **_TEXT}),
    )
    limits = _JsonField(
        label="Limits",
        help_text=f"As a JSON object of {', '.join(LIMITS['llm'])}; an agent over HTTP has the first two.",
    )
    parameters = _SettingsField(
        label="Settings of the adapter",
        help_text="As a JSON object: “temperature”, what a script “says”, the name of a “function”. "
        "Of a recorded agent its steps alone, one a line or as a list, will do.",
    )
    contract = forms.ChoiceField(required=False, label="Contract that its answers keep")
    label = forms.CharField(
        max_length=100, required=False, help_text="What it is called outside, such as 2.4."
    )
    note = _note("Why it is written", required=False)
    base = forms.IntegerField(min_value=0, required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, contracts: Sequence[str], **more: Any) -> None:
        super().__init__(*args, **more)
        choices = [*_NOTHING, *((name, name) for name in contracts)]
        self.fields["contract"].choices = choices  # type: ignore[attr-defined]

    def clean_parameters(self) -> Any:
        field = cast(_SettingsField, self.fields["parameters"])
        adapter, found = self.cleaned_data.get("adapter", ""), self.cleaned_data["parameters"]
        return field.of(adapter, found)

    @property
    def wish(self) -> Wish:
        given = self.cleaned_data
        names = ("adapter", "model", "prompt", "data_classes", "limits", "parameters")
        return Wish(
            **{name: given[name] for name in names},
            endpoints=given["endpoints"].split(),
            tools=given["tools"].split(),
            contract=given["contract"],
        )


def initial_of(version: AgentVersion | None) -> dict[str, Any]:
    """Of a new version: all that the newest one says."""
    if version is None:
        return {"base": 0, "adapter": "llm", "data_classes": settings.DATA_CLASSES_DEFAULT}
    return {
        "adapter": version.adapter,
        "model": version.model,
        "endpoints": "\n".join(version.endpoint_slugs),
        "prompt": version.prompt,
        "data_classes": version.data_classes,
        "tools": "\n".join(version.tools),
        "limits": _pretty(version.limits),
        "parameters": _pretty(version.parameters),
        "contract": version.contract.contract.name if version.contract else "",
        "base": version.number,
    }


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) if value else ""


class EndpointForm(forms.Form):
    provider = forms.ChoiceField(choices=Endpoint.Provider.choices)
    base_url = forms.CharField(
        label="Address", max_length=2_000, widget=forms.TextInput(attrs=_TEXT)
    )
    region = forms.CharField(max_length=100, required=False)
    is_local = forms.BooleanField(label="It is in our own house", required=False)
    data_classes = _classes("It may see data that is", "Before any call; other data is not sent.")
    price_input = forms.IntegerField(
        label="Price of a million tokens in",
        min_value=0,
        required=False,
        help_text="In millionths. Empty is unknown, and never nothing.",
    )
    price_output = forms.IntegerField(
        label="Price of a million tokens out", min_value=0, required=False
    )
    auth = forms.ChoiceField(
        label="How its key is used",
        choices=Endpoint.Auth.choices,
        initial=Endpoint.Auth.BEARER,
        required=False,
        help_text="Only a service of your own can check signatures (HMAC).",
    )
    api_key_env = forms.CharField(
        label="Variable with its key",
        max_length=100,
        required=False,
        help_text="In the environment of the workers; its name ends in _API_KEY. "
        "NAME_API_KEY is for the host that NAME_API_KEY_HOST names there.",
        widget=forms.TextInput(attrs=_TEXT),
    )
    api_key = forms.CharField(
        label="Or the key itself",
        max_length=2_000,
        required=False,
        help_text="It is sealed and never shown again. Empty: it stays as it is.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    note = _note("Why, for the admin who has to agree", required=False)
    base = forms.IntegerField(min_value=0, required=False, widget=forms.HiddenInput)

    @property
    def where(self) -> Whereabouts:
        given = self.cleaned_data
        names = ("provider", "base_url", "region", "is_local", "data_classes")
        return Whereabouts(**{name: given[name] for name in names})

    @property
    def terms(self) -> Terms:
        given = self.cleaned_data
        return Terms(
            auth=given["auth"],
            api_key_env=given["api_key_env"],
            api_key=given["api_key"] or None,
            price_input=given["price_input"],
            price_output=given["price_output"],
        )


class NewEndpointForm(EndpointForm):
    slug = forms.SlugField(
        label="Name",
        max_length=100,
        help_text="Versions name it; it never changes.",
        widget=forms.TextInput(attrs=_TEXT),
    )


def initial_of_endpoint(endpoint: Endpoint) -> dict[str, Any]:
    names = ("provider", "base_url", "region", "is_local", "data_classes", "auth", "api_key_env")
    return {
        **{name: getattr(endpoint, name) for name in names},
        "price_input": endpoint.price_input,
        "price_output": endpoint.price_output,
        "base": endpoint.revision,
    }
