"""What people look for in shared memory, and what they send to revoke something of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from orchestrator.actions.memory import REASON_LENGTH_MAX
from orchestrator.models import Observation
from review.forms import offer


class MemoryListFilter(forms.Form):
    space = forms.ChoiceField(label="Memory", choices=[("", "Any memory")], required=False)
    key = forms.CharField(max_length=200, required=False)
    tag = forms.CharField(max_length=60, required=False)
    status = forms.ChoiceField(
        choices=[("", "Any status"), *Observation.Status.choices], required=False
    )

    def __init__(self, data: Mapping[str, Any], *, spaces: Sequence[str]) -> None:
        super().__init__(data)
        offer(self.fields["space"], spaces, data.get("space", ""))


ALSO = (
    ("nothing", "nothing else"),
    ("sure", "what calls wrote that had read it"),
    ("all", "that, and all that their runs wrote later"),
)


class RevokeForm(forms.Form):
    reason = forms.CharField(
        label="Why",
        max_length=REASON_LENGTH_MAX,
        help_text="Kept in the audit log and on this page.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    also = forms.ChoiceField(label="Revoke with it", choices=ALSO, initial="nothing")


class SeenForm(forms.Form):
    """How many a person saw that they were about to revoke. Without it, nothing was seen yet."""

    seen = forms.IntegerField(min_value=1)
