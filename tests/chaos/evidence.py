"""What the checks are given: the database, the world outside, and what everybody was told."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.chaos.clients import Told
from tests.chaos.recorder import Happened

# The executor of changes of rules, whose target is the product's own database.
CHANGES = "countersign"


@dataclass(frozen=True)
class Evidence:
    connection: psycopg.Connection
    told: Told
    happened: dict[str, Happened]
    contradictions: list[str]
    # How often each message of a webhook arrived.
    heard: Counter[str]
    decisions: Path
    asked: Path
    environment: dict[str, str]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()

    def asks(self) -> Iterator[tuple[str, str]]:
        """What was confirmed to the admin, by her own notes: a kind and an id."""
        lines = self.asked.read_text().splitlines() if self.asked.exists() else []
        for line in dict.fromkeys(lines):
            kind, key = line.split()
            yield kind, key


def reference_of(happened: Happened) -> str:
    """What the work is called, under whatever key it came."""
    return str(json.loads(happened.payload)["args"]["reference"])


type Check = Callable[[Evidence], Iterator[str]]
