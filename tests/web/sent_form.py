"""What a browser sends of a page of inputs when nobody touches them, by the rules of HTML."""

from html.parser import HTMLParser


def sent(page: str) -> dict[str, str]:
    parser = _Inputs()
    # The parser of a browser knows no carriage return; what it sends has one in every line end.
    parser.feed(page.replace("\r\n", "\n").replace("\r", "\n"))
    parser.close()
    return parser.found


class _Inputs(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._area = ""
        self._text: list[str] = []
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if tag == "input":
            self._input(at)
        elif tag == "textarea":
            self._area, self._text = at["name"], []
        elif tag == "select":
            self._select = at["name"]
        elif tag == "option" and (self._select not in self.found or "selected" in at):
            self.found[self._select] = at["value"]

    def _input(self, at: dict[str, str]) -> None:
        if at.get("type") != "checkbox":
            self.found[at["name"]] = at.get("value", "").replace("\n", "")
        elif "checked" in at:
            self.found[at["name"]] = at.get("value", "on")

    def handle_data(self, data: str) -> None:
        if self._area:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            text = "".join(self._text).removeprefix("\n")
            self.found[self._area] = text.replace("\n", "\r\n")
            self._area = ""
