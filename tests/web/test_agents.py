"""The pages of agents and endpoints: what they show, what they ask for, and what they refuse."""

import json
import re
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from orchestrator.actions import endpoints, runs, workflows
from orchestrator.actions.actor import Actor
from orchestrator.actions.endpoints import Whereabouts
from orchestrator.engine import rollups
from orchestrator.models import Agent, AgentVersion, Endpoint, Proposal
from review import agent_page
from tests import versions
from tests.conftest import SYSTEM, Cast
from tests.work import work_all

HOSTILE = "<script>alert(1)</script>"
VERSION: dict[str, Any] = {
    "adapter": "scripted",
    "data_classes": ["internal"],
    "parameters": '{"says": {"total": 7}}',
    "note": "A shorter one.",
    "base": 0,
}


@pytest.fixture
def ada(client: Client, cast: Cast) -> Client:
    client.force_login(cast.ada)
    return client


@pytest.fixture
def clerk(cast: Cast) -> Actor:
    """Version 2 is stable, 1 was before, 3 is the canary and 4 the shadow."""
    actor = versions.keep(cast.ada)
    for says in ("one", "two", "three", "four"):
        versions.write(actor, "clerk", versions.scripted(says))
    versions.deploy(actor, "clerk", stable=1)
    versions.deploy(actor, "clerk", stable=2, canary=3, share=5, shadow=4)
    return actor


def test_without_agents_the_list_says_what_to_do(ada: Client, client: Client, cast: Cast) -> None:
    assert "Make the first one" in ada.get("/agents/").text
    client.force_login(cast.max)
    assert "An admin can make the first one" in client.get("/agents/").text


def test_the_list_says_what_is_in_use(ada: Client, clerk: Actor) -> None:
    page = ada.get("/agents/").text
    assert 'href="/agents/clerk/"' in page
    assert "v3, 5 %" in page
    assert "nothing decided" in page


def test_an_agent_shows_its_versions_what_is_in_use_and_what_was(ada: Client, clerk: Actor) -> None:
    workflows.save(SYSTEM, "w", versions.pipeline(versions.stage("look")))
    runs.start(SYSTEM, workflow="w", intent=None)
    work_all()
    page = ada.get("/agents/clerk/").text
    for said in ("Version 4", "canary, 5 %", "version 2, canary 3 for 5 % of runs, shadow 4"):
        assert said in page
    assert "The shadow, version 4" in page
    assert "0.000 of 1, over 1" in page


def test_calls_are_counted_of_versions_that_propose_nothing(ada: Client, clerk: Actor) -> None:
    # Without the canary, which gets one of twenty runs.
    versions.deploy(clerk, "clerk", stable=2)
    workflows.save(SYSTEM, "w", versions.pipeline(versions.stage("look")))
    runs.start(SYSTEM, workflow="w", intent=None)
    work_all()
    rollups.refresh()
    page = ada.get("/agents/clerk/versions/2/?beside=1").text
    assert re.search(r"1 of 1 within \d+ s", page)
    assert "n = 1" in page
    assert "not called" in page
    assert '1<span class="unit"> calls</span>' in ada.get("/agents/").text


def test_what_is_in_use_is_asked_for_and_shown_to_whoever_agrees(
    ada: Client, client: Client, clerk: Actor
) -> None:
    wish = {"stable": 3, "canary": "", "share": "", "shadow": "", "note": "It did well."}
    sent = ada.post("/agents/clerk/deploy/", wish)
    assert (sent.status_code, sent["Location"]) == (302, "/agents/clerk/")
    page = ada.get("/agents/clerk/").text
    assert "waits for another admin" in page
    assert "Ask for it" not in page
    proposal = Proposal.objects.order_by("-pk")[0]
    client.force_login(versions.another_admin().user)  # type: ignore[arg-type]
    shown = client.get(f"/proposals/{proposal.pk}/").text
    assert "What would be in use" in shown
    assert re.search("<title>[^<]*Change what is in use of the agent clerk", shown)
    assert "It did well." in shown
    versions.agree(proposal)
    client.force_login(clerk.user)  # type: ignore[arg-type]
    assert "All runs" not in ada.get("/agents/clerk/").text
    assert "Version 3" in ada.get("/agents/clerk/").text


