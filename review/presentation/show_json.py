"""JSON as a tree of which every branch can be folded; a text that holds JSON is read first."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from orchestrator.core.codec import Json, JsonLimits, safe_json
from orchestrator.core.errors import BadJson
from review.presentation.icons import icon
from review.presentation.sight import Sight
from review.presentation.values import DEPTH_SHOWN_MAX, ROWS_SHOWN_MAX, rest, said, value

# Branches of more than so many entries begin folded.
OPEN_MAX = 12


def folded(sight: Sight) -> dict[str, Any] | None:
    found, is_text = sight.value, isinstance(sight.value, str)
    if isinstance(found, str):
        limits = JsonLimits(
            settings.JSON_BYTES_MAX, settings.JSON_DEPTH_MAX, settings.JSON_NODES_MAX
        )
        try:
            found = safe_json(found.encode(), limits)
        except BadJson:
            return None
    return {"tree": tree(found), "is_text": is_text}


def tree(data: Json, depth: int = 0) -> SafeString:
    if not isinstance(data, dict | list) or not data or depth >= DEPTH_SHOWN_MAX:
        return value(data, depth)
    rows = format_html_join("", "<li>{}</li>", ((row,) for row in _rows(data, depth)))
    return format_html('<ul class="json">{}</ul>{}', rows, rest(len(data)))


def _rows(data: dict[str, Json] | list[Json], depth: int) -> Iterator[SafeString]:
    named = data.items() if isinstance(data, dict) else enumerate(data)
    for name, inner in list(named)[:ROWS_SHOWN_MAX]:
        label = format_html('<span class="name">{}</span>', said(str(name)))
        if isinstance(inner, dict | list) and inner and depth + 1 < DEPTH_SHOWN_MAX:
            yield _branch(label, inner, depth)
        else:
            yield format_html('<span class="leaf">{} {}</span>', label, tree(inner, depth + 1))


def _branch(label: SafeString, inner: dict[str, Json] | list[Json], depth: int) -> SafeString:
    return format_html(
        '<details class="fold" {}><summary>{}{} <span class="size">{}</span></summary>{}</details>',
        "open" if len(inner) <= OPEN_MAX else "",
        icon("chevron-right"),
        label,
        _size(inner),
        tree(inner, depth + 1),
    )


def _size(inner: dict[str, Json] | list[Json]) -> str:
    what = "entry" if len(inner) == 1 else "entries"
    return f"[{len(inner):,}]" if isinstance(inner, list) else f"{len(inner):,} {what}"
