"""Reviewers: how much, how fast, how alike. By name; there is no ranking."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.core.statistics.intervals import Rate
from orchestrator.report_queries.scope import OF_PROPOSALS, Scope, Times

KNOWN = OF_PROPOSALS | {"reviewer"}


@dataclass(frozen=True, slots=True)
class ReviewerFigures:
    reviewer: int
    username: str
    # Decided in these days and not taken back; of those, judged blind.
    decisions: int
    blind: int
    # By `Decision.Verdict`, blind ones included.
    verdicts: Mapping[str, int]
    # Where it was measured.
    handling: Times
    # What all of it took: measured, and REVIEW_MINUTES for each that was not.
    minutes: float
    # Of proposals that this person and a second, blind one judged: how many alike.
    agreement: Rate


@dataclass(frozen=True, slots=True)
class Pair:
    """Two people who judged one proposal without knowing of each other: their ids and their verdicts."""

    first: int
    second: int
    first_verdict: str
    second_verdict: str


@dataclass(frozen=True, slots=True)
class Reviewers:
    scope: Scope
    people: tuple[ReviewerFigures, ...]
    ignored: tuple[str, ...]


def reviewers(scope: Scope, pairs: Iterable[Pair] = ()) -> Reviewers:
    """Of everybody, or with `scope.reviewer` of one person alone. `pairs` come from `audit_queries`."""
    raise NotImplementedError
