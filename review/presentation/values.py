"""Data that agents and customers wrote, shown as inert text.

Every piece is escaped, isolated in `<bdi>` so that it cannot reorder its surroundings, and marked
`hx-ignore` so that htmx never obeys it. Characters that hide or turn text around are made visible.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence

from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from orchestrator.core.codec import Json
from review.presentation.icons import icon

TEXT_SHOWN_MAX = 600
DEPTH_SHOWN_MAX = 8
ROWS_SHOWN_MAX = 200

# Controls, bidirectional marks, zero-width characters and the invisible tag letters. Joiners stay:
# emoji and several scripts need them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def said(text: str) -> SafeString:
    """Somebody else's text, inline."""
    return format_html('<bdi class="said" hx-ignore>{}</bdi>', reveal(text))


def reveal(text: str) -> SafeString:
    """Escaped, with what cannot be seen spelled out."""
    marked = _UNSEEN.sub(_mark, escape(text))
    return mark_safe(marked)  # noqa: S308  (escaped above; the marks are hexadecimal digits and Unicode names)


def reveal_plainly(text: str) -> str:
    """The same where there is no markup, such as the title of a window."""
    return _UNSEEN.sub(lambda match: f"U+{ord(match.group()):04X}", text)


def has_unseen(text: str) -> bool:
    return _UNSEEN.search(text) is not None


def _mark(match: re.Match[str]) -> str:
    code = f"U+{ord(match.group()):04X}"
    name = unicodedata.name(match.group(), "CONTROL CHARACTER").lower()
    return f'<span class="unseen" title="{name}">{code}</span>'


def value(data: Json, depth: int = 0) -> SafeString:
    """Any JSON value with its type kept visible: the text "5" does not look like the number 5."""
    if not isinstance(data, dict | list):
        return _scalar(data)
    if not data:
        return _plain("empty", "empty list" if isinstance(data, list) else "empty")
    if depth >= DEPTH_SHOWN_MAX:
        return _plain("empty", f"… {len(data)} more, nested deeper")
    return _tree(data, depth) if isinstance(data, dict) else _list(data, depth)


def _scalar(data: bool | int | float | str | None) -> SafeString:
    if isinstance(data, str):
        return _text(data)
    if data is None:
        return _plain("none", "null")
    if isinstance(data, bool):
        return _plain("yes" if data else "no", "true" if data else "false")
    return _plain("number", f"{data:,}" if isinstance(data, int) else repr(data))


def _plain(kind: str, text: str) -> SafeString:
    return format_html('<span class="value" data-type="{}">{}</span>', kind, text)


def _text(text: str) -> SafeString:
    if not text:
        return _plain("empty", "empty text")
    if len(text) <= TEXT_SHOWN_MAX:
        return format_html('<span class="value" data-type="text">{}</span>', said(text))
    return format_html(
        '<details class="fold"><summary>{}{} … {} characters</summary>{}</details>',
        icon("chevron-right"),
        said(text[:80]),
        f"{len(text):,}",
        said(text),
    )


def _tree(data: Mapping[str, Json], depth: int) -> SafeString:
    rows = format_html_join(
        "",
        "<div><dt>{}</dt><dd>{}</dd></div>",
        ((said(key), value(item, depth + 1)) for key, item in list(data.items())[:ROWS_SHOWN_MAX]),
    )
    return format_html('<dl class="tree">{}</dl>{}', rows, rest(len(data)))


def _list(data: Sequence[Json], depth: int) -> SafeString:
    rows = format_html_join(
        "", "<li>{}</li>", ((value(item, depth + 1),) for item in data[:ROWS_SHOWN_MAX])
    )
    return format_html('<ul class="list">{}</ul>{}', rows, rest(len(data)))


def rest(count: int) -> SafeString | str:
    left = count - ROWS_SHOWN_MAX
    return format_html('<p class="muted small">and {} more</p>', f"{left:,}") if left > 0 else ""
