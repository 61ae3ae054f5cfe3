"""What the checks are given: the database, the world outside, and what everybody was told."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.chaos.clients import Told
from tests.chaos.recorder import Happened
from tests.chaos.site import ROOT

# The executor of changes of rules, whose target is the product's own database.
CHANGES = "countersign"
# More of the same would say nothing new.
SHOWN = 10


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


def complaints(evidence: Evidence, *words: str) -> Iterator[str]:
    """What one of the product's own commands has against the database."""
    done = subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=evidence.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        yield from done.stderr.splitlines()[-SHOWN:]


type Check = Callable[[Evidence], Iterator[str]]
