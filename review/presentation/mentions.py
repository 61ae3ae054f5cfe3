"""A comment in pieces: words, and the names of people who were told of it."""

from collections.abc import Collection
from typing import NamedTuple

from orchestrator.actions.handling import MENTION

STOPS = ".,;:!?"


class Piece(NamedTuple):
    text: str
    is_person: bool


def pieces_of(text: str, people: Collection[str]) -> list[Piece]:
    """An @ before a word that is nobody's name stays what it is."""
    found, at = [], 0
    for match in MENTION.finditer(text):
        name = match.group(1).rstrip(STOPS)
        if name not in people:
            continue
        end = match.start() + 1 + len(name)
        found += [
            Piece(text[at : match.start()], is_person=False),
            Piece(f"@{name}", is_person=True),
        ]
        at = end
    found.append(Piece(text[at:], is_person=False))
    return [piece for piece in found if piece.text]
