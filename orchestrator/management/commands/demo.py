import json
import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand
from django.db import transaction

from orchestrator.actions import demo


class Command(BaseCommand):
    help = "Load the demo: people of every role, API tokens, rules and a queue of proposals. Safe to repeat."

    def handle(self, **options: Any) -> None:
        path = settings.VAR_DIR / "demo-credentials.json"
        if User.objects.exists():
            self.stdout.write(self._already(path))
            return
        # Written before the commit: a demo whose passwords nobody knows would be worse than none.
        with transaction.atomic():
            loaded = demo.load(password=lambda: secrets.token_urlsafe(9))
            _keep(path, {"base_url": settings.BASE_URL, **loaded})
        self.stdout.write(f"The demo is loaded; logins and tokens are in {path}.")

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
