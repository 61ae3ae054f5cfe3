"""Traces: read from the log and from the pieces of calls, with everything where it happened."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from orchestrator import trace_queries
from orchestrator.actions import contracts
from orchestrator.actions import runs as actions
from orchestrator.actions.actor import Actor
from orchestrator.agents import registry
from orchestrator.agents.base import AgentAnswer, AgentCall, Piece, Usage
from orchestrator.agents.envelope import read_answer, write_answer
from orchestrator.core.errors import AgentUnavailable
from orchestrator.core.trace_figures import by_agent, by_stage
from orchestrator.core.traces import Span
from orchestrator.engine import pieces
from orchestrator.models import CallPiece, Run
from tests import runs
from tests.conftest import Cast
from tests.work import work_all

pytestmark = pytest.mark.django_db

ANSWER = AgentAnswer(
    {"total": 7},
    Usage(900, 40, None),
    {"name": "reader", "version": "3", "model": "gpt-4o"},
    (
        Piece("model", "chat", 0, 5, Usage(500, 20, None), given="prompt", said="use the tool"),
        Piece("tool", "lookup", 5, 2, error="not found", notes=("cut to 1,000 tokens",)),
        Piece(
            "model", "chat", 7, 4, Usage(400, 20, None), given="Bearer abcdefghijklmnop", said="7"
        ),
    ),
)


class Told:
    """An agent that does as the test says."""

    def __init__(self, *answers: AgentAnswer | Exception) -> None:
        self.answers = list(answers)
        self.calls: list[AgentCall] = []

    def call(self, call: AgentCall) -> AgentAnswer:
        self.calls.append(call)
        found = self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Any:
    def say(*answers: AgentAnswer | Exception) -> Told:
        agent = Told(*answers)
        monkeypatch.setattr(registry, "find", lambda config: agent)
        return agent

    return say


def spans_of(run: Run) -> dict[str, Span]:
    run.refresh_from_db()
    return {span.id: span for span in trace_queries.trace_of(run).trace.spans}


def kinds_of(run: Run) -> list[tuple[str, str]]:
    return [(span.kind, span.name) for span in spans_of(run).values()]


def one(run: Run, kind: str) -> Span:
    found = [span for span in spans_of(run).values() if span.kind == kind]
    assert len(found) == 1
    return found[0]


def test_the_pieces_of_a_call_stand_within_it(told: Any) -> None:
    told(ANSWER)
    run = runs.start("one", definition={"pattern": "pipeline", "stages": [runs.stage("read")]})
    call = one(run, "agent")
    inside = [span for span in spans_of(run).values() if span.parent == call.id]
    assert [(span.kind, span.name, span.status) for span in inside] == [
        ("model", "chat", "done"),
        ("tool", "lookup", "failed"),
        ("model", "chat", "done"),
    ]
    assert inside[1].notes == ("cut to 1,000 tokens",)
    assert all(call.began_ms <= span.began_ms <= (span.ended_ms or 0) for span in inside)
    assert all((span.ended_ms or 0) <= (call.ended_ms or 0) for span in inside)
    assert (call.tokens_in, call.tokens_out, call.money_micros) == (900, 40, None)
    assert dict(call.agent)["version"] == "3"


def test_texts_are_kept_beside_without_secrets(told: Any) -> None:
    told(ANSWER)
    run = runs.start("one", definition={"pattern": "pipeline", "stages": [runs.stage("read")]})
    found = trace_queries.trace_of(run)
    last = found.trace.spans[-1]
    texts = trace_queries.texts_of(found, last)
    assert [(text.title, text.text) for text in texts] == [
        ("What it was handed", "Bearer (masked)"),
        ("What it said", "7"),
    ]
    assert "abcdefghijklmnop" not in CallPiece.objects.get(pk=last.piece).given


def test_the_context_is_what_the_agent_was_handed(told: Any) -> None:
    agent = told(*[AgentAnswer({"n": n}) for n in range(3)])
    stages = [runs.stage("a"), runs.stage("b"), runs.stage("c", needs=["a", "b"])]
    run = runs.start(
        "three", definition={"pattern": "pipeline", "stages": stages}, intent={"order": "A-1"}
    )
    found = trace_queries.trace_of(run)
    calls = [span for span in found.trace.spans if span.kind == "agent"]
    for span, call in zip(calls, agent.calls, strict=True):
        texts = {text.title: json.loads(text.text) for text in trace_queries.texts_of(found, span)}
        inputs = {
            name.removeprefix("Input "): said for name, said in texts.items() if "Input" in name
        }
        assert texts["The intent"] == call.intent
        assert inputs == call.inputs


def test_what_was_not_taken_is_kept_and_costs(told: Any) -> None:
    told(AgentAnswer("no object", Usage(10, 2, 5), {"name": "reader"}))
    stage = runs.stage("read", attempts=1, output={"type": "object"})
    run = runs.start("one", definition={"pattern": "pipeline", "stages": [stage]})
    call = one(run, "agent")
    assert call.status == "failed"
    assert (call.tokens_in, call.tokens_out, call.money_micros) == (10, 2, 5)
    found = trace_queries.trace_of(run)
    texts = trace_queries.texts_of(found, call)
    assert [text.text for text in texts if "not taken" in text.title] == ['"no object"']
    assert run.canonical_state.spent.tokens == 12


def test_a_failed_call_says_who_and_what_it_had_done(told: Any) -> None:
    error = AgentUnavailable("the model is away")
    error.pieces = (Piece("model", "chat", 0, 3, error="503"),)  # type: ignore[attr-defined]
    told(error)
    run = runs.start(
        "one", definition={"pattern": "pipeline", "stages": [runs.stage("read", attempts=1)]}
    )
    assert one(run, "agent").agent == {"kind": "scripted", "name": "read-agent"}
    assert one(run, "model").status == "failed"
    beginning = trace_queries.beginning_of(trace_queries.trace_of(run))
    assert beginning is not None
    assert beginning.origin.began.kind == "model"


def test_a_fan_out_has_a_span_for_each_part() -> None:
    run = runs.start("invoices")
    spans = spans_of(run)
    each = [span for span in spans.values() if span.kind == "agent" and span.work == "check"]
    assert [span.index for span in each] == [0, 1, 2]
    found = trace_queries.trace_of(run)
    totals = {total.name: total for total in by_stage(found.trace, found.now_ms)}
    assert totals["check"].calls == 3
    assert sum(total.tokens_in for total in totals.values()) == 5 * 1_200
    assert run.canonical_state.spent.tokens == sum(
        total.tokens_in + total.tokens_out for total in by_agent(found.trace, found.now_ms)
    )


def test_a_question_is_a_wait_for_a_human() -> None:
    item = runs.asked()
    human = one(item.run, "human")
    assert human.status == "running"
    assert human.ended_ms is None
    assert human.about == item.pk


def test_a_message_is_a_span_for_both_and_listening_is_a_wait() -> None:
    listen = {"name": "hear", "subscribe": {"topic": "news"}}
    listener = runs.start(
        "listener", definition={"pattern": "pipeline", "stages": [listen, runs.stage("read", 1)]}
    )
    wait = one(listener, "wait")
    assert (wait.name, wait.awaits, wait.ended_ms) == ("message news", "message", None)
    tell = {"name": "tell", "publish": {"topic": "news"}}
    teller = runs.start(
        "teller", definition={"pattern": "pipeline", "stages": [runs.stage("read", 1), tell]}
    )
    message = one(teller, "message")
    assert (message.name, message.work, message.took_ms(0)) == ("to news", "tell", 0)
    assert message.notes == ("It reached 1 run that waited.",)
    wait = one(listener, "wait")
    assert (wait.status, wait.work, wait.about) == ("done", "hear", teller.pk)


def test_a_listener_that_comes_back_waited_each_time() -> None:
    states = {
        "hear": {
            "run": {"subscribe": {"topic": "news"}},
            "on": {"done": [{"to": "read"}], "failed": [{"to": "end"}]},
        },
        "read": {"run": {"agent": runs.scripted("reader", 1)}, "on": {"done": [{"to": "hear"}]}},
        "end": {"end": "completed"},
    }
    states["read"]["on"]["failed"] = [{"to": "end"}]
    run = runs.start("loop", definition={"pattern": "machine", "initial": "hear", "states": states})
    tell = {"name": "tell", "publish": {"topic": "news"}}
    for _ in range(2):
        runs.start("teller", definition={"pattern": "pipeline", "stages": [runs.stage("a"), tell]})
    waits = [span for span in spans_of(run).values() if span.kind == "wait"]
    assert [span.status for span in waits] == ["done", "done", "running"]
    ends = [waits[0].ended_ms, waits[1].ended_ms]
    assert all(ended is not None for ended in ends)
    assert waits[1].began_ms >= (ends[0] or 0)
    actions.cancel(runs.SYSTEM, run.pk, reason="enough")
    waits = [span for span in spans_of(run).values() if span.kind == "wait"]
    assert [span.status for span in waits] == ["done", "done", "stopped"]


def test_whoever_collects_a_run_waits_for_it() -> None:
    begin = {"name": "begin", "workflow": "child", "wait": False}
    stages = [begin, runs.stage("read", 1), {"name": "get", "collect": "begin"}]
    runs.save("child", {"pattern": "pipeline", "stages": [runs.stage("do", {"ok": True})]})
    parent = {"pattern": "pipeline", "stages": stages}
    run = runs.start("patient", definition=parent)
    wait = one(run, "wait")
    assert (wait.name, wait.awaits, wait.work, wait.status) == (
        "run of begin",
        "run",
        "get",
        "done",
    )
    inside = next(span for span in spans_of(run).values() if span.is_run_inside)
    assert inside.name == "child"
    assert inside.tokens_inside == 1_280
    question = {"name": "ask", "approval": {"question": "Well?"}}
    runs.save("child", {"pattern": "pipeline", "stages": [question]})
    run = runs.start("other", definition=parent)
    assert (one(run, "wait").status, one(run, "wait").awaits) == ("running", "run")


def test_a_cancelled_run_stopped_what_it_was_at() -> None:
    run = runs.start("support")
    actions.cancel(runs.SYSTEM, run.pk, reason="no longer wanted")
    spans = spans_of(run)
    assert spans["run"].status == "stopped"
    assert all(span.ended_ms is not None for span in spans.values())


def test_work_that_waits_for_a_worker_shows_as_such() -> None:
    run = runs.start("invoices", work=False)
    assert ("wait", "waits for a worker") in kinds_of(run)
    work_all()
    assert ("wait", "waits for a worker") not in kinds_of(run)


def test_a_failure_in_a_run_inside_is_found_there() -> None:
    runs.save("failing")
    run = runs.start("parent")
    found = trace_queries.trace_of(run)
    beginning = trace_queries.beginning_of(found)
    assert beginning is not None
    assert beginning.run != run.pk
    assert beginning.origin.began.name == "book-agent"
    assert beginning.origin.began.error["reason"] == "The agent refused: the ledger is closed"
    child = next(span for span in found.trace.spans if span.kind == "run" and span.about)
    grafted = trace_queries.with_children(found, [child.about])
    assert [span.name for span in grafted.spans if span.kind == "agent"] == [
        "read-agent",
        "read-agent",
        "book-agent",
    ]


def test_runs_of_others_are_not_grafted() -> None:
    stranger = runs.start("invoices")
    run = runs.start("support")
    found = trace_queries.trace_of(run)
    assert trace_queries.with_children(found, [stranger.pk]) == found.trace


def test_an_attempt_that_was_made_good_is_no_cause() -> None:
    fails = [{"attempt": 1, "code": "agent-unavailable", "reason": "away"}]
    stages = [
        runs.stage("read", agent=runs.scripted("reader", {"n": 1}, fails=fails), attempts=2),
        runs.stage("sum", "text", output={"type": "object"}, attempts=1),
    ]
    run = runs.start("two", definition={"pattern": "pipeline", "stages": stages})
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orchestrator_command SET not_before = now()")
    work_all()
    run.refresh_from_db()
    assert run.status == "failed"
    beginning = trace_queries.beginning_of(trace_queries.trace_of(run))
    assert beginning is not None
    assert (beginning.origin.began.kind, beginning.origin.began.work) == ("agent", "sum")


def test_it_reads_few_rows_and_few_queries(django_assert_max_num_queries: Any) -> None:
    run = Run.objects.select_related("workflow_version__workflow").get(pk=runs.start("invoices").pk)
    with django_assert_max_num_queries(4):
        trace_queries.trace_of(run)


@pytest.mark.pulls("TRACE_EVENTS_MAX")
def test_of_an_endless_run_the_beginning_is_shown_and_that_it_is_not_all(
    settings: Settings,
) -> None:
    run = runs.start("invoices")
    settings.TRACE_EVENTS_MAX = 3
    found = trace_queries.trace_of(run)
    assert found.is_cut
    assert max(span.seq for span in found.trace.spans) == 3
    assert len(found.trace.spans) > 1


def test_long_outputs_stay_in_the_database(told: Any) -> None:
    told(AgentAnswer({"text": "x" * 100_000}))
    run = runs.start("one", definition={"pattern": "pipeline", "stages": [runs.stage("read")]})
    lines = trace_queries._lines(run.pk)
    assert lines[-1].event.output is None  # type: ignore[attr-defined]


@pytest.mark.pulls("TRACE_TEXT_MAX", "TRACE_PIECES_MAX")
def test_pieces_are_bounded_and_can_always_be_stored(told: Any, settings: Settings) -> None:
    settings.TRACE_TEXT_MAX, settings.TRACE_PIECES_MAX = 10, 2
    odd = Piece("tool", "a\x00b\ud800" * 200, -5, 2**40, given="y" * 500, error="z" * 900)
    told(AgentAnswer(1, pieces=(odd, odd, odd)))
    run = runs.start("one", definition={"pattern": "pipeline", "stages": [runs.stage("read")]})
    kept = list(CallPiece.objects.filter(run=run).order_by("pk"))
    assert len(kept) == 2
    assert kept[0].given == "y" * 10
    assert kept[0].notes == ["kept are 10 of 500 characters"]
    assert kept[1].notes[-1] == "1 pieces after this one are not kept"


def test_pieces_of_long_ago_are_forgotten(told: Any, settings: Settings) -> None:
    told(ANSWER, ANSWER)
    runs.start("one", definition={"pattern": "pipeline", "stages": [runs.stage("read")]})
    CallPiece.objects.update(at=timezone.now() - timedelta(days=settings.TRACE_KEEP_DAYS + 1))
    runs.start("one", definition={"pattern": "pipeline", "stages": [runs.stage("read")]})
    assert pieces.forget() == 3
    assert CallPiece.objects.count() == 3


def test_pieces_come_out_of_an_isolated_process_as_they_went_in() -> None:
    assert read_answer(write_answer(ANSWER)) == ANSWER


@pytest.mark.parametrize("fails", [False, True])
def test_what_it_was_not_handed_is_kept_with_its_event(told: Any, fails: bool) -> None:
    """The pieces of a call are forgotten after a while, and its event is not."""
    note = "the input list was cut from 9,000 to 500 bytes by tokens_in"
    error = AgentUnavailable("the model is away", notes=(note,))
    told(error if fails else AgentAnswer(7, notes=(note,)))
    stage = runs.stage("read", attempts=1)
    run = runs.start("one", definition={"pattern": "pipeline", "stages": [stage]})
    CallPiece.objects.all().delete()
    assert one(run, "agent").notes == (note,)


def test_what_the_contract_of_a_proposal_masks_is_hidden_in_every_context_of_its_run(
    cast: Cast,
) -> None:
    """In what was said, and in what others were handed of it; whatever stage it was."""
    schema = {"type": "object", "properties": {"iban": {"type": "string"}}}
    wording: dict[str, Any] = {"kind": "action", "name": "refund.create", "timeout_s": 30}
    contracts.save(Actor(cast.ada), schema=schema, masked=["/iban"], **wording)
    iban = "DE02120300000000202051"
    refund = runs.REFUND | {"args": {"iban": iban, "amount_minor": 900}, "confidence": 0.99}
    stages = [
        runs.stage("read", {"note": f"Pay it to {iban}, please."}),
        runs.stage("refund", refund, proposes=True, needs=["read"]),
    ]
    run = runs.start("refund", definition={"pattern": "pipeline", "stages": stages})
    found = trace_queries.trace_of(run)
    calls = [span for span in found.trace.spans if span.kind == "agent"]
    texts = [text.text for span in calls for text in trace_queries.texts_of(found, span)]
    assert iban not in "".join(texts)
    assert '{"note":"Pay it to (masked), please."}' in texts
    assert any('"amount_minor":900' in text for text in texts)
