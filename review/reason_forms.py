"""Forms about reasons. Whether something may be done, the action decides."""

from django import forms

from orchestrator.actions.reasons import LABEL_LENGTH_MAX


class ReasonForm(forms.Form):
    label = forms.CharField(
        max_length=LABEL_LENGTH_MAX, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    needs_note = forms.BooleanField(label="It needs a note", required=False)


class NewReasonForm(ReasonForm):
    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.fields["label"].label = "A new reason"


class MoveForm(forms.Form):
    direction = forms.ChoiceField(choices=[("up", "Up"), ("down", "Down")])
