from collections.abc import Iterator

import pytest
from django.conf import settings
from django.core import mail as django_mail

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
