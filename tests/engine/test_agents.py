"""Which version a run gets, what may be sent where, and what a shadow leaves behind."""

import json
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from orchestrator import journal
from orchestrator.actions import agents, contracts, endpoints, runs, workflows
from orchestrator.actions.actor import Actor
from orchestrator.actions.agents import Wish
from orchestrator.actions.endpoints import Terms, Whereabouts
from orchestrator.agents import registry
from orchestrator.agents.base import AgentAnswer, AgentCall, Ask, Usage
from orchestrator.core.errors import DefinitionInvalid, OutputInvalid
from orchestrator.core.replay import first_divergence
from orchestrator.engine import quarantine
from orchestrator.models import (
    AgentTrial,
    AgentVersion,
    Command,
    Event,
    Proposal,
    ReviewItem,
    Run,
)
from tests import versions
from tests.conftest import SYSTEM, Cast
from tests.engine.listener import Listener
from tests.memories import only, wish, writer
from tests.runs import scripted
from tests.work import claim_one, output_of, work_all
from tests.work import run as run_claimed

ASK = {"key": "1", "tool": "refund.create", "args": {"amount_minor": 900}, "confidence": 0.99}
REFUND = {"name": "refund.create", "kind": "write"}
LONG_AGO = timezone.now() - timedelta(days=3)
SECRET = "sk-not-to-be-seen-by-anybody"


@pytest.fixture
def ada(cast: Cast) -> Actor:
    return versions.keep(cast.ada)


@pytest.fixture
def server() -> Iterator[Listener]:
    with Listener() as listening:
        yield listening


class OverHttp:
    """A real request to the endpoint that it was handed. The real adapters do no less."""

    def call(self, call: AgentCall) -> AgentAnswer:
        endpoint = call.config["endpoint"]
        body = json.dumps({"intent": call.intent, "tools": call.config["tools"]}).encode()
        headers = {"Authorization": f"Bearer {endpoint.get('api_key', '')}"}
        request = urllib.request.Request(endpoint["base_url"], body, headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return AgentAnswer({"status": answer.status}, Usage(10, 5, None))


@pytest.fixture
def over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.AGENTS, "http", OverHttp())


def make_endpoint(ada: Actor, server: Listener, slug: str, *classes: str) -> None:
    where = Whereabouts(
        provider="http", base_url=f"{server.url}/{slug}", is_local=True, data_classes=classes
    )
    endpoints.make(ada, slug, where, Terms(api_key=SECRET))


def by_http(*slugs: str, classes: tuple[str, ...] = ("internal", "personal"), **more: Any) -> Wish:
    return Wish(adapter="http", endpoints=slugs, data_classes=classes, **more)


def start(*stages: dict[str, Any], slug: str = "w", intent: Any = None, **more: Any) -> Run:
    workflows.save(SYSTEM, slug, versions.pipeline(*stages, **more))
    return runs.start(SYSTEM, workflow=slug, intent=intent)


def work_through(run: Run) -> Run:
    """Also what is tried again after a while."""
    for _ in range(5):
        work_all()
        Command.objects.filter(status="pending").update(not_before=LONG_AGO)
    run.refresh_from_db()
    return run


def told(run: Run, kind: str = "work_finished") -> list[dict[str, Any]]:
    found = Event.objects.filter(run=run, kind=kind).order_by("seq")
    return [json.loads(event.payload) for event in found]


def in_two_versions(ada: Actor, **more: Any) -> None:
    versions.write(ada, "clerk", versions.scripted("one"))
    versions.write(ada, "clerk", versions.scripted("two", **more))


# Which version ----------------------------------------------------------------------------------


def test_a_stage_gets_the_version_that_is_deployed(ada: Actor) -> None:
    in_two_versions(ada)
    versions.deploy(ada, "clerk", stable=1)
    run = work_through(start(versions.stage("look")))
    assert (run.status, output_of(run)) == ("completed", "one")
    (event,) = told(run)
    assert event["agent"] == {"kind": "scripted", "name": "clerk", "version": "1", "as": "stable"}


