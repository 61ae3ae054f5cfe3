import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from orchestrator import queries
from orchestrator.actions import workflows
from orchestrator.actions.actor import Actor
from orchestrator.actions.workflows import save as save_workflow
from orchestrator.core.codec import Json, JsonLimits, read, safe_json
from orchestrator.core.cost_estimate import estimate_sentence
from orchestrator.core.errors import CountersignError, DefinitionInvalid, Problem
from orchestrator.cost_queries import estimates_of


class Command(BaseCommand):
    help = "Save a workflow from a file, check a file without saving it, or show what was saved."

    def add_arguments(self, parser: CommandParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        save = does.add_parser("save", help="a new version, unless the newest says the same")
        save.add_argument("slug", help="the workflow's name")
        save.add_argument("file", type=Path, help="its definition, a JSON file")
        save.add_argument("--by", default="", help="in whose name; without it, Countersign's own")
        check = does.add_parser("check", help="say what is wrong with a file")
        check.add_argument("file", type=Path)
        show = does.add_parser("show", help="print a version as it is stored")
        show.add_argument("slug")
        show.add_argument("number", nargs="?", type=int, help="without it, the newest")

    def handle(self, *, does: str, **options: Any) -> None:
        actions: dict[str, Callable[..., None]] = {
            "save": self._save,
            "check": self._check,
            "show": self._show,
        }
        wanted = ("slug", "file", "by", "number")
        try:
            actions[does](**{name: options[name] for name in wanted if name in options})
        except DefinitionInvalid as error:
            raise CommandError(_listed(error.problems, "Nothing was saved")) from error
        except CountersignError as error:
            raise CommandError(str(error)) from error

    def _save(self, slug: str, file: Path, by: str) -> None:
        saved = save_workflow(_actor(by), slug, _read(file))
        said = "is saved" if saved.is_new else "says the same already; nothing was saved"
        self.stdout.write(f"{saved.version} {said}.{self._costs(slug, saved.version.definition)}")

    def _check(self, file: Path) -> None:
        found = workflows.check(_read(file))
        if found:
            raise CommandError(_listed(found, "It could not be saved"))
        whole = workflows.complete("", _read(file))
        self.stdout.write(f"{file} can be saved.{self._costs('', whole)}")

    def _costs(self, slug: str, definition: str) -> str:
        """Of a consensus, and of each that it starts, what each run is going to cost."""
        whole = read(definition)
        found = estimates_of(slug, whole) if isinstance(whole, dict) else []
        return "".join(f"\n{estimate_sentence(one)}" for one in found)

    def _show(self, slug: str, number: int | None) -> None:
        version = queries.workflow_version(slug, number)
        if version is None:
            raise CommandError(f"There is no workflow {slug}{f' v{number}' if number else ''}.")
        self.stdout.write(json.dumps(queries.content_of(version), indent=2, ensure_ascii=False))


def _actor(username: str) -> Actor:
    if not username:
        return Actor(None)
    user = User.objects.filter(username=username).first()
    if user is None:
        raise CommandError(f"There is no user {username}. Nothing was saved.")
    return Actor(user)


def _read(file: Path) -> Json:
    limits = JsonLimits(settings.JSON_BYTES_MAX, settings.JSON_DEPTH_MAX, settings.JSON_NODES_MAX)
    try:
        return safe_json(file.read_bytes(), limits)
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error


def _listed(problems: Sequence[Problem], outcome: str) -> str:
    """A line for each, with its place."""
    return "\n".join([f"{outcome}:", *(f"  {problem}" for problem in problems)])
