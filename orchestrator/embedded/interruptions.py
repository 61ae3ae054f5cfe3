"""Ctrl-C, SIGTERM and a closed terminal: the first one ends the work, later ones ask for haste."""

import signal
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """Somebody asked us to end. Not an error, and nothing that catches errors should catch it."""


class Interruptions:
    def __init__(self) -> None:
        self.count = 0
        self._may_interrupt = True

    def listen(self) -> None:
        for number in SIGNALS:
            signal.signal(number, self._note)

    def only_count(self) -> None:
        """From now on nothing is interrupted: stopping in order has begun."""
        self._may_interrupt = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self._may_interrupt:
            self._may_interrupt = False
            raise StopRequested
