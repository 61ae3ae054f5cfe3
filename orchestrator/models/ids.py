"""Primary keys that people can read: see `core/typeid.py`. This is where time and chance come in."""

import secrets
import time
from functools import partial
from typing import Any

from django.db import models

from orchestrator.core import typeid


def new_id(prefix: str) -> str:
    return typeid.make(prefix, at_ms=time.time_ns() // 1_000_000, entropy=secrets.randbits(74))


class IdField(models.CharField):  # type: ignore[type-arg]
    """A text of 30 letters, in PostgreSQL the domain `typeid`.

    The domain checks the form, compares by bytes so that key order is time order, and saves the
    second index that Django would add for LIKE to every key and every foreign key.
    """

    def __init__(self, prefix: str, **options: Any) -> None:
        self.prefix = prefix
        options |= {"primary_key": True, "max_length": 30, "editable": False}
        super().__init__(default=partial(new_id, prefix), **options)

    def deconstruct(self) -> Any:
        name, path, _, _ = super().deconstruct()
        return name, path, [self.prefix], {}

    def db_type(self, connection: Any) -> str:
        return "typeid"
