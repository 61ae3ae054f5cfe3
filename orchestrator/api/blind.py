"""What somebody judges blind: none of their programs is told of its run until they have judged it."""

from collections.abc import Collection

from django.http import HttpRequest

from orchestrator import audit_queries
from orchestrator.api.auth import token_of
from orchestrator.core.errors import NotAllowed


def shut_runs(request: HttpRequest) -> Collection[str]:
    """None for a token that sees only its own: nobody judges what was asked for with theirs."""
    token = token_of(request)
    return audit_queries.veiled_runs(token.owner) if token.may("read") else ()


def refuse_blind(request: HttpRequest, run: str, what: str = "this run") -> None:
    if run in shut_runs(request):
        owner = token_of(request).owner.get_username()
        advice = "Judge what you hold of its run first, or put it back."
        raise NotAllowed(owner, f"see {what} just now", advice)
