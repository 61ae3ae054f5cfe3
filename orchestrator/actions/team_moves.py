"""Waiting items handed from one team to another, a few at once."""

from collections.abc import Sequence
from typing import NamedTuple

from django.conf import settings

from orchestrator import team_queries
from orchestrator.actions import handling
from orchestrator.actions.actor import Actor, require
from orchestrator.core.errors import BadInput, CountersignError
from orchestrator.models import ReviewItem, Team


class Preview(NamedTuple):
    """What a move would do now. Whoever holds one of the items would lose it."""

    items: list[ReviewItem]
    held: list[ReviewItem]
    # Of those that were named, what is decided, or another team's, meanwhile.
    gone: int


class Moved(NamedTuple):
    moved: int
    # Why the others stayed.
    left: list[str]


def preview(actor: Actor, ids: Sequence[str], *, source: Team | None, to: str) -> Preview:
    """Nothing is changed; asking for the impossible is refused as the move itself would be."""
    require(actor, "queue.assign", "hand items to teams")
    chosen = list(dict.fromkeys(ids))
    _check(chosen, source, to)
    found = team_queries.waiting_among(source, chosen)
    return Preview(found, [one for one in found if one.is_held], len(chosen) - len(found))


def move(actor: Actor, ids: Sequence[str], *, source: Team | None, to: str) -> Moved:
    """Each by itself: what cannot be moved stays, and keeps none of the others."""
    found = preview(actor, ids, source=source, to=to)
    left = []
    for item in found.items:
        try:
            handling.assign(actor, item.pk, to)
        except CountersignError as error:
            left.append(f"{item.pk}: {error}")
    return Moved(len(found.items) - len(left), left)


def _check(ids: Sequence[str], source: Team | None, to: str) -> None:
    if not ids:
        raise BadInput("items", "tick at least one.")
    if len(ids) > settings.BULK_MAX:
        raise BadInput("items", f"at most {settings.BULK_MAX:,} are moved at once.")
    if to == (source.slug if source else ""):
        raise BadInput("to", "they are there already. Choose another team.")
    if to:
        team_queries.able_team(to, "to")
