"""What an admin sends about calibrators and stand-downs."""

from django import forms

from orchestrator.models import TrackRecord


class ChooseForm(forms.Form):
    """`newest`, `off`, or the number of a calibrator: one button each."""

    use = forms.RegexField(r"newest|off|[1-9][0-9]{0,8}")

    @property
    def wish(self) -> tuple[str, int | None]:
        said = self.cleaned_data["use"]
        if said in TrackRecord.Use.values:
            return said, None
        return TrackRecord.Use.PINNED.value, int(said)


class LiftForm(forms.Form):
    """Which one it is, as the page said: another may have begun to stand since."""

    stand_down = forms.CharField(max_length=30, widget=forms.HiddenInput)
    overturned = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    reason = forms.CharField(
        label="Why it may run by itself again",
        max_length=5_000,
        help_text="Kept in the audit log, for whoever asks after the next overturn.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