def test_what_is_in_use_is_offered_however_old_it_is(
    ada: Client, clerk: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the form would choose the newest in its place, and whoever sends it would not notice."""
    monkeypatch.setattr(agent_page, "VERSIONS_SHOWN", 1)
    versions.write(clerk, "clerk", versions.scripted("five"))
    page = ada.get("/agents/clerk/")
    choices = [number for number, _ in page.context["form"].fields["stable"].choices]
    assert choices == [5, 2, 3, 4]
    assert page.context["form"].initial["stable"] == 2
    wanted = {"stable": 2, "canary": "", "share": "", "shadow": "", "note": "alone"}
    assert ada.post("/agents/clerk/deploy/", wanted).status_code == 302
    assert [one.version.number for one in page.context["versions"]] == [5]
    older = ada.get("/agents/clerk/?before=5")
    assert [one.version.number for one in older.context["versions"]] == [4]
    assert "Newest" in older.text


def test_going_back_is_one_request(ada: Client, clerk: Actor) -> None:
    page = ada.get("/agents/clerk/").text
    assert "Without the canary: all runs get version 2." in page
    ada.post("/agents/clerk/roll-back/", {"back_note": "Worse."})
    asked = Proposal.objects.order_by("-pk")[0]
    assert (asked.args["stable"], asked.args["canary"], asked.status) == (2, None, "in_review")


@pytest.mark.parametrize(
    "wrong",
    [
        {"canary": 2, "share": 5},
        {"share": 5},
        {"stable": 99},
        {"share": 100, "canary": 1},
        {"note": ""},
    ],
)
def test_what_cannot_be_is_refused_and_kept(
    ada: Client, clerk: Actor, wrong: dict[str, Any]
) -> None:
    before = Proposal.objects.count()
    wish = {"stable": 2, "canary": "", "share": "", "shadow": "", "note": "why not"}
    refused = ada.post("/agents/clerk/deploy/", wish | wrong)
    assert refused.status_code == 422
    assert "Error: clerk" in refused.text
    if "note" not in wrong:
        assert "why not" in refused.text
    assert Proposal.objects.count() == before


def test_an_agent_is_made_and_its_first_version_written(ada: Client) -> None:
    made = ada.post("/agents/new/", {"slug": "clerk", "title": HOSTILE, "tier": "elevated"})
    assert made["Location"] == "/agents/clerk/versions/new/"
    again = ada.post("/agents/new/", {"slug": "clerk", "tier": "elevated"})
    assert (again.status_code, "already" in again.text) == (422, True)
    assert "No version yet" in ada.get("/agents/clerk/").text
    written = ada.post("/agents/clerk/versions/new/", VERSION)
    assert written["Location"] == "/agents/clerk/versions/1/"
    page = ada.get("/agents/clerk/versions/1/").text
    assert "A shorter one." in page
    assert HOSTILE not in ada.get("/agents/clerk/").text
    changed = ada.post("/agents/clerk/edit/", {"title": "Clerk", "tier": "read_only"})
    assert changed.status_code == 302
    assert Agent.objects.get().tier == "read_only"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"parameters": "{"}, "It is no JSON"),
        ({"limits": "[]"}, "It has to be an object"),
        ({"tools": "refund"}, "there is no tool “refund”"),
        ({"parameters": '{"speaks": 1}'}, "has no “speaks”"),
        ({"data_classes": []}, "This field is required"),
        ({"adapter": "llm"}, "Error:"),
        ({"endpoints": "nowhere"}, "calls none"),
        ({"base": 7}, "while you wrote yours"),
    ],
)
def test_a_version_that_could_not_work_is_refused_in_words(
    ada: Client, cast: Cast, wrong: dict[str, Any], said: str
) -> None:
    versions.keep(cast.ada)
    refused = ada.post("/agents/clerk/versions/new/", VERSION | wrong)
    assert refused.status_code == 422
    assert said in refused.text
    assert "A shorter one." in refused.text
    assert not AgentVersion.objects.exists()


STEPS = [{"turn": 1, "output": {"total": 7}}, {"turn": 2, "fails": {"code": "agent-refused"}}]


@pytest.mark.parametrize(
    "written",
    [
        json.dumps({"trajectory": STEPS}),
        json.dumps(STEPS, indent=2),
        "\n".join(json.dumps(step) for step in STEPS),
        "\n\n".join(json.dumps(step) for step in STEPS) + "\r\n",
    ],
)
def test_a_recording_is_pasted_as_it_lies_in_its_file(
    ada: Client, cast: Cast, written: str
) -> None:
    versions.keep(cast.ada)
    recorded = VERSION | {"adapter": "recorded", "parameters": written}
    assert ada.post("/agents/clerk/versions/new/", recorded).status_code == 302
    assert AgentVersion.objects.get().parameters == {"trajectory": STEPS}


def test_one_step_is_a_recording_and_it_may_take_its_time(ada: Client, cast: Cast) -> None:
    versions.keep(cast.ada)
    for written in (STEPS[0], {"trajectory": STEPS[:1], "in_time": True}):
        recorded = VERSION | {"adapter": "recorded", "parameters": json.dumps(written)}
        recorded["base"] = AgentVersion.objects.count()
        assert ada.post("/agents/clerk/versions/new/", recorded).status_code == 302
    told = [one.parameters for one in AgentVersion.objects.order_by("number")]
    assert told == [
        {"trajectory": STEPS[:1]},
        {"trajectory": STEPS[:1], "in_time": True},
    ]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('{"output": 1}\n\n{"output": ', "Line 3 is no JSON"),
        ('{"output": 1}\n7', "/trajectory/1"),
        ('{"outputs": 1}', "/trajectory/0"),
        ('{\n"trajectory": [', "It is no JSON"),
        ("[]", "/trajectory"),
        ("", "needs “trajectory”"),
        ("7", "It has to be an object"),
        ('{"trajectory": [{"fails": {"code": "tired"}}]}', "/trajectory/0/fails/code"),
        ("[" * 100_000, "It is no JSON"),
    ],
)
def test_what_is_no_recording_is_refused_at_its_place(
    ada: Client, cast: Cast, written: str, said: str
) -> None:
    versions.keep(cast.ada)
    recorded = VERSION | {"adapter": "recorded", "parameters": written}
    refused = ada.post("/agents/clerk/versions/new/", recorded)
    assert refused.status_code == 422
    assert said in refused.text
    assert not AgentVersion.objects.exists()


def test_a_new_version_begins_with_the_newest_and_two_are_laid_side_by_side(
    ada: Client, clerk: Actor
) -> None:
    form = ada.get("/agents/clerk/versions/new/").text
    assert "&quot;says&quot;: &quot;four&quot;" in form
    page = ada.get("/agents/clerk/versions/4/?beside=1").text
    assert "What differs from version 1" in page
    assert "<del>" in page
    assert ada.get("/agents/clerk/versions/4/?beside=x").status_code == 200
    assert ada.get("/agents/clerk/versions/9/").status_code == 404
    assert ada.get("/agents/nobody/").status_code == 404


def test_endpoints_are_made_changed_and_retired(ada: Client, client: Client) -> None:
    wish = {
        "slug": "house",
        "provider": "openai_compatible",
        "base_url": "http://localhost:11434/v1",
        "is_local": "on",
        "data_classes": ["internal"],
        "api_key": "sk-very-secret",
    }
    assert "No endpoint yet" in ada.get("/settings/endpoints/").text
    assert ada.post("/settings/endpoints/new/", wish).status_code == 302
    refused = ada.post("/settings/endpoints/new/", wish | {"api_key_env": "SECRET_KEY"})
    assert refused.status_code == 422
    for page in ("/settings/endpoints/", "/settings/endpoints/house/"):
        assert "very-secret" not in ada.get(page).text
    assert "very-secret" not in refused.text
    saved = ada.post("/settings/endpoints/house/", wish | {"price_input": 1, "price_output": 2})
    assert saved.status_code == 302
    assert Endpoint.objects.get().price_input == 1
    refused = ada.post("/settings/endpoints/house/", wish | {"auth": "hmac"})
    assert "only a service of your own can check signatures" in refused.text
    assert ada.post("/settings/endpoints/house/", wish | {"auth": "none"}).status_code == 302
    assert Endpoint.objects.get().auth == "none"
    wider = wish | {"data_classes": ["internal", "personal"], "note": "The DPO agreed."}
    assert ada.post("/settings/endpoints/house/", wider).status_code == 302
    assert "waits for another admin" in ada.get("/settings/endpoints/house/").text
    client.force_login(versions.another_admin().user)  # type: ignore[arg-type]
    shown = client.get(f"/proposals/{Proposal.objects.get().pk}/").text
    assert "What the endpoint would be" in shown
    assert "internal, personal" in shown
    client.post("/settings/endpoints/house/retire/")
    assert "It was retired" in client.get("/settings/endpoints/house/").text


def test_the_list_is_paged_and_flat(
    ada: Client, cast: Cast, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    monkeypatch.setattr(settings, "PAGE_SIZE", 2)
    for number in range(5):
        versions.keep(cast.ada, f"agent-{number}")
    with django_assert_max_num_queries(25):
        page = ada.get("/agents/").text
    assert "after=agent-1" in page
    assert "agent-2" in ada.get("/agents/?after=agent-1").text
    assert ada.get("/agents/?after=%00").status_code == 200


def test_others_look_and_are_offered_nothing(client: Client, cast: Cast, clerk: Actor) -> None:
    client.force_login(cast.max)
    page = client.get("/agents/clerk/").text
    assert "Changing agents needs the role admin" in page
    assert "Ask for it" not in page
    endpoints.make(
        clerk,
        "house",
        Whereabouts(provider="http", base_url="http://localhost/", data_classes=["internal"]),
    )
    assert client.get("/settings/endpoints/house/").status_code == 403
