"""What people said to each other about an item, with those who were named marked."""

from typing import Any, NamedTuple

from orchestrator.models import Comment
from review.item_reads import comments_at, people_named
from review.presentation.mentions import Piece, pieces_of


class Said(NamedTuple):
    comment: Comment
    pieces: list[Piece]


def talk_facts(page: str, pk: str) -> dict[str, Any]:
    found = comments_at(page, pk)
    people = people_named(found)
    return {"talk": [Said(one, pieces_of(one.text, people)) for one in found]}
