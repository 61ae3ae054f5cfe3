from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core import mail as django_mail

from orchestrator import plugins
from orchestrator.agents.base import AgentCall
from orchestrator.core.codec import digest
from orchestrator.models import Decision, Disposition, Effect, LedgerEntry, Proposal
from tests.engine.mail_server import MailServer

SMTP = "django.core.mail.backends.smtp.EmailBackend"


@pytest.fixture
def post(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """A real mail server, and settings that name it."""
    with MailServer() as server:
        options = {"host": "127.0.0.1", "port": server.port, "timeout": 2}
        mailers = {"default": {"BACKEND": SMTP, "OPTIONS": options}}
        monkeypatch.setattr(settings, "MAILERS", mailers)
        monkeypatch.setattr(settings, "EMAIL_URL", f"smtp://127.0.0.1:{server.port}")
        monkeypatch.setattr(settings, "DEFAULT_FROM_EMAIL", "countersign@example.com")
        monkeypatch.setattr(django_mail, "mailers", type(django_mail.mailers)())
        yield server


@pytest.fixture
def nothing_unapproved() -> Iterator[None]:
    """Whatever the test did: what reached a target was accepted or approved, once each, to the letter."""
    yield
    accepted = set(Disposition.objects.filter(verdict="accept").values_list("proposal", flat=True))
    decided = Decision.objects.filter(verdict="approve").values_list("item__proposal", flat=True)
    allowed = accepted | set(decided)
    done = Effect.objects.filter(status="done").select_related("proposal")
    assert {effect.proposal_id for effect in done} <= allowed
    assert all(digest(effect.proposal.payload) == effect.payload_digest for effect in done)
    assert set(Proposal.objects.filter(status="executed").values_list("pk", flat=True)) <= allowed
    in_ledger = [effect.idempotency_key for effect in done if effect.executor == "ledger"]
    assert sorted(LedgerEntry.objects.values_list("key", flat=True)) == sorted(in_ledger)


@pytest.fixture
def mallory(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[AgentCall], Any]], None]:
    """The one function that a stage may name, and its agents may be anything."""

    def set_to(function: Callable[[AgentCall], Any]) -> None:
        found = plugins.Plugins(agents={"mallory": function})
        monkeypatch.setattr("orchestrator.agents.function.load", lambda: found)

    return set_to
