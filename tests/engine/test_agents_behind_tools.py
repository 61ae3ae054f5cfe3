"""An agent that stands behind a tool of another: asked inside its call, seen, paid for and not trusted."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from orchestrator import plugins, trace_queries
from orchestrator.actions import contracts, endpoints, runs, workflows
from orchestrator.actions.actor import Actor
from orchestrator.actions.agents import Wish
from orchestrator.actions.endpoints import Terms, Whereabouts
from orchestrator.core.errors import BadInput
from orchestrator.core.traces import Span
from orchestrator.models import Event, Proposal, Run
from tests import versions
from tests.agents.chat_server import ChatServer, Says, chat_server
from tests.agents.model_fixtures import nothing_is_left, stay_here  # noqa: F401  (fixtures)
from tests.conftest import SYSTEM, Cast
from tests.work import output_of, work_all

pytestmark = pytest.mark.django_db

KEY = "sk-not-to-be-seen-by-anybody"
QUESTION = {"about": "leases"}
ASKS_LAWYER = Says(calls=[("ask_lawyer", QUESTION)])


@pytest.fixture
def ada(cast: Cast, settings: Settings) -> Iterator[Actor]:
    settings.AGENT_MODULES = ["tests.tools.functions"]
    plugins.load.cache_clear()
    yield versions.keep(cast.ada)
    plugins.load.cache_clear()


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with chat_server() as server:
        yield server


def endpoint(
    ada: Actor, slug: str, url: str, *classes: str, provider: str = "openai_compatible"
) -> None:
    where = Whereabouts(
        provider=provider, base_url=url, is_local=True, data_classes=classes or ("internal",)
    )
    terms = Terms(api_key=KEY, price_input=1_000_000, price_output=1_000_000)
    endpoints.make(ada, slug, where, terms)


def keep(ada: Actor, slug: str, wish: Wish) -> None:
    assert ada.user is not None
    versions.keep(ada.user, slug)
    versions.deploy(ada, slug, stable=versions.write(ada, slug, wish).number)


def model(*tools: str, slug: str = "house", **more: Any) -> Wish:
    given = {"data_classes": ["internal", "personal"], "model": "small-1", **more}
    return Wish(adapter="llm", endpoints=[slug], tools=tools, **given)


def tool_for(ada: Actor, agent: str, **more: Any) -> str:
    name = f"ask_{agent}"
    versions.approve_tool(ada, name, kind="read", backend={"kind": "agent", "agent": agent}, **more)
    return name


def clerk_asks(ada: Actor, chat: ChatServer, lawyer: Wish, *more: str) -> None:
    endpoint(ada, "house", chat.base_url)
    keep(ada, "lawyer", lawyer)
    keep(ada, "clerk", model(tool_for(ada, "lawyer"), *more))


def start(**stage: Any) -> Run:
    workflows.save(SYSTEM, "w", versions.pipeline(versions.stage("help", **stage)))
    run = runs.start(SYSTEM, workflow="w", intent={"n": 1})
    work_all()
    run.refresh_from_db()
    return run


def told(run: Run, kind: str = "work_finished") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Event.objects.get(run=run, kind=kind).payload)
    return found


def tree(run: Run) -> list[tuple[int, str, str]]:
    """Below the call, each with how deep it is."""
    found = Run.objects.select_related("workflow_version__workflow").get(pk=run.pk)
    trace = trace_queries.trace_of(found).trace
    (call,) = [span for span in trace.spans if span.kind == "agent"]

    def below(parent: Span, depth: int) -> Iterator[tuple[int, str, str]]:
        for span in trace.children(parent.id):
            yield depth, span.kind, span.name
            yield from below(span, depth + 1)

    return list(below(call, 0))


def last_heard(chat: ChatServer) -> str:
    return str(chat.asked[-1]["messages"][-1]["content"])


def test_a_model_asks_another_through_a_tool(ada: Actor, chat: ChatServer) -> None:
    clerk_asks(ada, chat, model(prompt="You know the law."))
    chat.says(ASKS_LAWYER, "It depends on the lease.", "The lawyer says: it depends.")
    run = start()
    assert output_of(run) == "The lawyer says: it depends."
    outer, inner, again = chat.asked
    assert "leases" in inner["messages"][-1]["content"]
    assert inner["messages"][0]["content"] == "You know the law."
    assert "It depends on the lease." in again["messages"][-1]["content"]
    assert [tool["function"]["name"] for tool in outer["tools"]] == ["ask_lawyer"]
    event = told(run)
    # Three requests of 100 and 10 tokens, a millionth each.
    assert (event["tokens_in"], event["tokens_out"], event["money_micros"]) == (300, 30, 330)
    assert run.canonical_state.spent.money_micros == 330
    assert event["agent"]["asked"] == "lawyer v1 through house"
    assert tree(run) == [
        (0, "model", "small-1"),
        (0, "tool", "ask_lawyer"),
        (1, "model", "small-1"),
        (0, "model", "small-1"),
    ]
    assert KEY not in Event.objects.get(run=run, kind="work_finished").payload


def test_what_a_script_behind_a_tool_cost_is_part_of_the_call(ada: Actor, chat: ChatServer) -> None:
    usage = {"tokens_in": 7, "tokens_out": 3, "money_micros": 500}
    clerk_asks(ada, chat, versions.scripted({"echo": "intent"}, usage=usage))
    chat.says(ASKS_LAWYER, "Done.")
    event = told(start())
    assert (event["tokens_in"], event["money_micros"]) == (207, 720)
    assert '"about":"leases"' in last_heard(chat)


def clerk_may_spend(ada: Actor, most: int, lawyer: Wish) -> None:
    keep(ada, "lawyer", lawyer)
    keep(ada, "clerk", model(tool_for(ada, "lawyer"), limits={"money_micros": most}))


def asks_often(times: int) -> Says:
    return Says(calls=[("ask_lawyer", {"about": f"lease {n}"}) for n in range(times)])


def test_one_answer_asks_no_more_agents_than_there_is_money_for(
    ada: Actor, chat: ChatServer
) -> None:
    """Each request costs 110: one of the clerk's and two of the lawyer's use up 300."""
    endpoint(ada, "house", chat.base_url)
    clerk_may_spend(ada, 300, model())
    chat.says(asks_often(20), "It depends.")
    run = start(attempts=1)
    assert len(chat.asked) == 3
    failed = told(run, "work_failed")
    assert "it spent 330 millionths, and money_micros is 300" in failed["error"]["reason"]
    assert failed["money_micros"] == 330


def test_nor_does_one_behind_a_tool_ask_for_more_than_is_left(ada: Actor, chat: ChatServer) -> None:
    """Its own limit would let it go on; 190 are left of the clerk's, which two requests use up."""
    versions.approve_tool(ada, "search", kind="read")
    endpoint(ada, "house", chat.base_url)
    clerk_may_spend(ada, 300, model("search", limits={"money_micros": 5_000}))
    chat.says(ASKS_LAWYER, Says(calls=[("search", {"query": "leases"})]))
    failed = told(start(attempts=1), "work_failed")
    assert len(chat.asked) == 3
    assert failed["money_micros"] == 330