def test_a_run_keeps_to_the_deployment_it_started_under(ada: Actor) -> None:
    in_two_versions(ada)
    versions.deploy(ada, "clerk", stable=1)
    run = start(versions.stage("look"), versions.stage("again"))
    # Deployed by people while the run waits for a worker.
    versions.deploy(ada, "clerk", stable=2)
    assert [event["agent"]["version"] for event in told(work_through(run))] == ["1", "1"]
    after = runs.start(SYSTEM, workflow="w", intent=None)
    assert output_of(work_through(after)) == "two"


def test_a_canary_gets_its_share_and_each_run_one_version(ada: Actor) -> None:
    in_two_versions(ada)
    versions.deploy(ada, "clerk", stable=1, canary=2, share=30)
    stages = [versions.stage(f"s{number}") for number in range(2)]
    workflows.save(SYSTEM, "w", versions.pipeline(*stages))
    begun = [runs.start(SYSTEM, workflow="w", intent=None) for _ in range(60)]
    work_all()
    answered = Counter()
    for run in begun:
        (version,) = {(e["agent"]["version"], e["agent"]["as"]) for e in told(run)}
        answered[version] += 1
    assert set(answered) == {("1", "stable"), ("2", "canary")}
    # 60 draws of 30 %: further from 18 than this comes one time in a million.
    assert 1 <= answered["2", "canary"] <= 36


def test_no_canary_is_asked_where_nobody_could_follow_it(ada: Actor) -> None:
    in_two_versions(ada)
    versions.deploy(ada, "clerk", stable=1, canary=2, share=99)
    run = start(versions.stage("look"), versions.stage("once", attempts=1))
    while not _is_canary(run):
        run = runs.start(SYSTEM, workflow="w", intent=None)
    look, once = told(work_through(run))
    assert (look["agent"]["version"], look["agent"]["as"]) == ("2", "canary")
    assert (once["agent"]["version"], once["agent"]["as"]) == ("1", "stable")


@pytest.mark.parametrize("code", ["agent-unavailable", "agent-refused"])
def test_a_canary_that_fails_falls_back(ada: Actor, code: str) -> None:
    """Also where asking the same one again would not help."""
    in_two_versions(ada, fails=[{"attempt": n, "code": code} for n in (1, 2, 3)])
    versions.deploy(ada, "clerk", stable=1, canary=2, share=99)
    run = start(versions.stage("look", attempts=2))
    while not _is_canary(run):
        run = runs.start(SYSTEM, workflow="w", intent=None)
    run = work_through(run)
    (failed,), (done,) = told(run, "work_failed"), told(run)
    assert (failed["agent"]["version"], failed["agent"]["as"]) == ("2", "canary")
    assert failed["error"]["code"] == code
    assert failed["error"]["falls_back_to"] == 1
    assert (done["agent"]["version"], done["agent"]["instead_of"]) == ("1", "2")
    assert output_of(run) == "one"


@pytest.mark.parametrize(
    "says",
    [
        "nothing that could be proposed",
        {"action": "refund.create", "args": {"amount_minor": "a lot"}, "confidence": 0.99},
    ],
)
def test_a_canary_that_says_what_cannot_be_proposed_falls_back(ada: Actor, says: Any) -> None:
    contracts.record(
        ada,
        kind="action",
        name="refund.create",
        schema={"type": "object", "properties": {"amount_minor": {"type": "integer"}}},
        timeout_s=60,
    )
    right = {"action": "refund.create", "args": {"amount_minor": 100}, "confidence": 0.99}
    versions.write(ada, "clerk", versions.scripted(right))
    versions.write(ada, "clerk", versions.scripted(says))
    versions.deploy(ada, "clerk", stable=1, canary=2, share=99)
    run = start(versions.stage("look", proposes=True, attempts=2))
    while not _is_canary(run):
        run = runs.start(SYSTEM, workflow="w", intent=None)
    run = work_through(run)
    (failed,) = told(run, "work_failed")
    assert failed["error"]["falls_back_to"] == 1
    assert (failed["agent"]["version"], failed["agent"]["as"]) == ("2", "canary")
    assert [event["agent"]["version"] for event in told(run)] == ["2", "1"]
    assert Proposal.objects.get(run=run).args == {"amount_minor": 100}


