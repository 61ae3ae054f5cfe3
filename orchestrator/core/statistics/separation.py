"""Which condition on one or two fields best tells what people rejected from what they approved.

It is found by trying many, so two things keep chance out. How unlikely the best one is by chance is
multiplied by how many were tried (Bonferroni), and only what stays unlikely is offered. And its counts
are those it was chosen for, therefore too good: what it is worth shows on later proposals, in shadow.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from orchestrator.core.statistics.intervals import Rate

type Scalar = bool | int | float | str | None

CHANCE_MAX = 0.01
# Per field: so many cuts through numbers, so many of the most frequent values of anything else.
CUTS_MAX = 24
VALUES_MAX = 20
# Pairs are made of the best single ones only, so that a hundred fields stay a matter of seconds.
PAIRED_MAX = 120

OPPOSITES = {
    "is": "is_not",
    "is_not": "is",
    "at_most": "above",
    "above": "at_most",
    "given": "missing",
    "missing": "given",
}


@dataclass(frozen=True, slots=True)
class Example:
    """The fields of a proposal by their paths, and what a person decided. A missing field is left out."""

    fields: Mapping[str, Scalar]
    rejected: bool


class Term(NamedTuple):
    """In the words of the rows that conditions are built from."""

    field: str
    operator: str
    value: Scalar = None

    @property
    def opposite(self) -> "Term":
        return Term(self.field, OPPOSITES[self.operator], self.value)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Hold what all of these terms are true of."""

    held_when: tuple[Term, ...]
    caught: int
    needless: int
    missed: int
    passed: int
    # At most so often chance alone offers a condition that separates as well, all that were tried counted.
    chance: float
    # Fields of these terms that some proposals lack.
    optional: frozenset[str]

    @property
    def must_hold(self) -> tuple[Term, ...]:
        """The terms of the rule, any of which has to be true: rules say what must hold.

        A proposal without the field was not among those held, so the rule lets it be missing.
        """
        return tuple(
            term
            for held in self.held_when
            for term in (
                *((Term(held.field, "missing"),) if self._asks_a_gap(held) else ()),
                held.opposite,
            )
        )

    def _asks_a_gap(self, term: Term) -> bool:
        return term.field in self.optional and term.operator not in {"given", "missing"}

    @property
    def precision(self) -> Rate:
        return Rate(self.caught, self.caught + self.needless)

    @property
    def recall(self) -> Rate:
        return Rate(self.caught, self.caught + self.missed)


def suggest(examples: Sequence[Example], chance_max: float = CHANCE_MAX) -> Suggestion | None:
    """None when nothing separates them by more than chance would.

    Only fields whose values are all numbers, or all texts and truths, are asked; of others a condition
    would fail on some proposals.
    """
    n = len(examples)
    sides = _Sides(_bits_at((at for at, one in enumerate(examples) if one.rejected), n), n)
    if not sides.rejected_count or not sides.approved_count:
        return None
    columns = _columns(examples)
    single = [_Found((term,), bits) for term, bits in _terms(columns, n)]
    best = sorted(single, key=sides.separation, reverse=True)[:PAIRED_MAX]
    pairs = [
        _Found((*one.terms, *other.terms), one.bits & other.bits)
        for one, other in combinations(best, 2)
    ]
    # The pairs that were not tried might have been, so they count. Singles and pairs share the doubt.
    tried = (2 * len(single), 2 * math.comb(len(single), 2))
    offers = [
        (sides.log_chance(found) + math.log(count), found)
        for found, count in zip((_best(single, sides), _best(pairs, sides)), tried, strict=True)
        if found
    ]
    log_chance, found = min(offers, key=lambda offer: offer[0], default=(0.0, None))
    if found is None or log_chance > math.log(chance_max):
        return None
    return _offer(found, sides, math.exp(log_chance), columns)


class _Column(NamedTuple):
    """The values of one field, by the place of the example; examples without it are left out."""

    values: Mapping[int, Scalar]
    is_optional: bool


class _Found(NamedTuple):
    terms: tuple[Term, ...]
    # One bit an example, so that a pair of terms is one "and" of two numbers.
    bits: int


