"""What nobody knows the price of is shown as unknown wherever costs stand, and never as nothing."""

import csv
from io import StringIO
from typing import Any

import pytest
from django.test import Client

from orchestrator.actions import runs as actions
from orchestrator.actions import workflows
from orchestrator.agents import registry
from orchestrator.agents.base import AgentAnswer, AgentCall, Usage
from orchestrator.engine import rollups
from tests import runs, versions
from tests.conftest import SYSTEM, Cast
from tests.work import work_all

PRICED = Usage(900, 100, 4_000_000)
UNPRICED = Usage(900, 100, None)
SILENT = Usage()


class Clerk:
    """Suggests a refund, and says this of what it used."""

    def __init__(self, *used: Usage) -> None:
        self.used = list(used)

    def call(self, call: AgentCall) -> AgentAnswer:
        return AgentAnswer(runs.REFUND, self.used.pop(0))


@pytest.fixture
def call_clerk(monkeypatch: pytest.MonkeyPatch, cast: Cast) -> Any:
    """A run for each of these uses, which are counted."""
    ada = versions.keep(cast.ada)
    versions.write(ada, "clerk", versions.scripted(None))
    versions.deploy(ada, "clerk", stable=1)

    def call(*used: Usage) -> str:
        clerk = Clerk(*used)
        monkeypatch.setattr(registry, "find", lambda config: clerk)
        workflows.save(SYSTEM, "w", versions.pipeline(versions.stage("suggest", proposes=True)))
        started = [actions.start(SYSTEM, workflow="w", intent=None) for _ in used]
        work_all()
        rollups.refresh()
        return started[-1].pk

    return call


def of_agent(client: Client) -> str:
    return " ".join(client.get("/agents/clerk/").text.split())


def of_report(client: Client) -> dict[str, str]:
    answer: Any = client.get("/reports/agents/?format=csv&table=costs")
    rows = csv.reader(StringIO(b"".join(answer.streaming_content).decode()))
    head = next(row for row in rows if "cost_micros" in row)
    (found,) = (row for row in rows if "clerk" in row)
    return dict(zip(head, found, strict=True))


def test_without_a_price_the_cost_of_a_version_is_unknown(
    client: Client, cast: Cast, call_clerk: Any
) -> None:
    client.force_login(cast.ada)
    call_clerk(UNPRICED)
    page = of_agent(client)
    assert 'unknown<span class="unit"> cost' in page
    assert '1,000<span class="unit"> tokens' in page
    told = of_report(client)
    assert (told["tokens_in"], told["cost_micros"]) == ("900", "")


def test_a_mean_is_of_the_calls_whose_price_is_known(
    client: Client, cast: Cast, call_clerk: Any
) -> None:
    client.force_login(cast.ada)
    call_clerk(PRICED, UNPRICED, SILENT)
    assert '4.00<span class="unit"> a call' in of_agent(client)
    told = of_report(client)
    assert (told["calls"], told["unknown"], told["unpriced"]) == ("3", "1", "2")
    assert (told["tokens_in"], told["cost_micros"]) == ("1800", "4000000")


@pytest.mark.parametrize(
    ("used", "said"),
    [(PRICED, "1,000 tokens, 4.00"), (UNPRICED, "1,000 tokens, not priced"), (SILENT, "1 call<")],
)
def test_a_stage_says_what_has_no_price(
    client: Client, cast: Cast, call_clerk: Any, used: Usage, said: str
) -> None:
    client.force_login(cast.rita)
    page = client.get(f"/runs/{call_clerk(used)}/").text
    assert said in page
    assert ('<span class="muted">not reported</span>' in page) == (used == SILENT)