def test_a_stable_version_that_says_what_cannot_be_proposed_fails(ada: Actor) -> None:
    in_two_versions(ada)
    versions.deploy(ada, "clerk", stable=1)
    run = work_through(start(versions.stage("look", proposes=True, attempts=2)))
    (failed,) = told(run, "work_failed")
    assert run.status == "failed"
    assert "falls_back_to" not in failed["error"]


def test_a_canary_that_was_sent_back_answers_itself(ada: Actor) -> None:
    """What people send back is no failure of the version."""
    says = {"action": "refund.create", "args": {"amount_minor": 100}, "confidence": 0.7}
    in_two_versions(ada)
    versions.write(ada, "clerk", versions.scripted(says))
    versions.deploy(ada, "clerk", stable=1, canary=3, share=99)
    run = start(versions.stage("look", proposes=True, attempts=3))
    while not _is_canary(run):
        run = runs.start(SYSTEM, workflow="w", intent=None)
    run = work_through(run)
    found = told(run)
    assert len(found) > 1
    assert {event["agent"]["as"] for event in found} == {"canary"}


def test_a_canary_that_failed_is_not_come_back_to_in_a_later_turn(ada: Actor) -> None:
    """Attempts are counted anew in every turn; what the stable version wanted kept is its own."""
    turns = [{"asks": [ASK], "memory": {"of": 1}}, {"says": {"echo": "memory"}}]
    versions.write(ada, "clerk", versions.scripted(None, turns=turns))
    fails = [{"attempt": 1, "code": "agent-refused"}]
    versions.write(ada, "clerk", versions.scripted("canary", fails=fails))
    versions.deploy(ada, "clerk", stable=1, canary=2, share=99)
    run = start(versions.stage("look", attempts=2, tools=[REFUND]))
    while not _is_canary(run):
        run = runs.start(SYSTEM, workflow="w", intent=None)
    run = work_through(run)
    assert [event["agent"]["version"] for event in told(run, "work_failed")] == ["2"]
    (done,) = told(run)
    assert (done["turn"], done["attempt"], done["agent"]["version"]) == (2, 1, "1")
    assert done["agent"]["instead_of"] == "2"
    assert output_of(run) == {"of": 1}


def test_the_stable_version_goes_on_where_a_canary_failed_in_a_later_turn(ada: Actor) -> None:
    """With what the canary wanted kept: what that asked for is done, and is not asked for anew."""
    versions.write(ada, "clerk", versions.scripted({"echo": "memory"}))
    trajectory = [
        {"turn": 1, "asks": [ASK], "memory": {"of": 2}},
        {"turn": 2, "fails": {"code": "agent-refused"}},
    ]
    canary = Wish(
        adapter="recorded",
        data_classes=versions.CLASSES,
        parameters={"trajectory": trajectory},
    )
    versions.write(ada, "clerk", canary)
    versions.deploy(ada, "clerk", stable=1, canary=2, share=99)
    run = start(versions.stage("look", attempts=2, tools=[REFUND]))
    while not _is_canary(run):
        run = runs.start(SYSTEM, workflow="w", intent=None)
    run = work_through(run)
    (done,) = told(run)
    assert (done["turn"], done["agent"]["version"]) == (2, "1")
    assert output_of(run) == {"of": 2}
    assert Proposal.objects.filter(run=run).count() == 1


def _is_canary(run: Run) -> bool:
    work_all()
    kinds = ("work_finished", "work_asked", "work_failed")
    first = Event.objects.filter(run=run, kind__in=kinds).order_by("seq").first()
    assert first is not None
    return json.loads(first.payload)["agent"]["as"] == "canary"


