import json
import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from orchestrator.actions import demo, demo_scale, demo_scale_cast
from orchestrator.core.errors import BadInput
from orchestrator.management.progress import Bar


class Command(BaseCommand):
    help = "Load the demo: people of every role, API tokens, rules and a queue of proposals. Safe to repeat."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--scale", type=int, metavar="N", help="also load N proposals over the last 180 days"
        )
        parser.add_argument("--seed", type=int, default=1, help="what they are drawn from (1)")
        parser.add_argument(
            "--yes-add", action="store_true", help="add them to an instance that has a log already"
        )

    def handle(
        self, *, scale: int | None = None, seed: int = 1, yes_add: bool = False, **options: Any
    ) -> None:
        # First of all: what it loads happened before everything else, and the log is in that order.
        if scale is not None:
            self._load_scale(scale, seed, yes_add)
        path = settings.VAR_DIR / "demo-credentials.json"
        if User.objects.exclude(username__in=demo_scale_cast.PEOPLE).exists():
            self.stdout.write(self._already(path))
        else:
            # Written before the commit: a demo whose passwords nobody knows would be worse than none.
            with transaction.atomic():
                loaded = demo.load(password=lambda: secrets.token_urlsafe(9))
                _keep(path, {"base_url": settings.BASE_URL, **loaded})
            self.stdout.write(f"The demo is loaded; logins and tokens are in {path}.")
        if scale is not None:
            demo_scale_cast.welcome(demo.PEOPLE)

    def _load_scale(self, scale: int, seed: int, yes_add: bool) -> None:
        bar = Bar(self.stderr)
        try:
            loaded = demo_scale.load(
                scale, seed=seed, add=yes_add, say=lambda p: bar.show(p.done, p.count, p.stage)
            )
        except BadInput as error:
            raise CommandError(str(error)) from error
        finally:
            bar.end()
        self.stdout.write(f"{loaded:,} proposals over {demo_scale.DAYS} days are loaded.")

    def _already(self, path: Path) -> str:
        if not path.exists():
            return "The demo was not loaded: this instance has users of its own."
        _keep(path, {**json.loads(path.read_text()), "base_url": settings.BASE_URL})
        return f"The demo is loaded already; logins and tokens are in {path}."


def _keep(path: Path, credentials: dict[str, Any]) -> None:
    """Readable by its owner alone, and whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(credentials, file, indent=2)
        file.write("\n")
    draft.rename(path)
