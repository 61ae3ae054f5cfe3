"""Django's own command, run as the owner of the tables, who then gives the application its rights."""

from typing import Any

from django.core.management.base import CommandParser
from django.core.management.commands import migrate

from orchestrator.grants import apply_grants, owner_alias


class Command(migrate.Command):
    help = "Bring the tables up to date, as their owner, and give the application its rights."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database=owner_alias())

    def handle(self, *args: Any, **options: Any) -> None:
        super().handle(*args, **options)
        if not options["plan"]:
            apply_grants(options["database"])