def test_what_does_not_say_what_was_deployed_is_not_asked(ada: Actor, as_owner: Any) -> None:
    in_two_versions(ada)
    versions.deploy(ada, "clerk", stable=1)
    with as_owner() as cursor:
        cursor.execute("ALTER TABLE orchestrator_agentversion DISABLE TRIGGER append_only")
        cursor.execute("""UPDATE orchestrator_agentversion SET parameters = '{"says": "evil"}'""")
        cursor.execute("ALTER TABLE orchestrator_agentversion ENABLE TRIGGER append_only")
    run = work_through(start(versions.stage("look")))
    assert run.status == "failed"
    assert told(run, "work_failed")[0]["error"]["code"] == "agent-may-not"


def test_the_output_keeps_the_contract_of_the_version(ada: Actor) -> None:
    schema = {"type": "object", "required": ["total"]}
    contracts.save(ada, kind="output", name="invoice", schema=schema, timeout_s=30)
    versions.write(
        ada, "clerk", Wish(adapter="scripted", data_classes=["internal"], contract="invoice")
    )
    versions.deploy(ada, "clerk", stable=1)
    run = work_through(start(versions.stage("look", attempts=1)))
    assert told(run, "work_failed")[0]["error"]["code"] == "output-invalid"


# What a definition may name --------------------------------------------------------------------


def reasons_of(definition: dict[str, Any]) -> list[str]:
    with pytest.raises(DefinitionInvalid) as refused:
        workflows.save(SYSTEM, "w", definition)
    return [f"{problem.pointer} {problem.reason}" for problem in refused.value.problems]


def test_an_agent_that_is_not_there_is_named(ada: Actor) -> None:
    (reason,) = reasons_of(versions.pipeline(versions.stage("look", "clerc")))
    assert reason.startswith("/stages/0/agent/name there is no agent “clerc”")
    assert "Did you mean “clerk”?" in reason


def test_an_agent_without_a_deployed_version_cannot_be_used(ada: Actor) -> None:
    versions.write(ada, "clerk", versions.scripted("one"))
    (reason,) = reasons_of(versions.pipeline(versions.stage("look")))
    assert "no version of “clerk” is deployed yet" in reason


def test_a_class_of_data_that_nobody_knows_is_refused(ada: Actor) -> None:
    versions.write(ada, "clerk", versions.scripted("one"))
    versions.deploy(ada, "clerk", stable=1)
    (reason,) = reasons_of(versions.pipeline(versions.stage("look", data=["persnal"])))
    assert reason.startswith("/stages/0/data/0 “persnal” is no class of DATA_CLASSES")


# Tiers ------------------------------------------------------------------------------------------


def test_who_is_read_only_proposes_nothing(cast: Cast) -> None:
    ada = versions.keep(cast.ada, tier="elevated")
    says = {"action": "refund.create", "args": {"amount_minor": 100}}
    versions.write(ada, "clerk", versions.scripted(says))
    versions.deploy(ada, "clerk", stable=1)
    run = start(versions.stage("look", proposes=True))
    # Lowered while the run waits: it counts at once.
    agents.save(ada, "clerk", tier="read_only")
    run = work_through(run)
    assert run.status == "failed"
    assert told(run, "work_failed")[0]["error"]["code"] == "agent-may-not"
    assert not Proposal.objects.filter(run=run).exists()
    (reason,) = reasons_of(versions.pipeline(versions.stage("look", proposes=True)))
    assert "read-only" in reason


def test_raising_an_agent_gives_nothing_to_its_old_versions(cast: Cast) -> None:
    ada = versions.keep(cast.ada, tier="read_only")
    versions.write(ada, "clerk", versions.scripted({"action": "refund.create"}))
    versions.deploy(ada, "clerk", stable=1)
    agents.save(ada, "clerk", tier="elevated")
    run = work_through(start(versions.stage("look", proposes=True)))
    assert told(run, "work_failed")[0]["error"]["code"] == "agent-may-not"
    versions.write(ada, "clerk", versions.scripted({"action": "refund.create"}))
    assert AgentVersion.objects.get(number=2).tier == "elevated"


