"""What stored runs suggest about a workflow: two agents that could be one, and works that go round in vain.

Advice changes nothing. It is given for what was seen in enough runs, and says in how many.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from orchestrator.core import definitions
from orchestrator.core.patterns.supervisor import SYNTHESIS, TASKS
from orchestrator.core.plan import Plan, Pool, Work, read_plan
from orchestrator.core.statistics.intervals import SHARES_FROM, wilson

# Of fewer runs nothing is concluded.
RUNS_MIN = SHARES_FROM
# A work that a run comes to so often is begun again and again; one or two rounds more are its purpose.
ROUNDS_MANY = 4
# Of parts that were asked for, so many that brought nothing are many.
GAPS_MANY = 0.25
# Of runs, so many that went round in vain.
VAIN_MANY = 0.25

type Pair = tuple[str, str]
# Of agents that are kept outside of workflows, by name, what they are: their adapter, and what they may do.
type Kept = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Visited:
    """A work of one run: its newest coming, how often the run came to it, and what came of its parts."""

    name: str
    visit: int
    status: str
    rounds: int = 1
    parts: int = 0
    gaps: int = 0


# In the order in which the run came to them.
type Way = Sequence[Visited]


@dataclass(frozen=True, slots=True)
class OneTooMany:
    """Two agents that always come one after the other, and the second sees nothing that the first did not."""

    first: str
    second: str
    runs: int


@dataclass(frozen=True, slots=True)
class Thrashing:
    """A work that many runs come to again and again."""

    work: str
    # Of `runs` that came to it, so many came at least ROUNDS_MANY times; half of all came so often or more.
    runs: int
    many: int
    usual: float
    parts: int
    gaps: int

    @property
    def has_many_gaps(self) -> bool:
        return bool(self.parts) and self.gaps >= GAPS_MANY * self.parts


@dataclass(frozen=True, slots=True)
class Unending:
    """A supervisor that many runs had to tell that it should sum up, for it went on in vain."""

    # Of `runs`, so many; half of all took so many of its rounds or more.
    runs: int
    many: int
    usual: float
    rounds: int
    parts: int
    gaps: int

    @property
    def has_many_gaps(self) -> bool:
        return bool(self.parts) and self.gaps >= GAPS_MANY * self.parts


type Advice = OneTooMany | Thrashing | Unending


def advise(
    definition: Mapping[str, Any], ways: Sequence[Way], kept: Kept | None = None
) -> list[Advice]:
    """`ways` are runs of this definition that have ended."""
    plan = read_plan(definition)
    vain = _unending(plan, plan.pool, ways) if plan.pool else _thrashing(plan, ways)
    return [*_needless(definition, plan, ways, kept or {}), *vain]


def _needless(
    definition: Mapping[str, Any], plan: Plan, ways: Sequence[Way], kept: Kept
) -> Iterator[OneTooMany]:
    for first, second in _alike(definition, plan, kept):
        concerned = [way for way in ways if {first, second} & {one.name for one in way}]
        always = all(_follows(first, second, way) for way in concerned)
        if always and len(concerned) >= RUNS_MIN:
            yield OneTooMany(first, second, len(concerned))


def _alike(definition: Mapping[str, Any], plan: Plan, kept: Kept) -> Iterator[Pair]:
    """Pairs of agents of one kind of which the second is handed what the first was, and what it said."""
    agents = [work for work in plan.works.values() if _may_be_joined(work)]
    for first in agents:
        for second in agents:
            handed = set(second.needs)
            if first.name not in handed or handed - {first.name} != set(first.needs):
                continue
            # What people and guardrails stand between is two works for a reason.
            kinds = (_kind(definition, work, kept) for work in (first, second))
            if not first.proposes and len(set(kinds)) == 1:
                yield first.name, second.name


def _may_be_joined(work: Work) -> bool:
    return work.kind == "agent" and work.for_each is None and not work.optional


def _kind(definition: Mapping[str, Any], work: Work, kept: Kept) -> tuple[str, ...]:
    """Of one that is kept and that nobody knows it is alike to itself alone."""
    config = definitions.agent_config(definition, work.name)
    kind, name = str(config.get("kind")), str(config.get("name", ""))
    return (kind, *kept.get(name, (name,))) if kind == "agent" else (kind,)


def _follows(first: str, second: str, way: Way) -> bool:
    """Next to each other, once each; a run that ended at the first says nothing against it."""
    names = [one.name for one in way]
    rounds = [one.rounds for one in way if one.name in {first, second}]
    if second not in names:
        return names[-1] == first and way[-1].status != "done"
    return (first, second) in set(pairwise(names)) and max(rounds) == 1


def _unending(plan: Plan, pool: Pool, ways: Sequence[Way]) -> Iterator[Unending]:
    """It is asked for a synthesis for no other reason. With a single round that is its purpose."""
    seen = [{one.name: one for one in way} for way in ways]
    tasks = [way[TASKS] for way in seen if TASKS in way]
    many = sum(SYNTHESIS in way for way in seen)
    if pool.rounds == 1 or len(seen) < RUNS_MIN or wilson(many, len(seen))[0] <= VAIN_MANY:
        return
    yield Unending(
        runs=len(seen),
        many=many,
        usual=median(way[TASKS].rounds if TASKS in way else 0 for way in seen),
        rounds=pool.rounds,
        parts=sum(one.parts for one in tasks),
        gaps=sum(one.gaps for one in tasks),
    )


def _thrashing(plan: Plan, ways: Sequence[Way]) -> Iterator[Thrashing]:
    for name in plan.works:
        seen = [one for way in ways for one in way if one.name == name]
        many = sum(one.rounds >= ROUNDS_MANY for one in seen)
        found = Thrashing(
            work=name,
            runs=len(seen),
            many=many,
            usual=median(one.rounds for one in seen) if seen else 0,
            parts=sum(one.parts for one in seen),
            gaps=sum(one.gaps for one in seen),
        )
        # Surely, and not by chance.
        often = wilson(many, len(seen))[0] > VAIN_MANY if seen else False
        if len(seen) >= RUNS_MIN and often:
            yield found
