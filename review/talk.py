"""What people said to each other about an item, with those who were named marked."""

from typing import NamedTuple

from orchestrator.models import Comment
from review.item_reads import comments_at, people_named
from review.presentation.mentions import Piece, pieces_of


class Said(NamedTuple):
    comment: Comment
    pieces: list[Piece]


def talk(page: str, pk: str) -> list[Said]:
    found = comments_at(page, pk)
    people = people_named(found)
    return [Said(one, pieces_of(one.text, people)) for one in found]
