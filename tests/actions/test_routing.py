"""Routes: saved as versions, checked against the workflows that there are."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from orchestrator.actions import routing
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import BadInput, NotAllowed, RoutesChanged, RoutesInvalid
from orchestrator.core.policy.routing import problems_of, read_routes
from orchestrator.models import AuditEntry, Proposal, RouteTable
from tests import events, runs
from tests.conftest import Cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(cast: Cast) -> Actor:
    for workflow in ("support", "invoices"):
        runs.save(workflow)
    return Actor(cast.ada)


def test_a_table_is_saved_as_a_version(ada: Actor) -> None:
    saved = routing.save(ada, events.ROUTES, note=" first ")
    assert (saved.is_new, saved.table.number, saved.table.note) == (True, 1, "first")
    assert saved.table.content_hash.startswith("sha256:")
    assert [one.name for one in routing.routes_of(saved.table)] == ["large", "damaged"]
    entry = AuditEntry.objects.get(verb="routes.saved")
    assert entry.detail == {"version": 1, "note": "first"}


def test_saying_the_same_makes_no_version(ada: Actor) -> None:
    first = routing.save(ada, events.ROUTES)
    again = routing.save(ada, events.ROUTES, note="again")
    assert (again.is_new, again.table) == (False, first.table)
    assert AuditEntry.objects.filter(verb="routes.saved").count() == 1


def test_an_older_version_may_be_said_again(ada: Actor) -> None:
    routing.save(ada, events.ROUTES)
    routing.save(ada, [])
    third = routing.save(ada, events.ROUTES)
    assert (third.is_new, third.table.number) == (True, 3)
    hashes = list(RouteTable.objects.order_by("number").values_list("content_hash", flat=True))
    assert hashes[0] == hashes[2] != hashes[1]


def test_who_saved_in_between_is_not_overwritten(ada: Actor) -> None:
    routing.save(ada, events.ROUTES, seen=0)
    with pytest.raises(RoutesChanged, match="began with version 0, it is now 1"):
        routing.save(ada, [], seen=0)
    assert routing.save(ada, [], seen=1).table.number == 2


def test_the_routes_of_the_documentation_work() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "routing.md"
    (block,) = re.findall(r"```json routes\n(.*?)```", page.read_text(), re.DOTALL)
    assert problems_of(read_routes(json.loads(block))) == []


@pytest.mark.parametrize("workflow", ["nope", "only-proposals"])
def test_a_route_leads_to_a_workflow_that_can_run(
    ada: Actor, workflow: str, propose: Any, agent: Actor
) -> None:
    proposal: Proposal = propose(workflow="only-proposals")
    assert proposal.pk
    with pytest.raises(RoutesInvalid) as refusal:
        routing.save(ada, [*events.ROUTES, {"name": "x", "when": "true", "workflow": workflow}])
    assert [problem.pointer for problem in refusal.value.problems] == ["/2/workflow"]
    assert workflow in refusal.value.problems[0].reason
    assert not RouteTable.objects.exists()


def test_only_admins_save(ada: Actor, cast: Cast, agent: Actor) -> None:
    for actor in (Actor(cast.rita), Actor(cast.max), agent):
        with pytest.raises(NotAllowed):
            routing.save(actor, [])
    with pytest.raises(BadInput):
        routing.save(ada, [], note="x" * 1_001)
    assert not RouteTable.objects.exists()
