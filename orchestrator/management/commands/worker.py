import os
import signal
import sys
import threading
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import connections

from orchestrator import plugins
from orchestrator.agents.isolated import ISOLATION
from orchestrator.engine import background
from orchestrator.engine.background import Background
from orchestrator.engine.crew import Crew
from orchestrator.engine.hear import listen
from orchestrator.jobs import BACKGROUND, DESK
from orchestrator.management.processes import keep_running
from orchestrator.queue import serve

# The committer must not wait five milliseconds, Python's own pace, behind a thread that computes.
SWITCH_S = 0.0005


class Command(BaseCommand):
    help = "Run the commands of one queue until told to stop (SIGTERM finishes what is in hand)."
    # They load every page, which a process that serves none need not know.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--queue", required=True, choices=settings.QUEUES)
        parser.add_argument("--processes", type=int, default=1, help="copies of this process")
        parser.add_argument(
            "--threads", type=int, help="calls that may wait at once in each (default: by queue)"
        )

    def handle(self, *, queue: str, processes: int, threads: int | None, **options: Any) -> None:
        # What is wrong with a module of AGENT_MODULES is said once, and before anything starts.
        plugins.load()
        connections.close_all()
        threads = threads or settings.WORKER_THREADS[queue]
        sys.exit(keep_running(processes, partial(work, queue, threads)))


def work(queue: str, threads: int) -> int:
    """One process: a committer, the threads it needs, and ears for both bells."""
    sys.setswitchinterval(SWITCH_S)
    stop = threading.Event()
    crew = _crew(queue, threads)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if queue == "isolated":
        # Before there is any thread: a process with threads cannot fork safely.
        ISOLATION.start()
    committer = threading.Thread(target=_commit, args=(crew, stop), name="committer")
    committer.start()
    listener = threading.Thread(target=listen, args=(queue, crew.wake, stop), name="listener")
    listener.start()
    try:
        serve(queue, crew.wake, stop)
    finally:
        stop.set()
        crew.stop()
        committer.join()
        listener.join()
        ISOLATION.stop()
    return 1 if crew.is_worn_out else 0


def _crew(queue: str, threads: int) -> Crew | Background:
    """Long jobs are no commands: they have a loop of their own."""
    if queue == background.QUEUE:
        return Background(BACKGROUND)
    return Crew(queue, threads=threads, desk=DESK)


def _commit(crew: Crew | Background, stop: threading.Event) -> None:
    """Whatever ends the committer ends the process: without it nothing would be stored."""
    try:
        crew.work()
    finally:
        if not stop.is_set():
            # The main thread sits in RQ, where only a signal reaches it.
            os.kill(os.getpid(), signal.SIGTERM)
