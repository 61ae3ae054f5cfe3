"""Secrets that have to be read again, such as those of authenticator apps, are not stored in the clear.

Sealed with a key made from SECRET_KEY: whoever has a copy of the database alone cannot use them.
"""

import base64
import hashlib
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

from orchestrator.core.errors import SecretUnreadable


def seal(text: str) -> str:
    return _box(settings.SECRET_KEY).encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    try:
        return _box(settings.SECRET_KEY).decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise SecretUnreadable from error


@lru_cache(maxsize=2)
def _box(key: str) -> Fernet:
    # SECRET_KEY is random text of any length; BLAKE2 makes a key of it that serves nothing else.
    digest = hashlib.blake2b(key.encode(), digest_size=32, person=b"countersign-box")
    return Fernet(base64.urlsafe_b64encode(digest.digest()))
