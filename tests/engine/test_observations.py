"""Shared memory as runs use it, on the real tables."""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, connections, transaction
from django.db.models import F
from django.utils import timezone

from orchestrator import journal
from orchestrator.actions import runs
from orchestrator.core.codec import canonical, digest, read
from orchestrator.core.replay import first_divergence
from orchestrator.engine import inputs, observations, perform
from orchestrator.engine.advance import advance
from orchestrator.engine.memory import Memory
from orchestrator.models import Event, Observation, ObservationRead, Run
from tests.memories import MESH, only, pipeline, reader, relay, run_of, shared, wish, writer
from tests.runs import SYSTEM, save, scripted, stage, start
from tests.work import claim_one, output_of, work_all

pytestmark = pytest.mark.django_db


def handed_to(run: Run) -> list[Any]:
    """By the last stage, which echoes its inputs."""
    output = output_of(run)
    assert isinstance(output, dict)
    memory = output["memory"]
    assert isinstance(memory, dict)
    assert isinstance(memory["observations"], list)
    return memory["observations"]


def keys(run: Run) -> list[str]:
    return [one["key"] for one in handed_to(run)]


def test_what_one_stage_writes_another_reads() -> None:
    run = run_of(writer("note", wish("customer", {"vip": True}), output=7), reader("look"))
    (seen,) = handed_to(run)
    assert (seen["key"], seen["value"], seen["tags"]) == ("customer", {"vip": True}, ["facts"])
    assert seen["by"] == "note-agent"
    assert not seen["tainted"]
    stored = only("customer")
    assert (stored.space, stored.run_id, stored.work) == (run.pk, run.pk, "note")
    assert stored.digest == digest(stored.value)
    assert stored.expires_at - stored.at == timedelta(days=settings.MEMORY_TTL_DAYS_MAX)
    # Only the output went on through the run.
    assert output_of(run)["note"] == 7  # type: ignore[index,call-overload]


def test_the_log_says_what_was_written_and_what_was_read() -> None:
    run = run_of(writer("note", wish("customer", 1)), reader("look"))
    stored = only("customer")
    wrote, saw = (read(event.payload) for event in run.events.filter(kind="work_finished"))
    assert wrote["remembered"] == [  # type: ignore[index,call-overload]
        {
            "id": stored.pk,
            "space": run.pk,
            "key": "customer",
            "value": 1,
            "tags": ["facts"],
            "ttl_s": settings.MEMORY_TTL_DAYS_MAX * 86_400,
        }
    ]
    assert saw["recalled"] == [[stored.pk, stored.digest]]  # type: ignore[index,call-overload]
    one = ObservationRead.objects.get()
    assert (one.observation_id, one.run_id, one.work) == (stored.pk, run.pk, "look")
    assert run.events.get(seq=one.seq).kind == "work_finished"


def test_a_run_with_memory_replays() -> None:
    run = run_of(writer("note", wish("customer", 1)), reader("look"))
    run = Run.objects.select_related("workflow_version").get(pk=run.pk)
    assert first_divergence(journal.history(run)) is None


def test_an_undeclared_tag_is_not_read() -> None:
    run = run_of(
        writer(
            "note",
            wish("a", 1, "facts"),
            wish("b", 2, "plan"),
            wish("c", 3, "facts", "plan"),
            writes=("facts", "plan"),
        ),
        reader("look", "facts"),
    )
    assert keys(run) == ["a"]


def test_an_undeclared_tag_is_not_written_and_the_answer_not_taken() -> None:
    run = run_of(writer("note", wish("a", 1, "secret"), attempts=1))
    assert run.status == "failed"
    assert not Observation.objects.exists()
    failure = read(run.events.get(kind="work_failed").payload)
    assert failure["error"]["code"] == "output-invalid"  # type: ignore[index,call-overload]
    assert "secret" in failure["error"]["reason"]  # type: ignore[index,call-overload]


def test_a_newer_value_stands_in_the_place_of_an_older_one() -> None:
    run = run_of(
        writer("first", wish("a", "old"), wish("b", "kept")),
        writer("second", wish("a", "new")),
        reader("look"),
    )
    assert {one["key"]: one["value"] for one in handed_to(run)} == {"a": "new", "b": "kept"}
    assert Observation.objects.count() == 3