# Where data goes --------------------------------------------------------------------------------


def test_the_first_endpoint_that_may_see_it_is_called(
    ada: Actor, server: Listener, over_http: None
) -> None:
    make_endpoint(ada, server, "cloud", "public", "internal")
    make_endpoint(ada, server, "house", "public", "internal", "personal")
    versions.write(ada, "clerk", by_http("cloud", "house"))
    versions.deploy(ada, "clerk", stable=1)
    work_through(start(versions.stage("look"), slug="plain"))
    work_through(start(versions.stage("look", data=["personal"]), slug="people"))
    # What the whole says holds for each stage.
    work_through(start(versions.stage("look", data=["internal"]), slug="all", data=["personal"]))
    asked = [request.line.split()[1] for request in server.requests]
    assert asked == ["/cloud", "/house", "/house"]


def test_where_no_endpoint_may_see_it_nothing_is_sent(
    ada: Actor, server: Listener, over_http: None
) -> None:
    make_endpoint(ada, server, "cloud", "public", "internal")
    make_endpoint(ada, server, "other", "public")
    versions.write(ada, "clerk", by_http("other", "cloud"))
    versions.deploy(ada, "clerk", stable=1)
    run = work_through(start(versions.stage("look", data=["personal"]), intent="Ms Doe, 41"))
    assert run.status == "failed"
    (failed,) = told(run, "work_failed")
    assert failed["error"]["code"] == "no-endpoint"
    assert failed["error"]["data"] == ["personal"]
    assert failed["error"]["endpoints"] == ["other", "cloud"]
    assert "other may not see personal; cloud may not see personal" in failed["error"]["reason"]
    assert server.requests == []


def test_a_version_gets_no_data_that_it_is_not_made_for(
    ada: Actor, server: Listener, over_http: None
) -> None:
    make_endpoint(ada, server, "house", "internal", "personal")
    versions.write(ada, "clerk", by_http("house", classes=("internal",)))
    versions.deploy(ada, "clerk", stable=1)
    run = work_through(start(versions.stage("look", data=["personal"])))
    assert "not made for personal data" in told(run, "work_failed")[0]["error"]["reason"]
    assert server.requests == []


def test_what_a_run_above_says_of_its_data_holds_below(
    ada: Actor, server: Listener, over_http: None
) -> None:
    make_endpoint(ada, server, "cloud", "internal")
    versions.write(ada, "clerk", by_http("cloud"))
    versions.deploy(ada, "clerk", stable=1)
    workflows.save(SYSTEM, "below", versions.pipeline(versions.stage("look")))
    above = start({"name": "go", "workflow": "below"}, slug="above", data=["personal"])
    work_through(above)
    below = Run.objects.get(parent=above)
    assert told(below, "work_failed")[0]["error"]["code"] == "no-endpoint"
    assert server.requests == []


@pytest.fixture
def outside(ada: Actor, server: Listener, over_http: None) -> Listener:
    """An endpoint that is not made for personal data, and an agent that would ask it."""
    make_endpoint(ada, server, "cloud", "public", "internal")
    versions.write(ada, "clerk", by_http("cloud", classes=("public", "internal", "personal")))
    versions.deploy(ada, "clerk", stable=1)
    return server


def refused(run: Run) -> list[str]:
    """The classes for which no endpoint was found, as the log has it; and the run replays to the same."""
    (failed,) = told(run, "work_failed")
    assert failed["error"]["code"] == "no-endpoint"
    again = Run.objects.select_related("workflow_version").get(pk=run.pk)
    assert first_divergence(journal.history(again)) is None
    classes: list[str] = failed["error"]["data"]
    return classes


SAYS = {"name": "say", "agent": scripted("say-agent", "Ms Doe, 41")}


