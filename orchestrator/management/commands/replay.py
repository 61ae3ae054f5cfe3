import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orchestrator import journal
from orchestrator.core.codec import read
from orchestrator.core.errors import BadInput
from orchestrator.core.replay import History, first_divergence, from_file, to_file
from orchestrator.models import Run

AT_ONCE = 500


class Command(BaseCommand):
    help = (
        "Replay recorded runs with today's controller; a divergence names run, event and command."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument("run", nargs="?", help="the id of one run")
        source.add_argument("--all", action="store_true", help="every run in the database")
        source.add_argument("--dir", type=Path, help="a folder of recorded histories")
        parser.add_argument("--write", type=Path, help="also write each history into this folder")

    def handle(self, *, write: Path | None, **source: Any) -> None:
        replayed, diverged = 0, 0
        for history in _histories(**{name: source[name] for name in ("run", "all", "dir")}):
            replayed += 1
            found = first_divergence(history)
            if found is not None:
                diverged += 1
                self.stderr.write(str(found))
            if write:
                _write(write, history)
        histories = "history" if replayed == 1 else "histories"
        if diverged:
            raise CommandError(f"{diverged} of {replayed} {histories} diverged.")
        self.stdout.write(f"{replayed} {histories} replayed; all emit what was recorded.")


def _histories(*, run: str | None, all: bool, dir: Path | None) -> Iterator[History]:
    if dir is not None:
        yield from _from_folder(dir)
        return
    runs = Run.objects.select_related("workflow_version").order_by("pk")
    if not all:
        runs = runs.filter(pk=run)
        if not runs.exists():
            raise CommandError(f"There is no run {run}.")
    for found in runs.iterator(chunk_size=AT_ONCE):
        broken = journal.first_broken(found)
        if broken is not None:
            raise CommandError(f"{found.pk}: its log was changed or cut at event {broken}.")
        yield journal.history(found)


def _from_folder(folder: Path) -> Iterator[History]:
    files = sorted(folder.glob("*.json"))
    if not files:
        raise CommandError(f"There are no histories (*.json) in {folder}.")
    for file in files:
        try:
            yield from_file(read(file.read_text()))
        except (BadInput, ValueError) as error:
            raise CommandError(f"{file}: {error}") from error


def _write(folder: Path, history: History) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(to_file(history), indent=1, ensure_ascii=False)
    (folder / f"{history.run}.json").write_text(text + "\n")
