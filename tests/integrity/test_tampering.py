"""Every way to change the past, done as the owner of the tables with the triggers off, is found and named."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from orchestrator.core.proof import compare, follow, trust
from orchestrator.core.proof.findings import Wrong
from orchestrator.engine import signing
from orchestrator.engine import verify as verification
from orchestrator.engine.checkpoint import _statement, copy_to_files, make_checkpoint
from orchestrator.engine.verify import find_sources, verify
from orchestrator.journal import Line
from orchestrator.models import Checkpoint, Event, Proposal
from tests.roles import as_owner
from tests.work import work_shift

pytestmark = pytest.mark.broken_log

Tamper = Callable[["Log", CursorWrapper], str]


@dataclass(frozen=True)
class Log:
    """Two runs under checkpoint 1, two under checkpoint 2, and one that is only chained."""

    first: str
    second: str
    third: str
    fourth: str
    newest: str

    @property
    def files(self) -> list[Path]:
        return sorted(Path(settings.CHECKPOINT_DIR).iterdir(), reverse=True)


@pytest.fixture
def log(propose: Callable[..., Proposal], monkeypatch: pytest.MonkeyPatch) -> Log:
    # All of this happens at once; a copy that lags behind is one that was cut long ago.
    monkeypatch.setattr(verification, "COPIED_WITHIN", timedelta(0))
    runs = []
    for _ in range(2):
        runs += [propose().run_id, propose(confidence=0.7).run_id]
        work_shift("effects", at_most=1)
        assert make_checkpoint()
    runs.append(propose().run_id)
    copy_to_files()
    return Log(*runs)


# What each does to the log, and what must be said of it --------------------------------------


def change_payload(log: Log, sql: CursorWrapper) -> str:
    _update(sql, log.first, 2, "payload = '{}'")
    return f"run {log.first}, event 2 (*) was changed"


def change_payload_of_the_newest(log: Log, sql: CursorWrapper) -> str:
    _update(sql, log.newest, 2, "payload = '{}'")
    return f"run {log.newest}, event 2 (*) was changed"


def change_payload_and_its_hash(log: Log, sql: CursorWrapper) -> str:
    _update(sql, log.second, 2, "payload = '{}'")
    _rehash(sql, log.second, only=2)
    return f"run {log.second}, event 2 (*) was replaced"


def change_payload_and_hash_of_the_newest(log: Log, sql: CursorWrapper) -> str:
    _update(sql, log.newest, 2, "payload = '{}'")
    _rehash(sql, log.newest, only=2)
    return f"run {log.newest}, event 2 (*) was replaced by another"


def change_kind(log: Log, sql: CursorWrapper) -> str:
    _update(sql, log.second, 1, "kind = 'proposal_approved'")
    return f"run {log.second}, event 1 (proposal_approved) was changed"


def say_it_follows_another(log: Log, sql: CursorWrapper) -> str:
    _update(sql, log.first, 3, f"prev_hash = '{'a' * 64}'")
    _rehash(sql, log.first, only=3)
    return f"run {log.first}, event 3 (*) was replaced"


def delete_in_the_middle(log: Log, sql: CursorWrapper) -> str:
    _delete(sql, log.first, "seq = 3")
    return f"run {log.first}, event 3 is missing; checkpoint 1 vouches for it"


def delete_in_the_middle_of_the_newest(log: Log, sql: CursorWrapper) -> str:
    _delete(sql, log.newest, "seq = 2")
    return f"run {log.newest}, event 2 is missing"


def cut_the_tail(log: Log, sql: CursorWrapper) -> str:
    _delete(sql, log.newest, "seq >= 2")
    return f"run {log.newest}, event 2 is missing with all that followed"


def cut_the_tail_and_correct_the_run(log: Log, sql: CursorWrapper) -> str:
    _delete(sql, log.third, "seq >= 4")
    _correct_run(sql, log.third)
    return (
        f"run {log.third}, event 4 is missing with all that followed: the run was cut; checkpoint 2"
    )


def insert_at_the_end(log: Log, sql: CursorWrapper) -> str:
    seq = _insert(sql, log.newest)
    return f"run {log.newest}, event {seq} (forged) was not written by us"


def insert_into_a_signed_range(log: Log, sql: CursorWrapper) -> str:
    seq = _insert(sql, log.second, pk=-1)
    _correct_run(sql, log.second)
    return f"run {log.second}, event {seq} (forged) was not written by us"


def insert_with_an_old_time(log: Log, sql: CursorWrapper) -> str:
    seq = _insert(sql, log.newest, at="now() - interval '1 day'")
    _correct_run(sql, log.newest)
    return f"run {log.newest}, event {seq} (forged) has a time that cannot be"


def insert_with_a_time_to_come(log: Log, sql: CursorWrapper) -> str:
    seq = _insert(sql, log.newest, at="now() + interval '1 day'")
    _correct_run(sql, log.newest)
    return f"run {log.newest}, event {seq} (forged) has a time that cannot be"


def back_date(log: Log, sql: CursorWrapper) -> str:
    _update(sql, log.third, 2, "at = at - interval '1 day'")
    return f"run {log.third}, event 2 (*) has a time that cannot be"


def back_date_a_little(log: Log, sql: CursorWrapper) -> str:
    _update(sql, log.third, 2, "at = at - interval '1 second'")
    return f"run {log.third}, event 2 (*) was changed"


def back_date_and_link_anew(log: Log, sql: CursorWrapper) -> str:
    _update(sql, log.third, 2, "at = at - interval '1 second'")
    _rehash(sql, log.third)
    return f"run {log.third}, event 2 (*) was replaced by another; checkpoint 2 vouches for it"


def swap_two_payloads(log: Log, sql: CursorWrapper) -> str:
    sql.execute(
        "UPDATE orchestrator_event e SET payload = o.payload FROM orchestrator_event o"
        " WHERE e.run_id = %s AND o.run_id = e.run_id AND (e.seq, o.seq) IN ((2, 3), (3, 2))",
        [log.first],
    )
    return f"run {log.first}, event 2 (*) was changed"


def swap_two_places(log: Log, sql: CursorWrapper) -> str:
    _swap_ids(sql, (log.newest, 1), (log.newest, 2))
    return f"run {log.newest}, event 2 (*) is out of order"


def swap_places_of_two_runs(log: Log, sql: CursorWrapper) -> str:
    """Neighbours: within each run the order stays."""
    events = [*Event.objects.filter(run__in=[log.first, log.second]).order_by("pk")]
    one, other = next((one, other) for one, other in pairwise(events) if one.run_id != other.run_id)
    _swap_ids(sql, (one.run_id, one.seq), (other.run_id, other.seq))
    return "checkpoint 1 covers events that were put in another order"


def link_a_run_anew(log: Log, sql: CursorWrapper) -> str:
    _update(sql, log.fourth, 1, "payload = '{}'")
    _rehash(sql, log.fourth)
    return f"run {log.fourth}, event 1 (*) was replaced by another; checkpoint 2 vouches for it"


def link_the_middle_of_a_run_anew(log: Log, sql: CursorWrapper) -> str:
    """The first and the last event of the run stay as they were signed."""
    _update(sql, log.first, 3, "payload = '{}'")
    sql.execute(
        "UPDATE orchestrator_event SET hash = repeat('b', 64) WHERE run_id = %s AND seq = 3",
        [log.first],
    )
    return f"run {log.first}, event 3 (*) was replaced"


def move_a_head(log: Log, sql: CursorWrapper) -> str:
    sql.execute("UPDATE orchestrator_run SET head = %s WHERE id = %s", ["c" * 64, log.newest])
    return f"run {log.newest}, event {_last(log.newest)} (*) is not what its run says it ends with"


def truncate(log: Log, sql: CursorWrapper) -> str:
    sql.execute("TRUNCATE orchestrator_event")
    return f"run {log.first}, event 1 is missing with all that followed"


def truncate_and_correct_the_runs(log: Log, sql: CursorWrapper) -> str:
    sql.execute("TRUNCATE orchestrator_event")
    sql.execute("UPDATE orchestrator_run SET seq = 0, head = ''")
    return f"run {log.first}, event 1 is missing with all that followed"


def remove_a_run(log: Log, sql: CursorWrapper) -> str:
    _delete(sql, log.second, "true")
    _delete_run(sql, log.second)
    return f"run {log.second}, event 1 is missing with its whole run; checkpoint 1 vouches for it"


def remove_only_the_row_of_a_run(log: Log, sql: CursorWrapper) -> str:
    _delete_run(sql, log.newest)
    return f"run {log.newest}, event 1 (*) belongs to a run that is gone"


def delete_the_newest_checkpoint(log: Log, sql: CursorWrapper) -> str:
    sql.execute("DELETE FROM orchestrator_checkpoint WHERE number = 2")
    return "checkpoint 2 is missing in the database, and the files have it"


def delete_an_old_checkpoint(log: Log, sql: CursorWrapper) -> str:
    sql.execute("DELETE FROM orchestrator_checkpoint WHERE number = 1")
    return "checkpoint 1 is missing in the database, and the files have it"


def delete_an_old_checkpoint_everywhere(log: Log, sql: CursorWrapper) -> str:
    sql.execute("DELETE FROM orchestrator_checkpoint WHERE number = 1")
    _write(log, _read(log)[1:])
    return "checkpoint 1 is missing everywhere"


def delete_all_checkpoints_everywhere(log: Log, sql: CursorWrapper) -> str:
    sql.execute("DELETE FROM orchestrator_checkpoint")
    log.files[0].unlink()
    return "every checkpoint is gone: there is a key, and nothing that it signed"


def change_a_checkpoint(log: Log, sql: CursorWrapper) -> str:
    sql.execute(
        "UPDATE orchestrator_checkpoint SET line = replace(line, '\"events\":', '\"events\":1')"
    )
    return "checkpoint 1 in the database was not signed by this key"


def change_a_column_of_a_checkpoint(log: Log, sql: CursorWrapper) -> str:
    sql.execute("UPDATE orchestrator_checkpoint SET up_to_event = up_to_event - 1 WHERE number = 2")
    return "checkpoint 2 has columns that differ from what was signed"


def cut_the_file_in_the_middle(log: Log, sql: CursorWrapper) -> str:
    content = log.files[0].read_bytes()
    log.files[0].write_bytes(content[:-20])
    return "checkpoint 2 and all after it were cut off the files"


def cut_a_file_of_an_earlier_month(log: Log, sql: CursorWrapper) -> str:
    first, second = _read(log)
    earlier = log.files[0].with_name("checkpoints-2020-01.jsonl")
    earlier.write_bytes(first[:-20])
    _write(log, [second])
    return f"line 1 of {earlier} is no checkpoint of ours: it was cut in the middle"


def cut_the_end_of_the_file(log: Log, sql: CursorWrapper) -> str:
    _write(log, _read(log)[:1])
    return "checkpoint 2 and all after it were cut off the files"


def take_a_line_out_of_the_file(log: Log, sql: CursorWrapper) -> str:
    _write(log, _read(log)[1:])
    return "checkpoint 1 is missing in the files"


def forge_a_line_of_the_file(log: Log, sql: CursorWrapper) -> str:
    first, second = _read(log)
    _write(log, [first, second.replace(b'"signature":"', b'"signature":"00')])
    return "checkpoint 2 in the files was not signed by this key"


def repeat_a_line_of_the_file(log: Log, sql: CursorWrapper) -> str:
    first, second = _read(log)
    _write(log, [first, second, first])
    return "checkpoint 1 in the files is out of order"


def sign_with_a_key_of_ones_own(log: Log, sql: CursorWrapper) -> str:
    """The run linked anew, and a checkpoint to go with it; only the key is not the one."""
    link_a_run_anew(log, sql)
    sql.execute("DELETE FROM orchestrator_checkpoint WHERE number = 2")
    _write(log, _read(log)[:1])
    own = settings.CHECKPOINT_KEY.with_name("forged")
    signing.make_keys(own)
    _sign_anew(sql, own)
    return "checkpoint 2 in the database was not signed by this key"


def put_another_past_before(log: Log, sql: CursorWrapper) -> str:
    """A checkpoint that the key did sign, of a log that began differently."""
    sql.execute("DELETE FROM orchestrator_checkpoint WHERE number = 2")
    _write(log, _read(log)[:1])
    _sign_anew(sql, settings.CHECKPOINT_KEY, previous="d" * 64)
    return "checkpoint 2 does not follow the one before it"


MUTATORS: tuple[Tamper, ...] = (
    change_payload,
    change_payload_of_the_newest,
    change_payload_and_its_hash,
    change_payload_and_hash_of_the_newest,
    change_kind,
    say_it_follows_another,
    delete_in_the_middle,
    delete_in_the_middle_of_the_newest,
    cut_the_tail,
    cut_the_tail_and_correct_the_run,
    insert_at_the_end,
    insert_into_a_signed_range,
    insert_with_an_old_time,
    insert_with_a_time_to_come,
    back_date,
    back_date_a_little,
    back_date_and_link_anew,
    swap_two_payloads,
    swap_two_places,
    swap_places_of_two_runs,
    link_a_run_anew,
    link_the_middle_of_a_run_anew,
    move_a_head,
    truncate,
    truncate_and_correct_the_runs,
    remove_a_run,
    remove_only_the_row_of_a_run,
    delete_the_newest_checkpoint,
    delete_an_old_checkpoint,
    delete_an_old_checkpoint_everywhere,
    delete_all_checkpoints_everywhere,
    change_a_checkpoint,
    change_a_column_of_a_checkpoint,
    cut_the_file_in_the_middle,
    cut_a_file_of_an_earlier_month,
    cut_the_end_of_the_file,
    take_a_line_out_of_the_file,
    forge_a_line_of_the_file,
    repeat_a_line_of_the_file,
    sign_with_a_key_of_ones_own,
    put_another_past_before,
)


def _update(sql: CursorWrapper, run: str, seq: int, change: str) -> None:
    sql.execute(
        f"UPDATE orchestrator_event SET {change} WHERE run_id = %s AND seq = %s", [run, seq]
    )


def _delete(sql: CursorWrapper, run: str, which: str) -> None:
    sql.execute(f"DELETE FROM orchestrator_event WHERE run_id = %s AND {which}", [run])


def _delete_run(sql: CursorWrapper, run: str) -> None:
    sql.execute(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint"
        " WHERE confrelid = 'orchestrator_run'::regclass"
    )
    for table, constraint in sql.fetchall():
        sql.execute(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}")
    sql.execute("DELETE FROM orchestrator_run WHERE id = %s", [run])


def _last(run: str) -> int:
    return Event.objects.filter(run=run).count()


def _correct_run(sql: CursorWrapper, run: str) -> None:
    """Let the run say that what it has now is all."""
    sql.execute(
        "UPDATE orchestrator_run r SET seq = e.seq, head = e.hash FROM orchestrator_event e"
        " WHERE r.id = %s AND e.run_id = r.id"
        " AND e.seq = (SELECT max(seq) FROM orchestrator_event WHERE run_id = r.id)",
        [run],
    )


def _rehash(sql: CursorWrapper, run: str, only: int | None = None) -> None:
    """Make the hashes fit: of one event, or of all and of the run, each linked to the one before."""
    head = Event.objects.get(run=run, seq=1).prev_hash
    for event in Event.objects.filter(run=run).order_by("seq"):
        if only in {None, event.seq}:
            before = event.prev_hash if only else head
            line = Line(run, event.seq, event.kind, event.key, event.at, event.payload)
            head = line.hash_after(before)
            values = [before, head, event.pk]
            sql.execute(
                "UPDATE orchestrator_event SET prev_hash = %s, hash = %s WHERE id = %s", values
            )
    if only is None:
        _correct_run(sql, run)


def _insert(sql: CursorWrapper, run: str, *, at: str = "now()", pk: int | None = None) -> int:
    """One more event, chained as it should be; returns its number."""
    last = Event.objects.filter(run=run).order_by("seq").last()
    assert last
    sql.execute(f"SELECT {at}")
    (moment,) = sql.fetchone()
    forged = Line(run, last.seq + 1, "forged", None, moment, "{}")
    Event.objects.create(
        **({"pk": pk} if pk else {}),
        run_id=run,
        seq=forged.seq,
        kind=forged.kind,
        payload=forged.payload,
        at=moment,
        prev_hash=last.hash,
        hash=forged.hash_after(last.hash),
    )
    return forged.seq


def _swap_ids(sql: CursorWrapper, one: tuple[str, int], other: tuple[str, int]) -> None:
    first, second = (Event.objects.get(run=run, seq=seq).pk for run, seq in (one, other))
    for old, new in ((first, -1), (second, first), (-1, second)):
        sql.execute("UPDATE orchestrator_event SET id = %s WHERE id = %s", [new, old])


def _read(log: Log) -> list[bytes]:
    return log.files[0].read_bytes().splitlines(keepends=True)


def _write(log: Log, lines: list[bytes]) -> None:
    log.files[0].write_bytes(b"".join(lines))


def _sign_anew(sql: CursorWrapper, key: Path, **changes: Any) -> None:
    """Checkpoint 2 over what is there now."""
    last = Checkpoint.objects.get(number=1)
    made = _statement(last, Event.objects.order_by("pk").last().pk, timezone.now())
    assert made
    made = replace(made, **changes)
    Checkpoint.objects.create(
        number=2,
        at=datetime.fromisoformat(made.at),
        up_to_event=made.up_to_event,
        events=made.events,
        root=made.root,
        previous=made.previous,
        line=made.text,
        signature=signing.sign(key, made.text),
    )


# Asking --------------------------------------------------------------------------------------


@contextmanager
def tampered(log: Log, tamper: Tamper) -> Iterator[str]:
    """Undone afterwards, in the files too. Gives the sentence that is expected."""
    kept = {file: file.read_bytes() for file in log.files}
    with transaction.atomic():
        with as_owner() as sql:
            for table in ("event", "run", "checkpoint"):
                sql.execute(f"ALTER TABLE orchestrator_{table} DISABLE TRIGGER USER")
            yield tamper(log, sql)
        transaction.set_rollback(True)
    for file in log.files:
        file.unlink()
    for file, content in kept.items():
        file.write_bytes(content)


def first_found(*runs: str) -> str:
    result = verify(find_sources(None, None), frozenset(runs) or None)
    return next(iter(result.findings.in_order), "")


def is_said(expected: str, found: str) -> bool:
    """A star stands for any kind of event."""
    pattern = re.escape(expected).replace(re.escape("(*)"), r"\([a-z_]+\)")
    return re.match(pattern, found) is not None


def test_an_untouched_log_is_whole(log: Log) -> None:
    result = verify(find_sources(None, None), None)
    assert result.findings.in_order == []
    assert (result.runs, result.events) == (5, Event.objects.count())
    assert (result.checkpoints, result.copied) == (2, 2)
    assert result.compared.newer == _last(log.newest)


@pytest.mark.parametrize("tamper", MUTATORS, ids=lambda tamper: tamper.__name__)
def test_what_was_done_is_named(log: Log, tamper: Tamper) -> None:
    with tampered(log, tamper) as expected:
        found = first_found()
    assert is_said(expected, found), found


RUN_ONLY = (change_payload, cut_the_tail_and_correct_the_run, remove_a_run, link_a_run_anew)


@pytest.mark.parametrize("tamper", RUN_ONLY, ids=lambda tamper: tamper.__name__)
def test_one_run_alone_can_be_verified(log: Log, tamper: Tamper) -> None:
    with tampered(log, tamper) as expected:
        run = expected.split(",")[0].removeprefix("run ")
        assert is_said(expected, first_found(run)), first_found(run)
        assert first_found(log.newest) == ""


def test_another_key_believes_nothing(log: Log) -> None:
    other = settings.CHECKPOINT_KEY.with_name("other")
    signing.make_keys(other)
    result = verify(find_sources(None, signing.public_path(other)), None)
    assert "checkpoint 1 in the database was not signed by this key" in result.findings.in_order


# What the verifier would miss if one of its looks were left out --------------------------------

Findings = list[Any]


def _only_the_ends(covered: Findings, statement: Any, only: Any) -> Iterator[Any]:
    for finding in _REAL_DIFFERENCES(covered, statement, only):
        if (finding.run, finding.seq) in {
            (seen.run, seen.seq) for seen in (covered[0], covered[-1])
        }:
            yield finding


def _all_but(wrong: Wrong) -> Callable[..., Iterator[Any]]:
    def differences(*asked: Any) -> Iterator[Any]:
        return (found for found in _REAL_DIFFERENCES(*asked) if found.what is not wrong)

    return differences


def yes(*asked: Any) -> bool:
    return True


def nothing(*asked: Any) -> None:
    return None


def no_lines(*asked: Any) -> Iterator[Any]:
    return iter(())


_REAL_DIFFERENCES = compare._differences

MUTANTS: dict[str, tuple[Any, str, Any]] = {
    "does not compute hashes": (follow, "is_intact", yes),
    "does not follow links": (follow, "is_linked", yes),
    "does not mind the order in a run": (follow, "is_later", yes),
    "does not look at a run's end": (follow, "_what_is_wrong_at_the_end", nothing),
    "compares only the ends of a range": (compare, "_differences", _only_the_ends),
    "does not miss what is missing": (compare, "_differences", _all_but(Wrong.MISSING)),
    "does not mind what is too much": (compare, "_differences", _all_but(Wrong.NOT_BY_US)),
    "does not mind what was replaced": (compare, "_differences", _all_but(Wrong.REPLACED)),
    "does not compute roots": (compare, "has_root", yes),
    "does not look at the clock": (compare.Clock, "look", nothing),
    "believes any signature": (verification, "is_signed", yes),
    "does not say what is unsigned": (trust.Trust, "_doubt", nothing),
    "does not follow checkpoints": (trust.Trust, "_follow", nothing),
    "does not compare the copies": (trust.Trust, "_compare", nothing),
    "reads no files": (verification, "read_lines", no_lines),
    "reads no checkpoints of the database": (verification, "_stored", no_lines),
    "believes the columns of a checkpoint": (verification, "repeats", yes),
    "does not ask where the checkpoints are": (verification, "_look_at_copies", nothing),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_verifier_that_looks_less_misses_something(
    log: Log, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*MUTANTS[name])
    assert any(_misses(log, tamper) for tamper in MUTATORS)


def _misses(log: Log, tamper: Tamper) -> bool:
    with tampered(log, tamper) as expected:
        return not is_said(expected, first_found())
