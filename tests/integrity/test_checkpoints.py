"""Making checkpoints and keeping copies of them: by one sweeper, by several, and after mishaps."""

import hashlib
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, transaction
from pytest_django import Settings

from orchestrator.core.errors import KeyUnusable
from orchestrator.core.proof.statement import FIRST, Signed, Statement, Vouched, gather, hash_of
from orchestrator.core.proof.trust import Unreadable
from orchestrator.engine import checkpoint_files as files
from orchestrator.engine import signing
from orchestrator.engine.checkpoint import (
    Pace,
    checkpoint,
    checkpoint_now,
    copy_to_files,
    make_checkpoint,
)
from orchestrator.models import Checkpoint, Event, Proposal
from tests.roles import as_owner

Propose = Callable[..., Proposal]


@pytest.fixture(autouse=True)
def pace(monkeypatch: pytest.MonkeyPatch) -> Pace:
    fresh = Pace()
    monkeypatch.setattr("orchestrator.engine.checkpoint._pace", fresh)
    return fresh


def copied(folder: Path | None = None) -> list[Signed]:
    lines = [*files.read_lines(files.extents(folder or settings.CHECKPOINT_DIR))]
    assert not [line for line in lines if isinstance(line, Unreadable)]
    return [line for line in lines if isinstance(line, Signed)]


def test_where_nothing_happened_nothing_is_signed(db: None) -> None:
    assert checkpoint() == 0
    assert not settings.CHECKPOINT_KEY.exists()
    assert not settings.CHECKPOINT_DIR.exists()


def test_what_happened_is_signed_once(propose: Propose) -> None:
    proposal = propose()
    assert checkpoint_now() == 1
    assert checkpoint_now() == 0
    row = Checkpoint.objects.get()
    statement = Statement.read(row.line)
    events = Event.objects.order_by("pk")
    digits = "".join(event.hash[:16] for event in events)
    assert statement.runs == {proposal.run_id: (1, digits)}
    assert (row.number, row.events, row.previous) == (1, len(events), FIRST)
    assert [(line.text, line.signature) for line in copied()] == [(row.line, row.signature)]
    assert stat.S_IMODE(settings.CHECKPOINT_KEY.stat().st_mode) == 0o600
    keys = signing.read_public_keys(signing.public_path(settings.CHECKPOINT_KEY))
    assert keys.signed(row.line, row.signature)
    assert not keys.signed(row.line + " ", row.signature)
    assert not keys.signed(row.line, "no signature")


def test_each_names_the_one_before(propose: Propose) -> None:
    for _ in range(3):
        propose()
        checkpoint_now()
    first, second, third = Checkpoint.objects.order_by("number")
    assert second.previous == hash_of(first.line)
    assert third.previous == hash_of(second.line)
    assert Statement.read(third.line).after_event == second.up_to_event


