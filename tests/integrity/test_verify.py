"""`manage.py verify` as a person runs it: what it says, and its exit code."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import InternalError

from orchestrator.engine import signing
from orchestrator.engine import verify as verification
from orchestrator.engine.checkpoint import checkpoint_now
from orchestrator.engine.verify import one_moment
from orchestrator.models import Event, Proposal
from tests.roles import as_owner

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.broken_log]

Propose = Callable[..., Proposal]


def verify(*words: Any) -> str:
    said = StringIO()
    call_command("verify", *words, stdout=said)
    return said.getvalue()


def refusal(*words: Any) -> str:
    with pytest.raises(CommandError) as refused:
        verify(*words)
    assert refused.value.returncode == 1
    return str(refused.value)


def change(statement: str) -> None:
    with as_owner() as sql:
        for state in ("DISABLE", "ENABLE"):
            for table in ("event", "checkpoint"):
                sql.execute(f"ALTER TABLE orchestrator_{table} {state} TRIGGER append_only")
            if state == "DISABLE":
                sql.execute(statement)


def test_an_empty_log_is_whole() -> None:
    assert "0 runs, 0 events" in verify()


def test_without_checkpoints_only_the_chain_is_known(propose: Propose) -> None:
    propose()
    said = verify()
    assert "1 runs, 3 events since" in said
    assert "Nothing is signed yet" in said


def test_it_says_what_was_verified(propose: Propose) -> None:
    propose()
    checkpoint_now()
    newer = propose().run_id
    said = verify()
    (fingerprint,) = signing.read_public_keys(
        signing.public_path(settings.CHECKPOINT_KEY)
    ).fingerprints
    assert f"1 checkpoints, signed by the key {fingerprint}." in said
    assert f"1 of them compared with the copies in {settings.CHECKPOINT_DIR}." in said
    assert f"{Event.objects.filter(run=newer).count()} events since" in said
    assert "manage.py replay --all" in said


def test_an_auditor_needs_the_public_key_and_a_copy(propose: Propose, tmp_path: Path) -> None:
    propose()
    checkpoint_now()
    copy, key = tmp_path / "copy", tmp_path / "auditor.pub"
    shutil.copytree(settings.CHECKPOINT_DIR, copy)
    shutil.copy(signing.public_path(settings.CHECKPOINT_KEY), key)
    propose()
    checkpoint_now()
    said = verify("--checkpoints", copy, "--key", key)
    assert "2 checkpoints" in said
    assert f"1 of them compared with the copies in {copy}." in said
    # The host itself is taken over: its key, its files and its database agree with each other.
    settings.CHECKPOINT_KEY.unlink()
    signing.public_path(settings.CHECKPOINT_KEY).unlink()
    shutil.rmtree(settings.CHECKPOINT_DIR)
    change("DELETE FROM orchestrator_checkpoint; UPDATE orchestrator_event SET payload = '{}'")
    checkpoint_now()
    assert "was not signed by this key" in refusal("--checkpoints", copy, "--key", key)


def test_several_bad_events_are_listed(propose: Propose) -> None:
    runs = sorted(propose().run_id for _ in range(25))
    change("UPDATE orchestrator_event SET payload = '{}' WHERE seq = 2")
    said = refusal()
    assert said.startswith(f"The log is not what was written: run {runs[0]}, event 2 (")
    assert f"\n  also: run {runs[1]}, event 2 (" in said
    assert said.endswith("and 5 more")
    assert refusal(runs[7]).startswith(f"The log is not what was written: run {runs[7]}, event 2 (")


def test_copies_that_are_a_little_behind_are_no_alarm(
    propose: Propose, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        propose()
        checkpoint_now()
    (file,) = settings.CHECKPOINT_DIR.iterdir()
    first, second, _ = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first + second[:-9])
    assert "1 of them compared" in verify()
    monkeypatch.setattr(verification, "COPIED_WITHIN", timedelta(0))
    assert "checkpoint 2 and all after it were cut off the files" in refusal()
    assert "1 of them compared" in verify("--checkpoints", settings.CHECKPOINT_DIR)


def test_what_does_not_exist_is_said(tmp_path: Path, propose: Propose) -> None:
    assert "There is no folder" in refusal("--checkpoints", tmp_path / "nowhere")
    assert "cannot be used" in refusal("--key", tmp_path / "nowhere.pub")
    known = propose().run_id
    assert "Not every run that you named exists" in refusal(known, "run_01m7y7gcfzfrwaqhskw95520vm")
    assert "1 runs" in verify(known)


def test_checkpoints_without_their_key_are_not_believed(propose: Propose) -> None:
    propose()
    checkpoint_now()
    signing.public_path(settings.CHECKPOINT_KEY).unlink()
    assert f"{settings.CHECKPOINT_KEY}.pub cannot be used" in refusal()


def test_nothing_can_be_written_while_it_reads(propose: Propose) -> None:
    with pytest.raises(InternalError, match="read-only transaction"), one_moment():
        propose()
    verify()