@pytest.mark.parametrize("more", [{}, {"wait": False}])
@pytest.mark.parametrize("where", ["of the whole", "of a stage"])
def test_what_a_run_below_says_of_its_data_comes_back_with_it(
    outside: Listener, where: str, more: dict[str, Any]
) -> None:
    whole, own = (
        ({"data": ["personal"]}, {}) if where == "of the whole" else ({}, {"data": ["personal"]})
    )
    workflows.save(SYSTEM, "below", versions.pipeline(SAYS | own, **whole))
    get = [{"name": "get", "collect": "go"}] if more else []
    go = {"name": "go", "workflow": "below", **more}
    run = work_through(start(go, *get, versions.stage("look"), slug="above", data=["public"]))
    (ended,) = told(run, "child_ended")
    assert "personal" in ended["classes"]
    assert refused(run) == ["personal", "public"]
    assert outside.requests == []


def test_a_message_brings_the_classes_of_its_sender(outside: Listener) -> None:
    hear = {"name": "hear", "subscribe": {"topic": "news"}}
    listening = start(hear, versions.stage("look"), slug="listening", data=["public"])
    work_all()
    tell = {"name": "tell", "publish": {"topic": "news"}}
    work_through(start(SAYS, tell, slug="telling", data=["personal"]))
    assert refused(work_through(listening)) == ["personal", "public"]
    assert outside.requests == []


def test_what_one_stage_says_holds_for_the_run_that_another_starts(outside: Listener) -> None:
    """And for the one below that, whatever came in between."""
    workflows.save(SYSTEM, "last", versions.pipeline(versions.stage("look"), data=["public"]))
    between = versions.pipeline({"name": "go", "workflow": "last"})
    workflows.save(SYSTEM, "between", between)
    work_through(start(SAYS | {"data": ["personal"]}, {"name": "go", "workflow": "between"}))
    last = Run.objects.get(workflow_version__workflow__slug="last")
    assert refused(last) == ["personal", "public"]
    assert outside.requests == []


def test_a_named_agent_is_handed_what_its_endpoint_may_see(outside: Listener) -> None:
    desk = {"space": "desk"}
    start(SAYS | writer("note", wish("case", 1), memory=desk) | {"data": ["personal"]}, slug="x")
    start(writer("tell", wish("hours", 2), memory=desk) | {"data": ["public"]}, slug="z")
    work_all()
    look = versions.stage("look", data=["public"], memory={"reads": ["facts"], **desk})
    run = work_through(start(look, slug="y"))
    (said,) = told(run)
    assert [pk for pk, _ in said["recalled"]] == [only("hours").pk]
    assert "`case` (personal)" in said["notes"][0]


def test_who_never_says_anything_hands_on_no_class(outside: Listener) -> None:
    workflows.save(SYSTEM, "below", versions.pipeline(SAYS))
    run = work_through(start({"name": "go", "workflow": "below"}, versions.stage("look")))
    assert run.status == "completed"
    assert len(outside.requests) == 1
    assert not Event.objects.filter(payload__contains='"classes"').exists()
    assert not Command.objects.filter(payload__contains='"classes"').exists()
    assert not Run.objects.filter(state__contains='"classes"').exists()


def test_a_retired_or_narrowed_endpoint_is_not_called_any_more(
    ada: Actor, server: Listener, over_http: None
) -> None:
    make_endpoint(ada, server, "cloud", "internal", "public")
    make_endpoint(ada, server, "house", "internal")
    versions.write(ada, "clerk", by_http("cloud", "house"))
    versions.deploy(ada, "clerk", stable=1)
    endpoints.narrow(ada, "cloud", ["public"])
    work_through(start(versions.stage("look")))
    assert [request.line.split()[1] for request in server.requests] == ["/house"]
    endpoints.retire(ada, "house")
    run = work_through(runs.start(SYSTEM, workflow="w", intent=None))
    assert "house is retired" in told(run, "work_failed")[0]["error"]["reason"]
    assert len(server.requests) == 1