def test_a_long_silence_is_caught_up_in_several(propose: Propose, settings: Settings) -> None:
    settings.CHECKPOINT_EVENTS_MAX = 2
    propose()
    propose()
    count = Event.objects.count()
    made = checkpoint_now()
    assert made == -(-count // 2)
    assert sum(Checkpoint.objects.values_list("events", flat=True)) == count
    assert [line.statement.number for line in copied()] == [*range(1, made + 1)]


def test_a_sweep_looks_once_in_a_while(propose: Propose, pace: Pace) -> None:
    propose()
    assert checkpoint() == 1
    propose()
    assert checkpoint() == 0
    pace.again_at = 0
    assert checkpoint() == 1


def test_a_gap_is_written_as_it_is() -> None:
    events = [Vouched(n, "r", seq, f"{seq:064x}") for n, seq in enumerate((1, 2, 4, 3))]
    four, three = f"{4:064x}"[:16], f"{3:064x}"[:16]
    assert gather(events) == {"r": (1, f"{1:064x}"[:16] + f"{2:064x}"[:16], 4, four, 3, three)}


# Several hosts -------------------------------------------------------------------------------


def test_every_host_copies_all(propose: Propose, settings: Settings, tmp_path: Path) -> None:
    here = settings.CHECKPOINT_DIR
    propose()
    checkpoint_now()
    settings.CHECKPOINT_DIR = tmp_path / "elsewhere"
    propose()
    checkpoint_now()
    assert [line.statement.number for line in copied()] == [1, 2]
    settings.CHECKPOINT_DIR = here
    assert copy_to_files() == 1
    assert copied(tmp_path / "elsewhere") == copied(here)


def test_a_host_with_another_key_signs_nothing(
    propose: Propose, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    propose()
    checkpoint_now()
    settings.CHECKPOINT_KEY = tmp_path / "another-key"
    propose()
    assert checkpoint_now() == 0
    assert f"The key {settings.CHECKPOINT_KEY}.pub cannot be used" in caplog.text
    signing.make_keys(settings.CHECKPOINT_KEY)
    settings.CHECKPOINT_DIR = tmp_path / "elsewhere"
    assert checkpoint_now() == 0
    assert "was not signed by the key of this host" in caplog.text
    assert copied() == []


def test_a_new_key_goes_on_where_the_old_one_is_still_believed(
    propose: Propose, settings: Settings, tmp_path: Path
) -> None:
    propose()
    checkpoint_now()
    old = signing.public_path(settings.CHECKPOINT_KEY).read_text()
    settings.CHECKPOINT_KEY = tmp_path / "new-key"
    signing.make_keys(settings.CHECKPOINT_KEY)
    with signing.public_path(settings.CHECKPOINT_KEY).open("a") as file:
        file.write(old)
    propose()
    assert checkpoint_now() == 1


def test_many_who_make_the_key_at_once_make_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        [*pool.map(lambda _: signing.make_keys(tmp_path / "key"), range(8))]
    assert {file.name for file in tmp_path.iterdir()} == {"key", "key.pub"}
    assert signing.sign(tmp_path / "key", "text")


@pytest.mark.parametrize(
    "content", ["", "no key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"]
)
def test_a_key_that_is_none_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "key.pub").write_text(content)
    with pytest.raises(KeyUnusable, match=r"key\.pub cannot be used"):
        signing.read_public_keys(tmp_path / "key.pub")


def test_a_key_without_its_public_half_signs_nothing(tmp_path: Path) -> None:
    for name in ("key", "other"):
        signing.make_keys(tmp_path / name)
    (tmp_path / "other.pub").rename(tmp_path / "key.pub")
    with pytest.raises(KeyUnusable, match="append it there"):
        signing.sign(tmp_path / "key", "text")


# Mishaps -------------------------------------------------------------------------------------


def test_a_line_that_a_crash_cut_is_written_anew(propose: Propose) -> None:
    propose()
    checkpoint_now()
    (file,) = settings.CHECKPOINT_DIR.iterdir()
    propose()
    with file.open("ab") as half:
        half.write(b'{"line":"{\\"after_event')
    assert checkpoint_now() == 1
    assert [line.statement.number for line in copied()] == [1, 2]


def test_the_first_line_too_may_be_cut_by_a_crash(propose: Propose) -> None:
    propose()
    make_checkpoint()
    settings.CHECKPOINT_DIR.mkdir(parents=True)
    month = Statement.read(Checkpoint.objects.get().line).at[:7]
    (settings.CHECKPOINT_DIR / f"checkpoints-{month}.jsonl").write_bytes(b'{"li')
    assert copy_to_files() == 1
    assert len(copied()) == 1


def test_a_new_month_has_a_new_file(propose: Propose) -> None:
    propose()
    checkpoint_now()
    (file,) = settings.CHECKPOINT_DIR.iterdir()
    file.rename(settings.CHECKPOINT_DIR / "checkpoints-2020-01.jsonl")
    propose()
    checkpoint_now()
    assert len([*settings.CHECKPOINT_DIR.iterdir()]) == 2
    assert [line.statement.number for line in copied()] == [1, 2]


@contextmanager
def owner_changes_checkpoints(statement: str) -> Iterator[None]:
    with as_owner() as sql:
        sql.execute("ALTER TABLE orchestrator_checkpoint DISABLE TRIGGER append_only")
        sql.execute(statement)
        sql.execute("ALTER TABLE orchestrator_checkpoint ENABLE TRIGGER append_only")
    yield


@pytest.mark.parametrize(
    ("statement", "alarm"),
    [
        (
            "DELETE FROM orchestrator_checkpoint WHERE number = 2",
            "The files have checkpoint 2, and the database does not",
        ),
        (
            "UPDATE orchestrator_checkpoint SET line = '{}' WHERE number = 2",
            "Checkpoint 2 is another one in the database than in the files",
        ),
    ],
)
def test_files_and_database_that_differ_are_an_alarm_and_nothing_is_signed(
    propose: Propose, caplog: pytest.LogCaptureFixture, statement: str, alarm: str
) -> None:
    for _ in range(2):
        propose()
        checkpoint_now()
    before = copied()
    propose()
    with owner_changes_checkpoints(statement):
        assert checkpoint_now() == 0
    assert alarm in caplog.text
    assert "Nothing was signed. Run manage.py verify." in caplog.text
    assert copied() == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE orchestrator_checkpoint SET signature = repeat('0', 128)",
        "UPDATE orchestrator_checkpoint SET line = 'nothing of ours'",
    ],
)
def test_what_nobody_signed_is_not_copied(
    propose: Propose, caplog: pytest.LogCaptureFixture, statement: str
) -> None:
    propose()
    make_checkpoint()
    with owner_changes_checkpoints(statement):
        assert checkpoint_now() == 0
    assert "Checkpoint 1 in the database" in caplog.text
    assert copied() == []


