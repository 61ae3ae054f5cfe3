from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from orchestrator.jobs import run_command
from orchestrator.queue import DoorbellWorker


class Command(BaseCommand):
    help = "Run the commands of one queue until told to stop (SIGTERM finishes the current one)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--queue", required=True, choices=settings.QUEUES)

    def handle(self, *, queue: str, **options: Any) -> None:
        DoorbellWorker(queue, run_command).work(logging_level="WARNING")