def test_who_may_not_write_a_tag_hides_nothing_that_carries_it() -> None:
    run = run_of(
        writer("first", wish("a", "fact", "facts")),
        writer("second", wish("a", "plan", "plan"), writes=("plan",)),
        reader("look", "facts"),
    )
    assert [one["value"] for one in handed_to(run)] == ["fact"]


def test_newest_first_and_no_more_than_declared() -> None:
    run = run_of(
        writer("note", wish("a", 1)),
        writer("more", wish("b", 2)),
        writer("most", wish("c", 3)),
        reader("look", memory={"at_most": 2}),
    )
    assert keys(run) == ["c", "b"]


@pytest.mark.pulls("MEMORY_HANDED_BYTES_MAX")
def test_what_does_not_fit_together_is_left_out_with_a_note(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settings, "MEMORY_HANDED_BYTES_MAX", 100)
    run = run_of(
        writer("note", wish("a", "x" * 60)), writer("more", wish("b", "x" * 60)), reader("look")
    )
    assert keys(run) == ["b"]
    told = read(run.events.filter(kind="work_finished").latest("seq").payload)
    assert "1 older observations" in told["notes"][0]  # type: ignore[index,call-overload]


def test_a_named_memory_outlives_its_run_and_the_own_one_is_nobody_elses() -> None:
    run_of(shared(writer("note", wish("everywhere", 1))), writer("own", wish("here", 2)))
    assert keys(run_of(shared(reader("look")))) == ["everywhere"]
    assert keys(run_of(reader("look"))) == []


def test_a_run_shares_its_memory_with_the_runs_that_it_starts() -> None:
    save("child", pipeline(reader("look"), writer("answer", wish("back", 2))))
    definition = pipeline(
        writer("note", wish("down", 1)), {"name": "sub", "workflow": "child"}, reader("look")
    )
    run = start("parent", definition=definition)
    assert run.status == "completed"
    assert set(keys(run)) == {"down", "back"}
    assert set(Observation.objects.values_list("space", flat=True)) == {run.pk}
    assert run_of(reader("look")).pk != run.pk


def _backdate(pk: str, as_owner: Any, seconds: int) -> None:
    with as_owner() as cursor:
        cursor.execute("ALTER TABLE orchestrator_observation DISABLE TRIGGER immutable")
        cursor.execute(
            "UPDATE orchestrator_observation SET at = at - make_interval(secs => %s),"
            " expires_at = expires_at - make_interval(secs => %s) WHERE id = %s",
            [seconds, seconds, pk],
        )
        cursor.execute("ALTER TABLE orchestrator_observation ENABLE TRIGGER immutable")


@pytest.mark.parametrize("years", [-10, 0, 10])
def test_the_databases_clock_says_when_one_expires(
    as_owner: Any, monkeypatch: pytest.MonkeyPatch, years: int
) -> None:
    """Whatever the clock of the worker says, when it is written as when it is read."""
    began, wrong = timezone.now(), time.time() + years * 365 * 86_400
    monkeypatch.setattr(time, "time", lambda: wrong)
    monkeypatch.setattr(timezone, "now", lambda: datetime.fromtimestamp(wrong, UTC))
    run_of(shared(writer("note", wish("a", 1, ttl_s=60), wish("b", 2, ttl_s=120))))
    stored = only("a")
    assert abs(stored.at - began) < timedelta(minutes=1)
    assert stored.expires_at - stored.at == timedelta(seconds=60)
    assert set(keys(run_of(shared(reader("look"))))) == {"a", "b"}
    for pk in Observation.objects.values_list("pk", flat=True):
        _backdate(pk, as_owner, 61)
    assert keys(run_of(shared(reader("look")))) == ["b"]


def test_what_was_covered_counts_again_when_its_cover_expires(as_owner: Any) -> None:
    run_of(
        shared(writer("note", wish("a", "long"))),
        shared(writer("more", wish("a", "short", ttl_s=60))),
    )
    assert [one["value"] for one in handed_to(run_of(shared(reader("look"))))] == ["short"]
    for stored in Observation.objects.all():
        _backdate(stored.pk, as_owner, 61)
    assert [one["value"] for one in handed_to(run_of(shared(reader("look"))))] == ["long"]


