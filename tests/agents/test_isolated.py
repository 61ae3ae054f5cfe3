"""Real forks: whatever a function does, its worker goes on and nothing of it stays."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from pytest_django import Settings

from orchestrator.agents import child
from orchestrator.agents.base import AgentAnswer, Usage
from orchestrator.agents.conversation import Conversation
from orchestrator.agents.isolated import Isolation
from orchestrator.core.errors import (
    AgentCrashed,
    AgentError,
    AgentRefused,
    AgentTimedOut,
    AgentUnavailable,
    AgentUnknown,
    OutputInvalid,
)
from orchestrator.models import Run
from tests.agents.conftest import make_call
from tests.embedded.product import wait_until_gone

Ask = Callable[..., AgentAnswer]
REPOSITORY = Path(__file__).resolve().parents[2]


def read_pids(note: Path, within_s: float = 10) -> list[psutil.Process]:
    deadline = time.monotonic() + within_s
    while not note.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return [psutil.Process(int(word)) for word in note.read_text().split()]


def children_of(isolation: Isolation) -> list[psutil.Process]:
    return psutil.Process(isolation.pid).children(recursive=True)


@dataclass(frozen=True)
class HangingWorker:
    """A worker of its own in the middle of three calls, each with two processes below it."""

    process: subprocess.Popen[bytes]
    fork_server: psutil.Process
    calls: list[psutil.Process]
    family: list[psutil.Process]


@pytest.fixture
def hanging_worker(tmp_path: Path) -> Iterator[HangingWorker]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "orchestrator.settings",
        "AGENT_MODULES": "tests.agents.functions",
    }
    command = [sys.executable, "-m", "tests.agents.worker", str(tmp_path)]
    worker = subprocess.Popen(command, cwd=REPOSITORY, env=environment)
    family: list[psutil.Process] = []
    try:
        started = [read_pids(tmp_path / f"call-{number}", 20) for number in range(3)]
        (fork_server,) = psutil.Process(worker.pid).children()
        calls = fork_server.children()
        family = [fork_server, *fork_server.children(recursive=True)]
        assert {one for three in started for one in three} < set(family)
        yield HangingWorker(worker, fork_server, calls, family)
    finally:
        worker.kill()
        worker.wait()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def test_an_answer_comes_back_with_its_cost(ask: Ask) -> None:
    answer = ask("cost")
    assert answer.output == {"seen": {"fetch": {"pages": 2}}, "seed": 7}
    assert answer.usage == Usage(12, 3, 450)
    assert answer.agent == {
        "kind": "function",
        "name": "cost",
        "module": "tests.agents.functions",
        "model": "abacus-1",
        "version": "2",
    }


def test_a_function_finds_nothing_of_its_worker(ask: Ask) -> None:
    found = ask("look_around").output
    assert isinstance(found, dict)
    assert found["pid"] == found["group"] != os.getpgid(0)
    assert found["sockets"] == 1
    assert not found["refuses_sigterm"]
    assert found["stdin"] == os.devnull


def test_what_a_function_did_not_foresee_is_an_error_that_says_who_and_where(ask: Ask) -> None:
    with pytest.raises(AgentError, match=r"^The agent failed: KeyError: 'vat_rate!!!") as failure:
        ask("stumble")
    error = failure.value
    assert (error.code, error.retryable, len(error.reason)) == ("agent-failed", False, 500)
    assert error.who == "function stumble"
    assert error.where.split(":")[1] != str(os.getpid())


def test_errors_keep_their_kind_on_the_way(ask: Ask) -> None:
    with pytest.raises(AgentRefused, match="not ours") as refused:
        ask("refuse")
    assert (refused.value.retryable, refused.value.who) == (False, "function refuse")
    with pytest.raises(AgentTimedOut, match=r"within 2\.5 s: the model is slow"):
        ask("give_up")
    with pytest.raises(OutputInvalid, match="at /due: it is not a date"):
        ask("doubt")
    with pytest.raises(AgentUnknown, match="AGENT_MODULES"):
        ask("nobody")
    with pytest.raises(AgentError, match="SystemExit: done here"):
        ask("leave")


def test_a_process_that_ends_without_an_answer(ask: Ask) -> None:
    with pytest.raises(AgentCrashed, match="left with exit code 3") as failure:
        ask("exit_at_once")
    assert failure.value.retryable
    assert failure.value.who == "function exit_at_once"


def test_a_crash_says_its_signal_and_leaves_its_traceback_in_the_log(
    ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(AgentCrashed, match="killed by SIGSEGV"):
        ask("crash")
    assert "run_1 read[0] crash: Fatal Python error: Segmentation fault" in caplog.text
    assert "functions.py" in caplog.text


@pytest.mark.parametrize("name", ["spin", "sleep_deaf", "hang_up"])
def test_a_function_that_does_not_end_is_killed_in_time(
    ask: Ask, isolation: Isolation, name: str
) -> None:
    began = time.monotonic()
    with pytest.raises(AgentTimedOut, match=r"within 0\.3 s: process \d+ was killed") as failure:
        ask(name, timeout_s=0.3)
    assert 0.3 <= time.monotonic() - began < 1.5
    assert failure.value.timeout_s == 0.3
    assert wait_until_gone(children_of(isolation), 1) == []


def test_a_frozen_worker_cannot_keep_a_process_alive(
    own_modules: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "ALARM_AFTER_S", 0.1)
    isolation = Isolation()
    isolation.start()
    try:
        call = make_call({"kind": "function", "name": "spin"}, timeout_s=0.1)
        with Conversation(call) as conversation:
            isolation.hand_over(conversation)
            conversation.ask(time.monotonic() + 5)
            # From here on the worker does nothing about the call.
            with pytest.raises(AgentCrashed, match="killed by SIGALRM"):
                conversation.listen(time.monotonic() + 5)
    finally:
        isolation.stop()


@pytest.mark.django_db(transaction=True)
def test_a_function_has_a_connection_of_its_own(transactional_db: None, ask: Ask) -> None:
    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(lambda _: ask("count_runs").output, range(5))) == [0] * 5
    assert Run.objects.count() == 0


@pytest.mark.pulls("ISOLATED_MEMORY_MB")
def test_memory_has_a_limit(own_modules: Settings) -> None:
    own_modules.ISOLATED_MEMORY_MB = 64
    isolation = Isolation()
    isolation.start()
    try:
        began = time.monotonic()
        with pytest.raises(AgentError, match="MemoryError: it may take 64 MB") as failure:
            isolation.call(make_call({"kind": "function", "name": "hoard"}))
        assert failure.value.who == "function hoard"
        assert time.monotonic() - began < 5
    finally:
        isolation.stop()


def test_what_a_function_started_ends_with_its_time(ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(AgentTimedOut):
        ask("run_program_and_wait", item=str(tmp_path / "pids"), timeout_s=1.0)
    started = [int(word) for word in (tmp_path / "pids").read_text().split()]
    assert len(started) == 3
    alive = [psutil.Process(pid) for pid in started if psutil.pid_exists(pid)]
    assert wait_until_gone(alive, 1) == []


def test_what_a_function_left_behind_ends_with_its_answer(
    ask: Ask, isolation: Isolation, tmp_path: Path
) -> None:
    assert ask("leave_program_behind", item=str(tmp_path / "pids")).output == "answered"
    started = [int(word) for word in (tmp_path / "pids").read_text().split()]
    alive = [psutil.Process(pid) for pid in started if psutil.pid_exists(pid)]
    assert wait_until_gone(alive, 1) == []
    assert isolation.is_alive


def test_fifty_calls_at_once(ask: Ask) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda number: ask("repeat", item=number).output, range(200)))
    assert answers == list(range(200))


def test_a_slow_neighbour_delays_nobody(ask: Ask, isolation: Isolation) -> None:
    with ThreadPoolExecutor(5) as pool:
        slow = [pool.submit(ask, "sleep_deaf", timeout_s=600.0) for _ in range(5)]
        assert [ask("repeat", item=number).output for number in range(20)] == list(range(20))
        assert not any(one.done() for one in slow)
        isolation.stop()
        assert {type(one.exception()) for one in slow} == {AgentUnavailable}


@pytest.mark.parametrize("garbage", ["nonsense", "0000000004nope", "0000000002{}", "0000000002[]"])
def test_garbage_is_no_answer(ask: Ask, garbage: str) -> None:
    began = time.monotonic()
    with pytest.raises((AgentCrashed, OutputInvalid), match=r"not an answer|not JSON"):
        ask("send_garbage", item=garbage)
    assert time.monotonic() - began < 5


def test_garbage_reaches_nobody_else(ask: Ask, line_of_worker: socket.socket) -> None:
    with pytest.raises((AgentCrashed, OutputInvalid)):
        ask("send_garbage", item="*1\r\n")
    line_of_worker.setblocking(False)
    with pytest.raises(BlockingIOError):
        line_of_worker.recv(100)


def test_an_announcement_of_too_much_is_not_waited_for(ask: Ask) -> None:
    began = time.monotonic()
    with pytest.raises(OutputInvalid, match=r"has 9,999,999,999 bytes, at most"):
        ask("send_garbage", item="9999999999x")
    assert time.monotonic() - began < 5


def test_an_answer_has_a_limit(ask: Ask, settings: Settings) -> None:
    room = settings.JSON_BYTES_MAX - 1_000
    assert len(str(ask("answer_at_length", item=room).output)) == room
    with pytest.raises(OutputInvalid, match=r"has 1,000,\d+ bytes, at most 1,000,000 are taken"):
        ask("answer_at_length", item=settings.JSON_BYTES_MAX)


def test_an_answer_outlives_its_process(isolation: Isolation) -> None:
    call = make_call({"kind": "function", "name": "answer_at_length"}, item=100_000)
    with Conversation(call) as conversation:
        isolation.hand_over(conversation)
        conversation.ask(time.monotonic() + 5)
        deadline = time.monotonic() + 5
        while not children_of(isolation) and time.monotonic() < deadline:
            time.sleep(0.001)
        assert wait_until_gone(children_of(isolation), 5) == []
        assert len(conversation.listen(time.monotonic() + 5)) > 100_000


def test_a_call_may_be_larger_than_an_answer(ask: Ask) -> None:
    pages = ["x" * 1_000] * 8_000
    assert ask("count_pages", inputs={"pages": pages}).output == 8_000


@pytest.mark.parametrize(
    "odd",
    [
        *("a set", "not a number", "infinity", "bytes", "half a pair", "nul", "a key twice"),
        *("too deep", "endless", "huge"),
    ],
)
def test_what_cannot_be_stored_is_no_output(ask: Ask, odd: str) -> None:
    with pytest.raises(OutputInvalid, match="The agent's output was not taken: ") as failure:
        ask("answer_oddly", item=odd)
    assert failure.value.retryable


def test_a_cost_that_is_no_cost_is_refused(ask: Ask) -> None:
    with pytest.raises(OutputInvalid, match=r"usage\.tokens_in is -1"):
        ask("miscount")


def test_what_a_function_prints_goes_to_the_log(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert ask("talk").output == "said"
    assert "run_1 read[0] talk: hello from below" in caplog.messages
    assert "run_1 read[0] talk: a warning\N{REPLACEMENT CHARACTER}[31m in red" in caplog.messages
    assert "run_1 read[0] talk: no new line" in caplog.messages


def test_a_function_that_prints_without_end_fills_neither_log_nor_pipe(
    ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert ask("babble").output == "said"
    assert len(caplog.text) < 250_000
    assert "the rest is left out" in caplog.text


def test_many_calls_leave_nothing_behind(ask: Ask, isolation: Isolation) -> None:
    ask("repeat")
    ours, theirs = psutil.Process(), psutil.Process(isolation.pid)
    assert wait_until_gone(children_of(isolation), 2) == []
    descriptors = ours.num_fds(), theirs.num_fds()
    children = len(ours.children())
    for number in range(300):
        if number % 30 == 0:
            with pytest.raises(AgentCrashed):
                ask("exit_at_once")
        else:
            ask("repeat")
    deadline = time.monotonic() + 2
    while children_of(isolation) and time.monotonic() < deadline:
        time.sleep(0.01)
    # Not even zombies, which children() would list.
    assert children_of(isolation) == []
    assert len(ours.children()) == children
    assert (ours.num_fds(), theirs.num_fds()) == descriptors


def test_a_fork_server_that_ended_is_told_and_not_replaced(
    ask: Ask, isolation: Isolation, tmp_path: Path
) -> None:
    assert isolation.is_alive
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(ask, "run_program_and_wait", item=str(tmp_path / "pids"))
        started = read_pids(tmp_path / "pids")
        os.kill(isolation.pid, signal.SIGKILL)
        assert isinstance(hanging.exception(5), AgentUnavailable)
    assert wait_until_gone(started[:2], 2) == []
    started[2].kill()
    assert not isolation.is_alive
    with pytest.raises(AgentUnavailable, match="has to be started again"):
        ask("repeat")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_whole_group_lets_the_worker_finish(
    ask: Ask, isolation: Isolation, number: signal.Signals
) -> None:
    os.kill(isolation.pid, number)
    assert ask("repeat", item="still here").output == "still here"


def test_stopping_ends_what_still_runs(ask: Ask, isolation: Isolation, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(ask, "run_program_and_wait", item=str(tmp_path / "pids"))
        started = read_pids(tmp_path / "pids")
        isolation.stop()
        assert isinstance(hanging.exception(5), AgentUnavailable)
    assert wait_until_gone(started, 1) == []
    assert not isolation.is_alive


def test_nothing_outlives_a_worker_that_was_killed(hanging_worker: HangingWorker) -> None:
    hanging_worker.process.kill()
    assert wait_until_gone(hanging_worker.family, 2) == []


def test_calls_end_with_their_fork_server_while_the_worker_is_frozen(
    hanging_worker: HangingWorker,
) -> None:
    hanging_worker.process.send_signal(signal.SIGSTOP)
    hanging_worker.fork_server.kill()
    assert wait_until_gone(hanging_worker.calls, 2) == []


def test_a_process_with_threads_must_not_fork(own_modules: Settings) -> None:
    enough = threading.Event()
    thread = threading.Thread(target=enough.wait)
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="before any thread"):
            Isolation().start()
    finally:
        enough.set()
        thread.join()


def test_without_a_fork_server_nothing_runs() -> None:
    isolation = Isolation()
    assert not isolation.is_alive
    isolation.stop()
    with pytest.raises(AgentUnavailable, match="runs without a fork server"):
        isolation.call(make_call({"kind": "function", "name": "repeat"}))


def test_what_a_failed_call_had_cost_crosses_over(ask: Ask) -> None:
    with pytest.raises(AgentUnavailable) as failure:
        ask("fail_at_a_price")
    assert failure.value.usage == Usage(9, 1, None)
    assert failure.value.retry_after_s == 2.5