def test_a_price_that_is_unknown_within_makes_the_whole_unknown(
    ada: Actor, chat: ChatServer
) -> None:
    with chat_server() as own:
        own.says(Says(body=b'{"output": "It depends."}'))
        endpoint(ada, "own", own.url, provider="http")
        clerk_asks(ada, chat, Wish(adapter="http", endpoints=["own"], data_classes=["internal"]))
        chat.says(ASKS_LAWYER, "Done.")
        event = told(start())
        call, headers = own.asked[0]["call"], own.headers[0]
    assert event["unpriced"] is True
    assert (call["intent"], call["inputs"]) == (QUESTION, {})
    assert call["agent"] == {"kind": "http", "name": "lawyer", "version": "1"}
    assert headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in json.dumps(call)
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", headers["traceparent"])


def test_who_may_not_see_the_data_is_not_offered_and_the_log_says_why(
    ada: Actor, chat: ChatServer
) -> None:
    with chat_server() as abroad:
        endpoint(ada, "abroad", abroad.base_url, "internal")
        endpoint(ada, "house", chat.base_url, "internal", "personal")
        keep(ada, "lawyer", model(slug="abroad"))
        keep(ada, "clerk", model(tool_for(ada, "lawyer")))
        chat.says("I could not ask.")
        run = start(data=["personal"])
        assert abroad.asked == []
    assert run.status == "completed"
    assert not chat.asked[0].get("tools")
    left_out = told(run)["agent"]["tools_left_out"]
    assert "ask_lawyer: " in left_out
    assert "abroad may not see personal" in left_out


