"""Agents, their versions and endpoints over HTTP, and in whose name a token may propose."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings

from orchestrator.actions import agents, changes, endpoints
from orchestrator.actions.actor import Actor
from orchestrator.core.policy.agent_versions import Deployed
from orchestrator.models import AuditEntry, Deployment, Endpoint, Proposal
from tests import versions
from tests.api.conftest import REFUND, Call
from tests.conftest import Cast

Issue = Callable[..., str]
VERSION: dict[str, Any] = {
    "adapter": "scripted",
    "data_classes": ["internal"],
    "settings": {"says": {"total": 7}},
    "note": "The first.",
}
MODEL: dict[str, Any] = {"adapter": "llm", "settings": {}, "model": "m", "endpoints": ["house"]}
HOUSE: dict[str, Any] = {
    "provider": "openai_compatible",
    "base_url": "http://localhost:11434/v1",
    "is_local": True,
    "data_classes": ["public", "internal"],
    "price": {"input_micros_per_mtok": 0, "output_micros_per_mtok": 0},
}
CHANGES: list[tuple[str, str, Any]] = [
    ("PUT", "/agents/clerk", {"title": "Clerk"}),
    ("POST", "/agents/clerk/versions", VERSION),
    ("POST", "/agents/clerk/deploy", {"stable": 1, "note": "why"}),
    ("POST", "/agents/clerk/roll-back", {"note": "why"}),
    ("PUT", "/endpoints/house", HOUSE),
    ("POST", "/endpoints/house/retire", {}),
]


@pytest.fixture
def admin(cast: Cast, token: Issue) -> str:
    return token("admin", owner=cast.ada)


@pytest.fixture
def clerk(call: Call, admin: str) -> None:
    call("PUT", "/agents/clerk", {"title": "Clerk", "tier": "elevated"}, bearer=admin)
    call("POST", "/agents/clerk/versions", VERSION, bearer=admin)


def agreed(proposal: str) -> None:
    versions.agree(Proposal.objects.get(pk=proposal))


def test_an_agent_is_made_and_renamed(call: Call, admin: str) -> None:
    made = call("PUT", "/agents/clerk", {"title": "Clerk", "owner": "Refunds"}, bearer=admin)
    assert made.status_code == 201
    said = made.json()
    assert (said["slug"], said["tier"], said["newest"], said["in_use"]) == (
        "clerk",
        "read_only",
        0,
        None,
    )
    again = call("PUT", "/agents/clerk", {"title": "Clerk", "tier": "elevated"}, bearer=admin)
    assert (again.status_code, again.json()["tier"]) == (200, "elevated")
    assert call("GET", "/agents/clerk", bearer=admin).json() == again.json()
    assert call("GET", "/agents/nobody", bearer=admin).status_code == 404
    verbs = AuditEntry.objects.filter(object_id="agent/clerk").values_list("verb", flat=True)
    assert list(verbs.order_by("pk")) == ["agent.made", "agent.changed", "agent.changed"]


def test_a_version_says_what_was_sent_and_never_changes(
    call: Call, admin: str, clerk: None
) -> None:
    said = call("GET", "/agents/clerk/versions/1", bearer=admin).json()
    assert {name: said[name] for name in VERSION} == VERSION
    assert (said["tier"], said["created_by"], said["endpoints"]) == ("elevated", "ada", [])
    again = call("POST", "/agents/clerk/versions", VERSION, bearer=admin)
    assert (again.status_code, again.json()["number"]) == (200, 1)
    other = VERSION | {"settings": {"says": 8}, "label": "2.4", "base": 1}
    made = call("POST", "/agents/clerk/versions", other, bearer=admin)
    assert (made.status_code, made.json()["number"]) == (201, 2)
    late = call("POST", "/agents/clerk/versions", other | {"prompt": "x"}, bearer=admin)
    assert late.status_code == 409
    assert late.json()["type"] == "urn:countersign:problem:agent-changed"
    page = call("GET", "/agents/clerk/versions?limit=1", bearer=admin).json()
    assert ([one["number"] for one in page["versions"]], page["next"]) == ([2], 2)
    rest = call("GET", "/agents/clerk/versions?before=2", bearer=admin).json()
    assert ([one["number"] for one in rest["versions"]], rest["next"]) == ([1], None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"adapter": "oracle"},
        {"data_classes": []},
        {"data_classes": ["gossip"]},
        {"data_classes": ["internal", "internal"]},
        {"settings": {"speaks": 1}},
        {"adapter": "llm", "settings": {}, "endpoints": ["house"]},
        {"adapter": "llm", "settings": {}, "model": "m"},
        {"adapter": "llm", "settings": {}, "model": "m", "endpoints": ["nowhere"]},
        {"adapter": "function", "settings": {}},
        {"adapter": "recorded", "settings": {"trajectory": "none"}},
        {"adapter": "recorded", "settings": {"trajectory": []}},
        {"adapter": "recorded", "settings": {"trajectory": [{"outputs": 1}]}},
        {"adapter": "recorded", "settings": {"trajectory": [{}], "in_time": "yes"}},
        {"settings": {"usage": {"tokens_in": -1}}},
        {"endpoints": ["house"]},
        MODEL | {"limits": {"patience": 3}},
        MODEL | {"limits": {"requests": 0}},
        {"limits": {"money_micros": 500}},
        {"adapter": "http", "settings": {}, "endpoints": ["house"], "limits": {"requests": 2}},
        {"tools": ["refund"]},
        {"tools": [{"name": "refund", "kind": "read"}]},
        {"label": "14"},
        {"contract": "unheard-of"},
        {"unknown": 1},
    ],
)
def test_a_version_that_could_not_work_is_refused(
    call: Call, admin: str, clerk: None, wrong: dict[str, Any]
) -> None:
    call("PUT", "/endpoints/house", HOUSE, bearer=admin)
    refused = call("POST", "/agents/clerk/versions", VERSION | wrong, bearer=admin)
    assert refused.status_code == 422, refused.json()
    assert call("GET", "/agents/clerk", bearer=admin).json()["newest"] == 1


def test_a_version_is_in_use_once_another_admin_agreed(call: Call, admin: str, clerk: None) -> None:
    wish = {"stable": 1, "note": "it was tried"}
    asked = call("POST", "/agents/clerk/deploy", wish, bearer=admin)
    assert asked.status_code == 202
    assert asked.json()["status"] == "in_review"
    assert call("GET", "/agents/clerk", bearer=admin).json()["in_use"] is None
    twice = call("POST", "/agents/clerk/deploy", wish, bearer=admin)
    assert twice.json()["type"] == "urn:countersign:problem:change-waiting"
    agreed(asked.json()["proposal"])
    in_use = call("GET", "/agents/clerk", bearer=admin).json()["in_use"]
    assert (in_use["stable"], in_use["canary"], in_use["share"]) == (1, None, 0)
    assert (in_use["by"], in_use["note"], in_use["proposal"]) == (
        "bea",
        "it was tried",
        asked.json()["proposal"],
    )
    again = call("POST", "/agents/clerk/deploy", wish, bearer=admin)
    assert again.status_code == 409


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"stable": 9}, 404),
        ({"stable": 1, "canary": 2}, 422),
        ({"stable": 1, "share": 5}, 422),
        ({"stable": 1, "canary": 1, "share": 5}, 422),
        ({"stable": 1, "canary": 2, "share": 100}, 422),
        ({"stable": 1, "shadow": 1}, 422),
        ({"stable": 1, "canary": 2, "share": 5, "shadow": 2}, 422),
        ({"canary": 2, "share": 5}, 422),
        ({"stable": 1, "note": " "}, 422),
    ],
)
def test_a_deployment_that_could_not_be_is_refused(
    call: Call, admin: str, clerk: None, wrong: dict[str, Any], status: int
) -> None:
    call("POST", "/agents/clerk/versions", VERSION | {"prompt": "x"}, bearer=admin)
    refused = call("POST", "/agents/clerk/deploy", {"note": "why"} | wrong, bearer=admin)
    assert refused.status_code == status, refused.json()
    assert not Proposal.objects.exists()


def test_the_way_back_ends_the_canary_and_then_goes_to_the_version_before(
    call: Call, admin: str, clerk: None, cast: Cast
) -> None:
    ada = Actor(cast.ada)
    versions.write(ada, "clerk", versions.scripted("two"))
    nothing = call("POST", "/agents/clerk/roll-back", {"note": "why"}, bearer=admin)
    assert nothing.status_code == 409
    versions.deploy(ada, "clerk", stable=1)
    versions.deploy(ada, "clerk", stable=2)
    versions.deploy(ada, "clerk", stable=2, canary=1, share=5)
    for _ in range(2):
        asked = call("POST", "/agents/clerk/roll-back", {"note": "worse"}, bearer=admin)
        assert asked.status_code == 202
        agreed(asked.json()["proposal"])
    page = call("GET", "/agents/clerk/deployments?limit=2", bearer=admin).json()
    assert [(one["stable"], one["canary"]) for one in page["deployments"]] == [(1, None), (2, None)]
    assert page["next"] == 4


def test_what_moved_meanwhile_is_not_deployed(call: Call, clerk: None, cast: Cast) -> None:
    """Countersigned was a change of what was in use, and not of something else."""
    ada = Actor(cast.ada)
    versions.write(ada, "clerk", versions.scripted("two"))
    first = changes.propose_deployment(ada, "clerk", Deployed(1), "why")
    Deployment.objects.create(
        agent=agents.agent_of("clerk"),
        number=1,
        at=first.created_at,
        stable=agents.version_of("clerk", 2),
    )
    with pytest.raises(AssertionError, match="failed"):
        versions.agree(first)
    assert Deployment.objects.count() == 1


def test_an_endpoint_is_made_and_its_key_is_never_given_out(call: Call, admin: str) -> None:
    wish = HOUSE | {"api_key": "sk-very-secret"}
    made = call("PUT", "/endpoints/house", wish, bearer=admin)
    assert made.status_code == 201, made.json()
    said = made.json()
    assert (said["has_key"], said["revision"], said["price"]) == (True, 1, HOUSE["price"])
    listed = call("GET", "/endpoints", bearer=admin)
    (line,) = listed.json()["endpoints"]
    assert line | {"created_at": said["created_at"]} == said
    kept = call("PUT", "/endpoints/house", HOUSE | {"price": None}, bearer=admin)
    assert (kept.status_code, kept.json()["has_key"], kept.json()["price"]) == (200, True, None)
    for answer in (made, listed, kept):
        assert "very-secret" not in answer.content.decode()
    assert "very-secret" not in str(list(AuditEntry.objects.values_list("detail", flat=True)))
    assert "very-secret" not in Endpoint.objects.get().api_key_sealed


def test_how_an_endpoint_uses_its_key_stays_as_it_is_until_it_is_said(
    call: Call, admin: str
) -> None:
    own = HOUSE | {"provider": "http"}
    assert call("PUT", "/endpoints/house", own, bearer=admin).json()["auth"] == "bearer"
    bare = call("PUT", "/endpoints/house", own | {"auth": "hmac"}, bearer=admin)
    assert (bare.status_code, "key to sign with" in bare.content.decode()) == (422, True)
    signs = own | {"auth": "hmac", "api_key": "sk-1"}
    assert call("PUT", "/endpoints/house", signs, bearer=admin).json()["auth"] == "hmac"
    assert call("PUT", "/endpoints/house", own, bearer=admin).json()["auth"] == "hmac"
    # A key that was only ever signed with is not sent out by somebody who does not know it.
    sends = call("PUT", "/endpoints/house", own | {"auth": "bearer"}, bearer=admin)
    assert (sends.status_code, "give the key again" in sends.content.decode()) == (422, True)
    known = own | {"auth": "bearer", "api_key": "sk-1"}
    assert call("PUT", "/endpoints/house", known, bearer=admin).json()["auth"] == "bearer"


@pytest.mark.parametrize(
    "wrong",
    [
        {"auth": "hmac", "api_key": "x"},
        {"auth": "basic"},
        {"base_url": "http://169.254.169.254/latest"},
        {"base_url": "http://models.example/v1"},
        {"base_url": "https://ada:pw@models.example/v1"},
        {"base_url": "https://models.example/v1", "is_local": True},
        {"base_url": "file:///etc/passwd"},
        {"provider": "psychic"},
        {"data_classes": ["gossip"]},
        {"api_key_env": "SECRET_KEY"},
        {"api_key_env": "DATABASE_URL"},
        {"api_key_env": "A_API_KEY", "api_key": "x"},
        {"api_key": "with\nnewline"},
        {"price": {"input_micros_per_mtok": 1}},
    ],
)
def test_an_endpoint_that_must_not_be_is_refused(
    call: Call, admin: str, wrong: dict[str, Any]
) -> None:
    refused = call("PUT", "/endpoints/house", HOUSE | wrong, bearer=admin)
    assert refused.status_code == 422, refused.json()
    assert not Endpoint.objects.exists()


def test_a_wider_view_or_another_address_needs_another_admin(call: Call, admin: str) -> None:
    call("PUT", "/endpoints/house", HOUSE | {"api_key": "sk-1"}, bearer=admin)
    wider = HOUSE | {"data_classes": ["internal", "public", "personal"]}
    bare = call("PUT", "/endpoints/house", wider, bearer=admin)
    assert bare.status_code == 422, "it says why"
    asked = call("PUT", "/endpoints/house", wider | {"note": "the DPO agreed"}, bearer=admin)
    assert asked.status_code == 202
    assert Endpoint.objects.get().data_classes == ["internal", "public"]
    agreed(asked.json()["proposal"])
    assert Endpoint.objects.get().data_classes == ["internal", "personal", "public"]
    moved = wider | {"base_url": "https://models.example/v1", "is_local": False, "note": "cheaper"}
    asked = call("PUT", "/endpoints/house", moved, bearer=admin)
    assert asked.status_code == 202
    assert Endpoint.objects.get().base_url == HOUSE["base_url"]
    # Less is no question for anybody else.
    less = call("PUT", "/endpoints/house", HOUSE, bearer=admin)
    assert (less.status_code, less.json()["data_classes"]) == (200, ["internal", "public"])
    # What was asked before is about an endpoint that saw more, and is not done to this one.
    with pytest.raises(AssertionError, match="failed"):
        agreed(asked.json()["proposal"])


def test_somebody_elses_change_in_between_is_not_buried(call: Call, admin: str) -> None:
    call("PUT", "/endpoints/house", HOUSE, bearer=admin)
    call("PUT", "/endpoints/house", HOUSE | {"price": None, "base": 1}, bearer=admin)
    late = call("PUT", "/endpoints/house", HOUSE | {"base": 1}, bearer=admin)
    assert late.status_code == 409
    assert late.json()["type"] == "urn:countersign:problem:endpoint-changed"


def test_a_retired_endpoint_forgets_its_key_and_stays_retired(call: Call, admin: str) -> None:
    call("PUT", "/endpoints/house", HOUSE | {"api_key": "sk-1"}, bearer=admin)
    said = call("POST", "/endpoints/house/retire", {}, bearer=admin).json()
    assert (said["has_key"], said["retired_at"] is not None) == (False, True)
    assert call("PUT", "/endpoints/house", HOUSE, bearer=admin).status_code == 409


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change[1])
def test_only_admins_change_any_of_it(
    call: Call, token: Issue, cast: Cast, change: tuple[str, str, Any]
) -> None:
    method, path, body = change
    for bearer in (token("read", owner=cast.ada), token("admin", owner=cast.max)):
        versions.keep(cast.ada)
        assert call(method, path, body, bearer=bearer).status_code in {403, 404}
    assert not Endpoint.objects.exists()
    assert not Proposal.objects.exists()


# In whose name ----------------------------------------------------------------------------------


def test_a_token_speaks_for_its_agents_alone(call: Call, token: Issue) -> None:
    bound = token("propose", agents=["refund-agent"])
    assert call("POST", "/proposals", REFUND, bearer=bound).status_code == 201
    other = call("POST", "/proposals", REFUND | {"agent": "credit-agent"}, bearer=bound)
    assert other.status_code == 403
    assert "It speaks for refund-agent" in other.json()["title"]
    assert Proposal.objects.count() == 1


def test_an_agent_that_is_kept_here_states_a_version_that_is(
    call: Call, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = versions.keep(cast.ada, "refund-agent")
    versions.write(ada, "refund-agent", versions.scripted("one"), label="2024-11")
    for stated, status in {
        "1": 201,
        "2024-11": 201,
        "2": 422,
        "": 422,
        "01": 422,
        "²": 422,
    }.items():
        answer = call("POST", "/proposals", REFUND | {"agent_version": stated})
        assert answer.status_code == status, (stated, answer.json())
    monkeypatch.setattr(settings, "AGENT_VERSIONS_KNOWN_ONLY", False)
    assert call("POST", "/proposals", REFUND | {"agent_version": "2"}).status_code == 201


def test_a_read_only_agent_proposes_nothing_from_outside_either(call: Call, cast: Cast) -> None:
    versions.keep(cast.ada, "refund-agent", tier="read_only")
    answer = call("POST", "/proposals", REFUND)
    assert (answer.status_code, "read-only" in answer.json()["title"]) == (403, True)


def test_no_endpoint_is_found_where_none_is(call: Call, admin: str, cast: Cast) -> None:
    assert call("GET", "/endpoints/house", bearer=admin).status_code == 404
    assert call("POST", "/endpoints/house/retire", {}, bearer=admin).status_code == 404
    endpoints.make(
        Actor(cast.ada),
        "house",
        endpoints.Whereabouts(
            provider="http", base_url="http://localhost/", data_classes=["internal"]
        ),
    )
    assert call("GET", "/endpoints?limit=1", bearer=admin).json()["next"] is None
