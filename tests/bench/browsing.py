"""A browser without a screen: it reads the forms of a page and sends them as they are."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Form:
    action: str
    fields: dict[str, str] = field(default_factory=dict)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self._is_open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(found.get("action", "")))
            self._is_open = True
        elif tag == "input" and self._is_open and "name" in found:
            # Of several answers the first.
            self.forms[-1].fields.setdefault(found["name"], found.get("value", ""))
        elif tag == "a":
            self.links.append(found.get("href", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_open = False


def forms_of(page: str) -> list[Form]:
    reader = _Reader()
    reader.feed(page)
    return reader.forms


def links_of(page: str) -> list[str]:
    reader = _Reader()
    reader.feed(page)
    return reader.links


def form_to_decide(page: str, *verdicts: str) -> Form | None:
    """The form that gives the first of these verdicts that the page offers."""
    forms = [form for form in forms_of(page) if form.action.endswith("/decide/")]
    offered = {form.fields.get("verdict"): form for form in reversed(forms)}
    return next((offered[verdict] for verdict in verdicts if verdict in offered), None)
