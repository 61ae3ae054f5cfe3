from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from orchestrator import people_queries
from orchestrator.actions import tokens
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import CountersignError
from orchestrator.core.policy.roles import SCOPES


class Command(BaseCommand):
    help = "List the tokens of programs, make one, or revoke one."

    def add_arguments(self, parser: CommandParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        does.add_parser("list", help="every token, the newest first")
        make = does.add_parser("make", help="print a new one, which cannot be read again")
        make.add_argument("name", help="which program has it")
        make.add_argument(
            "--scope", action="append", required=True, choices=SCOPES, help="may be repeated"
        )
        make.add_argument(
            "--owner",
            required=True,
            help="whom it acts as; an account for programs if there is none",
        )
        make.add_argument(
            "--agent", action="append", default=[], help="that it speaks for; without any, for all"
        )
        make.add_argument("--days", type=int, default=settings.TOKEN_DAYS, help="it is good for")
        revoke = does.add_parser("revoke", help="refuse it from now on; there is no way back")
        revoke.add_argument("prefix", help="what stands between cs_ and the next _")

    def handle(self, *, does: str, **options: Any) -> None:
        actions: dict[str, Callable[..., None]] = {
            "list": self._list,
            "make": self._make,
            "revoke": self._revoke,
        }
        wanted = ("name", "scope", "owner", "agent", "days", "prefix")
        try:
            actions[does](**{name: options[name] for name in wanted if name in options})
        except CountersignError as error:
            raise CommandError(str(error)) from error

    def _list(self) -> None:
        for token in people_queries.tokens().order_by("-pk").iterator():
            used = f"{token.last_used_at:%Y-%m-%d}" if token.last_used_at else "never"
            facts = [
                f"cs_{token.prefix}_…",
                token.name,
                token.owner.get_username(),
                ",".join(token.scopes),
                ",".join(token.agents) or "any agent",
                token.state,
                f"{token.expires_at:%Y-%m-%d}" if token.expires_at else "no end",
                f"used {used}",
            ]
            self.stdout.write("\t".join(facts))

    def _make(self, name: str, scope: list[str], owner: str, agent: list[str], days: int) -> None:
        """The token alone goes to the standard output, for a variable or a file."""
        wish = tokens.Wish(name=name, owner=owner, scopes=scope, agents=agent, days=days)
        made = tokens.make(Actor(None), wish)
        self.stderr.write(
            f"“{name}” acts as {owner} until {made.token.expires_at:%Y-%m-%d}. "
            "This is shown once; only a hash of it is kept."
        )
        self.stdout.write(made.text)

    def _revoke(self, prefix: str) -> None:
        revoked = tokens.revoke(Actor(None), prefix)
        self.stdout.write(f"“{revoked.name}” is revoked. Its next request is refused.")
