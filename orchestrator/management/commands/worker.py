from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import close_old_connections

from orchestrator.jobs import run_command
from orchestrator.queue import DoorbellWorker


class Command(BaseCommand):
    help = "Run the commands of one queue until told to stop (SIGTERM finishes the current one)."

    # They load every page, which a process that serves none need not know.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--queue", required=True, choices=settings.QUEUES)

    def handle(self, *, queue: str, **options: Any) -> None:
        DoorbellWorker(queue, _shift).work(logging_level="WARNING")


def _shift(command: int) -> None:
    """A connection that broke since the last shift is replaced, not tried."""
    close_old_connections()
    run_command(command)
