"""The addresses of everything that can be done on the page of an item, by its name."""

from django.urls import reverse

# Each has a route for pages of proposals, and another, ending in `_item`, for pages of items.
ACTS = (
    "claim",
    "release",
    "keep",
    "decide",
    "undo",
    "escalate",
    "snooze",
    "wake",
    "assign",
    "comment",
)


def urls_at(page: str, pk: str) -> dict[str, str]:
    suffix = "" if page == "proposal" else "_item"
    return {act: reverse(f"{act}{suffix}", args=[pk]) for act in ACTS}
