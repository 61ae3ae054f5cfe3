import logging
import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import close_old_connections

from orchestrator.engine.sweep import sweep

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Ring lost commands again, end leases of dead workers, expire deadlines; every second."

    # They load every page, which a process that serves none need not know.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="sweep once and exit")

    def handle(self, *, once: bool, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        self._sweep()
        while not once and not stop.wait(settings.SWEEP_INTERVAL_MS / 1000):
            close_old_connections()
            self._sweep()

    def _sweep(self) -> None:
        swept = sweep()
        if swept.leases or swept.expired:
            logger.info("ended %d leases, expired %d items", swept.leases, swept.expired)
