"""Forms about teams. Whether something may be done, the action decides."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from orchestrator.actions.teams import NAME_LENGTH_MAX
from orchestrator.models import Assignment, Team

NAMES_LIST = "names-to-assign"
# No team has this address.
NO_TEAM = "no-team"
_PLAIN = {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}


class NameForm(forms.Form):
    name = forms.CharField(
        max_length=NAME_LENGTH_MAX, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )


class NewTeamForm(NameForm):
    """A team by its name; everything else is on its page."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["name"].label = "Name of a new team"


class AddForm(forms.Form):
    add = forms.CharField(label="Add somebody", widget=forms.Select)

    def offer(self, names: Sequence[str]) -> None:
        _choose(self, "add", [("", "Choose a person"), *((name, name) for name in names)])


class RemoveForm(forms.Form):
    remove = forms.CharField(max_length=150)


class AssignForm(forms.Form):
    kind = forms.ChoiceField(label="Kind", choices=Assignment.Kind.choices, initial="action")
    name = forms.CharField(
        max_length=NAME_LENGTH_MAX, widget=forms.TextInput(attrs={"list": NAMES_LIST, **_PLAIN})
    )


class UnassignForm(forms.Form):
    kind = forms.CharField(max_length=10)
    name = forms.CharField(max_length=NAME_LENGTH_MAX)


class EscalationForm(forms.Form):
    escalates_to = forms.CharField(label="Escalates to", required=False, widget=forms.Select)

    def offer(self, teams: Sequence[Team]) -> None:
        named = ((team.slug, team.name) for team in teams)
        _choose(self, "escalates_to", [("", "No team: it stays here, higher up"), *named])


class RetireForm(forms.Form):
    """Nothing but a click."""


class MoveForm(forms.Form):
    to = forms.CharField(label="Move to", widget=forms.Select)

    def __init__(self, data: Mapping[str, Any], *, teams: Sequence[Team], is_owned: bool) -> None:
        """What has no team cannot be moved to none."""
        super().__init__(data or None)
        named = [(team.slug, team.name) for team in teams]
        none = [(NO_TEAM, "No team: whoever may decide")] if is_owned else []
        _choose(self, "to", [("", "Choose a team"), *named, *none])

    def clean_to(self) -> str:
        chosen: str = self.cleaned_data["to"]
        return "" if chosen == NO_TEAM else chosen


def _choose(form: forms.Form, field: str, choices: Sequence[tuple[str, str]]) -> None:
    """Only offered: what is sent goes to the action as it is, which says what is wrong with it."""
    form.fields[field].widget.choices = choices
