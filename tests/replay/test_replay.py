"""Histories recorded by this and earlier versions must give the same commands with today's controller."""

import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from orchestrator.core import controller
from orchestrator.core.codec import read
from orchestrator.core.errors import BadInput
from orchestrator.core.events import Event
from orchestrator.core.replay import first_divergence, from_file, to_file
from orchestrator.core.state import RunState
from orchestrator.engine.execute import work_shift
from orchestrator.models import Command, Proposal

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
def test_a_recorded_history_replays(file: Path) -> None:
    history = from_file(read(file.read_text()))
    assert first_divergence(history) is None
    assert from_file(json.loads(json.dumps(to_file(history)))) == history


def _forgets_the_effect(state: RunState, event: Event) -> tuple[RunState, list[Any]]:
    return controller.step(state, event)[0], []


def _runs_it_twice(state: RunState, event: Event) -> tuple[RunState, list[Any]]:
    after, commands = controller.step(state, event)
    return after, commands * 2


def _runs_another_payload(state: RunState, event: Event) -> tuple[RunState, list[Any]]:
    after, commands = controller.step(state, event)
    return after, [replace(command, digest="sha256:other") for command in commands]


@pytest.mark.parametrize("mutant", [_forgets_the_effect, _runs_it_twice, _runs_another_payload])
def test_a_controller_that_does_something_else_is_named_with_its_place(mutant: Any) -> None:
    history = from_file(read((HISTORIES[0].parent / "two-people.json").read_text()))
    found = first_divergence(history, mutant)
    assert found is not None
    assert (found.run, found.seq) == ("two-people", 5)
    assert "run_effect:eff_a" in str(found)


def test_an_event_that_is_refused_today_is_a_divergence() -> None:
    history = from_file(read((HISTORIES[0].parent / "blocked.json").read_text()))
    twice = replace(history, events=(*history.events, history.events[-1]))
    found = first_divergence(twice)
    assert found is not None
    assert found.seq == 4
    assert "refused" in found.emitted


@pytest.mark.parametrize("data", [{}, [], {"format": 2}, {"format": 1}, {"format": 1, "run": 1}])
def test_a_file_of_another_kind_is_refused(data: Any) -> None:
    with pytest.raises(BadInput):
        from_file(data)


def replay(*words: str) -> str:
    out = StringIO()
    call_command("replay", *words, stdout=out, stderr=out)
    return out.getvalue()


def test_the_command_replays_one_run_all_runs_and_a_folder(
    propose: Callable[..., Proposal], tmp_path: Path
) -> None:
    run = propose().run_id
    propose(confidence=0.7)
    work_shift("effects", at_most=1)
    assert replay(run).startswith("1 histories replayed")
    assert replay("--all", "--write", str(tmp_path)).startswith("2 histories")
    assert replay("--dir", str(tmp_path)).startswith("2 histories")


def test_the_command_names_the_divergence(propose: Callable[..., Proposal]) -> None:
    run = propose().run_id
    Command.objects.update(payload='{"another":"payload"}')
    with pytest.raises(CommandError, match="1 of 1 histories diverge"):
        replay(run)


@pytest.mark.parametrize("words", [["run_nope"], ["--dir", "/nowhere"]])
def test_the_command_says_what_is_not_there(db: None, words: list[str]) -> None:
    with pytest.raises(CommandError, match=r"There (is|are) no"):
        replay(*words)


def test_a_broken_file_is_named(db: None, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(CommandError, match=r"broken\.json"):
        replay("--dir", str(tmp_path))
