from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from orchestrator.core import evaluation_sets
from orchestrator.core.errors import EvaluationSetBroken
from orchestrator.evaluation_set_queries import Wanted, examples


class Command(BaseCommand):
    help = "What people judged, as labelled examples to test the next version of an agent on."

    def add_arguments(self, parser: CommandParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        out = does.add_parser("export", help="write them to stdout, a JSON document a line")
        out.add_argument("--action", default="", help="only this action")
        out.add_argument("--agent", default="", help="only this agent")
        out.add_argument("--agent-version", default="", help="only this version")
        check = does.add_parser("check", help="say whether a file is whole and as it was written")
        check.add_argument("path", type=Path, metavar="FILE")

    def handle(self, *, does: str, **options: Any) -> None:
        if does == "export":
            self._export(Wanted(options["action"], options["agent"], options["agent_version"]))
        else:
            self._check(options["path"])

    def _export(self, wanted: Wanted) -> None:
        asked = {name: getattr(wanted, name) for name in Wanted.__slots__}
        made = timezone.now().isoformat(timespec="seconds")
        for line in evaluation_sets.lines(examples(wanted), {"made_at": made, **asked}):
            self.stdout.write(line, ending="")

    def _check(self, path: Path) -> None:
        try:
            with path.open(encoding="utf-8", newline="") as found:
                checked = evaluation_sets.check(found)
        except EvaluationSetBroken as error:
            raise CommandError(str(error)) from error
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{path} cannot be read: {error}.") from error
        self.stdout.write(f"{checked.examples} examples, as they were written ({checked.digest}).")