def test_nobody_behind_a_tool_is_not_offered(ada: Actor, chat: ChatServer) -> None:
    endpoint(ada, "house", chat.base_url)
    keep(ada, "clerk", model(tool_for(ada, "nobody")))
    chat.says("Alone.")
    assert "no version of nobody was deployed" in told(start())["agent"]["tools_left_out"]


def test_it_is_handed_only_tools_that_read(ada: Actor, chat: ChatServer) -> None:
    versions.approve_tool(ada, "refund")
    clerk_asks(ada, chat, model("refund"))
    chat.says(ASKS_LAWYER, "It depends.", "Done.")
    run = start()
    assert not chat.asked[1].get("tools")
    (tool,) = run.pieces.filter(kind="tool")
    assert "without refund: it changes something" in tool.notes[0]


def test_what_it_asks_for_comes_to_nothing_and_is_said(ada: Actor, chat: ChatServer) -> None:
    turns = [{"asks": [{"tool": "refund", "args": {"amount": 900}, "confidence": 1.0}]}]
    usage = {"tokens_in": 7, "tokens_out": 3, "money_micros": 500}
    clerk_asks(ada, chat, versions.scripted(None, turns=turns, usage=usage))
    chat.says(ASKS_LAWYER, "It could not.")
    run = start()
    assert run.status == "completed"
    assert not Proposal.objects.filter(run=run).exists()
    assert "asked for refund" in last_heard(chat)
    assert "nothing was proposed" in last_heard(chat)
    assert told(run)["money_micros"] == 720


def test_one_that_fails_is_a_tool_that_fails(ada: Actor, chat: ChatServer) -> None:
    clerk_asks(ada, chat, versions.scripted("x", fails=[{"attempt": 1, "code": "agent-refused"}]))
    chat.says(ASKS_LAWYER, "It could not.")
    run = start()
    (tool,) = run.pieces.filter(kind="tool")
    assert "its script says so" in tool.error
    assert tool.notes == ["asked lawyer v1"]


def test_an_answer_that_breaks_the_contract_of_its_version_is_none(
    ada: Actor, chat: ChatServer
) -> None:
    schema = {"type": "object", "required": ["verdict"]}
    contracts.save(ada, kind="output", name="verdict", schema=schema, timeout_s=30)
    said = {"says": {"verdikt": "guilty"}}
    kept = {"data_classes": ["internal"], "contract": "verdict", "parameters": said}
    clerk_asks(ada, chat, Wish(adapter="scripted", **kept))
    chat.says(ASKS_LAWYER, "It made no sense.")
    start()
    assert "“verdict” is missing" in last_heard(chat)


def test_a_result_that_the_trace_has_only_part_of_is_followed_whole(
    ada: Actor, chat: ChatServer, settings: Settings
) -> None:
    settings.TRACE_TEXT_MAX = 20
    iban = "DE89370400440532013000"
    versions.approve_tool(ada, "refund")
    clerk_asks(ada, chat, versions.scripted({"note": "x" * 100, "pay_to": iban}), "refund")
    chat.says(ASKS_LAWYER, Says(calls=[("refund", {"iban": iban})]), "Done.")
    assert Proposal.objects.get(run=start()).tainted == ["/args/iban"]


