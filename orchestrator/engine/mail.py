"""Mails: about notices a sentence and a link each, or a report; and nothing to decide with.

What is waiting for one person goes together, so that a busy minute is one mail and not fifty.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage

from orchestrator.core.codec import read
from orchestrator.models import Delivery


def send(deliveries: Sequence[Delivery]) -> None:
    """All to one address. Raises what the mail server or the way to it raises."""
    first = deliveries[0]
    messages = [_message(delivery) for delivery in deliveries]
    EmailMessage(
        subject=_subject(messages),
        body=_body(messages),
        to=[first.address],
        headers={
            "Message-ID": f"<{first.pk}@{urlsplit(settings.BASE_URL).hostname}>",
            # Answering machines keep quiet.
            "Auto-Submitted": "auto-generated",
        },
    ).send()


def _message(delivery: Delivery) -> dict[str, Any]:
    found = read(delivery.body)
    return found if isinstance(found, dict) else {}


def _subject(messages: Sequence[dict[str, Any]]) -> str:
    if len(messages) == 1:
        return str(messages[0]["sentence"])
    return f"{len(messages)} notices from Countersign"


def _body(messages: Sequence[dict[str, Any]]) -> str:
    return "\n".join([*map(_part, messages), _footer()])


def _part(message: dict[str, Any]) -> str:
    """A report is all text; its links stand where they belong."""
    if message["kind"] == Delivery.WEEKLY_REPORT:
        return str(message["text"])
    return f"{message['sentence']}\n{message['link']}\n"


def _footer() -> str:
    return f"-- \nWhat reaches you how: {settings.BASE_URL}/me/notices/\n"
