"""Events: taken in once, routed by the newest table, or kept as dead letters with the reason."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from orchestrator.actions import dead_letters, routing
from orchestrator.actions import events as actions
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import (
    BadInput,
    IllegalTransition,
    NotAllowed,
    NotFound,
    QueueFull,
)
from orchestrator.models import AuditEntry, Event, InboundEvent, Run
from tests import events, runs
from tests.conftest import SYSTEM, Cast
from tests.work import work_all

pytestmark = pytest.mark.django_db
THREADS = 8


def before(**ago: float) -> str:
    return (timezone.now() - timedelta(**ago)).isoformat()


@pytest.fixture
def house() -> None:
    events.contract()
    events.routes()


@pytest.fixture
def ada(cast: Cast) -> Actor:
    return Actor(cast.ada)


# Taken in -------------------------------------------------------------------------------------


def test_an_event_starts_the_run_of_its_route(house: None, agent: Actor) -> None:
    event = events.receive(agent, time=before(minutes=1))
    assert (event.status, event.reason, event.route) == ("routed", "", "damaged")
    assert event.run is not None
    assert event.run.workflow_version.workflow.slug == "invoices"
    assert (event.run.external_id, event.run.token) == ("1", agent.token)
    assert event.contract_version is not None
    assert event.contract_version.number == 1
    assert event.routes == routing.newest_table()
    assert events.said(event) == events.message(time=events.said(event)["time"])  # type: ignore[call-overload,index]
    assert '"order":"A-20931"' in Event.objects.get(run=event.run, seq=1).payload
    work_all()
    event.run.refresh_from_db()
    assert event.run.status == "completed"


def test_nonsense_does_not_fill_the_database(house: None, settings: Settings) -> None:
    settings.DEAD_LETTERS_MAX = 2
    for number in range(2):
        assert events.receive(id=str(number), type="unheard.of").status == "dead"
    with pytest.raises(QueueFull, match="dead letters: 2"):
        events.receive(id="3", type="unheard.of")
    assert events.receive(id="4", time=before(minutes=1)).status == "routed"


def test_the_newest_table_decides(house: None) -> None:
    first = events.receive(id="1")
    routing.save(SYSTEM, [{"name": "all", "when": "true", "workflow": "support"}])
    second = events.receive(id="2")
    assert (first.route, second.route) == ("damaged", "all")
    assert second.routes is not None
    assert second.routes.number == 2


def test_an_event_may_name_an_older_version_of_its_contract(house: None) -> None:
    events.contract(schema={"type": "object"})
    older = events.receive(id="1", contractversion=1, data={})
    newest = events.receive(id="2", data={})
    assert (older.status, older.reason, newest.status) == ("dead", "invalid", "routed")
    by_schema = events.receive(id="3", dataschema="https://x.example/order.damaged/1", data={})
    assert by_schema.status == "dead"


def test_what_is_masked_is_not_told_in_the_reason(house: None) -> None:
    properties = {**events.SCHEMA["properties"], "iban": {"type": "string", "maxLength": 5}}
    events.contract("paid", schema={"type": "object", "properties": properties}, masked=["/iban"])
    event = events.receive(type="paid", data={"iban": "DE89370400440532013000"})
    assert event.reason == "invalid"
    assert event.detail == "data/iban: does not fit; what stands there is masked"


def test_a_duplicate_has_no_effect(house: None) -> None:
    first = actions.receive(SYSTEM, events.envelope())
    again = actions.receive(SYSTEM, events.envelope(traceparent="00-1"))
    assert (first.is_new, again.is_new, again.differs) == (True, False, False)
    assert first.event == again.event
    assert Run.objects.count() == InboundEvent.objects.count() == 1


def test_the_same_id_with_other_data_is_told_apart_and_has_no_effect(house: None) -> None:
    first = events.receive()
    again = actions.receive(SYSTEM, events.envelope(data={"order": "B-2"}))
    assert (again.event, again.is_new, again.differs) == (first, False, True)
    assert Run.objects.count() == 1


def test_the_same_id_from_elsewhere_is_another_event(house: None) -> None:
    events.receive()
    events.receive(source="/shops/porto")
    assert Run.objects.count() == 2


# Dead letters ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        ({"type": "order.lost"}, "unknown_type", "no contract describes"),
        ({"contractversion": 7}, "unknown_version", "version 7 is not known; the newest is 1"),
        ({"contractversion": "1.2"}, "unknown_version", "version 1.2"),
        ({"contractversion": "٣"}, "unknown_version", "version ٣"),
        ({"contractversion": "99999999999"}, "unknown_version", "version 99999999999"),
        ({"dataschema": "urn:order/0"}, "unknown_version", "version 0"),
        ({"data": {"order": ""}}, "invalid", "data/order: must not be empty"),
        ({"data": {"amount": "x"}}, "invalid", "(and 1 more)"),
        ({"data": None}, "invalid", "data: must be an object; it is null"),
        ({"time": "2020-01-01T00:00:00Z"}, "late", "its contract allows 60 minutes"),
        ({"time": "2999-01-01T00:00:00Z"}, "invalid", "ahead of the clock"),
    ],
)
def test_what_cannot_be_handed_on_is_kept_with_the_reason(
    house: None, changes: dict[str, Any], reason: str, detail: str
) -> None:
    event = events.receive(**changes)
    assert (event.status, event.reason) == ("dead", reason)
    assert detail in event.detail
    assert (event.run, event.route) == (None, "")
    assert not Run.objects.exists()


def test_what_no_route_wants_is_kept() -> None:
    events.contract()
    events.contract("order.lost")
    without_table = events.receive(id="1")
    events.routes()
    unwanted = events.receive(id="2", type="order.lost")
    for event, table in ((without_table, None), (unwanted, routing.newest_table())):
        assert (event.status, event.reason, event.routes) == ("dead", "no_route", table)


def test_a_route_that_cannot_be_evaluated_is_not_passed_over() -> None:
    events.contract()
    events.routes([{"name": "careless", "when": "data.amount > 5", "workflow": "support"}])
    event = events.receive()
    assert (event.status, event.reason) == ("dead", "route_error")
    assert "careless" in event.detail


def test_an_intent_that_the_workflow_refuses_leaves_a_dead_letter_and_no_run(house: None) -> None:
    runs.save("invoices", runs.INVOICES | {"intent": {"type": "object", "required": ["invoice"]}})
    event = events.receive()
    assert (event.status, event.reason, event.route) == ("dead", "handler", "damaged")
    assert event.detail == "invoices: intent: “invoice” is missing"
    assert not Run.objects.exists()
    assert not AuditEntry.objects.filter(verb="run.started").exists()


def test_what_is_over_a_cap_is_kept_and_not_lost(house: None, settings: Settings) -> None:
    settings.RUNS_OPEN_PER_WORKFLOW_MAX = 1
    events.receive(id="1")
    event = events.receive(id="2")
    assert (event.status, event.reason) == ("dead", "over_cap")
    assert event.detail == "runs of invoices: 1 are waiting, as many as may"
    assert Run.objects.count() == 1


def test_a_queue_that_is_full_makes_dead_letters(house: None, settings: Settings) -> None:
    settings.QUEUE_PENDING_MAX = 1
    events.receive(id="1")
    assert events.receive(id="2").reason == "over_cap"


def test_a_dead_letter_is_a_delivery_too(house: None) -> None:
    first = events.receive(type="order.lost")
    events.contract("order.lost")
    again = actions.receive(SYSTEM, events.envelope(type="order.lost"))
    assert (again.event, again.is_new) == (first, False)
    assert again.event.status == "dead"


# Sent again -----------------------------------------------------------------------------------


def test_a_dead_letter_that_is_sent_again_gets_a_new_attempt(house: None, ada: Actor) -> None:
    letter = events.receive(type="order.lost", time=before(days=400))
    events.contract("order.lost")
    routing.save(SYSTEM, [{"name": "all", "when": "true", "workflow": "invoices"}])
    attempt = dead_letters.redrive(ada, letter.pk, note="the contract was missing")
    letter.refresh_from_db()
    assert (letter.status, letter.handled_by, letter.reason) == (
        "redriven",
        ada.user,
        "unknown_type",
    )
    assert (attempt.status, attempt.replaces, attempt.route) == ("routed", letter, "all")
    assert Run.objects.count() == 1
    entry = AuditEntry.objects.get(verb="event.redriven")
    assert (entry.object_id, entry.user) == (letter.pk, ada.user)
    assert entry.detail["run"] == attempt.run_id
    assert entry.detail["corrected"] is False
    again = actions.receive(SYSTEM, events.envelope(type="order.lost"))
    assert (again.event, again.is_new) == (letter, False)


def test_it_may_be_corrected(house: None, ada: Actor) -> None:
    letter = events.receive(data={})
    fixed = dead_letters.amended(letter, {"subject": "orders/A-1"}, ({"order": "A-1"},))
    attempt = dead_letters.redrive(ada, letter.pk, corrected=fixed)
    assert attempt.status == "routed"
    assert events.said(attempt) == events.message(subject="orders/A-1", data={"order": "A-1"})
    assert AuditEntry.objects.get(verb="event.redriven").detail["corrected"] is True


def test_it_may_die_again_and_be_sent_again(house: None, ada: Actor) -> None:
    letter = events.receive(data={})
    second = dead_letters.redrive(ada, letter.pk)
    assert (second.status, second.reason) == ("dead", "invalid")
    fixed = dead_letters.amended(second, {}, ({"order": "A-1"},))
    assert dead_letters.redrive(ada, second.pk, corrected=fixed).status == "routed"


@pytest.mark.parametrize(
    ("attributes", "field"),
    [({"id": "2"}, "id"), ({"source": "/else"}, "source"), ({"type": ""}, "type")],
)
def test_a_correction_does_not_change_which_delivery_it_is(
    house: None, ada: Actor, attributes: dict[str, Any], field: str
) -> None:
    letter = events.receive(data={})
    with pytest.raises(BadInput) as refusal:
        dead_letters.redrive(ada, letter.pk, corrected=dead_letters.amended(letter, attributes, ()))
    assert refusal.value.field == field
    letter.refresh_from_db()
    assert letter.status == "dead"


def test_what_was_seen_to_is_not_sent_again(house: None, ada: Actor) -> None:
    letter, other = events.receive(data={}), events.receive(id="2", data={})
    dead_letters.redrive(ada, letter.pk)
    dead_letters.discard(ada, other.pk, note="a test of theirs")
    routed = events.receive(id="3")
    for one in (letter, other, routed):
        with pytest.raises(IllegalTransition):
            dead_letters.redrive(ada, one.pk)
        with pytest.raises(IllegalTransition):
            dead_letters.discard(ada, one.pk, note="again")
    for unknown in ("evt_01m7y6s13re5jaj1bm3y35bmxv", "x", routed.run_id or ""):
        with pytest.raises(NotFound):
            dead_letters.redrive(ada, unknown)


def test_discarding_needs_a_reason_and_is_written_down(house: None, ada: Actor) -> None:
    letter = events.receive(data={})
    for note in ("", "  ", "x" * 1_001, "a\x00b"):
        with pytest.raises(BadInput):
            dead_letters.discard(ada, letter.pk, note=note)
    dead_letters.discard(ada, letter.pk, note=" a test of theirs ")
    letter.refresh_from_db()
    assert (letter.status, letter.handled_by) == ("discarded", ada.user)
    assert AuditEntry.objects.get(verb="event.discarded").detail == {"note": "a test of theirs"}


def test_only_admins_see_to_dead_letters(house: None, cast: Cast, agent: Actor) -> None:
    letter = events.receive(data={})
    for actor in (Actor(cast.rita), Actor(cast.max), agent):
        with pytest.raises(NotAllowed):
            dead_letters.redrive(actor, letter.pk)
        with pytest.raises(NotAllowed):
            dead_letters.discard(actor, letter.pk, note="x")
        with pytest.raises(NotAllowed):
            dead_letters.redrive_all(actor, type_=letter.type, reason="invalid")


# Many at once ---------------------------------------------------------------------------------


def test_all_of_a_type_and_reason_are_sent_again_oldest_first(house: None, ada: Actor) -> None:
    for number in range(4):
        events.receive(id=f"lost-{number}", type="order.lost")
    events.receive(id="other", data={})
    assert dead_letters.count("order.lost", "unknown_type").matching == 4
    events.contract("order.lost")
    routing.save(SYSTEM, [{"name": "all", "when": "true", "workflow": "invoices"}])
    done = dead_letters.redrive_all(ada, type_="order.lost", reason="unknown_type", at_most=3)
    assert (done.matching, done.routed, done.dead, done.stopped) == (4, 3, 0, False)
    left = InboundEvent.objects.filter(status="dead", reason="unknown_type")
    assert [event.source_id for event in left] == ["lost-3"]
    assert InboundEvent.objects.get(source_id="other").status == "dead"


def test_sending_many_again_stops_when_too_much_waits(
    house: None, ada: Actor, settings: Settings
) -> None:
    settings.RUNS_OPEN_PER_WORKFLOW_MAX = 1
    for number in range(4):
        events.receive(id=str(number))
    settings.RUNS_OPEN_PER_WORKFLOW_MAX = 2
    done = dead_letters.redrive_all(ada, type_=events.DAMAGED, reason="over_cap")
    assert (done.matching, done.routed, done.dead, done.stopped) == (3, 1, 1, True)
    assert InboundEvent.objects.filter(status="dead", reason="over_cap").count() == 2


@pytest.mark.parametrize(
    ("type_", "reason", "at_most"),
    [
        ("", "invalid", 1),
        ("a\x00b", "invalid", 1),
        ("a", "", 1),
        ("a", "nope", 1),
        ("a", "late", 0),
    ],
)
def test_many_are_named_by_type_and_reason(
    ada: Actor, type_: str, reason: str, at_most: int
) -> None:
    with pytest.raises(BadInput):
        dead_letters.redrive_all(ada, type_=type_, reason=reason, at_most=at_most)


# At the same time -----------------------------------------------------------------------------


def at_once[Answer](work: Callable[[], Answer]) -> list[Answer]:
    start = threading.Barrier(THREADS)

    def one(_: int) -> Answer:
        start.wait()
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, range(THREADS)))


@pytest.mark.django_db(transaction=True)
def test_of_deliveries_at_once_one_has_an_effect(house: None, agent: Actor) -> None:
    for number in range(5):
        envelope = events.envelope(id=f"race-{number}")
        answers = at_once(lambda envelope=envelope: actions.receive(agent, envelope))  # type: ignore[misc]
        assert [answer.is_new for answer in answers].count(True) == 1
        assert len({answer.event.pk for answer in answers}) == 1
    assert Run.objects.count() == InboundEvent.objects.count() == 5


@pytest.mark.django_db(transaction=True)
def test_of_people_who_send_one_again_at_once_one_does(house: None, ada: Actor) -> None:
    letter = events.receive(data={})
    fixed = dead_letters.amended(letter, {}, ({"order": "A-1"},))

    def redrive() -> str:
        try:
            return dead_letters.redrive(ada, letter.pk, corrected=fixed).status
        except IllegalTransition as refusal:
            return refusal.status

    assert sorted(at_once(redrive)) == ["redriven"] * (THREADS - 1) + ["routed"]
    assert Run.objects.count() == 1
