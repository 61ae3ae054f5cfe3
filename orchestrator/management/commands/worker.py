import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import close_old_connections

from orchestrator.jobs import run_command, run_ready
from orchestrator.queue import serve


class Command(BaseCommand):
    help = "Run the commands of one queue until told to stop (SIGTERM finishes the current one)."
    # They load every page, which a process that serves none need not know.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--queue", required=True, choices=settings.QUEUES)

    def handle(self, *, queue: str, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        looker = threading.Thread(target=_look, args=(queue, stop), name="looker")
        looker.start()
        try:
            serve(queue, _answer, stop)
        finally:
            stop.set()
            looker.join()


def _answer(command: int) -> None:
    """A connection that broke since the last shift is replaced, not tried."""
    close_old_connections()
    run_command(command)


def _look(queue: str, stop: threading.Event) -> None:
    """Without a bell too: with Redis away, or wiped, or hanging, work goes on at this pace."""
    while not stop.wait(settings.RING_AGAIN_AFTER_S):
        close_old_connections()
        run_ready(queue)
