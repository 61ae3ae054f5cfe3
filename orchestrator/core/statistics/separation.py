"""Which condition on one or two fields best tells what people rejected from what they approved.

It is found by trying many, so two things keep chance out. How unlikely the best one is by chance is
multiplied by how many were tried (Bonferroni), and only what stays unlikely is offered. And its counts
are those it was chosen for, therefore too good. So `search` looks for it among the older examples, and
says what it is worth by the newest ones, which had no part in choosing it.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple, TypeGuard

from orchestrator.core.policy.builder import Row, Scalar, problem_of
from orchestrator.core.statistics.intervals import Rate

CHANCE_MAX = 0.01
# On the newest examples a single condition is asked, so nothing has to be multiplied.
LATER_CHANCE_MAX = 0.05
# So much of the newest is kept aside.
LATER_SHARE = 1 / 3
# Of rejected and of approved ones, among the older and among the newest: of fewer nothing is said.
EACH_MIN = 8
# Per field: so many cuts through numbers, so many of the most frequent values of anything else.
CUTS_MAX = 24
VALUES_MAX = 20
# Nobody reads a rule about a longer text.
TEXT_LENGTH_MAX = 100
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
class Split:
    """Both sides, and on which of them a condition would have held them."""

    caught: int
    needless: int
    missed: int
    passed: int

    @property
    def precision(self) -> Rate:
        """Of what it holds, how much people rejected."""
        return Rate(self.caught, self.caught + self.needless)

    @property
    def recall(self) -> Rate:
        """Of what people rejected, how much it holds."""
        return Rate(self.caught, self.caught + self.missed)

    @property
    def total(self) -> int:
        return self.caught + self.needless + self.missed + self.passed

    @property
    def log_chance(self) -> float:
        """How often so many or more of those held would be rejected ones by chance (Fisher, one side).

        As a logarithm: of many proposals the number itself is too small for a double.
        """
        rejected, held = self.caught + self.missed, self.caught + self.needless
        ways = [
            _log_choose(rejected, k) + _log_choose(self.total - rejected, held - k)
            for k in range(self.caught, min(held, rejected) + 1)
            if held - k <= self.total - rejected
        ]
        most = max(ways)
        of_all = math.log(math.fsum(math.exp(one - most) for one in ways))
        return min(0.0, most + of_all - _log_choose(self.total, held))


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Hold what all of these terms are true of."""

    held_when: tuple[Term, ...]
    # Among those it was chosen for, therefore too good.
    split: Split
    # At most so often chance alone offers a condition that separates as well, all that were tried counted.
    chance: float
    tried: int
    # Fields of these terms that some proposals lack, or may lack.
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

    def split_of(self, examples: Iterable[Example]) -> Split:
        """What it would have done with others."""
        found = Counter(
            (all(is_true(term, one.fields) for term in self.held_when), one.rejected)
            for one in examples
        )
        return Split(
            caught=found[True, True],
            needless=found[True, False],
            missed=found[False, True],
            passed=found[False, False],
        )


@dataclass(frozen=True, slots=True)
class Search:
    """What came of looking among the older examples, and of asking the newest."""

    older: int
    newest: int
    # Whether both parts have enough of both sides for anything to be looked for.
    is_enough: bool
    suggestion: Suggestion | None = None
    # Of the newest, which had no part in choosing the condition.
    later: Split | None = None

    @property
    def is_confirmed(self) -> bool:
        """Whether it tells the newest apart as well."""
        return self.later is not None and self.later.log_chance <= math.log(LATER_CHANCE_MAX)


def search(
    examples: Sequence[Example],
    may_lack: Collection[str] = (),
    chance_max: float = CHANCE_MAX,
) -> Search:
    """Give them oldest first. `may_lack` are fields that proposals need not have, even if all of these do.

    By time and not by chance: an agent in a loop proposes nearly the same thing many times, and what was
    found on one of them would shine on the next.
    """
    at = len(examples) - round(len(examples) * LATER_SHARE)
    older, newest = examples[:at], examples[at:]
    if not _has_enough(older) or not _has_enough(newest):
        return Search(len(older), len(newest), is_enough=False)
    found = suggest(older, chance_max, may_lack)
    later = found.split_of(newest) if found else None
    return Search(len(older), len(newest), is_enough=True, suggestion=found, later=later)


