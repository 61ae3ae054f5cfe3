"""How well scores say what they mean, and what to make of them.

An agent's own confidence is a score, not a probability: at a stated 0.9 and more, agents that were
measured were right between 78 % and 96 % of the time. `reliability` shows it per agent version; a
calibrator turns a score into the share that was right at that score.

Wherever labels were drawn with different chances, each counts for the proposals it stands for. Bins
hold what is over their lower end up to and with their upper one, like the bands: 0.9 is not over 0.9.
"""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from orchestrator.core.codec import Json, canonical
from orchestrator.core.statistics.intervals import SHARES_FROM, Bounds, Rate, score_interval
from orchestrator.core.statistics.judged import Judged, Labelled, is_score, labelled

BINS = 10
FORMAT = 1


# What scores mean --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bin:
    """Scores over `above` up to and with `up_to`; the first bin holds 0, too."""

    above: float
    up_to: float
    # Labels as they were counted.
    right: Rate
    # The part of all proposals with a score that lies here.
    part: float
    # None of nothing. With labels of equal weight the share is that of `right`.
    mean_score: float | None
    share_right: float | None
    # Wilson's, for as many labels as the weights leave.
    bounds: Bounds

    @property
    def gap(self) -> float:
        """How far the share lies over the mean score; the agent is too sure where it is negative."""
        return 0.0 if self.share_right is None else self.share_right - (self.mean_score or 0.0)

    def to_json(self) -> dict[str, Json]:
        return {
            "above": self.above,
            "up_to": self.up_to,
            "k": self.right.k,
            "n": self.right.n,
            "part": self.part,
            "mean_score": self.mean_score,
            "share_right": self.share_right,
            "bounds": list(self.bounds),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        low, high = stored["bounds"]
        return cls(
            above=stored["above"],
            up_to=stored["up_to"],
            right=Rate(stored["k"], stored["n"]),
            part=stored["part"],
            mean_score=stored["mean_score"],
            share_right=stored["share_right"],
            bounds=(low, high),
        )


@dataclass(frozen=True, slots=True)
class Reliability:
    bins: tuple[Bin, ...]
    labels: int
    # Judged proposals without a usable score, and those that nobody has judged: no part of the rest.
    without_score: int
    unknown: int
    # None of nothing. The mean squared distance of score and answer.
    brier: float | None
    # The mean gap of all bins. Chance alone makes it larger than 0, the more so the fewer labels there
    # are; it says little without the n of each bin.
    calibration_error: float | None

    @property
    def shows_figures(self) -> bool:
        return self.labels >= SHARES_FROM

    def to_json(self) -> dict[str, Json]:
        return {
            "bins": [one.to_json() for one in self.bins],
            "labels": self.labels,
            "without_score": self.without_score,
            "unknown": self.unknown,
            "brier": self.brier,
            "calibration_error": self.calibration_error,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        bins = tuple(Bin.from_json(one) for one in stored["bins"])
        return cls(**{**stored, "bins": bins})


def reliability(judged: Iterable[Judged], bins: int = BINS) -> Reliability:
    judged = list(judged)
    known = labelled(judged)
    edges = edges_of(bins)
    held: list[list[Labelled]] = [[] for _ in range(bins)]
    for one in known:
        held[place_of(one.score, edges)].append(one)
    weight = sum(one.weight for one in known)
    found = tuple(
        _bin(edges[place], edges[place + 1], inside, weight) for place, inside in enumerate(held)
    )
    unknown = sum(one.right is None for one in judged)
    return Reliability(
        bins=found,
        labels=len(known),
        without_score=len(judged) - unknown - len(known),
        unknown=unknown,
        brier=_mean((one.weight, (one.score - one.right) ** 2) for one in known),
        calibration_error=sum(one.part * abs(one.gap) for one in found) if known else None,
    )


def edges_of(bins: int) -> tuple[float, ...]:
    # A division is rounded once: 11 / 20 is the 0.55 that agents write, 11 * 0.05 is not.
    return tuple(place / bins for place in range(bins + 1))


def place_of(score: float, edges: Sequence[float]) -> int:
    """The bin of a score from 0 to 1."""
    return max(bisect_left(edges, score) - 1, 0)


def _bin(above: float, up_to: float, inside: Sequence[Labelled], all_weight: float) -> Bin:
    share = _mean((one.weight, float(one.right)) for one in inside)
    weight = sum(one.weight for one in inside)
    return Bin(
        above=above,
        up_to=up_to,
        right=Rate(sum(one.right for one in inside), len(inside)),
        part=weight / all_weight if inside else 0.0,
        mean_score=_mean((one.weight, one.score) for one in inside),
        share_right=share,
        bounds=(0.0, 1.0) if share is None else score_interval(share, _equally_sure(inside)),
    )


def _equally_sure(inside: Sequence[Labelled]) -> float:
    """How many labels of equal weight would say as much (Kish)."""
    return sum(one.weight for one in inside) ** 2 / sum(one.weight**2 for one in inside)


def _mean(parts: Iterable[tuple[float, float]]) -> float | None:
    parts = list(parts)
    return (
        sum(weight * value for weight, value in parts) / sum(w for w, _ in parts) if parts else None
    )


# What to make of them ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Calibrator:
    """Steps from a score to the share that is right there.

    `isotonic` steps begin with their start and never fall; `binned` ones begin after it. What lies before
    the first step was never seen with a label and stays unknown, likewise a bin without any; to the
    bands that is no score, so a person decides.
    """

    method: str
    starts: tuple[float, ...]
    values: tuple[float | None, ...]
    labels: int

    def __post_init__(self) -> None:
        if self.method not in _FIND or len(self.starts) != len(self.values):
            raise ValueError(f"{self.method} with {len(self.starts)} steps is no calibrator")

    @property
    def version(self) -> str:
        """Equal calibrators have equal versions, whoever fitted them and when."""
        digest = hashlib.sha256(canonical(self.to_json()).encode()).hexdigest()
        return f"{self.method}-{FORMAT}-{digest[:16]}"

    def apply(self, score: Any) -> float | None:
        """None of what is no score from 0 to 1, and where nothing is known."""
        if not is_score(score):
            return None
        place = _FIND[self.method](self.starts, score) - 1
        # Nothing lies before a bin that begins at 0, so 0 belongs to it.
        if place < 0 and self.starts and score == self.starts[0]:
            place = 0
        return self.values[place] if place >= 0 else None

    def to_json(self) -> dict[str, Json]:
        return {
            "format": FORMAT,
            "method": self.method,
            "starts": list(self.starts),
            "values": list(self.values),
            "labels": self.labels,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        if stored["format"] != FORMAT:
            raise ValueError(f"a calibrator of format {stored['format']} cannot be read")
        return cls(
            method=stored["method"],
            starts=tuple(stored["starts"]),
            values=tuple(stored["values"]),
            labels=stored["labels"],
        )


_FIND = {"isotonic": bisect_right, "binned": bisect_left}


def fit_isotonic(judged: Iterable[Judged]) -> Calibrator | None:
    """The best steps that never fall. None of fewer labels than a share is shown of.

    Isotonic regression alone would call a score certain because the few proposals that had it were
    right. So one wrong answer is imagined at the highest score and one right one at the lowest: with
    many labels they change nothing, with three they say "three of four".

    Between two steps a score gets the value of the lower one, which is all that "never falls" promises.
    """
    known = labelled(judged)
    if len(known) < SHARES_FROM:
        return None
    each = sum(one.weight for one in known) / len(known)
    highest, lowest = max(one.score for one in known), min(one.score for one in known)
    points = _points([*known, Labelled(highest, False, each), Labelled(lowest, True, each)])
    fitted = isotonic([point.share for point in points], [point.weight for point in points])
    # A step begins with the first of equal values.
    begins = [
        place for place in range(len(points)) if not place or fitted[place] > fitted[place - 1]
    ]
    return Calibrator(
        method="isotonic",
        starts=tuple(points[place].score for place in begins),
        values=tuple(fitted[place] for place in begins),
        labels=len(known),
    )


def fit_binned(judged: Iterable[Judged], bins: int = BINS) -> Calibrator | None:
    """The share that was right in each bin, also where it falls. None of few labels, as above.

    One right and one wrong answer are imagined in each bin with labels, so that few are not certainty.
    """
    found = reliability(judged, bins)
    if found.labels < SHARES_FROM:
        return None
    return Calibrator(
        method="binned",
        starts=tuple(one.above for one in found.bins),
        values=tuple(_with_two_more(one) for one in found.bins),
        labels=found.labels,
    )


def _with_two_more(one: Bin) -> float | None:
    if one.share_right is None:
        return None
    return (one.share_right * one.right.n + 1) / (one.right.n + 2)


def isotonic(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The values that never fall and lie closest to these, by weighted squares (pool adjacent violators).

    Each value is put on a stack and merged with those before it that are larger: linear in their number.
    """
    blocks: list[_Block] = []
    for value, weight in zip(values, weights, strict=True):
        block = _Block(value, weight, 1)
        while blocks and blocks[-1].value >= block.value:
            block = _merged(blocks.pop(), block)
        blocks.append(block)
    return [block.value for block in blocks for _ in range(block.length)]


class _Block(NamedTuple):
    value: float
    weight: float
    length: int


def _merged(one: _Block, other: _Block) -> _Block:
    weight = one.weight + other.weight
    value = (one.value * one.weight + other.value * other.weight) / weight
    return _Block(value, weight, one.length + other.length)


class _Point(NamedTuple):
    score: float
    share: float
    weight: float


def _points(known: Iterable[Labelled]) -> list[_Point]:
    """One for each different score: equal scores get equal values."""
    right: dict[float, float] = {}
    weight: dict[float, float] = {}
    for one in known:
        right[one.score] = right.get(one.score, 0.0) + one.weight * one.right
        weight[one.score] = weight.get(one.score, 0.0) + one.weight
    return [_Point(score, right[score] / weight[score], weight[score]) for score in sorted(weight)]
