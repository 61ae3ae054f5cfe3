"""A worker process for what takes long: backtests, messages that leave Countersign, track records, servers of tools.

Jobs are rows that are claimed by a lease, so each loop only has to look: when a bell rings, and now and
then without one. Each kind has a loop of its own, since a backtest may take minutes and a message must
not wait for it.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from django.conf import settings
from django.db import DatabaseError, connections

from orchestrator.engine import backtest, deliveries, telemetry, track_records

logger = logging.getLogger(__name__)

QUEUE = backtest.QUEUE
PAUSE_S = 1.0

type IsStopping = Callable[[], bool]
type Job = Callable[[IsStopping], bool]

# Each does one job, or answers that nothing waits.
JOBS: tuple[Job, ...] = (
    backtest.work_one,
    deliveries.work_one,
    track_records.work_one,
    telemetry.work_one,
)


class Background:
    """`work` is the first thread's own life; call `wake` and `stop` from any other.

    `more` are jobs of those who lie above the engine.
    """

    # Nothing here hangs on in threads of its own, so the process never has to be replaced.
    is_worn_out = False

    def __init__(self, more: Sequence[Job] = ()) -> None:
        self._stopping = False
        self._loops = [_Loop(job, lambda: self._stopping) for job in (*JOBS, *more)]

    def wake(self) -> None:
        for loop in self._loops:
            loop.wake()

    def stop(self) -> None:
        """`work` returns when what is in hand is stored, and the job is put back."""
        self._stopping = True
        self.wake()

    def work(self) -> None:
        """Ends when told to, or when one of the loops fails: then the process is to be replaced."""
        first, *others = self._loops
        threads = [threading.Thread(target=self._run, args=(loop,)) for loop in others]
        for thread in threads:
            thread.start()
        self._run(first)
        for thread in threads:
            thread.join()

    def _run(self, loop: "_Loop") -> None:
        try:
            loop.work()
        finally:
            self.stop()


class _Loop:
    def __init__(self, job: Job, is_stopping: IsStopping) -> None:
        self._job = job
        self._is_stopping = is_stopping
        self._bell = threading.Event()

    def wake(self) -> None:
        self._bell.set()

    def work(self) -> None:
        while not self._is_stopping():
            self._bell.clear()
            if not self._work_one():
                self._bell.wait(settings.RING_AGAIN_AFTER_S)
        connections.close_all()

    def _work_one(self) -> bool:
        try:
            return self._job(self._is_stopping)
        except DatabaseError as error:
            logger.warning("the database is away, or did not take a batch: %s", error)
            connections.close_all()
            time.sleep(PAUSE_S)
            return True
