"""PostgreSQL and Valkey from wheels: they keep what they were given, whatever happens to them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from orchestrator.embedded import locations
from orchestrator.embedded.errors import AlreadyRunning, CannotStart
from orchestrator.embedded.servers import EmbeddedServers
from tests.embedded.product import REPOSITORY, wait_until_gone

HOLD_SERVERS = """
import sys, time, pathlib
from orchestrator.embedded.servers import EmbeddedServers
EmbeddedServers(pathlib.Path(sys.argv[1])).start()
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cluster for the tests that only start and stop it."""
    return tmp_path_factory.mktemp("servers")


def run_sql(folder: Path, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(locations.database_owner_url(folder)) as connection:
        found = connection.execute(sql)
        return found.fetchall() if found.description else []


def ask_valkey(folder: Path) -> redis.Redis:
    return redis.Redis.from_url(locations.redis_url(folder), decode_responses=True)


def test_both_answer_and_letters_beyond_ascii_work(folder: Path) -> None:
    with EmbeddedServers(folder, durable=False), ask_valkey(folder) as valkey:
        assert run_sql(folder, "SELECT upper('éü'), 'É' ILIKE 'é'") == [("ÉÜ", True)]
        assert valkey.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert locations.socket_dir(folder).stat().st_mode & 0o077 == 0


def test_killed_servers_come_back_with_their_rows(folder: Path) -> None:
    with EmbeddedServers(folder) as servers:
        run_sql(folder, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")
        with ask_valkey(folder) as valkey:
            valkey.set("kept", "yes")
            valkey.execute_command("WAITAOF", 1, 0, 5000)
        for name in ("postgres", "valkey"):
            os.kill(servers.supervisor.pid(name), signal.SIGKILL)
        wait_until_answering(servers)
        assert run_sql(folder, "SELECT count(*) FROM kept") == [(1000,)]
        with ask_valkey(folder) as valkey:
            assert valkey.get("kept") == "yes"


def start_and_stop(folder: Path) -> None:
    with EmbeddedServers(folder, durable=False):
        pass


def wait_until_answering(servers: EmbeddedServers) -> None:
    assert servers.postgres
    assert servers.valkey
    for is_ready in (servers.postgres.is_ready, servers.valkey.is_ready):
        servers.supervisor.wait_until(is_ready, 20, "it did not come back")


def test_servers_end_with_whoever_started_them(folder: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_SERVERS, str(folder)], cwd=REPOSITORY, stdout=subprocess.PIPE
    )
    assert holder.stdout
    assert holder.stdout.readline() == b"ready\n"
    family = psutil.Process(holder.pid).children(recursive=True)
    assert len(family) > 2
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert wait_until_gone(family, seconds=2) == []
    with EmbeddedServers(folder, durable=False):
        assert run_sql(folder, "SELECT 1") == [(1,)]


def test_a_lock_file_that_names_a_stranger_is_no_obstacle(folder: Path) -> None:
    with EmbeddedServers(folder, durable=False):
        left = (folder / "postgres" / "postmaster.pid").read_text()
    # Our own number: a process that lives, belongs to the same user, and is no PostgreSQL.
    stale = "\n".join([str(os.getpid()), *left.splitlines()[1:]])
    (folder / "postgres" / "postmaster.pid").write_text(stale)
    with EmbeddedServers(folder, durable=False):
        assert run_sql(folder, "SELECT 1") == [(1,)]


def test_a_folder_has_one_owner(folder: Path) -> None:
    refusal = pytest.raises(AlreadyRunning, match=f"in use by process {os.getpid()}")
    with EmbeddedServers(folder, durable=False), refusal:
        EmbeddedServers(folder).start()


def test_data_of_another_major_version_is_refused_and_left_alone(folder: Path) -> None:
    version = folder / "postgres" / "PG_VERSION"
    ours = version.read_text()
    version.write_text("12\n")
    try:
        with pytest.raises(CannotStart, match="written by PostgreSQL 12"):
            start_and_stop(folder)
    finally:
        version.write_text(ours)


def test_a_socket_folder_open_to_others_is_refused(folder: Path) -> None:
    locations.socket_dir(folder).chmod(0o755)
    try:
        with pytest.raises(CannotStart, match="private folder for sockets"):
            start_and_stop(folder)
    finally:
        locations.socket_dir(folder).chmod(0o700)


def test_a_deep_folder_with_spaces_works_and_an_unfinished_one_is_made_anew(
    tmp_path: Path,
) -> None:
    deep = tmp_path / "a folder of 100 % ü" / ("deep" * 20)
    (deep / "postgres.tmp").mkdir(parents=True)
    (deep / "postgres.tmp" / "half").write_text("made")
    with EmbeddedServers(deep, durable=False):
        assert run_sql(deep, "SELECT 1") == [(1,)]
        assert len(str(locations.socket_dir(deep))) < 80
    assert not (deep / "postgres.tmp").exists()
    assert not locations.socket_dir(deep).exists()
