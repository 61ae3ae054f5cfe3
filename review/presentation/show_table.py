"""A list of objects as a table, a column for each name that any of them has."""

from typing import Any

from orchestrator.core.codec import Json
from orchestrator.core.policy.changed import ABSENT
from review.presentation.arguments import amount_note
from review.presentation.sight import Sight

COLUMNS_MAX = 10
ROWS_MAX = 100


def table(sight: Sight) -> dict[str, Any] | None:
    """None as well where it would be too wide to be read: then every object is shown as a tree."""
    objects = sight.value
    if not isinstance(objects, list) or not objects:
        return None
    found = [one for one in objects if isinstance(one, dict)]
    columns = list(dict.fromkeys(name for one in found for name in one))
    if len(found) < len(objects) or not 0 < len(columns) <= COLUMNS_MAX:
        return None
    lines = [[_cell(one, name) for name in columns] for one in found[:ROWS_MAX]]
    return {"columns": columns, "lines": lines, "left": max(0, len(found) - ROWS_MAX)}


def _cell(one: dict[str, Json], name: str) -> dict[str, Any]:
    value = one.get(name, ABSENT)
    if value is ABSENT:
        return {"is_absent": True}
    return {"value": value, "note": amount_note(name, value, one)}
