"""Reviewers: how much, and how fast. By name; there is no ranking. How alike: see agreement_queries."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString, NamedTuple

from django.conf import settings
from django.contrib.auth.models import User

from orchestrator.core.statistics import buckets
from orchestrator.report_queries import counted
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


@dataclass(frozen=True, slots=True)
class Reviewers:
    scope: Scope
    people: tuple[ReviewerFigures, ...]
    ignored: tuple[str, ...]


def reviewers(scope: Scope) -> Reviewers:
    """Of everybody, or with `scope.reviewer` of one person alone."""
    lines: dict[int, list[_Line]] = {}
    for reviewer, *line in _lines(scope):
        lines.setdefault(reviewer, []).append(_Line(*line))
    wanted = [scope.reviewer] if scope.reviewer is not None else list(lines)
    people = User.objects.filter(pk__in=wanted).order_by("username")
    return Reviewers(
        scope=scope,
        people=tuple(_figures(person, lines.get(person.pk, [])) for person in people),
        ignored=scope.ignored(KNOWN),
    )


class _Line(NamedTuple):
    kind: str
    verdict: str
    bucket: int
    decisions: int
    handled_ms: int


def _lines(scope: Scope) -> list[tuple[Any, ...]]:
    alone: LiteralString = "" if scope.reviewer is None else "AND c.reviewer_id = %(reviewer)s"
    return counted.rows(
        f"""
        SELECT c.reviewer_id, c.kind, c.verdict, c.bucket, sum(c.decisions)::bigint,
               sum(c.handled_ms)::bigint
          FROM orchestrator_reviewerday c
         WHERE {counted.within(scope)} {alone}
         GROUP BY c.reviewer_id, c.kind, c.verdict, c.bucket
        """,
        counted.values_of(scope, reviewer=scope.reviewer),
    )


def _figures(person: User, lines: Sequence[_Line]) -> ReviewerFigures:
    verdicts: Counter[str] = Counter()
    taken: Counter[int] = Counter()
    for line in lines:
        verdicts[line.verdict] += line.decisions
        taken[line.bucket] += line.decisions
    return ReviewerFigures(
        reviewer=person.pk,
        username=person.get_username(),
        decisions=verdicts.total(),
        blind=sum(line.decisions for line in lines if line.kind in counted.BLIND),
        verdicts=dict(sorted(verdicts.items())),
        handling=counted.times_of(taken),
        minutes=spent(taken, sum(line.handled_ms for line in lines)),
    )


def spent(taken: Mapping[int, int], handled_ms: int) -> float:
    """Minutes: those that were measured, and REVIEW_MINUTES for each decision that was not."""
    return handled_ms / 60_000 + taken.get(buckets.NONE, 0) * settings.REVIEW_MINUTES
