"""The whole product as one command: starting, refusing, stopping, surviving."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from orchestrator.embedded import locations
from orchestrator.embedded.servers import EmbeddedServers
from tests.embedded.product import Product, wait_until_gone


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """One data folder for several tests: making one takes longer than what they look at."""
    with Product(tmp_path_factory.mktemp("var")) as product:
        yield product


@pytest.fixture
def running(made: Product) -> Product:
    if made.process is None:
        made.start()
    return made


def remember(var_dir: Path, word: str) -> None:
    with psycopg.connect(locations.database_owner_url(var_dir)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS remembered (word text)")
        connection.execute("INSERT INTO remembered VALUES (%s)", [word])


def recall(var_dir: Path) -> list[str]:
    with psycopg.connect(locations.database_owner_url(var_dir)) as connection:
        return [word for (word,) in connection.execute("SELECT word FROM remembered")]


def wait_for_answer(product: Product, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            product.read("/readyz")
        except OSError:
            time.sleep(0.2)
        else:
            return True
    return False


def test_it_starts_tells_where_it_is_and_stops_cleanly(made: Product) -> None:
    said = made.start()
    assert f"http://127.0.0.1:{made.port}" in said
    assert "Setup code" in said
    assert '"ok"' in made.read("/readyz")
    family = made.family()
    assert {"postgres", "valkey-server"} <= {process.name() for process in family}
    assert made.end(signal.SIGTERM) == 0
    assert wait_until_gone(family, seconds=0) == []


def test_a_killed_supervisor_takes_all_down_and_the_next_start_has_all_data(
    running: Product,
) -> None:
    remember(running.var_dir, "before the kill")
    family = running.family()
    assert running.end(signal.SIGKILL) == -signal.SIGKILL
    assert wait_until_gone(family, seconds=2) == []
    running.start()
    assert "before the kill" in recall(running.var_dir)


def test_a_second_start_in_the_same_folder_is_refused(running: Product) -> None:
    refused = Product(running.var_dir).run()
    assert refused.returncode == 1
    assert f"already running at http://127.0.0.1:{running.port} (pid " in refused.stderr


def test_killed_children_are_started_again(running: Product) -> None:
    remember(running.var_dir, "before the children died")
    for process in running.family():
        # A backend ends by itself as soon as its postmaster was killed.
        with suppress(psutil.NoSuchProcess):
            if process.name() in {"postgres", "valkey-server"} or "uvicorn" in process.cmdline():
                process.kill()
    assert running.process
    assert running.process.stdout
    assert any(line.startswith("web ended") for line in running.process.stdout)
    assert wait_for_answer(running, seconds=15), "the web server did not come back"
    assert "before the children died" in recall(running.var_dir)
    assert running.end(signal.SIGINT) == 0


def test_a_taken_port_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        refused = Product(tmp_path, port).run()
    assert refused.returncode == 1
    assert f"127.0.0.1:{port} cannot be opened" in refused.stderr
    assert "PORT=8123 make up" in refused.stderr
    assert not (tmp_path / "postgres").exists()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"PORT": "eighty"}, "PORT='eighty' must be a whole number from 1 to 65535."),
        ({"DEMO": "perhaps"}, "DEMO='perhaps' is neither on nor off. Set it to 1 or 0."),
        ({"REDIS_URL": "http://x"}, "REDIS_URL must start with redis://"),
    ],
)
def test_a_bad_setting_is_one_sentence(
    tmp_path: Path, settings: dict[str, str], sentence: str
) -> None:
    refused = Product(tmp_path, settings=settings).run()
    assert refused.returncode == 2
    assert sentence in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_servers_named_by_url_are_used_and_none_are_started(made: Product, tmp_path: Path) -> None:
    # In a folder whose tables are made, if another test made it: here that would be most of the time.
    if made.process:
        made.end(signal.SIGTERM)
    theirs, ours = made.var_dir, tmp_path / "ours"
    with EmbeddedServers(theirs, durable=False):
        urls = {
            "DATABASE_URL": locations.database_url(theirs),
            "DATABASE_OWNER_URL": locations.database_owner_url(theirs),
            "REDIS_URL": locations.redis_url(theirs),
        }
        with Product(ours, settings=urls) as product:
            said = product.start()
            names = {process.name() for process in product.family()}
            assert '"doorbell": "ok"' in product.read("/readyz")
    assert "the database of DATABASE_URL is answering" in said
    assert names.isdisjoint({"postgres", "valkey-server"})
    assert not (ours / "postgres").exists()