# Others who write meanwhile ------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_while_somebody_appends_nothing_is_signed(propose: Propose, settings: Settings) -> None:
    settings.CHECKPOINT_LOCK_MS = 50

    propose()
    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            propose()
            assert other.submit(_checkpoint_and_close).result() == 0
        assert other.submit(_checkpoint_and_close).result() == 1
    assert Checkpoint.objects.get().events == Event.objects.count()


@pytest.mark.django_db(transaction=True)
def test_while_a_vacuum_works_nobody_is_kept_waiting(propose: Propose, settings: Settings) -> None:
    settings.CHECKPOINT_LOCK_MS = 10_000
    propose()
    with ThreadPoolExecutor(1) as other:
        with as_owner() as sql:
            sql.execute("LOCK TABLE orchestrator_event IN SHARE UPDATE EXCLUSIVE MODE")
            assert other.submit(_checkpoint_and_close).result(timeout=5) == 0
        assert other.submit(_checkpoint_and_close).result() == 1


def _checkpoint_and_close() -> int:
    try:
        return checkpoint()
    finally:
        connection.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine")
def test_another_program_comes_to_the_same_result(propose: Propose, tmp_path: Path) -> None:
    """As docs/integrity.md tells an auditor."""
    propose()
    checkpoint_now()
    (line,) = copied()
    (tmp_path / "line").write_text(line.text)
    (tmp_path / "sig").write_bytes(bytes.fromhex(line.signature))
    public = signing.public_path(settings.CHECKPOINT_KEY)
    asked = ("-verify", "-pubin", "-inkey", str(public), "-rawin")
    openssl("pkeyutl", *asked, "-in", str(tmp_path / "line"), "-sigfile", str(tmp_path / "sig"))
    der = openssl("pkey", "-pubin", "-in", str(public), "-outform", "DER")
    fingerprint = f"sha256:{hashlib.sha256(der).hexdigest()}"
    assert signing.read_public_keys(public).fingerprints == (fingerprint,)


def openssl(*words: str) -> bytes:
    found = str(shutil.which("openssl"))
    return subprocess.run([found, *words], check=True, capture_output=True).stdout
