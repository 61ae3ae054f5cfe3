"""A worker process for long jobs: one at a time, until told to stop.

Jobs are rows that are claimed by a lease, so this loop only has to look: when a bell rings, and now and
then without one.
"""

import logging
import threading
import time

from django.conf import settings
from django.db import DatabaseError, connections

from orchestrator.engine import backtest

logger = logging.getLogger(__name__)

QUEUE = backtest.QUEUE
PAUSE_S = 1.0


class Background:
    """`work` is the thread's own life; call `wake` and `stop` from any other."""

    # Nothing here hangs on in threads of its own, so the process never has to be replaced.
    is_worn_out = False

    def __init__(self) -> None:
        self._bell = threading.Event()
        self._stopping = False

    def wake(self) -> None:
        self._bell.set()

    def stop(self) -> None:
        """`work` returns when the batch in hand is stored, and its job is put back."""
        self._stopping = True
        self.wake()

    def work(self) -> None:
        while not self._stopping:
            self._bell.clear()
            if not self._work_one():
                self._bell.wait(settings.RING_AGAIN_AFTER_S)
        connections.close_all()

    def _work_one(self) -> bool:
        try:
            return backtest.work_one(lambda: self._stopping)
        except DatabaseError as error:
            logger.warning("the database is away, or did not take a batch: %s", error)
            connections.close_all()
            time.sleep(PAUSE_S)
            return True