def test_a_key_is_in_the_request_and_nowhere_else(
    ada: Actor, server: Listener, over_http: None, as_owner: Any, caplog: pytest.LogCaptureFixture
) -> None:
    make_endpoint(ada, server, "house", "internal")
    versions.write(ada, "clerk", by_http("house"))
    versions.deploy(ada, "clerk", stable=1)
    work_through(start(versions.stage("look")))
    (request,) = server.requests
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    with as_owner() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^orch'")
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT count(*) FROM {table} t WHERE t::text LIKE %s", [f"%{SECRET}%"])
            assert cursor.fetchone() == (0,), table
    assert SECRET not in caplog.text


def test_a_key_that_cannot_be_opened_sends_nothing(
    ada: Actor, server: Listener, over_http: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_endpoint(ada, server, "house", "internal")
    versions.write(ada, "clerk", by_http("house"))
    versions.deploy(ada, "clerk", stable=1)
    run = start(versions.stage("look"))
    monkeypatch.setattr(settings, "SECRET_KEY", "another one")
    run = work_through(run)
    assert "sealed with another SECRET_KEY" in told(run, "work_failed")[0]["error"]["reason"]
    assert server.requests == []


# Shadows ----------------------------------------------------------------------------------------


def test_a_shadow_is_asked_the_same_and_moves_nothing(ada: Actor) -> None:
    versions.write(ada, "clerk", versions.scripted({"total": 7, "currency": "EUR"}))
    usage = {"tokens_in": 9, "tokens_out": 2, "money_micros": 30}
    says = {"total": 8, "currency": "eur "}
    versions.write(ada, "clerk", versions.scripted(says, usage=usage))
    versions.deploy(ada, "clerk", stable=1, shadow=2)
    run = work_through(start(versions.stage("look")))
    (trial,) = AgentTrial.objects.all()
    assert (trial.run_id, trial.work, trial.status) == (run.pk, "look", "answered")
    assert (trial.version.number, trial.beside.number, trial.agreement) == (2, 1, 0.5)
    assert (trial.output, trial.tokens_in, trial.money_micros) == (says, 9, 30)
    assert output_of(run) == {"total": 7, "currency": "EUR"}
    assert run.canonical_state.spent.tokens == 0
    kinds = [event.kind for event in Event.objects.filter(run=run)]
    assert kinds == ["run_started", "work_finished"]


def test_a_shadow_that_fails_touches_no_run(ada: Actor) -> None:
    in_two_versions(ada, fails=[{"attempt": 1, "code": "agent-crashed", "reason": "gone"}])
    versions.deploy(ada, "clerk", stable=1, shadow=2)
    run = work_through(start(versions.stage("look"), versions.stage("more")))
    assert run.status == "completed"
    assert [trial.status for trial in AgentTrial.objects.all()] == ["failed", "failed"]
    assert AgentTrial.objects.all()[0].error["code"] == "agent-crashed"
    assert not Event.objects.filter(run=run, kind="work_failed").exists()


def test_a_shadow_proposes_nothing(ada: Actor) -> None:
    says = {"action": "refund.create", "args": {"amount_minor": 100}, "confidence": 0.99}
    versions.write(ada, "clerk", versions.scripted(says))
    versions.write(ada, "clerk", versions.scripted(says | {"args": {"amount_minor": 900}}))
    versions.deploy(ada, "clerk", stable=1, shadow=2)
    before = ReviewItem.objects.count()
    run = work_through(start(versions.stage("look", proposes=True)))
    (proposal,) = Proposal.objects.filter(run=run)
    assert proposal.args == {"amount_minor": 100}
    assert AgentTrial.objects.get().agreement == pytest.approx(2 / 3)
    assert ReviewItem.objects.count() <= before + 1


def test_a_shadow_is_handed_no_tool_that_writes_and_its_asks_are_only_noted(
    ada: Actor, server: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Asking:
        seen: list[list[str]] = []

        def call(self, call: AgentCall) -> AgentAnswer:
            self.seen.append([tool["name"] for tool in call.tools])
            asks = (Ask("1", "pay", {"sum": 3}),) if call.config["version"] == 2 else ()
            return AgentAnswer("fine", Usage(), {"version": "99", "model": "m2"}, asks=asks)

    monkeypatch.setitem(registry.AGENTS, "http", Asking())
    make_endpoint(ada, server, "house", "internal")
    versions.approve_tool(ada, "look", kind="read")
    versions.approve_tool(ada, "pay")
    tools = ("look", "pay")
    versions.write(ada, "clerk", by_http("house", tools=tools))
    versions.write(ada, "clerk", by_http("house", tools=tools, model="m1"))
    versions.deploy(ada, "clerk", stable=1, shadow=2)
    run = work_through(start(versions.stage("look")))
    assert Asking.seen == [["look", "pay"], ["look"]]
    trial = AgentTrial.objects.get()
    assert trial.agreement is None
    assert trial.output == {"asks": [{"tool": "pay", "args": {"sum": 3}}]}
    # An agent cannot say that it is another version than the one that was asked.
    assert told(run)[0]["agent"]["version"] == "1"
    assert told(run)[0]["agent"]["answered_as"] == "m2"
    assert trial.told["version"] == "2"


@pytest.mark.pulls("SHADOW_CALLS_PER_DAY_MAX")
def test_a_shadow_stops_when_its_budget_is_used_up(
    ada: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_two_versions(ada)
    versions.deploy(ada, "clerk", stable=1, shadow=2)
    monkeypatch.setattr(settings, "SHADOW_CALLS_PER_DAY_MAX", 2)
    for number in range(4):
        work_through(start(versions.stage("look"), slug=f"w{number}"))
    assert AgentTrial.objects.count() == 2
    refused = Command.objects.filter(kind="run_shadow", status="failed")
    assert [command.error["code"] for command in refused] == ["shadow-spent"] * 2


def money_spent(ada: Actor) -> list[tuple[str, int | None]]:
    """Of shadows, in four runs with money for two of them."""
    versions.deploy(ada, "clerk", stable=1, shadow=2)
    for number in range(4):
        work_through(start(versions.stage("look"), slug=f"w{number}"))
    trials = AgentTrial.objects.order_by("pk").values_list("status", "money_micros")
    return [(status, money) for status, money in trials]


def test_a_shadow_whose_answer_is_not_taken_has_spent_all_the_same(
    ada: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "SHADOW_MONEY_MICROS_PER_DAY_MAX", 1_000)
    schema = {"type": "object", "required": ["total"]}
    contracts.save(ada, kind="output", name="invoice", schema=schema, timeout_s=30)
    versions.write(ada, "clerk", versions.scripted("one"))
    wish = versions.scripted("two", usage={"money_micros": 600})
    versions.write(ada, "clerk", replace(wish, contract="invoice"))
    assert money_spent(ada) == [("failed", 600)] * 2


def test_a_shadow_that_failed_has_spent_what_it_says(
    ada: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Costly:
        def call(self, call: AgentCall) -> AgentAnswer:
            if call.config["version"] == 2:
                raise OutputInvalid("it had no answer", usage=Usage(9, 1, 600))
            return AgentAnswer("fine")

    monkeypatch.setitem(registry.AGENTS, "scripted", Costly())
    monkeypatch.setattr(settings, "SHADOW_MONEY_MICROS_PER_DAY_MAX", 1_000)
    in_two_versions(ada)
    assert money_spent(ada) == [("failed", 600)] * 2


def test_a_shadow_that_no_worker_survives_bothers_nobody(
    ada: Actor,
) -> None:
    in_two_versions(ada)
    versions.deploy(ada, "clerk", stable=1, shadow=2)
    run = start(versions.stage("look"))
    claimed = claim_one("agents")
    assert claimed is not None
    run_claimed(claimed)
    Command.objects.filter(run=run, kind="run_shadow").update(crashes=99)
    quarantine.set_apart()
    assert Command.objects.get(run=run, kind="run_shadow").status == "failed"
    assert not ReviewItem.objects.filter(kind="stuck_command").exists()
    run.refresh_from_db()
    assert run.status == "completed"
