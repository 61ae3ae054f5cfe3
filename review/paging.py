"""Pages by key, never by offset: the millionth row costs what the first does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Model, QuerySet


@dataclass(frozen=True, slots=True)
class Page[Row]:
    rows: Sequence[Row]
    older: str = ""
    newer: str = ""


def newest_first[Row: Model](
    rows: QuerySet[Row], *, before: Any = None, after: Any = None
) -> Page[Row]:
    """One page by primary key; one row more than shown tells whether there is another."""
    size = settings.PAGE_SIZE
    if after:
        found = list(rows.filter(pk__gt=after).order_by("pk")[: size + 1])
        shown = found[:size][::-1]
        return Page(shown, older=_key(shown, -1), newer=_key(shown, 0) if found[size:] else "")
    wanted = rows.filter(pk__lt=before) if before else rows
    found = list(wanted.order_by("-pk")[: size + 1])
    shown = found[:size]
    return Page(
        shown, older=_key(shown, -1) if found[size:] else "", newer=_key(shown, 0) if before else ""
    )


def _key(rows: Sequence[Model], index: int) -> str:
    return str(rows[index].pk) if rows else ""
