"""How far something long has come: a line that is written over on a terminal, one now and then elsewhere."""

import time

from django.core.management.base import OutputWrapper

WIDTH = 24
SAY_EVERY_S = 15.0


class Bar:
    def __init__(self, out: OutputWrapper) -> None:
        self._out = out
        self._began = time.monotonic()
        self._first: int | None = None
        self._said_at = self._began
        self._is_open = False

    def show(self, done: int, count: int, stage: str) -> None:
        if self._first is None:
            self._first = done
        now = time.monotonic()
        line = self._line(done, count, stage, now - self._began)
        if self._out.isatty():
            self._out.write(f"\r{line:<100}", ending="")
            self._out.flush()
            self._is_open = True
        elif now - self._said_at >= SAY_EVERY_S:
            self._out.write(line)
            self._said_at = now

    def end(self) -> None:
        if self._is_open:
            self._out.write("")

    def _line(self, done: int, count: int, stage: str, spent_s: float) -> str:
        filled = "█" * (WIDTH * done // count)
        rate = (done - (self._first or 0)) / spent_s if spent_s else 0.0
        left = f", {rate:,.0f}/s, {_clock((count - done) / rate)} left" if rate else ""
        return f"{filled:░<{WIDTH}} {done:,} of {count:,}{left}: {stage}"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