def test_agents_do_not_ask_in_circles(ada: Actor, chat: ChatServer) -> None:
    endpoint(ada, "house", chat.base_url)
    lawyer, clerk = tool_for(ada, "lawyer"), tool_for(ada, "clerk")
    keep(ada, "lawyer", model(clerk))
    keep(ada, "clerk", model(lawyer))
    asks_clerk = Says(calls=[("ask_clerk", QUESTION)])
    chat.says(ASKS_LAWYER, asks_clerk, "I asked and was refused.", "Done.")
    run = start()
    assert output_of(run) == "Done."
    assert "in a circle: clerk → lawyer → clerk" in str(chat.asked[2]["messages"][-1]["content"])
    assert tree(run) == [
        (0, "model", "small-1"),
        (0, "tool", "ask_lawyer"),
        (1, "model", "small-1"),
        (1, "tool", "ask_clerk"),
        (1, "model", "small-1"),
        (0, "model", "small-1"),
    ]


@pytest.mark.pulls("TOOL_DEPTH_MAX")
def test_agents_are_asked_only_so_deep(ada: Actor, chat: ChatServer, settings: Settings) -> None:
    settings.TOOL_DEPTH_MAX = 1
    endpoint(ada, "house", chat.base_url)
    keep(ada, "judge", versions.scripted("guilty"))
    keep(ada, "lawyer", model(tool_for(ada, "judge")))
    keep(ada, "clerk", model(tool_for(ada, "lawyer")))
    chat.says(ASKS_LAWYER, "Nobody to ask.", "Done.")
    run = start()
    assert not chat.asked[1].get("tools")
    (tool,) = run.pieces.filter(kind="tool")
    assert "TOOL_DEPTH_MAX" in tool.notes[0]


def test_two_deep_within_what_is_allowed(ada: Actor, chat: ChatServer) -> None:
    endpoint(ada, "house", chat.base_url)
    keep(ada, "judge", versions.scripted("guilty"))
    keep(ada, "lawyer", model(tool_for(ada, "judge")))
    keep(ada, "clerk", model(tool_for(ada, "lawyer")))
    chat.says(ASKS_LAWYER, Says(calls=[("ask_judge", {})]), "Guilty, it says.", "Done.")
    run = start()
    assert "guilty" in str(chat.asked[2]["messages"][-1]["content"])
    assert told(run)["agent"]["asked"] == "lawyer v1 through house; judge v1"
    assert [depth for depth, kind, _ in tree(run) if kind == "tool"] == [0, 1]


def test_it_has_no_more_time_than_its_tool(ada: Actor, chat: ChatServer) -> None:
    endpoint(ada, "house", chat.base_url)
    keep(ada, "lawyer", versions.scripted("late", takes_ms=60_000))
    keep(ada, "clerk", model(tool_for(ada, "lawyer", timeout_s=0.2)))
    chat.says(ASKS_LAWYER, "It was late.")
    run = start()
    assert output_of(run) == "It was late."
    assert told(run)["took_ms"] < 20_000
    assert "its script takes longer" in last_heard(chat)


def test_its_answer_taints_what_is_made_of_it(ada: Actor, chat: ChatServer) -> None:
    iban = "DE89370400440532013000"
    versions.approve_tool(ada, "refund")
    clerk_asks(ada, chat, versions.scripted({"pay_to": iban}), "refund")
    chat.says(ASKS_LAWYER, Says(calls=[("refund", {"iban": iban})]), "Done.")
    run = start()
    proposal = Proposal.objects.get(run=run)
    assert proposal.status == "in_review"
    assert proposal.tainted == ["/args/iban"]


def test_the_stable_version_answers_and_never_a_canary(ada: Actor, chat: ChatServer) -> None:
    clerk_asks(ada, chat, versions.scripted("stable"))
    versions.write(ada, "lawyer", versions.scripted("canary"))
    versions.deploy(ada, "lawyer", stable=1, canary=2, share=99)
    chat.says(ASKS_LAWYER, "Done.")
    start()
    assert "stable" in last_heard(chat)


def test_no_agent_stands_behind_a_tool_that_writes(ada: Actor) -> None:
    with pytest.raises(BadInput, match="only reads"):
        versions.approve_tool(ada, "ask", backend={"kind": "agent", "agent": "lawyer"})
