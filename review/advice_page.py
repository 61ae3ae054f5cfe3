"""Advice on a workflow, in sentences: what was seen, in how many runs, and what to do about it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.utils import timezone

from orchestrator import advice_queries, router_queries
from orchestrator.core.advice import ROUNDS_MANY, RUNS_MIN, Advice, OneTooMany, Unending, advise
from orchestrator.models import WorkflowVersion
from review.router_page import told_drop


class Hint(NamedTuple):
    title: str
    seen: str
    advice: str


class Hints(NamedTuple):
    """`runs` were looked at."""

    hints: list[Hint]
    runs: int
    runs_min: int


def advice_of(version: WorkflowVersion, definition: Mapping[str, Any]) -> Hints:
    ways = advice_queries.ways(version)
    hints = [_tell(one) for one in advise(definition, ways, advice_queries.kept(definition))]
    if "model" in definition:
        hints += _unsure(version.workflow_id)
    return Hints(hints, len(ways), RUNS_MIN)


def _tell(one: Advice) -> Hint:
    if isinstance(one, OneTooMany):
        return Hint(
            f"{one.first} and {one.second} are one agent too many",
            f"In all {one.runs:,} runs that came to them, {one.second} followed {one.first}, and was"
            f" handed what {one.first} was handed and said, and nothing else.",
            "Let one agent do both: that saves a call, and nothing is lost on the way.",
        )
    if isinstance(one, Unending):
        gaps = f" {one.gaps:,} of {one.parts:,} tasks left a gap." if one.has_many_gaps else ""
        return Hint(
            "The supervisor does not find an end",
            f"In {one.many:,} of {one.runs:,} runs it had to be told to sum up: all its {one.rounds}"
            " rounds were used up, it had no task that was new, or two rounds brought the same."
            f" Half of all runs took {one.usual:g} rounds or more.{gaps}",
            "Say in its prompt when it is done, let it have fewer rounds, or give its workers what they lack.",
        )
    gaps = f" {one.gaps:,} of {one.parts:,} calls left a gap." if one.has_many_gaps else ""
    return Hint(
        f"{one.work} goes round and round",
        f"{one.many:,} of {one.runs:,} runs came to it {ROUNDS_MANY} times or more;"
        f" half of all came {one.usual:g} times or more.{gaps}",
        "Say in its prompt when it is done, let it have fewer rounds, or give its agents what they lack.",
    )


def _unsure(workflow: int) -> list[Hint]:
    drop = router_queries.confidence(workflow, timezone.now())
    if not drop.has_collapsed:
        return []
    return [
        Hint(
            "The model has become unsure where to send requests",
            f"Its mean confidence fell by {told_drop(drop)}: from {drop.before.mean:.2f} over"
            f" {drop.before.n:,} choices in the 28 days before to {drop.after.mean:.2f} over"
            f" {drop.after.n:,} in the last 7 days.",
            "Look at what it chose of late. Requests of a new sort need a rule or a worker of their own.",
        )
    ]
