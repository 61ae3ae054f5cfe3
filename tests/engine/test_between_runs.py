"""Runs that talk: started and collected later, published and heard; and errors that come all the way up."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from orchestrator.actions import messages, runs
from orchestrator.core.errors import CountersignError, DefinitionInvalid, IllegalTransition
from orchestrator.models import Command, Event, Run, Subscription
from tests.blocked import wait_until_blocked
from tests.conftest import SYSTEM
from tests.runs import FAILING, save, scripted, stage, start
from tests.work import claim_one, output_of, work_all, work_shift

pytestmark = pytest.mark.django_db

CHILD: dict[str, Any] = {"pattern": "pipeline", "stages": [stage("do", {"ok": True})]}
START = {"name": "begin", "workflow": "child", "wait": False}
COLLECT = {"name": "get", "collect": "begin"}
LISTEN = {"name": "hear", "subscribe": {"topic": "news"}}
TELL = {"name": "tell", "publish": {"topic": "news"}}


def pipeline(*stages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"pattern": "pipeline", "stages": list(stages)} | more


def work_in_a_thread() -> None:
    try:
        work_all()
    finally:
        connection.close()


def again(run: Run) -> Run:
    return Run.objects.get(pk=run.pk)


class TestCollecting:
    def test_the_run_goes_on_meanwhile_and_takes_the_result_later(self) -> None:
        save("child", CHILD)
        run = start("parent", definition=pipeline(START, stage("read", 1), COLLECT))
        assert run.status == "completed"
        assert output_of(run) == {"ok": True}
        assert run.children.get().status == "completed"

    def test_it_waits_only_where_it_collects(self) -> None:
        question = {"name": "ask", "approval": {"question": "Well?"}}
        save("child", pipeline(question))
        run = start("parent", definition=pipeline(START, stage("read", 1), COLLECT))
        assert (run.status, run.canonical_state.position) == ("waiting", "get")
        assert run.canonical_state.works["read"].status == "done"

    def test_a_failure_is_told_where_it_is_collected_with_everything_below_it(self) -> None:
        save("child", FAILING)
        run = start("parent", definition=pipeline(START, COLLECT))
        error: Any = run.canonical_state.error
        assert (run.status, error["code"], error["who"]) == ("failed", "run-failed", "get")
        assert error["cause"]["who"] == "book"
        root = error["cause"]["cause"]
        assert (root["code"], root["reason"]) == (
            "agent-refused",
            "The agent refused: the ledger is closed",
        )
        assert root["who"] == "scripted book-agent"
        assert ":" in root["where"]
        assert root["retryable"] is False

    def test_an_optional_collector_goes_on_without(self) -> None:
        save("child", FAILING)
        last = stage("end", {"echo": "inputs"}, agent=scripted("end", {"echo": "inputs"}))
        run = start("parent", definition=pipeline(START, COLLECT | {"optional": True}, last))
        assert (run.status, output_of(run)) == ("completed", {"get": None})

    def test_what_nobody_collects_ends_by_itself(self) -> None:
        save("child", CHILD)
        run = start("parent", definition=pipeline(START, stage("read", 1)))
        assert run.status == "completed"
        assert not Command.objects.filter(status="pending").exists()

    def test_a_circle_of_runs_that_do_not_wait_ends_at_its_second_turn(self) -> None:
        save("parent", pipeline(stage("read", 1)))
        save("child", pipeline({"name": "back", "workflow": "parent", "wait": False}))
        run = start("parent", definition=pipeline(START, COLLECT))
        assert Run.objects.count() == 3
        last: Any = Run.objects.latest("pk").canonical_state.error
        assert last["code"] == "cycle"
        assert "parent → child → parent" in last["reason"]
        assert run.status == "completed"

    def test_nor_do_they_go_deeper_than_the_budget(self) -> None:
        save("child", pipeline(stage("do", 1), budget={"depth": 1}))
        run = start("parent", definition=pipeline(START, COLLECT))
        error: Any = run.canonical_state.error
        assert error["cause"]["budget"] == "depth"

    @pytest.mark.parametrize(
        ("definition", "match"),
        [
            (pipeline(stage("a", 1), {"name": "get", "collect": "a"}), "starts a workflow"),
            (pipeline(COLLECT, START), "starts a workflow"),
            (pipeline({**START, "wait": True}, COLLECT), "starts a workflow"),
        ],
    )
    def test_what_was_not_started_cannot_be_collected(self, definition: Any, match: str) -> None:
        with pytest.raises(DefinitionInvalid, match=match):
            save("parent", definition)

    @pytest.mark.parametrize("run", [{"collect": "a"}, {"workflow": "child", "wait": False}])
    def test_machines_wait_for_what_they_start(self, run: dict[str, Any]) -> None:
        ways = {"done": [{"to": "end"}], "failed": [{"to": "end"}]}
        states = {"a": {"run": run, "on": ways}, "end": {"end": "completed"}}
        with pytest.raises(DefinitionInvalid, match="only stands in a pipeline"):
            save("m", {"pattern": "machine", "initial": "a", "states": states})


class TestMessages:
    def listeners(self, count: int) -> list[Run]:
        return [start("listen", definition=pipeline(LISTEN)) for _ in range(count)]

    def test_a_message_reaches_every_run_that_waits_for_its_topic(self) -> None:
        heard = self.listeners(3)
        other = start("else", definition=pipeline({**LISTEN, "subscribe": {"topic": "weather"}}))
        run = start("tell", definition=pipeline(stage("write", {"n": 7}), TELL))
        work_all()
        assert output_of(run) == {"reached": 3}
        for one in heard:
            assert (again(one).status, output_of(again(one))) == ("completed", {"n": 7})
        assert again(other).status == "waiting"
        assert list(Subscription.objects.values_list("run", flat=True)) == [other.pk]
        call_command("replay", "--all")

    def test_nobody_hears_what_was_said_before(self) -> None:
        run = start("tell", definition=pipeline(TELL))
        assert output_of(run) == {"reached": 0}
        assert self.listeners(1)[0].status == "waiting"

    @pytest.mark.pulls("PUBLISH_REACH_MAX")
    def test_more_than_one_message_may_reach_it_reaches_none(self, settings: Settings) -> None:
        settings.PUBLISH_REACH_MAX = 2
        heard = self.listeners(3)
        run = start("tell", definition=pipeline(TELL))
        error: Any = run.canonical_state.error
        assert (run.status, error["cause"]["code"]) == ("failed", "queue-full")
        assert {again(one).status for one in heard} == {"waiting"}

    def test_a_message_is_small(self, settings: Settings) -> None:
        settings.SHORT_OUTPUT_BYTES_MAX = 100
        run = start("tell", definition=pipeline(stage("write", "x" * 200), TELL))
        error: Any = run.canonical_state.error
        assert "at most 100 bytes" in error["reason"]

    def test_one_that_stopped_listening_is_left_alone(self) -> None:
        (run,) = self.listeners(1)
        runs.cancel(SYSTEM, run.pk, reason="a mistake")
        assert not Subscription.objects.exists()
        assert output_of(start("tell", definition=pipeline(TELL))) == {"reached": 0}

    @pytest.mark.django_db(transaction=True)
    def test_one_that_stops_just_then_is_not_counted(self) -> None:
        """Whoever publishes has seen it wait, and finds that it does not when the message is handed over."""
        stopping, staying = self.listeners(2)
        teller = start("tell", definition=pipeline(TELL), work=False)
        with ThreadPoolExecutor(1) as pool:
            with transaction.atomic():
                runs.cancel(SYSTEM, stopping.pk, reason="a mistake")
                telling = pool.submit(work_in_a_thread)
                wait_until_blocked()
            telling.result(timeout=60)
        assert output_of(again(teller)) == {"reached": 1}
        assert again(staying).status == "completed"
        assert Event.objects.filter(kind="message_received").count() == 1

    def test_it_is_sent_once_however_often_it_is_tried(self) -> None:
        self.listeners(1)
        start("tell", definition=pipeline(TELL), work=False)
        claimed = claim_one("agents")
        assert claimed is not None
        messages.publish(claimed)
        with pytest.raises((CountersignError, IllegalTransition)):
            messages.publish(claimed)
        assert Event.objects.filter(kind="message_received").count() == 1

    def test_runs_that_wake_each_other_have_their_budgets(self) -> None:
        ways = {"done": [{"to": "say"}], "failed": [{"to": "say"}]}
        back = {"done": [{"to": "hear"}], "failed": [{"to": "hear"}]}
        states = {
            "say": {"run": {"publish": {"topic": "news"}}, "on": back},
            "hear": {"run": {"subscribe": {"topic": "news"}}, "on": ways},
        }
        states["hear"]["on"] = ways | {"stop": [{"to": "end"}]}  # type: ignore[dict-item]
        echo = {
            "pattern": "machine",
            "initial": "say",
            "states": states | {"end": {"end": "completed"}},
        }
        both = [start("echo", definition=echo | {"budget": {"steps": 20}}) for _ in range(2)]
        work_shift("agents", at_most=200)
        assert {again(one).status for one in both} <= {"failed", "waiting"}
        assert max(again(one).canonical_state.spent.steps for one in both) <= 21
        assert not Command.objects.filter(status="pending").exists()

    def test_those_who_wait_are_found_by_their_topic(self) -> None:
        self.listeners(1)
        start("tell", definition=pipeline(TELL), work=False)
        with CaptureQueriesContext(
            connection,
        ) as seen:
            work_all()
        asked = [one["sql"] for one in seen if "orchestrator_subscription" in one["sql"]]
        found = next(sql for sql in asked if sql.startswith("SELECT"))
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {found}")
            assert "subscription_by_topic" in str(cursor.fetchall())
