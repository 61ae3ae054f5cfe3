"""Calls of webhooks as Standard Webhooks has them: https://www.standardwebhooks.com.

Whoever is called can check who called, what was said, and when: the signature is over all three.
"""

import base64
import hashlib
import hmac
import time

from django.conf import settings

from orchestrator.models import Delivery, WebhookEndpoint
from orchestrator.outside import Answer, post

PREFIX = "whsec_"
AGENT = "Countersign"


def secret_of(endpoint: WebhookEndpoint) -> str:
    """What the other side checks with. It is never stored: whoever reads the database cannot sign."""
    return PREFIX + base64.b64encode(_key_of(endpoint)).decode()


def _key_of(endpoint: WebhookEndpoint) -> bytes:
    text = f"countersign webhook {endpoint.pk} {endpoint.salt}"
    return hmac.digest(settings.SECRET_KEY.encode(), text.encode(), hashlib.sha256)


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def call(endpoint: WebhookEndpoint, delivery: Delivery) -> Answer:
    """One attempt: its id is the same each time, its timestamp is not. Raises what `post` raises."""
    body, now = delivery.body.encode(), int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": AGENT,
        "Webhook-Id": delivery.pk,
        "Webhook-Timestamp": str(now),
        "Webhook-Signature": sign(_key_of(endpoint), delivery.pk, now, body),
    }
    return post(endpoint.url, body, headers, trusted=settings.WEBHOOK_HOSTS_TRUSTED)
