"""Steers the failpoints: names that were hit too seldom so far become likelier, others rarer."""

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.failpoints import NAMES
from tests.chaos.site import LEASE_S

HITS_MIN = 5
# A little more than enough, so that the last ones are not left to the last second.
HITS_DUE = 6.5
# Of all arrivals at a place that lacks hits; where a place is rare, every arrival counts in the end.
SHARE_FIRST, SHARE_MAX = 0.01, 1.0
# Where many arrivals follow at once after a pause, it must not always be the first that is hit.
SHARE_MAX_IN_BURSTS = {"batch-counted-not-stored": 0.3, "batch-stored-in-transaction": 0.7}
RAISE, EASE = 1.5, 0.3
# At places that have what they need, so that chance goes on everywhere.
SHARE_LATER = 0.002
LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Hit:
    name: str
    pid: int
    action: str
    at: float


@dataclass
class Steering:
    file: Path
    log: Path
    seed: int
    seconds: float
    names: tuple[str, ...] = NAMES
    # How hard each name is pushed, and how often it had been hit when that was last decided.
    _pushes: dict[str, float] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)

    def hits(self) -> list[Hit]:
        if not self.log.exists():
            return []
        return [_read(line) for line in self.log.read_text().splitlines()]

    def rest(self) -> None:
        """Nothing is hit from now on."""
        self._write({})

    def steer(self, elapsed_s: float) -> None:
        """Each name gets its hits evenly over the time, and no two names at the same moment."""
        counts = Counter(hit.name for hit in self.hits())
        shares: dict[str, float] = {}
        for number, name in enumerate(self.names):
            phase = number / len(self.names)
            due = int(HITS_DUE * elapsed_s / self.seconds + phase)
            shares[name] = self._push(name, counts[name]) if counts[name] < due else SHARE_LATER
        self._counts = counts
        self._write(shares)

    def _push(self, name: str, count: int) -> float:
        """Harder while nothing happens, and more gently again after a hit."""
        push = self._pushes.get(name, SHARE_FIRST)
        push *= EASE if count > self._counts[name] else RAISE
        most = SHARE_MAX_IN_BURSTS.get(name, SHARE_MAX)
        self._pushes[name] = min(most, max(SHARE_FIRST, push))
        return self._pushes[name]

    def _write(self, shares: dict[str, float]) -> None:
        """As a whole: processes read it at any moment."""
        spec = {"seed": self.seed, "sleep_s": LEASE_S + 2.0, "sleep_share": 0.25, "names": shares}
        draft = self.file.with_suffix(".tmp")
        draft.write_text(json.dumps(spec))
        os.replace(draft, self.file)


def _read(line: str) -> Hit:
    name, pid, action, at = line.split()
    return Hit(name, int(pid), action, float(at))
