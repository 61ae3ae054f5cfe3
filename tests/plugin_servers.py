"""A pytest plugin: real PostgreSQL and Valkey for every run, before Django reads its settings.

Loaded by `-p tests.plugin_servers` in pyproject.toml.

- Without DATABASE_URL and REDIS_URL it starts the embedded pair in var/test/1, kept between runs;
  a second run at the same time takes var/test/2, and so on.
- A DATABASE_URL is left alone: Django makes a database named test_... there, beside the real one.
- A REDIS_URL is pointed at database 15 of the same server (14 if 15 is the real one), because tests
  wipe what they find.
"""

import os
from collections.abc import Generator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import environ
import pytest

from orchestrator.embedded.errors import AlreadyRunning
from orchestrator.embedded.servers import EmbeddedServers
from tests.browser_binary import HOW_TO_GET_ONE, find_chromium

REPOSITORY = Path(__file__).resolve().parent.parent
RUNS_AT_ONCE_MAX = 20
SPARE_REDIS_DATABASES = ("15", "14")

servers_key = pytest.StashKey[EmbeddedServers]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """A wrapper, because those run before pytest-django's own hook, which reads the settings."""
    # What .env names counts as given, just as it does for the product.
    environ.Env.read_env(REPOSITORY / ".env")
    # A worker of pytest-xdist inherits the servers of the run that started it.
    if "PYTEST_XDIST_WORKER" not in os.environ:
        servers = start_servers()
        early_config.stash[servers_key] = servers
        early_config.add_cleanup(servers.stop)
    if os.environ.get("REDIS_URL"):
        os.environ["REDIS_URL"] = choose_spare_database(os.environ["REDIS_URL"])
    return (yield)


def pytest_report_header(config: pytest.Config) -> str | None:
    servers = config.stash.get(servers_key, None)
    if servers is None:
        return None
    database = f"embedded, {servers.var_dir}" if servers.postgres else "DATABASE_URL"
    doorbell = "embedded" if servers.valkey else "REDIS_URL"
    return f"servers: PostgreSQL ({database}), Valkey ({doorbell}); browser: {find_chromium()}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("browser") and find_chromium() is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"No Chromium for the browser tests. {HOW_TO_GET_ONE}", pytrace=False)
        pytest.skip("no Chromium")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.getreports("skipped")
    count = sum("no Chromium" in str(report.longrepr) for report in skipped)
    if count:
        terminalreporter.section("BROWSER TESTS DID NOT RUN", red=True, bold=True)
        terminalreporter.write_line(f"{count} browser tests did not run: no Chromium was found.")
        terminalreporter.write_line(HOW_TO_GET_ONE)


def start_servers() -> EmbeddedServers:
    """In the first folder that no other run is using, and tell the settings where."""
    base = Path(os.environ.get("VAR_DIR") or REPOSITORY / "var").resolve() / "test"
    for number in range(1, RUNS_AT_ONCE_MAX + 1):
        servers = EmbeddedServers(
            base / str(number),
            postgres=not os.environ.get("DATABASE_URL"),
            valkey=not os.environ.get("REDIS_URL"),
            durable=False,
        )
        try:
            servers.start()
        except AlreadyRunning:
            continue
        except BaseException:
            servers.stop()
            raise
        os.environ["VAR_DIR"] = str(servers.var_dir)
        return servers
    raise pytest.UsageError(f"{RUNS_AT_ONCE_MAX} test runs use {base} already. Wait for one.")


def choose_spare_database(url: str) -> str:
    """The same server, another of its numbered databases."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    in_use = query.get("db", [parts.path.strip("/") if parts.scheme != "unix" else "0"])[0]
    spare = next(number for number in SPARE_REDIS_DATABASES if number != in_use)
    if parts.scheme == "unix" or "db" in query:
        query["db"] = [spare]
        parts = parts._replace(query=urlencode(query, doseq=True))
    else:
        parts = parts._replace(path=f"/{spare}")
    # urlunsplit drops the slashes of a scheme it does not know.
    return f"{parts.scheme}://{parts.netloc}{parts.path}{f'?{parts.query}' if parts.query else ''}"