@pytest.mark.pulls("MEMORY_SPACE_MAX")
def test_a_memory_that_is_full_takes_no_more_and_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settings, "MEMORY_SPACE_MAX", 3)
    run_of(shared(writer("note", wish("a", 1), wish("b", 2))))
    run = run_of(shared(writer("note", wish("c", 3), wish("d", 4), output="said")))
    assert run.status == "completed"
    assert Observation.objects.count() == 3
    told = read(run.events.get(kind="work_finished").payload)
    assert told["memory_notes"] == ["1 were not remembered: the memory is full"]  # type: ignore[index,call-overload]


@pytest.mark.pulls("MEMORY_RUN_MAX")
def test_a_run_may_write_so_many_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "MEMORY_RUN_MAX", 2)
    run_of(
        shared(writer("one", wish("a", 1)), "x"),
        shared(writer("two", wish("b", 1)), "y"),
        shared(writer("three", wish("c", 1)), "z"),
    )
    assert set(Observation.objects.values_list("key", flat=True)) == {"a", "b"}


def test_taint_goes_along() -> None:
    run = run_of(shared(writer("note", wish("a", 1))))
    stored = only("a")
    assert run.status == "completed"
    Observation.objects.bulk_create([_copy(stored, key="evil", tainted=True)])
    run_of(shared(relay("pass", wish("b", 2))))
    assert only("b").tainted
    assert not only("a").tainted


def _copy(stored: Observation, **changes: Any) -> Observation:
    names = [one.attname for one in Observation._meta.concrete_fields if one.name != "id"]
    return Observation(**{name: getattr(stored, name) for name in names} | changes)


def test_whoever_failed_was_handed_it_all_the_same() -> None:
    run_of(shared(writer("note", wish("a", 1))))
    failing = reader("look") | {
        "agent": {
            "kind": "scripted",
            "name": "poor",
            "fails": [{"attempt": 1, "code": "agent-refused", "reason": "no"}],
        },
        "attempts": 1,
    }
    run = run_of(shared(failing))
    assert run.status == "failed"
    assert ObservationRead.objects.get().run_id == run.pk


def test_what_comes_late_is_not_remembered() -> None:
    run = start("late", definition=pipeline(shared(relay("note", wish("late", 1)))), work=False)
    run_of(shared(writer("note", wish("a", 1))), work=False)
    claimed = claim_one("agents")
    assert claimed is not None
    assert claimed.run == run.pk
    given = inputs.load_for_agents([claimed], Memory())[claimed.id]
    ending = perform.call_agent(claimed, given, lambda intent: True)
    runs.cancel(SYSTEM, run.pk, reason="never mind")
    done = advance(endings=[ending])
    assert not done.refused
    assert not Observation.objects.exists()


def test_an_observation_never_changes(as_owner: Any) -> None:
    run_of(writer("note", wish("a", 1)))
    changes = ({"value": "2"}, {"key": "b"}, {"tags": ["x"]}, {"classes": ["x"]})
    for change in (*changes, {"expires_at": F("at")}):
        with pytest.raises(Exception, match="permission denied"), transaction.atomic():
            Observation.objects.update(**change)
    with (
        pytest.raises(Exception, match="never changes"),
        transaction.atomic(),
        as_owner() as cursor,
    ):
        cursor.execute("UPDATE orchestrator_observation SET value = '2'")


def test_what_has_expired_is_forgotten_unless_somebody_read_it(as_owner: Any) -> None:
    run_of(
        shared(writer("note", wish("read", 1, ttl_s=60))),
        shared(reader("look")),
        shared(writer("more", wish("unread", 1, ttl_s=60), wish("lives", 1))),
    )
    assert observations.forget() == 0
    for stored in Observation.objects.all():
        _backdate(stored.pk, as_owner, settings.MEMORY_KEEP_DAYS * 86_400 + 120)
    assert observations.forget() == 1
    assert set(Observation.objects.values_list("key", flat=True)) == {"read", "lives"}


def test_what_is_kept_as_evidence_does_not_hide_what_comes_after_it(
    as_owner: Any, settings: Any
) -> None:
    run_of(
        shared(writer("note", wish("read", 1, ttl_s=60))),
        shared(reader("look")),
        shared(writer("more", wish("unread", 1, ttl_s=120))),
    )
    for stored in Observation.objects.all():
        _backdate(stored.pk, as_owner, settings.MEMORY_KEEP_DAYS * 86_400 + 180)
    settings.SWEEP_BATCH = 1
    assert [observations.forget() for _ in range(4)] == [0, 1, 0, 0]
    assert set(Observation.objects.values_list("key", flat=True)) == {"read"}


