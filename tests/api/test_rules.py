"""Rules over HTTP: drafts, trials, backtests, and changes that somebody else has to agree to."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from orchestrator.actions import contracts
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import NotAllowed
from orchestrator.engine import backtest
from orchestrator.models import Backtest, Proposal, ReviewItem, Rule, RuleVersion
from tests import deciding
from tests.api.conftest import Call
from tests.conftest import Cast
from tests.work import work_all

Issue = Callable[..., str]
Draft = Callable[..., Any]

LIMIT: dict[str, Any] = {
    "title": "Refunds over the limit need a person",
    "applies_to": {"actions": ["refund.create"]},
    "effect": "hold",
    "require": "proposal.args.amount_minor <= 50000",
    "message": "Refund of {proposal.args.amount_minor} is over 50000",
    "owner": "payments",
}
V1 = "/rules/refund-limit/versions/1"
# Every operation that changes or tries something, with a body that it would take.
CHANGES: list[tuple[str, str, Any]] = [
    ("PUT", "/rules/refund-limit", LIMIT),
    ("POST", f"{V1}/test", {"inputs": {}}),
    ("POST", f"{V1}/backtest", {}),
    ("POST", f"{V1}/shadow", None),
    ("POST", f"{V1}/shadow/stop", None),
    ("POST", f"{V1}/activate", {"note": "why"}),
    ("POST", f"{V1}/retire", {"note": "why"}),
    ("POST", "/rules/refund-limit/rollback", {"to": 1, "note": "why"}),
    ("POST", "/backtests/bkt_01m7y6s13re5jaj1bm3y35bmxv/cancel", None),
]


@pytest.fixture
def admin(cast: Cast, token: Issue) -> str:
    return token("admin", owner=cast.ada)


@pytest.fixture
def draft(call: Call, admin: str) -> Draft:
    def put(slug: str = "refund-limit", *, headers: Any = None, **changes: Any) -> Any:
        return call("PUT", f"/rules/{slug}", {**LIMIT, **changes}, bearer=admin, **(headers or {}))

    return put


@pytest.fixture
def tested(draft: Draft, call: Call, admin: str) -> None:
    """A first version that was backtested."""
    draft()
    assert call("POST", f"{V1}/backtest", {}, bearer=admin).status_code == 202
    assert backtest.work_one(lambda: False)


# Drafts ------------------------------------------------------------------------------------------


def test_a_draft_is_stored_and_read_back(draft: Draft, call: Call, token: Issue) -> None:
    made = draft(note="As agreed")
    assert (made.status_code, made["ETag"]) == (201, '"1"')
    body = made.json()
    assert {name: body[name] for name in LIMIT} == LIMIT
    assert (body["slug"], body["version"], body["stage"]) == ("refund-limit", 1, "draft")
    assert (body["created_by"], body["note"]) == ("ada", "As agreed")
    reader = token("read")
    assert call("GET", V1, bearer=reader).json() == body
    read = call("GET", "/rules/refund-limit", bearer=reader)
    assert read.json() == {**body, "newest": 1}
    assert read["ETag"] == '"1"'


def test_the_same_again_is_the_same_version(draft: Draft, call: Call, admin: str) -> None:
    draft()
    again = draft()
    assert (again.status_code, again.json()["version"]) == (200, 1)
    assert (draft(effect="block").status_code, RuleVersion.objects.count()) == (201, 2)
    # What was read, sent back as a draft, says the same.
    stored = call("GET", "/rules/refund-limit/versions/2", bearer=admin).json()
    assert draft(**{name: stored[name] for name in (*LIMIT, "slug", "history")}).status_code == 200


def test_what_somebody_else_wrote_meanwhile_is_not_buried(draft: Draft) -> None:
    assert draft(base=0).status_code == 201
    assert draft(base=0, title="B").status_code == 409
    assert draft(base=1, title="B").status_code == 201
    late = draft(title="C", headers={"If-Match": '"1"'})
    assert late.status_code == 409
    assert late.json()["type"] == "urn:countersign:problem:rule-changed"
    assert draft(title="C", headers={"If-Match": '"2"'}).json()["version"] == 3
    assert draft(title="D", base=2, headers={"If-Match": '"3"'}).status_code == 422
    assert draft(title="D", headers={"If-Match": "*"}).status_code == 422


def test_a_condition_that_cannot_work_is_refused_with_its_place(draft: Draft) -> None:
    refused = draft(require="true &&\n  nope")
    assert refused.status_code == 422
    assert refused["Content-Type"] == "application/problem+json"
    body = refused.json()
    assert body["type"] == "urn:countersign:problem:rule-invalid"
    assert (body["line"], body["column"]) == (2, 3)
    assert not Rule.objects.exists()


def test_a_window_that_cannot_be_read_is_refused_with_every_place(draft: Draft) -> None:
    body = draft(history={"today": {"count": {}, "within": "soon"}, "a b": {}}).json()
    assert body["type"] == "urn:countersign:problem:history-invalid"
    places = {error["pointer"] for error in body["errors"]}
    assert "/history/today/within" in places
    assert all(place.startswith("/history/") for place in places)


@pytest.mark.parametrize(
    "changes",
    [
        {"effect": "stop"},
        {"effect": False},
        {"title": ""},
        {"require": ""},
        {"applies_to": {"actions": []}},
        {"applies_to": {"action": ["x"]}},
        {"applies_to": {"actions": ["refund*"]}},
        {"history": []},
        {"base": -1},
        {"stage": "active"},
        {"message": "x" * 1_001},
    ],
)
def test_what_is_no_rule_is_refused(draft: Draft, changes: dict[str, Any]) -> None:
    response = draft(**changes)
    assert response.status_code == 422
    assert response.json()["title"]
    assert not Rule.objects.exists()


def test_the_address_names_the_rule(call: Call, admin: str) -> None:
    same = call("PUT", "/rules/refund-limit", {**LIMIT, "slug": "refund-limit"}, bearer=admin)
    assert same.status_code == 201
    other = call("PUT", "/rules/refund-limit", {**LIMIT, "slug": "another"}, bearer=admin)
    assert other.status_code == 422
    assert call("PUT", "/rules/a.b", LIMIT, bearer=admin).status_code == 422
    assert Rule.objects.count() == 1


def test_the_list_pages_by_name_and_by_stage(
    draft: Draft, call: Call, token: Issue, rule: Callable[..., None]
) -> None:
    for slug in ("c", "a", "b"):
        draft(slug)
    rule(slug="b", condition="true")
    draft("b", title="Newer")
    reader = token("read")
    first = call("GET", "/rules?limit=2", bearer=reader).json()
    assert [(one["slug"], one["version"], one["stage"]) for one in first["rules"]] == [
        ("a", 1, "draft"),
        ("b", 2, "active"),
    ]
    second = call("GET", f"/rules?limit=2&after={first['next']}", bearer=reader).json()
    assert ([one["slug"] for one in second["rules"]], second["next"]) == (["c"], None)
    active = call("GET", "/rules?stage=active", bearer=reader).json()
    assert [one["slug"] for one in active["rules"]] == ["b"]
    assert call("GET", "/rules/b", bearer=reader).json()["newest"] == 3
    for query in ("stage=on", "limit=0", "status=active"):
        assert call("GET", f"/rules?{query}", bearer=reader).status_code == 422


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/rules/none", 404),
        ("/rules/none/versions/1", 404),
        ("/rules/a%00b", 422),
        ("/rules/refund-limit/versions/0", 422),
        (f"/rules/refund-limit/versions/{9**40}", 422),
        ("/backtests/bkt_01m7y6s13re5jaj1bm3y35bmxv", 404),
        ("/backtests/x%00", 404),
    ],
)
def test_what_is_not_there_is_said_not_to_be(
    call: Call, admin: str, path: str, status: int
) -> None:
    assert call("GET", path, bearer=admin).status_code == status


# Trials ------------------------------------------------------------------------------------------


def test_a_version_is_tried_on_a_recorded_proposal(
    draft: Draft, call: Call, admin: str, propose: Callable[..., Proposal]
) -> None:
    draft()
    said = call("POST", f"{V1}/test", {"proposal": propose().pk}, bearer=admin).json()
    assert (said["result"], said["message"]) == ("fail", "Refund of 184000 is over 50000")
    assert {"expr": "proposal.args.amount_minor", "depth": 1, "value": 184000} in said["explain"]
    cheap = propose(args={"amount_minor": 100}).pk
    passed = call("POST", f"{V1}/test", {"proposal": cheap}, bearer=admin).json()
    assert (passed["result"], passed["message"]) == ("pass", "")
    assert {"expr": "proposal.args.amount_minor", "depth": 1, "value": 100} in passed["explain"]


def test_a_version_is_tried_on_inputs_of_ones_own(draft: Draft, call: Call, admin: str) -> None:
    draft(
        require='history.today < 3 && now < timestamp("2026-01-01T00:00:00Z")',
        history={"today": {"count": {}, "within": "24h"}},
    )

    def trial(**inputs: Any) -> Any:
        return call("POST", f"{V1}/test", {"inputs": inputs}, bearer=admin)

    assert trial(history={"today": 2}, now="2025-01-01T00:00:00Z").json()["result"] == "pass"
    assert trial(history={"today": 3}, now="2025-01-01").json()["result"] == "fail"
    assert trial(history={"today": 2}, now="2027-01-01").json()["result"] == "fail"
    unknown = trial(now="2025-01-01").json()
    assert (unknown["result"], unknown["message"]) == ("error", "history.today is not known")
    assert trial(proposal=[]).status_code == 422
    assert trial(proposals={}).status_code == 422
    assert trial(now="soon").status_code == 422
    assert trial(now=5).status_code == 422
    assert trial(proposal={"args": {"x": 10**17}}, now="2025-01-01").status_code == 200


def test_the_past_of_a_recorded_proposal_is_counted_as_it_was_then(
    draft: Draft, call: Call, admin: str, propose: Callable[..., Proposal]
) -> None:
    draft(
        require="history.today < 1",
        history={"today": {"count": {"same": ["agent"]}, "within": "24h"}},
    )
    first, second = propose(), propose()
    results = [
        call("POST", f"{V1}/test", {"proposal": one.pk}, bearer=admin).json()["result"]
        for one in (first, second)
    ]
    assert results == ["pass", "fail"]


def test_what_was_masked_is_not_guessed_at(
    cast: Cast, draft: Draft, call: Call, admin: str, propose: Callable[..., Proposal]
) -> None:
    contracts.save(
        Actor(cast.ada),
        kind="action",
        name="refund.create",
        schema={"type": "object", "properties": {"card": {"type": "string"}}},
        timeout_s=60,
        masked=["/card"],
    )
    draft(require='!proposal.args.card.startsWith("4")')
    draft(require="proposal.args.amount_minor < 10")
    proposal = propose(args={"card": "4111111111111111", "amount_minor": 1}).pk
    path = "/rules/refund-limit/versions"
    said = call("POST", f"{path}/1/test", {"proposal": proposal}, bearer=admin)
    assert "4111" not in said.text
    assert said.json()["result"] == "unseen"
    assert said.json()["message"] == "card was masked before it was stored"
    assert said.json()["explain"] == []
    other = call("POST", f"{path}/2/test", {"proposal": proposal}, bearer=admin)
    assert other.json()["result"] == "pass"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"proposal": "x", "inputs": {}}, 422),
        ({"proposal": "prp_01m7y6s13re5jaj1bm3y35bmxv"}, 404),
        ({"proposal": "x\u0000"}, 400),
        ({"inputs": []}, 422),
    ],
)
def test_a_trial_needs_something_to_try_it_on(
    draft: Draft, call: Call, admin: str, body: Any, status: int
) -> None:
    draft()
    assert call("POST", f"{V1}/test", body, bearer=admin).status_code == status


# Backtests ---------------------------------------------------------------------------------------


def test_a_backtest_is_asked_for_and_read(
    draft: Draft, call: Call, admin: str, token: Issue, propose: Callable[..., Proposal]
) -> None:
    propose()
    propose(args={"amount_minor": 100})
    draft()
    asked = call("POST", f"{V1}/backtest", {"proposals_max": 100}, bearer=admin)
    assert asked.status_code == 202
    body = asked.json()
    assert (body["status"], body["slug"], body["version"]) == ("waiting", "refund-limit", 1)
    # While it is open, asking again gives the same one.
    assert call("POST", f"{V1}/backtest", {}, bearer=admin).json()["id"] == body["id"]
    assert backtest.work_one(lambda: False)
    done = call("GET", f"/backtests/{body['id']}", bearer=token("read")).json()
    assert (done["status"], done["done"], done["in_force"]) == ("done", 2, None)
    assert (done["tested"]["in_scope"], done["tested"]["hits"]) == (2, 1)
    assert call("GET", V1, bearer=admin).json()["stage"] == "backtested"


def test_a_backtest_looks_at_the_time_it_is_told(draft: Draft, call: Call, admin: str) -> None:
    draft()
    until = datetime.now(UTC)
    window = {"since": (until - timedelta(days=2)).isoformat(), "until": until.isoformat()}
    body = call("POST", f"{V1}/backtest", window, bearer=admin).json()
    assert datetime.fromisoformat(body["since"]) == until - timedelta(days=2)
    for wrong in (
        {"since": "2026-01-01T00:00:00"},
        {"since": window["until"], "until": window["since"]},
        {"until": "9999-12-31T20:00:00-12:00"},
        {"since": "0001-01-01T00:00:00+12:00"},
        {"until": "0001-01-05T00:00:00Z"},
        {"until": (until + timedelta(days=1)).isoformat()},
        {"proposals_max": 0},
        {"days": 3},
    ):
        assert call("POST", f"{V1}/backtest", wrong, bearer=admin).status_code == 422


def test_a_backtest_is_cancelled(draft: Draft, call: Call, admin: str) -> None:
    draft()
    path = f"/backtests/{call('POST', f'{V1}/backtest', {}, bearer=admin).json()['id']}"
    assert call("POST", f"{path}/cancel", bearer=admin).json()["status"] == "cancelled"
    assert call("POST", f"{path}/cancel", bearer=admin).status_code == 200
    assert not backtest.work_one(lambda: False)


# Shadow and activation ---------------------------------------------------------------------------


def test_a_version_watches_and_stops(call: Call, admin: str, tested: None) -> None:
    assert call("POST", f"{V1}/shadow", bearer=admin).json()["stage"] == "shadow"
    again = call("POST", f"{V1}/shadow", bearer=admin)
    assert (again.status_code, again.json()["stage"]) == (200, "shadow")
    assert call("POST", f"{V1}/shadow/stop", bearer=admin).json()["stage"] == "backtested"
    refused = call("POST", f"{V1}/shadow/stop", bearer=admin)
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:countersign:problem:stage-wrong"


def test_nothing_comes_before_a_backtest(draft: Draft, call: Call, admin: str) -> None:
    draft()
    for path, body in ((f"{V1}/shadow", None), (f"{V1}/activate", {"note": "Now"})):
        refused = call("POST", path, body, bearer=admin)
        assert refused.status_code == 409
        assert "acktest" in refused.json()["title"]
    assert not Proposal.objects.exists()


def decide(person: User, item: ReviewItem) -> None:
    deciding.decide(Actor(person), item.pk, verdict="approve", idempotency_key=item.pk)


def test_activation_waits_for_another_admin(
    cast: Cast, call: Call, admin: str, tested: None, sign_in: Callable[..., Client]
) -> None:
    asked = call("POST", f"{V1}/activate", {"note": "Fewer needless holds"}, bearer=admin)
    assert asked.status_code == 202
    item = ReviewItem.objects.get(proposal=asked.json()["proposal"])
    assert (item.kind, asked.json()["status"]) == ("rule_change", "in_review")
    assert item.proposal is not None
    assert item.proposal.rationale == "Fewer needless holds"
    # Another one would bury this one.
    twice = call("POST", f"{V1}/activate", {"note": "Again"}, bearer=admin)
    assert twice.json()["type"] == "urn:countersign:problem:change-waiting"
    # Whoever asked cannot agree, by no way: in the browser, where alone people decide, neither.
    with pytest.raises(NotAllowed):
        decide(cast.ada, item)
    assert RuleVersion.objects.get().stage == "backtested"
    other = User.objects.create_superuser("otto")
    decide(other, item)
    work_all()
    assert RuleVersion.objects.get().stage == "active"


def test_what_another_token_of_the_author_asks_for_is_the_authors(
    cast: Cast, call: Call, tested: None, token: Issue
) -> None:
    second = token("admin", owner=cast.ada)
    asked = call("POST", f"{V1}/activate", {"note": "Please"}, bearer=second)
    with pytest.raises(NotAllowed):
        decide(cast.ada, ReviewItem.objects.get(proposal=asked.json()["proposal"]))


def test_no_operation_decides(call: Call, admin: str, tested: None) -> None:
    asked = call("POST", f"{V1}/activate", {"note": "Please"}, bearer=admin).json()
    item = ReviewItem.objects.get()
    for path in (
        f"/proposals/{asked['proposal']}/decide",
        f"/review-items/{item.pk}/decide",
        f"{V1}/approve",
    ):
        assert call("POST", path, {"verdict": "approve"}, bearer=admin).status_code == 404
    # Nor can it be proposed as if an agent had thought of it.
    posing = {"agent": "a", "action": "countersign.rule.activate", "args": {}}
    assert call("POST", "/proposals", posing).status_code == 422


def test_a_rule_goes_back_to_an_older_version(
    cast: Cast, draft: Draft, call: Call, admin: str, rule: Callable[..., None]
) -> None:
    rule()
    rule(condition="true")
    back = call("POST", "/rules/refund-limit/rollback", {"to": 1, "note": "Too lax"}, bearer=admin)
    assert back.status_code == 202
    decide(User.objects.create_superuser("otto"), ReviewItem.objects.get())
    work_all()
    assert call("GET", "/rules/refund-limit", bearer=admin).json()["version"] == 1
    draft(title="Never in force")
    never = call("POST", "/rules/refund-limit/rollback", {"to": 3, "note": "No"}, bearer=admin)
    assert never.status_code == 409
    missing = call("POST", "/rules/refund-limit/rollback", {"to": 9, "note": "No"}, bearer=admin)
    assert missing.status_code == 404


def test_a_rule_is_proposed_to_retire(call: Call, admin: str, rule: Callable[..., None]) -> None:
    rule()
    assert call("POST", f"{V1}/retire", {"note": "Unused"}, bearer=admin).status_code == 202
    decide(User.objects.create_superuser("otto"), ReviewItem.objects.get())
    work_all()
    assert RuleVersion.objects.get().stage == "retired"


@pytest.mark.parametrize("body", [{}, {"note": ""}, {"note": "x", "stage": "active"}])
def test_a_change_says_why(call: Call, admin: str, tested: None, body: Any) -> None:
    assert call("POST", f"{V1}/activate", body, bearer=admin).status_code == 422


# Who may -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change[1])
def test_only_a_token_for_it_of_an_admin_changes_rules(
    call: Call, token: Issue, cast: Cast, rule: Callable[..., None], change: tuple[str, str, Any]
) -> None:
    method, path, body = change
    rule()
    before = RuleVersion.objects.get()
    for scope in ("propose", "read", "runs", "events", "review"):
        refused = call(method, path, body, bearer=token(scope, owner=cast.ada))
        assert refused.status_code == 403
        assert "It needs the scope admin." in refused.json()["title"]
    for person in (cast.rita, cast.max, cast.agents):
        refused = call(method, path, body, bearer=token("admin", owner=person))
        # Of what does not exist nobody is told more than that.
        assert refused.status_code == (404 if path.startswith("/backtests/") else 403)
    lost = token("admin", owner=cast.ada)
    cast.ada.groups.clear()
    assert call(method, path, body, bearer=lost).status_code in {403, 404}
    assert call(method, path, body, bearer="cs_no").status_code == 401
    assert RuleVersion.objects.get().stage == before.stage
    assert not Backtest.objects.exists()
    assert not Proposal.objects.exists()


def test_a_backtest_is_cancelled_by_admins_alone(
    draft: Draft, call: Call, admin: str, token: Issue, cast: Cast
) -> None:
    draft()
    key = call("POST", f"{V1}/backtest", {}, bearer=admin).json()["id"]
    for person in (cast.rita, cast.max, cast.agents):
        bearer = token("admin", owner=person)
        assert call("POST", f"/backtests/{key}/cancel", bearer=bearer).status_code == 403
    assert Backtest.objects.get().status == "waiting"


def test_only_readers_read(draft: Draft, call: Call, token: Issue) -> None:
    draft()
    for path in ("/rules", "/rules/refund-limit", V1):
        assert call("GET", path, bearer=token("read")).status_code == 200
        for scope in ("propose", "runs", "events"):
            assert call("GET", path, bearer=token(scope)).status_code == 403
        assert call("GET", path, bearer=None).status_code == 401


# Retries -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{V1}/backtest", {}),
        (f"{V1}/shadow", None),
        (f"{V1}/activate", {"note": "Once"}),
    ],
)
def test_a_retry_gets_the_same_answer_and_nothing_happens_twice(
    call: Call, admin: str, tested: None, path: str, body: Any
) -> None:
    first, again = (
        call("POST", path, body, bearer=admin, **{"Idempotency-Key": "k"}) for _ in range(2)
    )
    assert first.status_code in {200, 202}
    assert again["Idempotency-Replayed"] == "true"
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert Proposal.objects.count() <= 1
    assert Backtest.objects.count() <= 2
    other = call("POST", path, {"note": "x"}, bearer=admin, **{"Idempotency-Key": "k"})
    assert other.status_code == 422
