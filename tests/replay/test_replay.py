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
from orchestrator.core.commands import Command as Asked
from orchestrator.core.errors import BadInput
from orchestrator.core.events import KINDS, Event
from orchestrator.core.replay import Divergence, first_divergence, from_file, to_file
from orchestrator.core.state import RunState
from orchestrator.models import Command, Proposal
from tests.replay.make_histories import STORIES, made
from tests.work import work_shift

FOLDER = Path(__file__).parent / "histories"
HISTORIES = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
def test_a_recorded_history_replays(file: Path) -> None:
    history = from_file(read(file.read_text()))
    assert first_divergence(history) is None
    assert from_file(json.loads(json.dumps(to_file(history)))) == history


@pytest.mark.parametrize("name", STORIES)
def test_a_told_history_is_kept_and_told_the_same_today(name: str) -> None:
    """Made again by `python -m tests.replay.make_histories`; what changes here changes old runs."""
    assert (FOLDER / f"{name}.json").read_text() == made(name)


def test_each_kind_of_event_and_command_is_in_some_history() -> None:
    histories = [from_file(read(file.read_text())) for file in HISTORIES]
    told = {event.kind for history in histories for event in history.events}
    forms = [form for history in histories for said in history.commands.values() for form in said]
    assert told == set(KINDS)
    assert {form.split()[0] for form in forms} == {kind.kind for kind in Asked.__subclasses__()}


def replay_with(mutant: Any, name: str) -> Divergence:
    found = first_divergence(from_file(read((FOLDER / f"{name}.json").read_text())), mutant)
    assert found is not None
    return found


def _forgets_the_effect(state: RunState, event: Event, **known: Any) -> tuple[RunState, list[Any]]:
    return controller.step(state, event, **known)[0], []


def _runs_it_twice(state: RunState, event: Event, **known: Any) -> tuple[RunState, list[Any]]:
    after, commands = controller.step(state, event, **known)
    return after, commands * 2


def _runs_another_payload(
    state: RunState, event: Event, **known: Any
) -> tuple[RunState, list[Any]]:
    after, commands = controller.step(state, event, **known)
    return after, [replace(command, digest="sha256:other") for command in commands]


def _tries_again_at_once(state: RunState, event: Event, **known: Any) -> tuple[RunState, list[Any]]:
    after, commands = controller.step(state, event, **known)
    return after, [replace(command, delay_ms=0) for command in commands]


def _has_stopped_its_clock(
    state: RunState, event: Event, **known: Any
) -> tuple[RunState, list[Any]]:
    known["moment"] = replace(known["moment"], at_ms=0)
    return controller.step(state, event, **known)


@pytest.mark.parametrize(
    ("mutant", "name", "seq"),
    [
        (_tries_again_at_once, "tried-again", 2),
        (_has_stopped_its_clock, "signal-too-late", 2),
        (_forgets_the_effect, "fanned-out", 1),
    ],
)
def test_a_controller_that_follows_another_plan_is_named(mutant: Any, name: str, seq: int) -> None:
    assert replay_with(mutant, name).seq == seq


@pytest.mark.parametrize("mutant", [_forgets_the_effect, _runs_it_twice, _runs_another_payload])
def test_a_controller_that_does_something_else_is_named_with_its_place(mutant: Any) -> None:
    found = replay_with(mutant, "two-people")
    assert (found.run, found.seq) == ("two-people", 5)
    assert "run_effect:eff_a" in str(found)


def test_an_event_that_is_refused_today_is_a_divergence() -> None:
    history = from_file(read((FOLDER / "blocked.json").read_text()))
    twice = replace(history, events=(*history.events, history.events[-1]))
    found = first_divergence(twice)
    assert found is not None
    assert found.seq == 4
    assert "refused" in found.emitted


@pytest.mark.parametrize(
    "data", [{}, [], {"format": 3}, {"format": 2}, {"format": 1}, {"format": 1, "run": 1}]
)
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
    assert replay(run).startswith("1 history replayed")
    assert replay("--all", "--write", str(tmp_path)).startswith("2 histories")
    assert replay("--dir", str(tmp_path)).startswith("2 histories")


def test_the_command_names_the_divergence(propose: Callable[..., Proposal]) -> None:
    run = propose().run_id
    Command.objects.update(payload='{"another":"payload"}')
    with pytest.raises(CommandError, match="1 of 1 history diverged"):
        replay(run)


@pytest.mark.parametrize("words", [["run_nope"], ["--dir", "/nowhere"]])
def test_the_command_says_what_is_not_there(db: None, words: list[str]) -> None:
    with pytest.raises(CommandError, match=r"There (is|are) no"):
        replay(*words)


def test_a_broken_file_is_named(db: None, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(CommandError, match=r"broken\.json"):
        replay("--dir", str(tmp_path))
