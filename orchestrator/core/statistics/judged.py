"""What is known of one proposal when scores are held against what people decided."""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Judged:
    """A score, whether the proposal was right, and the chance with which it was put before a person.

    `right` is None while nobody has said, or never will: that is unknown, and never right. Chances
    differ (one in a hundred of what was accepted, all of what was held), so that whoever counts every
    label once describes what people look at and not what agents propose.
    """

    score: float | None
    right: bool | None
    chance: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.chance <= 1:
            raise ValueError(f"{self.chance} is no chance to be drawn")

    @property
    def weight(self) -> float:
        """How many proposals it stands for."""
        return 1 / self.chance


@dataclass(frozen=True, slots=True)
class Labelled:
    """Of which both the score and the answer are known."""

    score: float
    right: bool
    weight: float


def labelled(judged: Iterable[Judged]) -> list[Labelled]:
    return [
        Labelled(one.score, one.right, one.weight)
        for one in judged
        if one.right is not None and one.score is not None and is_score(one.score)
    ]


def is_score(value: object) -> bool:
    """Whether it can be calibrated: a finite number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and 0 <= value <= 1
