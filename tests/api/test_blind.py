"""What somebody judges blind is told to none of their programs, at no address that knows of its run."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from orchestrator.models import Observation, Proposal, ReviewItem
from tests.api.conftest import REFUND, Call
from tests.conftest import Cast
from tests.memories import only, relay, run_of, shared, wish, writer

type Issue = Callable[..., str]


@pytest.fixture
def proposal(propose: Callable[..., Proposal], cast: Cast) -> Proposal:
    """One that Rita was handed to judge blind."""
    found = propose()
    due_at = "2100-01-01T00:00:00Z"
    ReviewItem.objects.create(
        run=found.run, proposal=found, kind="audit", holder=cast.rita, due_at=due_at
    )
    return found


@pytest.mark.parametrize(
    "address",
    ["/runs/{run}", "/runs/{run}/events", "/runs/{run}/trace", "/proposals/{proposal}"],
)
def test_it_is_shut_to_their_programs_and_to_nobody_elses(
    call: Call, token: Issue, cast: Cast, proposal: Proposal, address: str
) -> None:
    path = address.format(run=proposal.run_id, proposal=proposal.pk)
    response = call("GET", path, bearer=token("read", owner=cast.rita))
    assert response.status_code == 403
    assert "Judge what you hold of its run first" in response.json()["title"]
    assert call("GET", path, bearer=token("read", owner=cast.rolf)).status_code == 200
    ReviewItem.objects.update(holder=None)
    assert call("GET", path, bearer=token("read", owner=cast.rita)).status_code == 200


def test_lists_leave_it_out(call: Call, token: Issue, cast: Cast, proposal: Proposal) -> None:
    def listed(owner: Any) -> tuple[list[str], list[str]]:
        bearer = token("read", owner=owner)
        of_runs = call("GET", "/runs", bearer=bearer).json()["runs"]
        of_proposals = call("GET", "/proposals", bearer=bearer).json()["proposals"]
        return [one["id"] for one in of_runs], [one["id"] for one in of_proposals]

    assert listed(cast.rolf) == ([proposal.run_id], [proposal.pk])
    assert listed(cast.rita) == ([], [])


def test_who_proposed_it_hears_of_it_all_the_same(call: Call) -> None:
    """And is asked nothing more for it: nobody judges what was asked for with their own token."""
    made = call("POST", "/proposals", REFUND).json()
    ReviewItem.objects.update(kind="audit", holder=User.objects.get(username="agents"))
    assert call("GET", f"/proposals/{made['id']}").status_code == 200


@pytest.fixture
def memory(cast: Cast) -> tuple[Observation, Observation]:
    """What one run wrote, and another after it had read that."""
    run_of(shared(writer("source", wish("poison", {"a": [1]}))))
    run_of(shared(relay("first", wish("second-hand", 1))))
    return only("poison"), only("second-hand")


def test_what_its_run_remembered_is_shut(
    call: Call,
    token: Issue,
    cast: Cast,
    memory: tuple[Observation, Observation],
    proposal: Proposal,
) -> None:
    poison, second = memory
    ReviewItem.objects.update(run=poison.run_id)
    bearer = token("read", owner=cast.rita)
    assert call("GET", f"/memory/{poison.pk}", bearer=bearer).status_code == 403
    listed = call("GET", "/memory", bearer=bearer).json()["observations"]
    assert [one["id"] for one in listed] == [second.pk]


def test_what_followed_from_another_is_told_without_it(
    call: Call,
    token: Issue,
    cast: Cast,
    memory: tuple[Observation, Observation],
    proposal: Proposal,
) -> None:
    poison, second = memory
    ReviewItem.objects.update(run=second.run_id)
    told = {
        who: call("GET", f"/memory/{poison.pk}", bearer=token("read", owner=owner)).json()
        for who, owner in (("rita", cast.rita), ("rolf", cast.rolf))
    }
    assert len(told["rolf"]["aftermath"]["reads"]) == 1
    assert len(told["rolf"]["aftermath"]["followed"]) == 1
    assert told["rita"]["aftermath"]["reads"] == told["rita"]["aftermath"]["followed"] == []
