from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orchestrator.engine import rollups
from orchestrator.management.progress import Bar


class Command(BaseCommand):
    help = "Count what the reports show: what changed, or everything anew. The sweeper does the first by itself."

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--recount", action="store_true", help="count every day anew, and say what was wrong"
        )
        what.add_argument(
            "--check", action="store_true", help="only say what is wrong; fails if anything is"
        )

    def handle(self, *, recount: bool = False, check: bool = False, **options: Any) -> None:
        counted = rollups.refresh()
        if not (recount or check):
            self.stdout.write(f"{counted} changed days were counted.")
            return
        wrong, days = self._go_through(check=check)
        if not days:
            self.stdout.write("There is nothing to count yet.")
        elif not wrong.total():
            self.stdout.write(f"{days:,} days are as a recount says.")
        elif check:
            raise CommandError(
                f"In {days:,} days {_said(wrong)} are wrong. Nothing was changed: --recount mends them."
            )
        else:
            self.stdout.write(f"{days:,} days were counted anew; {_said(wrong)} were wrong.")

    def _go_through(self, *, check: bool) -> tuple[Counter[str], int]:
        """A day at a time, each in a transaction of its own. What is under way elsewhere is left to it."""
        wrong: Counter[str] = Counter()
        days, bar = rollups.all_days(), Bar(self.stderr)
        for number, day in enumerate(days):
            bar.show(number, len(days), f"counting {day}")
            found = rollups.check_day(day) if check else rollups.count_day(day)
            wrong.update(found or {})
        bar.end()
        return wrong, len(days)


def _said(wrong: Counter[str]) -> str:
    names = ((table.removeprefix("orchestrator_"), count) for table, count in sorted(wrong.items()))
    return ", ".join(f"{count:,} lines of {name}" for name, count in names if count)
