"""Failpoints: nothing in production, and exactly what was asked for under `make chaos`."""

import ast
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import OperationalError

from orchestrator import failpoints

ROOT = Path(__file__).resolve().parents[2]
ARRIVE = "from orchestrator.failpoints import failpoint; failpoint('after-claim'); print('alive')"


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def placed() -> Iterator[str]:
    """Every name that the product passes to `failpoint`, read from its source."""
    for path in (ROOT / "orchestrator").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "failpoint":
                (name,) = node.args
                assert isinstance(name, ast.Constant), f"{path}:{node.lineno} has no literal name"
                yield str(name.value)


def test_names_are_placed_and_placed_names_are_known() -> None:
    assert set(placed()) == set(failpoints.NAMES)


def test_in_production_nothing_happens() -> None:
    assert failpoints.failpoint is failpoints._nothing
    assert run_python(ARRIVE).stdout == "alive\n"


def test_a_kill_is_noted_and_then_done(tmp_path: Path) -> None:
    log = tmp_path / "hits"
    spec = json.dumps({"sleep_share": 0, "names": {"after-claim": 1}})
    ended = run_python(ARRIVE, CHAOS_FAILPOINTS=spec, CHAOS_LOG=str(log))
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "")
    name, pid, action, at = log.read_text().split()
    assert (name, action) == ("after-claim", "kill")
    assert int(pid) > 0
    assert float(at) > 0


def test_other_names_are_left_alone(tmp_path: Path) -> None:
    spec = json.dumps({"names": {"intent-written": 1}})
    ended = run_python(ARRIVE, CHAOS_FAILPOINTS=spec, CHAOS_LOG=str(tmp_path / "hits"))
    assert ended.stdout == "alive\n"


def test_a_sleep_lasts_as_long_as_it_says(tmp_path: Path) -> None:
    spec = json.dumps({"sleep_s": 0.01, "sleep_share": 1, "names": {"after-claim": 1}})
    ended = run_python(ARRIVE, CHAOS_FAILPOINTS=spec, CHAOS_LOG=str(tmp_path / "hits"))
    assert ended.stdout == "alive\n"
    assert (tmp_path / "hits").read_text().split()[2] == "sleep"


def test_inside_a_transaction_the_database_may_fail(tmp_path: Path) -> None:
    spec = {"sleep_s": 0, "sleep_share": 0, "names": {"decided-in-transaction": 1}}
    (tmp_path / "spec").write_text(json.dumps(spec))
    striker = failpoints.Striker(str(tmp_path / "spec"), str(tmp_path / "hits"))
    while striker._choose("decided-in-transaction", striker._read()) != failpoints.FAIL:
        pass
    with pytest.raises(OperationalError):
        striker._act(failpoints.FAIL, striker._read())


def test_a_file_may_change_while_the_process_runs(tmp_path: Path) -> None:
    spec, log = tmp_path / "spec", tmp_path / "hits"
    spec.write_text("{}")
    striker = failpoints.Striker(str(spec), str(log))
    striker.arrive("after-claim")
    assert not log.exists()
    draft = tmp_path / "draft"
    draft.write_text(json.dumps({"sleep_s": 0, "sleep_share": 1, "names": {"after-claim": 1}}))
    draft.rename(spec)
    striker.arrive("after-claim")
    assert log.read_text().startswith("after-claim ")


def test_the_same_seed_draws_alike_in_the_same_process() -> None:
    def draws() -> list[float]:
        striker = failpoints.Striker('{"seed": 7}', "")
        return [striker._draw(striker._read()) for _ in range(5)]

    assert draws() == draws()


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    ended = run_python(ARRIVE, CHAOS_FAILPOINTS='{"names": {"nowhere": 1}}')
    assert "'nowhere', which is no failpoint" in ended.stderr
