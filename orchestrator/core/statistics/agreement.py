"""How far people agree about the same things.

Never one number alone: where nearly everything is approved two people agree on 97 of 100 by habit, and
kappa, which takes chance away, can be 0.30. So raw agreement, n, and who said what come with it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.core.statistics.intervals import CONFIDENCE, SHARES_FROM, Bounds, Rate

ROUNDS = 1_000
# Of rounds in which kappa is not defined; with more, those that are left say nothing about the rest.
_UNDEFINED_MAX = 0.05

# Chance arrives from outside: how often of so many times something happens that is so likely.
type Draw = Callable[[int, float], int]
type Confusion = Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of two people, or of two looks, at the same things."""

    raw: Rate
    # None where both always say the same one thing: then chance explains everything and nothing.
    kappa: float | None
    # None of few, and where too little differs to tell.
    bounds: Bounds | None
    # How often the first said this and the second that.
    confusion: Confusion

    @property
    def n(self) -> int:
        return self.raw.n


def agree(pairs: Iterable[tuple[str, str]], draw: Draw, rounds: int = ROUNDS) -> Agreement:
    """The work grows with the rounds, and with how many different pairs of answers there are."""
    confusion = dict(sorted(Counter(pairs).items()))
    return Agreement(
        raw=Rate(_alike(confusion), sum(confusion.values())),
        kappa=cohen_kappa(confusion),
        bounds=kappa_bounds(confusion, draw, rounds),
        confusion=confusion,
    )


def cohen_kappa(confusion: Confusion) -> float | None:
    """Agreement beyond what their habits alone would bring, as a part of all there could be."""
    n = sum(confusion.values())
    of_first: Counter[str] = Counter()
    of_second: Counter[str] = Counter()
    for (first, second), count in confusion.items():
        of_first[first] += count
        of_second[second] += count
    by_chance = sum(count * of_second[said] for said, count in of_first.items())
    if by_chance == n * n:
        return None
    return (_alike(confusion) * n - by_chance) / (n * n - by_chance)


def kappa_bounds(
    confusion: Confusion, draw: Draw, rounds: int = ROUNDS, confidence: float = CONFIDENCE
) -> Bounds | None:
    """By drawing the pairs anew, with repetition, and taking the middle of what comes out (bootstrap)."""
    n = sum(confusion.values())
    if n < SHARES_FROM:
        return None
    cells = sorted(confusion, key=lambda cell: -confusion[cell])
    counts = [confusion[cell] for cell in cells]
    found = sorted(
        kappa for _ in range(rounds) if (kappa := _kappa_drawn(cells, counts, draw)) is not None
    )
    if len(found) < rounds * (1 - _UNDEFINED_MAX):
        return None
    left_out = round(len(found) * (1 - confidence) / 2)
    return found[left_out], found[-1 - left_out]


def _kappa_drawn(
    cells: Sequence[tuple[str, str]], counts: Sequence[int], draw: Draw
) -> float | None:
    """Cell by cell: how many of those that are still to be drawn fall into it, and not into a later one."""
    drawn: dict[tuple[str, str], int] = {}
    to_draw = left = sum(counts)
    for cell, count in zip(cells, counts, strict=True):
        drawn[cell] = draw(to_draw, count / left) if to_draw else 0
        to_draw -= drawn[cell]
        left -= count
    return cohen_kappa(drawn)


def _alike(confusion: Confusion) -> int:
    return sum(count for (first, second), count in confusion.items() if first == second)


@dataclass(frozen=True, slots=True)
class AgreementOfSeveral:
    """Of any number of people, each of whom judged some of the things."""

    # What at least two people judged, and how many judgements that were.
    things: int
    judgements: int
    # Of all pairs of judgements about the same thing; each thing counts by its judgements.
    raw: float | None
    # Krippendorff's, for answers without an order. None where only one answer was ever given.
    alpha: float | None
    # How often two people said these about the same thing; in the order of the alphabet.
    confusion: Confusion


def agree_several(things: Iterable[Sequence[str | None]]) -> AgreementOfSeveral:
    """One line of answers a thing, None where a person gave none."""
    answered = [[one for one in answers if one is not None] for answers in things]
    compared = [Counter(answers) for answers in answered if len(answers) > 1]
    said = sum(compared, Counter[str]())
    n = said.total()
    differing = sum(_differing(counts) for counts in compared)
    by_chance = n * n - sum(count * count for count in said.values())
    return AgreementOfSeveral(
        things=len(compared),
        judgements=n,
        raw=1 - differing / n if n else None,
        alpha=1 - (n - 1) * differing / by_chance if by_chance else None,
        confusion=_pairs_said(compared),
    )


def _differing(counts: Counter[str]) -> float:
    """Judgements about one thing that another one contradicts, each by its part of the others."""
    n = counts.total()
    return sum(count * (n - count) for count in counts.values()) / (n - 1)


def _pairs_said(compared: Iterable[Counter[str]]) -> Confusion:
    found: Counter[tuple[str, str]] = Counter()
    for counts in compared:
        for first, count in counts.items():
            for second, other in counts.items():
                if first < second:
                    found[first, second] += count * other
                elif first == second:
                    found[first, first] += count * (count - 1) // 2
    return {pair: count for pair, count in sorted(found.items()) if count}
