"""What somebody has yet to judge, and what their programs are therefore not told."""

from collections.abc import Collection

from django.http import HttpRequest

from orchestrator import audit_queries
from orchestrator.actions.actor import capabilities_of
from orchestrator.api.auth import token_of
from orchestrator.core.errors import NotAllowed


def undecided_in(request: HttpRequest, run: str) -> Collection[str]:
    """What is judged openly there, of an owner who judges at all."""
    token = token_of(request)
    if not token.may("read") or "queue.decide" not in capabilities_of(token.owner):
        return ()
    return audit_queries.undecided([run], token.owner)


def shut_runs(request: HttpRequest) -> Collection[str]:
    """What is judged blind. None for a token that sees only its own: nobody judges what was asked for with theirs."""
    token = token_of(request)
    return audit_queries.veiled_runs(token.owner) if token.may("read") else ()


def refuse_blind(request: HttpRequest, run: str, what: str = "this run") -> None:
    if run in shut_runs(request):
        owner = token_of(request).owner.get_username()
        advice = "Judge what you hold of its run first, or put it back."
        raise NotAllowed(owner, f"see {what} just now", advice)