@pytest.mark.django_db(transaction=True)
def test_two_calls_write_the_same_key_at_once() -> None:
    """On real connections: both are kept, and everybody agrees which one counts."""
    for _ in range(4):
        run_of(shared(writer("note", wish("same", 1))), work=False)
    ready = threading.Barrier(4)
    claims = [claim_one("agents") for _ in range(4)]

    def work(claimed: Any) -> None:
        try:
            given = inputs.load_for_agents([claimed], Memory())[claimed.id]
            ending = perform.call_agent(claimed, given, lambda intent: True)
            ready.wait(10)
            advance(endings=[ending])
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(claimed,)) for claimed in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert Observation.objects.filter(key="same").count() == 4
    newest = Observation.objects.order_by("-at", "-pk").first()
    assert newest is not None
    (seen,) = handed_to(run_of(shared(reader("look"))))
    assert seen["id"] == newest.pk
    work_all()


def test_what_a_call_is_handed_is_found_by_an_index() -> None:
    run = run_of(shared(writer("note", wish("a", 1))))
    stored = only("a")
    Observation.objects.bulk_create(
        _copy(stored, key=f"k{n}", space=f"space-{n % 50}", tags=["facts" if n % 7 else "plan"])
        for n in range(5_000)
    )
    assert run.seq
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE orchestrator_observation")
        values = {"spaces": ["space-3"], "reads": ['["facts"]'], "mosts": [50]}
        cursor.execute("EXPLAIN (FORMAT TEXT) " + observations._HANDED, values)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    # Whichever index over the memory it takes: what other memories hold is not read.
    assert "Seq Scan" not in plan, plan


def test_a_key_that_was_written_thousands_of_times_costs_no_more() -> None:
    """Live and expired: neither who floods a key nor what is kept as evidence makes reading slow."""
    run_of(shared(writer("note", wish("same", 1), wish("other", 2))))
    stored = only("same")
    before = {"at": stored.at - timedelta(hours=2), "key": "same"}
    gone = stored.at - timedelta(hours=1)
    Observation.objects.bulk_create(_copy(stored, **before) for _ in range(4_000))
    Observation.objects.bulk_create(_copy(stored, **before, expires_at=gone) for _ in range(4_000))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE orchestrator_observation")
        values = {"spaces": ["desk"], "reads": ['["facts"]'], "mosts": [50]}
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + observations._HANDED, values)
        (plan,) = cursor.fetchone()[0]
    assert set(keys(run_of(shared(reader("look"))))) == {"same", "other"}
    assert plan["Execution Time"] < 500, plan


def test_events_without_memory_say_nothing_of_it() -> None:
    run = start("refunds")
    event = Event.objects.filter(run=run, kind="work_finished").first()
    assert event is not None
    assert not {"recalled", "remembered", "notes"} & read(event.payload).keys()  # type: ignore[union-attr]


def test_a_mesh_ends_with_its_result() -> None:
    run = start("mesh", definition=MESH)
    assert run.status == "completed"
    assert output_of(run) == {
        "ended": "result",
        "result": {"n": 7},
        "rounds": 1,
        "peers": {"boss": "led", "late": 1},
        "notes": [],
    }
    run = Run.objects.select_related("workflow_version").get(pk=run.pk)
    assert first_divergence(journal.history(run)) is None


def test_a_mesh_converges_and_says_what_each_said_last() -> None:
    run = start("mesh", definition=MESH | {"result": {"key": "never"}})
    assert run.status == "completed"
    output = output_of(run)
    assert isinstance(output, dict)
    assert (output["ended"], output["result"]) == ("converged", None)
    assert output["peers"] == {"boss": "led", "late": 1, "logs": "looked"}
    handed = ObservationRead.objects.filter(run=run, work="boss")
    assert set(handed.values_list("observation__key", flat=True)) == {"found", "answer"}


