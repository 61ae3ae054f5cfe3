"""The same histories in processes that differ in everything a program might depend on by accident."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Replays the corpus and says every command and every state on the way.
SAY_IT_ALL = """
import sys
from pathlib import Path
from orchestrator.core import controller
from orchestrator.core.codec import canonical, read
from orchestrator.core.replay import from_file, stored_form
from orchestrator.core.state import RunState, to_json
for file in sorted(Path("tests/replay/histories").glob("*.json")):
    history = from_file(read(file.read_text(encoding="utf-8")))
    state = RunState()
    for seq, event in enumerate(history.events, start=1):
        moment = history.moment_of(seq)
        state, commands = controller.step(state, event, plan=history.plan, moment=moment)
        said = [stored_form(command) for command in commands]
        line = f"{history.run} {seq} {said} {canonical(to_json(state))}"
        sys.stdout.buffer.write(line.encode() + bytes([10]))
"""

SURROUNDINGS = {
    "another hash seed": {"PYTHONHASHSEED": "1"},
    "a third hash seed": {"PYTHONHASHSEED": "4242"},
    "east of here": {"TZ": "Pacific/Kiritimati"},
    "west of here": {"TZ": "America/St_Johns", "PYTHONHASHSEED": "7"},
    "a plain locale": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "another language": {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"},
    "optimised": {"PYTHONOPTIMIZE": "2"},
}


def _say_it_all(changed: dict[str, str]) -> bytes:
    env = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", **changed}
    command = [sys.executable, "-c", SAY_IT_ALL]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def as_usual() -> bytes:
    said = _say_it_all({})
    assert said.count(b"run_agent:") > 20
    return said


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_the_controller_says_the_same_everywhere(surroundings: str, as_usual: bytes) -> None:
    said = _say_it_all(SURROUNDINGS[surroundings])
    assert hashlib.sha256(said).digest() == hashlib.sha256(as_usual).digest()
