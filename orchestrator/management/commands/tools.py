from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orchestrator import tool_queries
from orchestrator.actions import tools
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import CountersignError


class Command(BaseCommand):
    help = (
        "Read what a server of tools offers, or list tools and why some are not offered to agents."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        sync = does.add_parser(
            "sync", help="stage what is new or changed; admins approve in the browser"
        )
        sync.add_argument("server", help="the server's name")
        does.add_parser("list", help="every tool, with what keeps it from agents")

    def handle(self, *, does: str, server: str = "", **options: Any) -> None:
        try:
            self._sync(server) if does == "sync" else self._list()
        except CountersignError as error:
            raise CommandError(str(error)) from error

    def _sync(self, server: str) -> None:
        synced = tools.sync(Actor(None), server)
        for what in ("new", "changed", "gone"):
            for name in getattr(synced, what):
                self.stdout.write(f"{what}: {name}")
        for name, why in synced.left_out.items():
            self.stdout.write(f"left out: {name}: {why}")
        waiting = len(synced.new) + len(synced.changed)
        self.stdout.write(f"{waiting} new or changed; agents get what an admin approved of.")

    def _list(self) -> None:
        after = ""
        while page := tool_queries.tools(after):
            for tool in page:
                kind = tool.current.kind if tool.current else "unknown"
                why = tool_queries.why_not(tool) or "offered"
                self.stdout.write(f"{tool.name}\t{kind}\t{why}")
            after = page[-1].name