def _has_enough(examples: Sequence[Example]) -> bool:
    rejected = sum(one.rejected for one in examples)
    return min(rejected, len(examples) - rejected) >= EACH_MIN


def suggest(
    examples: Sequence[Example],
    chance_max: float = CHANCE_MAX,
    may_lack: Collection[str] = (),
) -> Suggestion | None:
    """None when nothing separates them by more than chance would.

    Only fields whose values are all numbers, or all texts and truths, are asked; of others a condition
    would fail on some proposals. And only what can be written as a row of a rule.
    """
    n = len(examples)
    sides = _Sides(_bits_at((at for at, one in enumerate(examples) if one.rejected), n), n)
    if not sides.rejected_count or not sides.approved_count:
        return None
    columns = _columns(examples, may_lack)
    single = [_Found((term,), bits) for term, bits in _terms(columns, n)]
    best = sorted(single, key=sides.separation, reverse=True)[:PAIRED_MAX]
    pairs = [
        _Found((*one.terms, *other.terms), one.bits & other.bits)
        for one, other in combinations(best, 2)
    ]
    # The pairs that were not tried might have been, so they count. Singles and pairs share the doubt.
    tried = (len(single), math.comb(len(single), 2))
    offers = [
        (sides.split(found).log_chance + math.log(2 * count), found)
        for found, count in zip((_best(single, sides), _best(pairs, sides)), tried, strict=True)
        if found
    ]
    log_chance, found = min(offers, key=lambda offer: offer[0], default=(0.0, None))
    if found is None or log_chance > math.log(chance_max):
        return None
    return Suggestion(
        held_when=found.terms,
        split=sides.split(found),
        chance=math.exp(min(log_chance, 0.0)),
        tried=sum(tried),
        optional=frozenset(t.field for t in found.terms if columns[t.field].is_optional),
    )


def is_true(term: Term, fields: Mapping[str, Scalar]) -> bool:
    """What the rows of a rule mean; of a field that is not there only `missing` is true."""
    if term.field not in fields:
        return term.operator == "missing"
    value, other = fields[term.field], term.value
    if term.operator in {"is", "is_not"}:
        return (value == other) == (term.operator == "is")
    if term.operator in {"above", "at_most"} and _is_number(value) and _is_number(other):
        return (value > other) == (term.operator == "above")
    return term.operator == "given"


def _is_number(value: Scalar) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


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

    def split(self, found: _Found) -> Split:
        caught, needless = self.counts(found)
        return Split(caught, needless, self.rejected_count - caught, self.approved_count - needless)


def _surplus(count: int, expected: float) -> float:
    return count * math.log(count / expected) if count else 0.0


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _best(found: Sequence[_Found], sides: _Sides) -> _Found | None:
    return max(found, key=sides.separation, default=None)


# What is tried -----------------------------------------------------------------------------------


def _columns(examples: Sequence[Example], may_lack: Collection[str]) -> dict[str, _Column]:
    """Without fields that may be missing where no rule can ask whether they are."""
    found: dict[str, dict[int, Scalar]] = {}
    for place, one in enumerate(examples):
        for field, value in one.fields.items():
            found.setdefault(field, {})[place] = value
    columns = {
        field: _Column(values, len(values) < len(examples) or field in may_lack)
        for field, values in sorted(found.items())
    }
    return {
        field: column
        for field, column in columns.items()
        if not column.is_optional or _is_sayable(Term(field, "missing"))
    }


def _terms(columns: Mapping[str, _Column], n: int) -> Iterator[tuple[Term, int]]:
    """Every term that is true of some and not of others; of those true of the same ones the first."""
    seen = {0, (1 << n) - 1}
    for field, column in columns.items():
        for term, bits in _terms_of(field, column, n):
            if bits not in seen and _is_sayable(term):
                seen.add(bits)
                yield term, bits


def _is_sayable(term: Term) -> bool:
    """As a row, and the other way round as well, since that is what the rule says."""
    if isinstance(term.value, str) and len(term.value) > TEXT_LENGTH_MAX:
        return False
    return not problem_of(Row(*term)) and not problem_of(Row(*term.opposite))


def _terms_of(field: str, column: _Column, n: int) -> Iterator[tuple[Term, int]]:
    values = column.values
    given = _bits_at(values, n)
    if column.is_optional:
        yield Term(field, "missing"), given ^ ((1 << n) - 1)
        yield Term(field, "given"), given
    numbers = {place: value for place, value in values.items() if _is_number(value)}
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