def test_whoever_is_still_at_it_when_the_result_is_there_is_called_off() -> None:
    run = start("mesh", definition=MESH | {"at_once": 3}, work=False)
    commands = run.commands.filter(status="pending")
    assert commands.count() == 3
    boss, late = claim_one("agents"), claim_one("agents")
    assert boss is not None
    assert late is not None
    assert late.payload["work"] == "late"
    given = inputs.load_for_agents([late], Memory())[late.id]
    advance(endings=[perform.call_agent(late, given, lambda intent: True)])
    run.refresh_from_db()
    assert run.status == "completed"
    assert claim_one("agents") is None
    given = inputs.load_for_agents([boss], Memory())[boss.id]
    assert not advance(endings=[perform.call_agent(boss, given, lambda intent: True)]).refused
    assert set(Observation.objects.values_list("key", flat=True)) == {"answer"}


# Classes of data ---------------------------------------------------------------------------------


def told_of(run: Run) -> Any:
    return read(run.events.filter(kind="work_finished").latest("seq").payload)


def classed(stage: dict[str, Any], *data: str, space: str = "desk") -> dict[str, Any]:
    return shared(stage, space) | {"data": list(data)}


def test_what_a_stage_has_no_class_for_is_not_handed_to_it() -> None:
    run_of(classed(writer("note", wish("case", "Ms Doe, 41")), "personal"), workflow="x")
    assert only("case").classes == ["personal"]
    run_of(classed(writer("note", wish("hours", "9 to 5")), "public"), workflow="z")
    run = run_of(classed(reader("look"), "public"), workflow="y")
    assert keys(run) == ["hours"]
    (note,) = told_of(run)["notes"]
    assert note == "not handed over, since this work may see public and no more: `case` (personal)"
    assert "Doe" not in canonical(told_of(run))
    assert not only("case").reads.exists()
    both = run_of(classed(reader("look"), "personal", "public"), workflow="both")
    assert keys(both) == ["hours", "case"]
    assert "notes" not in told_of(both)


def test_a_definition_that_says_it_for_all_of_its_stages_says_it_of_what_they_write() -> None:
    noting = pipeline(shared(writer("note", wish("case", 1)))) | {"data": ["personal"]}
    start("x", definition=noting)
    assert only("case").classes == ["personal"]
    # Nobody said anything here, which is DATA_CLASSES_DEFAULT.
    run = run_of(shared(reader("look")))
    assert keys(run) == []
    assert "may see internal and no more" in told_of(run)["notes"][0]


def test_what_nobody_gave_a_class_is_handed_to_everybody_and_leaves_no_trace() -> None:
    run = run_of(shared(writer("note", wish("hours", 1))))
    assert only("hours").classes == []
    assert keys(run_of(classed(reader("look"), "public"), workflow="y")) == ["hours"]
    assert not Event.objects.filter(payload__contains='"classes"').exists()
    assert "classes" not in (run.state or "")


def test_what_was_seen_by_default_goes_on_with_its_class() -> None:
    """A work of which nobody says anything may see it, and is no way around it."""
    run_of(classed(writer("note", wish("case", 1)), "internal"), workflow="x")
    run = run_of(shared(relay("pass", wish("copy", 1))), shared(writer("more", wish("later", 1))))
    assert run.canonical_state.classes == ("internal",)
    assert only("copy").classes == only("later").classes == ["internal"]
    assert keys(run_of(classed(reader("look"), "public"), workflow="y")) == []
    run = Run.objects.select_related("workflow_version").get(pk=run.pk)
    assert first_divergence(journal.history(run)) is None


def test_what_a_call_had_seen_that_failed_goes_on_with_its_class() -> None:
    """Its reason is handed on, and may quote what it was handed."""
    run_of(classed(writer("note", wish("case", 1)), "internal"), workflow="x")
    fails = [{"attempt": 1, "code": "agent-refused", "reason": "I cannot do this for 1"}]
    looks = stage("look", agent=scripted("look", fails=fails), attempts=1, optional=True) | {
        "memory": {"reads": ["facts"]}
    }
    run = run_of(shared(looks), stage("end", 1))
    failed: Any = read(run.events.get(kind="work_failed").payload)
    assert failed["classes"] == ["internal"]
    assert (run.status, run.canonical_state.classes) == ("completed", ("internal",))


def test_many_that_may_not_be_seen_are_counted() -> None:
    wishes = [wish(f"k{n}", n) for n in range(15)]
    run_of(classed(writer("note", *wishes), "secret"), workflow="x")
    (note,) = told_of(run_of(shared(reader("look")), workflow="y"))["notes"]
    assert note.count("(secret)") == observations.CLOSED_NAMED_MAX
    assert note.endswith(" and 5 more")
