"""What a consensus is going to cost, known before any run of it: of agents that are kept, and inside of others."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from pytest_django import Settings

from orchestrator import queries
from orchestrator.actions import endpoints
from orchestrator.actions.actor import Actor
from orchestrator.actions.agents import Wish
from orchestrator.actions.endpoints import Terms, Whereabouts
from orchestrator.core.codec import canonical
from orchestrator.core.cost_estimate import Estimate
from orchestrator.cost_queries import estimates_of, mean_costs
from orchestrator.models import Workflow
from tests import runs, versions
from tests.conftest import Cast

pytestmark = pytest.mark.django_db

COUNCIL: dict[str, Any] = {
    **runs.COUNCIL,
    "judge": {**runs.COUNCIL["judge"], "agent": {"kind": "agent", "name": "clerk"}},
}


@pytest.fixture
def ada(cast: Cast) -> Actor:
    return versions.keep(cast.ada)


def estimates(slug: str) -> list[Estimate]:
    version = queries.workflow_version(slug)
    assert version is not None
    return estimates_of(slug, queries.content_of(version))


def judge(slug: str = "council") -> tuple[int | None, str]:
    (found,) = estimates(slug)
    return found.calls[-1].micros, found.calls[-1].basis


def make_model(ada: Actor, slug: str, *prices: int) -> None:
    where = Whereabouts(
        provider="openai_compatible",
        base_url="http://127.0.0.1:1/v1",
        is_local=True,
        data_classes=versions.CLASSES,
    )
    endpoints.make(ada, slug, where, Terms(price_input=prices[0], price_output=prices[1]))


def test_of_a_model_it_is_the_most_that_its_version_may_ask(ada: Actor, settings: Settings) -> None:
    settings.ENDPOINT_HOSTS_TRUSTED = ["127.0.0.1"]
    settings.MODEL_REQUESTS_MAX = 10
    make_model(ada, "near", 2_000_000, 6_000_000)
    make_model(ada, "far", 20_000_000, 60_000_000)
    limits = {"tokens_in": 1_000, "tokens_out": 500, "requests": 3}
    wish = Wish(
        adapter="llm",
        model="small",
        endpoints=("near", "far"),
        data_classes=versions.CLASSES,
        limits=limits,
    )
    versions.write(ada, "clerk", wish)
    versions.deploy(ada, "clerk", stable=1)
    runs.save("council", COUNCIL)
    assert judge() == (3 * (1_000 * 2 + 500 * 6), "limits")
    # As many requests as this instance allows at all.
    settings.MODEL_REQUESTS_MAX = 2
    assert judge() == (2 * (1_000 * 2 + 500 * 6), "limits")


def test_of_a_script_it_is_what_the_script_says(ada: Actor) -> None:
    says = {"verdict": {"fraud": True}, "scores": {}}
    versions.write(ada, "clerk", versions.scripted(says, usage={"money_micros": 77}))
    versions.deploy(ada, "clerk", stable=1)
    runs.save("council", COUNCIL)
    assert judge() == (77, "limits")


def test_of_a_service_nobody_knows(ada: Actor, settings: Settings) -> None:
    settings.ENDPOINT_HOSTS_TRUSTED = ["127.0.0.1"]
    where = Whereabouts(
        provider="http",
        base_url="http://127.0.0.1:1/a",
        is_local=True,
        data_classes=versions.CLASSES,
    )
    endpoints.make(ada, "service", where, Terms())
    wish = Wish(adapter="http", endpoints=("service",), data_classes=versions.CLASSES)
    versions.write(ada, "clerk", wish)
    versions.deploy(ada, "clerk", stable=1)
    runs.save("council", COUNCIL)
    assert judge() == (None, "unknown")


def test_what_starts_a_consensus_says_what_that_costs(tmp_path: Path) -> None:
    """Two runs down, and in a circle, too. Looking saves nothing."""
    runs.save("council")
    ask = {"pattern": "pipeline", "stages": [{"name": "ask", "workflow": "council"}]}
    runs.save("between", ask)
    outer = {"pattern": "pipeline", "stages": [{"name": "go", "workflow": "between"}]}
    file = tmp_path / "outer.json"
    file.write_text(canonical(outer))
    said = StringIO()
    call_command("workflow", "check", str(file), stdout=said)
    assert "A run of council, which it starts, calls 4 agents" in said.getvalue()
    assert not Workflow.objects.filter(slug="outer").exists()
    runs.save("outer", outer)
    (found,) = estimates("outer")
    assert (found.workflow, found.known_micros, found.unknown) == ("council", 4 * 4_200, 0)
    runs.save("between", {**ask, "stages": [*ask["stages"], {"name": "back", "workflow": "outer"}]})
    assert [one.workflow for one in estimates("outer")] == ["council"]
    (own,) = estimates("council")
    assert own.workflow == ""


def test_whoever_told_nothing_is_not_known_to_cost_nothing() -> None:
    silent = runs.scripted("first-agent", {"fraud": True}, usage={})
    members = {**runs.COUNCIL["members"], "first": {"agent": silent}}
    runs.start("council", definition={**runs.COUNCIL, "members": members})
    assert mean_costs("council").keys() == {"second-agent", "judge-agent"}
