from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orchestrator import tool_queries
from orchestrator.actions import tools
from orchestrator.actions.actor import Actor
from orchestrator.actions.tool_retirements import retire, retire_server
from orchestrator.core.errors import CountersignError
from orchestrator.models import Tool, ToolServer


class Command(BaseCommand):
    help = "Read what a server of tools offers, list what keeps tools from agents, or retire some."

    def add_arguments(self, parser: CommandParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        sync = does.add_parser(
            "sync", help="stage what is new or changed; admins approve in the browser"
        )
        sync.add_argument("server", help="the server's name")
        does.add_parser("list", help="every tool, with what keeps it from agents")
        one = does.add_parser("retire", help="take a tool out of use, at once")
        one.add_argument("tool", help="the tool's name")
        all_of_it = does.add_parser(
            "retire-server", help="take a server with all of its tools out of use, at once"
        )
        all_of_it.add_argument("server", help="the server's name")
        for retiring in (one, all_of_it):
            retiring.add_argument("why", help="a sentence that its page shows")

    def handle(self, *, does: str, **options: Any) -> None:
        try:
            if does == "sync":
                self._sync(options["server"])
            elif does == "retire":
                self._say_retired(retire(Actor(None), options["tool"], options["why"]))
            elif does == "retire-server":
                self._say_retired(retire_server(Actor(None), options["server"], options["why"]))
            else:
                self._list()
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

    def _say_retired(self, one: Tool | ToolServer) -> None:
        self.stdout.write(f"{one} is retired. An admin can bring it back in the browser.")

    def _list(self) -> None:
        after = ""
        while page := tool_queries.tools(after):
            for tool in page:
                kind = tool.current.kind if tool.current else "unknown"
                why = tool_queries.why_not(tool) or "offered"
                self.stdout.write(f"{tool.name}\t{kind}\t{why}")
            after = page[-1].name
