"""Checkpoints and backups while many write: nothing is left out, and what was restored is whole."""

import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from orchestrator.embedded import locations
from orchestrator.embedded.binaries import find_postgres
from orchestrator.embedded.servers import EmbeddedServers
from orchestrator.engine import signing
from orchestrator.engine.checkpoint import checkpoint_now
from orchestrator.models import Checkpoint, Event, Proposal
from tests.roles import OWNER

pytestmark = pytest.mark.django_db(transaction=True)

Propose = Callable[..., Proposal]
WRITERS = 4
PATIENCE_S = 60


@contextmanager
def writing(propose: Propose) -> Iterator[None]:
    """Transactions of very different length, so that higher ids are often there before lower ones."""
    stop = threading.Event()

    def write(number: int) -> int:
        chance, written = random.Random(number), 0  # noqa: S311 - chance that can be repeated
        try:
            while not stop.is_set():
                with transaction.atomic():
                    propose()
                    time.sleep(chance.choice((0, 0, 0.01, 0.05)))
                written += 1
        finally:
            connection.close()
        return written

    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(write, number) for number in range(WRITERS)]
        try:
            yield
        finally:
            stop.set()
    assert all(writer.result() for writer in writers)


@contextmanager
def signing_all_the_time(sweepers: int = 2) -> Iterator[list[Future[int]]]:
    stop = threading.Event()

    def sign() -> int:
        made = 0
        try:
            while not stop.is_set():
                made += checkpoint_now()
        finally:
            connection.close()
        return made

    with ThreadPoolExecutor(sweepers) as pool:
        futures = [pool.submit(sign) for _ in range(sweepers)]
        try:
            yield futures
        finally:
            stop.set()


def test_nothing_is_left_out_while_many_write(propose: Propose) -> None:
    with writing(propose), signing_all_the_time() as signers:
        time.sleep(5)
        wait_for_checkpoints(20)
    checkpoint_now()
    numbers = [*Checkpoint.objects.order_by("number").values_list("number", flat=True)]
    assert numbers == [*range(1, len(numbers) + 1)]
    assert sum(signer.result() for signer in signers) in {len(numbers), len(numbers) - 1}
    covered = sum(Checkpoint.objects.values_list("events", flat=True))
    assert covered == Event.objects.count()
    call_command("verify", verbosity=0)


@pytest.mark.skipif(not settings.DATABASE_IS_EMBEDDED, reason="needs the server's own pg_dump")
def test_a_backup_taken_under_load_is_whole_when_it_is_restored(
    propose: Propose, tmp_path: Path
) -> None:
    copy, key, dump = tmp_path / "copy", tmp_path / "key.pub", tmp_path / "dump.sql"
    with writing(propose), signing_all_the_time(1):
        wait_for_checkpoints(5)
        # Files first: the dump then has every checkpoint that they have.
        shutil.copytree(settings.CHECKPOINT_DIR, copy)
        database = str(connection.settings_dict["NAME"])
        owner = OWNER["USER"] if OWNER else locations.POSTGRES_OWNER
        run("pg_dump", *at(settings.VAR_DIR), "-U", owner, "-f", str(dump), database)
        wait_for_checkpoints(Checkpoint.objects.count() + 2)
    shutil.copy(signing.public_path(settings.CHECKPOINT_KEY), key)
    restored = tmp_path / "restored"
    with EmbeddedServers(restored, valkey=False, durable=False):
        where = (*at(restored), "-U", locations.POSTGRES_OWNER)
        run("psql", *where, "-q", "-v", "ON_ERROR_STOP=1", "-f", str(dump), "countersign")
        manage(restored, "migrate", "--verbosity", "0")
        said = manage(restored, "verify", "--checkpoints", str(copy), "--key", str(key))
    assert "The log is whole" in said
    assert "cannot change the log" in said
    assert "0 of them compared" not in said


def wait_for_checkpoints(number: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while Checkpoint.objects.count() < number:
        assert time.monotonic() < deadline, "no checkpoints are made"
        time.sleep(0.05)


def at(var_dir: Path) -> tuple[str, ...]:
    socket = locations.socket_dir(Path(var_dir))
    return ("-h", str(socket), "-p", str(locations.POSTGRES_PORT))


def run(program: str, *words: str) -> None:
    subprocess.run([str(find_postgres() / program), *words], check=True, capture_output=True)


def manage(var_dir: Path, *words: str) -> str:
    return subprocess.run(
        [sys.executable, str(settings.BASE_DIR / "manage.py"), *words],
        env={**os.environ, "VAR_DIR": str(var_dir)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
