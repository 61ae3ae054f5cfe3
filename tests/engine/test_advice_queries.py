"""What runs that ended tell advice: their ways, and what the agents are that they asked."""

import pytest

from orchestrator import advice_queries
from orchestrator.core.advice import Visited
from orchestrator.models import Run
from tests import runs, versions
from tests.conftest import Cast

pytestmark = pytest.mark.django_db


def way_of(run: Run) -> dict[str, Visited]:
    (way,) = advice_queries.ways(run.workflow_version)
    return {one.name: one for one in way}


def test_a_supervisors_way_has_all_its_rounds_with_their_gaps() -> None:
    """One worker fails and one does not exist, in each round; then nothing is new any more."""
    run = runs.start("pool", definition={**runs.POOL, "rounds": 3})
    assert run.status == "completed"
    over = run.canonical_state.rounds
    way = way_of(run)
    assert list(way) == ["plan", "tasks", "synthesis"]
    assert way["tasks"].rounds == len(over) > 1
    assert way["tasks"].parts == sum(len(one.parts) for one in over) == len(over) * 4
    assert way["tasks"].gaps == len(over) * 2


def test_parts_of_a_fan_out_are_counted() -> None:
    way = way_of(runs.start("invoices"))
    assert [(one.name, one.rounds, one.parts, one.gaps) for one in way.values()] == [
        ("list", 1, 1, 0),
        ("check", 1, 3, 0),
        ("sum", 1, 1, 0),
    ]


def test_what_a_kept_agent_is_says_its_newest_deployment(cast: Cast) -> None:
    ada = versions.keep(cast.ada)
    versions.write(ada, "clerk", versions.scripted("one"))
    definition = versions.pipeline(versions.stage("look"), versions.stage("again"))
    assert advice_queries.kept(definition) == {}
    versions.deploy(ada, "clerk", stable=1)
    assert advice_queries.kept(definition) == {"clerk": ("scripted", "elevated")}
