"""Forms about notices. Whether something may be done, the action decides."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from django import forms

from orchestrator.actions.notices import DEFAULTS, NAME_LENGTH_MAX, Ways
from orchestrator.models import NoticeKind
from orchestrator.outside import URL_LENGTH_MAX
from review.presentation.notices import ICONS, WHEN


class Line(NamedTuple):
    """One kind of notice, with its two boxes."""

    label: str
    when: str
    icon: str
    in_app: forms.BoundField
    email: forms.BoundField


class ChoicesForm(forms.Form):
    """What reaches one person how. Boxes about mail stay as they are while no mail can be sent."""

    address = forms.EmailField(
        label="Mail for me goes to",
        required=False,
        help_text="Signing in knows nothing of this address. A first mail says whether it works.",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )

    def __init__(
        self,
        data: Mapping[str, Any] | None,
        *,
        chosen: Mapping[str, Ways],
        address: str,
        has_mail: bool,
        weekly_report: bool | None = None,
    ) -> None:
        """`weekly_report` is None for whoever may not see what it says."""
        super().__init__(data, initial={"address": address})
        self.fields["address"].disabled = not has_mail
        if weekly_report is not None:
            self.fields["weekly_report"] = forms.BooleanField(
                label="A week is over",
                required=False,
                initial=weekly_report,
                disabled=not has_mail,
                help_text="Its report on Monday: what ran by itself and how sure that is, what people decided.",
            )
        for kind in NoticeKind.values:
            ways = chosen.get(kind, DEFAULTS[kind])
            self.fields[f"{kind}-in_app"] = _box(kind, "in the bell", ways.in_app)
            self.fields[f"{kind}-email"] = _box(kind, "by mail", ways.email, is_open=has_mail)

    def lines(self) -> Iterator[Line]:
        for kind, label in NoticeKind.choices:
            boxes = self[f"{kind}-in_app"], self[f"{kind}-email"]
            yield Line(label, WHEN[kind], ICONS[kind], *boxes)

    def wants_report(self) -> bool | None:
        return self.cleaned_data.get("weekly_report")

    def ways(self) -> dict[str, Ways]:
        sent = self.cleaned_data
        return {
            kind: Ways(sent[f"{kind}-in_app"], sent[f"{kind}-email"]) for kind in NoticeKind.values
        }


def _box(kind: str, way: str, is_on: bool, *, is_open: bool = True) -> forms.BooleanField:
    label = f"{NoticeKind(kind).label}: {way}"
    return forms.BooleanField(label=label, required=False, initial=is_on, disabled=not is_open)


class EndpointForm(forms.Form):
    name = forms.CharField(
        max_length=NAME_LENGTH_MAX, help_text="For this list, such as: Payments channel."
    )
    url = forms.CharField(
        label="URL",
        max_length=URL_LENGTH_MAX,
        help_text="https only, and outside of this network. Chat tools call it an incoming webhook.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    kinds = forms.MultipleChoiceField(
        label="Tell it when",
        choices=NoticeKind.choices,
        widget=forms.CheckboxSelectMultiple,
        initial=[NoticeKind.ITEM_OPENED, NoticeKind.ITEM_EXPIRED],
    )
    team = forms.ChoiceField(
        label="Of which team’s items",
        choices=[("", "Any, and those of no team")],
        required=False,
    )

    def __init__(self, data: Mapping[str, Any] | None, *, teams: Sequence[tuple[str, str]]) -> None:
        super().__init__(data)
        field: Any = self.fields["team"]
        field.choices = [*field.choices, *teams]
