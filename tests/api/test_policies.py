"""Evaluation policies over HTTP: drafts, backtests, and changes that somebody else has to agree to."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.actions import policies, users
from orchestrator.actions.actor import Actor
from orchestrator.engine import backtest
from orchestrator.models import EvaluationPolicy, Proposal, ReviewItem
from tests import deciding
from tests.api.conftest import REFUND, Call
from tests.conftest import SYSTEM, Cast
from tests.work import work_all

Issue = Callable[..., str]
BODY: dict[str, Any] = {
    "scope": {"agent": "refund-agent", "action": "refund.create"},
    "accept_above": 0.97,
    "escalate_at_or_below": 0.7,
    "note": "Of 400 audited refunds two were wrong.",
}
CHANGES: list[tuple[str, str, Any]] = [
    ("POST", "/policies", BODY),
    ("POST", "/policies/1/backtest", {}),
    ("POST", "/policies/1/activate", {"note": "why"}),
    ("POST", "/policies/1/retire", {"note": "why"}),
    ("POST", "/policies/1/rollback", {"note": "why"}),
]


@pytest.fixture
def admin(cast: Cast, token: Issue) -> str:
    return token("admin", owner=cast.ada)


def finish() -> None:
    while backtest.work_one(lambda: False):
        pass


def test_a_draft_says_what_was_sent(call: Call, admin: str) -> None:
    made = call("POST", "/policies", BODY, bearer=admin)
    assert made.status_code == 201
    said = made.json()
    assert (said["stage"], said["accept_above"], said["created_by"]) == ("draft", 0.97, "ada")
    assert said["scope"] == {**BODY["scope"], "agent_version": "", "tier": ""}
    assert call("GET", f"/policies/{said['number']}", bearer=admin).json() == said
    again = call("POST", "/policies", BODY, bearer=admin)
    assert (again.status_code, again.json()) == (200, said)


@pytest.mark.parametrize(
    "wrong",
    [
        {"accept_above": 1.5},
        {"accept_above": "0.9"},
        {"accept_above": 0.5},
        {"scope": {"tier": "enormous"}},
        {"scope": {"agent_version": "3"}},
        {"scope": {"workflow": "x"}},
        {"target_error": 0},
        {"score": "felt"},
        {"validators": [{"name": "x", "agent": "nobody", "rubric": "y", "timeout_s": 5}]},
    ],
)
def test_what_cannot_work_is_refused(call: Call, admin: str, wrong: dict[str, Any]) -> None:
    refused = call("POST", "/policies", BODY | wrong, bearer=admin)
    assert refused.status_code == 422, refused.json()
    assert not EvaluationPolicy.objects.filter(stage="draft").exists()


def test_a_version_in_between_is_not_buried(call: Call, admin: str) -> None:
    first = call("POST", "/policies", BODY | {"base": 0}, bearer=admin).json()
    late = call("POST", "/policies", BODY | {"base": 0, "accept_above": 0.98}, bearer=admin)
    assert late.status_code == 409
    assert late.json()["type"] == "urn:countersign:problem:policy-changed"
    based = BODY | {"base": first["number"], "accept_above": 0.98}
    assert call("POST", "/policies", based, bearer=admin).status_code == 201


def test_they_are_listed_by_scope(call: Call, cast: Cast, admin: str) -> None:
    for agent in ("b", "a", "c"):
        call("POST", "/policies", BODY | {"scope": {"agent": agent}}, bearer=admin)
    page = call("GET", "/policies?limit=2", bearer=admin).json()
    assert [one["scope"]["agent"] for one in page["policies"]] == ["", "a"]
    rest = call("GET", f"/policies?after={page['next']}", bearer=admin).json()
    assert [one["scope"]["agent"] for one in rest["policies"]] == ["b", "c"]
    assert rest["next"] is None


def test_only_admins_change_them(call: Call, cast: Cast, token: Issue) -> None:
    weak = (token("read", owner=cast.ada), token("admin", owner=cast.rita))
    for bearer in weak:
        for method, path, body in CHANGES:
            assert call(method, path, body, bearer=bearer).status_code in {403, 404}, path
    assert not EvaluationPolicy.objects.filter(stage="draft").exists()


def test_it_is_tried_asked_for_and_decides(call: Call, cast: Cast, admin: str) -> None:
    call("POST", "/proposals", REFUND)
    number = call("POST", "/policies", BODY, bearer=admin).json()["number"]
    path = f"/policies/{number}"
    early = call("POST", f"{path}/activate", {"note": "agreed"}, bearer=admin)
    assert early.json()["type"] == "urn:countersign:problem:stage-wrong"
    begun = call("POST", f"{path}/backtest", {}, bearer=admin)
    assert (begun.status_code, begun.json()["policy"], begun.json()["slug"]) == (202, number, None)
    finish()
    found = call("GET", f"/backtests/{begun.json()['id']}", bearer=admin).json()
    assert (found["status"], found["done"]) == ("done", 1)
    assert (found["verdicts"]["then"]["accept"], found["verdicts"]["tested"]["revise"]) == (1, 1)
    asked = call("POST", f"{path}/activate", {"note": "agreed"}, bearer=admin)
    assert (asked.status_code, asked.json()["status"]) == (202, "in_review")
    item = ReviewItem.objects.get(proposal=asked.json()["proposal"])
    bea = Actor(users.create(SYSTEM, username="bea", password=None, role="admin"))
    deciding.decide(bea, item.pk, verdict="approve", idempotency_key=item.pk)
    work_all()
    assert call("GET", path, bearer=admin).json()["stage"] == "active"
    said = call("POST", "/proposals", REFUND | {"external_id": "another"}).json()["evaluation"]
    assert (said["band"], said["policy_version"]) == ("revise", number)
    assert said["policy_scope"] == {**BODY["scope"], "agent_version": "", "tier": ""}


def test_an_activation_is_asked_for_once_for_each_key(call: Call, cast: Cast, admin: str) -> None:
    policy = policies.draft(
        Actor(cast.ada), policies.Scope(agent="a"), policies.starting_terms(policies.Scope())
    )
    call("POST", f"/policies/{policy.number}/backtest", {}, bearer=admin)
    finish()
    path, body = f"/policies/{policy.number}/activate", {"note": "agreed"}
    answers = [
        call("POST", path, body, bearer=admin, **{"Idempotency-Key": "once"}).json()
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert Proposal.objects.filter(action="countersign.policy.activate").count() == 1


def test_what_is_not_there_is_not_found(call: Call, admin: str) -> None:
    assert call("GET", "/policies/99", bearer=admin).status_code == 404
    assert call("POST", "/policies/99/backtest", {}, bearer=admin).status_code == 404