class _Sides:
    """Both sides that a condition is to tell apart."""

    def __init__(self, rejected: int, n: int) -> None:
        self.rejected = rejected
        self.n = n
        self.rejected_count = rejected.bit_count()
        self.approved_count = n - self.rejected_count

    def counts(self, found: _Found) -> tuple[int, int]:
        """Caught and needless."""
        caught = (found.bits & self.rejected).bit_count()
        return caught, found.bits.bit_count() - caught

    def separation(self, found: _Found) -> float:
        """How much more of the rejected than of the approved it holds, as a likelihood ratio."""
        caught, needless = self.counts(found)
        if caught * self.approved_count <= needless * self.rejected_count:
            return 0.0
        part = (caught + needless) / self.n
        return (
            _surplus(caught, part * self.rejected_count)
            + _surplus(needless, part * self.approved_count)
            + _surplus(self.rejected_count - caught, (1 - part) * self.rejected_count)
            + _surplus(self.approved_count - needless, (1 - part) * self.approved_count)
        )

    def log_chance(self, found: _Found) -> float:
        """How often so many or more of those held would be rejected ones by chance (Fisher, one side).

        As a logarithm: of many proposals the number itself is too small for a double.
        """
        caught, needless = self.counts(found)
        held = caught + needless
        ways = [
            _log_choose(self.rejected_count, k) + _log_choose(self.approved_count, held - k)
            for k in range(caught, min(held, self.rejected_count) + 1)
        ]
        most = max(ways)
        of_all = math.log(math.fsum(math.exp(one - most) for one in ways))
        return min(0.0, most + of_all - _log_choose(self.n, held))


def _surplus(count: int, expected: float) -> float:
    return count * math.log(count / expected) if count else 0.0


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _best(found: Sequence[_Found], sides: _Sides) -> _Found | None:
    return max(found, key=sides.separation, default=None)


def _offer(
    found: _Found, sides: _Sides, chance: float, columns: Mapping[str, _Column]
) -> Suggestion:
    caught, needless = sides.counts(found)
    return Suggestion(
        held_when=found.terms,
        caught=caught,
        needless=needless,
        missed=sides.rejected_count - caught,
        passed=sides.approved_count - needless,
        chance=chance,
        optional=frozenset(t.field for t in found.terms if columns[t.field].is_optional),
    )


# What is tried -----------------------------------------------------------------------------------


def _columns(examples: Sequence[Example]) -> dict[str, _Column]:
    found: dict[str, dict[int, Scalar]] = {}
    for place, one in enumerate(examples):
        for field, value in one.fields.items():
            found.setdefault(field, {})[place] = value
    return {
        field: _Column(values, len(values) < len(examples))
        for field, values in sorted(found.items())
    }


def _terms(columns: Mapping[str, _Column], n: int) -> Iterator[tuple[Term, int]]:
    """Every term that is true of some and not of others; of those true of the same ones the first."""
    seen = {0, (1 << n) - 1}
    for field, column in columns.items():
        for term, bits in _terms_of(field, column, n):
            if bits not in seen:
                seen.add(bits)
                yield term, bits


def _terms_of(field: str, column: _Column, n: int) -> Iterator[tuple[Term, int]]:
    values = column.values
    given = _bits_at(values, n)
    if column.is_optional:
        yield Term(field, "missing"), given ^ ((1 << n) - 1)
        yield Term(field, "given"), given
    numbers = {
        place: value
        for place, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    if len(numbers) == len(values):
        yield from _cuts(field, numbers, given, n)
    elif all(isinstance(value, str | bool) for value in values.values()):
        yield from _choices(field, values, given, n)


def _cuts(
    field: str, numbers: Mapping[int, int | float], given: int, n: int
) -> Iterator[tuple[Term, int]]:
    """At values that occur, so that a person recognises them; evenly among the examples."""
    ranked = sorted(numbers.values())
    step = max(len(ranked) / CUTS_MAX, 1)
    cuts = sorted({ranked[int(place * step)] for place in range(min(CUTS_MAX, len(ranked)))})
    between: list[list[int]] = [[] for _ in range(len(cuts) + 1)]
    for place, value in numbers.items():
        between[bisect_left(cuts, value)].append(place)
    at_most = 0
    for cut, places in zip(cuts, between, strict=False):
        at_most |= _bits_at(places, n)
        yield Term(field, "above", cut), given ^ at_most
        yield Term(field, "at_most", cut), at_most


def _choices(
    field: str, values: Mapping[int, Scalar], given: int, n: int
) -> Iterator[tuple[Term, int]]:
    places: dict[Scalar, list[int]] = {}
    for place, value in values.items():
        places.setdefault(value, []).append(place)
    frequent = sorted(places, key=lambda value: -len(places[value]))[:VALUES_MAX]
    found = {value: _bits_at(places[value], n) for value in frequent}
    # First what a person would say first: "is true", not "is not false".
    yield from ((Term(field, "is", value), bits) for value, bits in found.items())
    yield from ((Term(field, "is_not", value), given ^ bits) for value, bits in found.items())


def _bits_at(places: Iterable[int], n: int) -> int:
    found = bytearray(n // 8 + 1)
    for place in places:
        found[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(found, "little")
