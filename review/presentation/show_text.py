"""A text of several lines, as it was written."""

from typing import Any

from review.presentation.sight import Sight

OPEN_MAX = 4_000


def long_text(sight: Sight) -> dict[str, Any] | None:
    """A very long one is folded; all of it is there."""
    if not isinstance(sight.value, str):
        return None
    is_long = len(sight.value) > OPEN_MAX
    beginning = sight.value[:OPEN_MAX] if is_long else ""
    return {"text": sight.value, "beginning": beginning, "length": len(sight.value)}
