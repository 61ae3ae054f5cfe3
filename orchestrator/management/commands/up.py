"""Run Countersign: PostgreSQL and Valkey if none is given, the web server, workers and sweeper."""

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from orchestrator.actions import users
from orchestrator.embedded.errors import CannotStart
from orchestrator.embedded.launch import launch


class Command(BaseCommand):
    help = __doc__
    # They load every URL and view, a second spent twice; `make check` runs them.
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            launch(self._say, welcome)
        except CannotStart as error:
            self.stderr.write(f"countersign: {error}")
            sys.exit(1)

    def _say(self, line: str) -> None:
        # When the terminal is gone, stopping in order matters more than telling nobody about it.
        with suppress(OSError):
            self.stdout.write(line)
            self.stdout.flush()


def welcome() -> Iterator[str]:
    """What a person needs to know once everything runs."""
    yield ""
    yield f"  Countersign    {settings.BASE_URL}"
    yield from list_logins() if settings.DEMO else list_first_steps()
    yield f"  Logs           {Path(settings.VAR_DIR) / 'log'}"
    yield ""
    yield "  Ctrl-C stops everything."
    yield ""


def list_logins() -> Iterator[str]:
    credentials = Path(settings.VAR_DIR) / "demo-credentials.json"
    if not credentials.exists():
        return
    logins: dict[str, str] = json.loads(credentials.read_text())["users"]
    for heading, (name, password) in zip(_headings("Demo logins"), logins.items(), strict=False):
        yield f"  {heading:<14} {name:<10} {password}"
    yield f"  API tokens     {credentials}"


def list_first_steps() -> Iterator[str]:
    """Where the first administrator is made, while there is none."""
    if not users.is_set_up():
        yield f"  First user     {settings.BASE_URL}/setup/"
        yield f"  Setup code     {users.setup_code()}"


def _headings(first: str) -> Iterator[str]:
    yield first
    while True:
        yield ""
