"""Tools that are Python functions of your own, found by name in the TOOLS of AGENT_MODULES.

A function gets a `FunctionCall` and returns JSON or a `ToolResult`. It runs in a thread of its own: one that
does not end in time is given up, and after too many of those the process calls no more.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from django.conf import settings

from orchestrator.core.errors import ToolError, ToolRefused, ToolTimedOut, ToolUnavailable
from orchestrator.plugins import load
from orchestrator.tools.base import ALONE, ToolResult, ToolSpec, Use


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """The key is the same for every try of the same effect; of a reading tool it is empty."""

    args: Mapping[str, Any]
    key: str
    timeout_s: float


@dataclass(slots=True)
class _Stuck:
    """How many threads of this process were given up and have not ended since."""

    count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, change: int) -> None:
        with self.lock:
            self.count += change


STUCK = _Stuck()


class Function:
    def call(
        self, spec: ToolSpec, args: Mapping[str, Any], *, timeout_s: float, use: Use = ALONE
    ) -> ToolResult:
        function = _find(spec)
        if STUCK.count >= settings.TOOL_STUCK_MAX:
            raise ToolUnavailable(
                spec.name, f"{STUCK.count} functions did not end; start the worker again."
            )
        given = FunctionCall(dict(args), use.key, timeout_s)
        said = _Work(function, given).wait(spec, timeout_s)
        if isinstance(said, ToolResult):
            return said
        return ToolResult(said)


TOOL = Function()


def _find(spec: ToolSpec) -> Callable[..., Any]:
    name = str(spec.backend.get("name"))
    function = load().tools.get(name)
    if function is None:
        raise ToolRefused(spec.name, f"{name!r} is in the TOOLS of none of the AGENT_MODULES.")
    return function


class _Work:
    """One call in its thread. Whoever is first, the answer or the end of the time, settles it."""

    def __init__(self, function: Callable[..., Any], given: FunctionCall) -> None:
        self.function, self.given = function, given
        self.answers: SimpleQueue[tuple[bool, Any]] = SimpleQueue()
        self.lock = threading.Lock()
        self.is_given_up = self.has_ended = False

    def wait(self, spec: ToolSpec, timeout_s: float) -> Any:
        threading.Thread(target=self._run, name=f"tool-{spec.name}", daemon=True).start()
        try:
            is_said, said = self.answers.get(timeout=timeout_s)
        except Empty:
            self._give_up()
            raise ToolTimedOut(spec.name, f"nothing within {timeout_s:g} s.") from None
        if is_said:
            return said
        if isinstance(said, ToolError):
            said.tool = spec.name
        raise said

    def _run(self) -> None:
        try:
            self.answers.put((True, self.function(self.given)))
        except BaseException as error:  # noqa: BLE001  (it is raised where it is waited for)
            self.answers.put((False, _as_exception(error)))
        with self.lock:
            self.has_ended = True
            if self.is_given_up:
                STUCK.add(-1)

    def _give_up(self) -> None:
        with self.lock:
            self.is_given_up = True
            if not self.has_ended:
                STUCK.add(1)


def _as_exception(error: BaseException) -> Exception:
    """SystemExit must not end the thread that waits."""
    if isinstance(error, Exception):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")
