"""How much is open and how much has ended, asked of the database whenever it can be asked."""

import time
from dataclasses import dataclass, field

import psycopg

from tests.chaos.site import Site

OPEN_MAX = 60
EVERY_S = 0.4
COUNT = """
    SELECT count(*) FILTER (WHERE status IN ('new', 'running', 'waiting'))
           + (SELECT count(*) FROM orchestrator_backtest WHERE ended_at IS NULL)
           + (SELECT count(*) FROM orchestrator_effect WHERE status = 'undoing')
           + (SELECT count(*) FROM orchestrator_reviewitem
               WHERE status = 'waiting' AND kind = 'failed_compensation'),
           count(*) FILTER (WHERE status NOT IN ('new', 'running', 'waiting'))
      FROM orchestrator_run
"""


@dataclass
class Gauge:
    site: Site
    open: int = 0
    ended: int = 0
    # The longest time in which nothing came to its end, since it was last set to 0.
    stall_s: float = 0.0
    _connection: psycopg.Connection | None = None
    _next_at: float = 0.0
    _moved_at: float = field(default_factory=time.monotonic)

    def has_room(self) -> bool:
        """So that a pause of the product's does not end in a queue that hides it."""
        return self.open < OPEN_MAX

    def tick(self) -> None:
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + EVERY_S
        try:
            if self._connection is None:
                self._connection = self.site.connect()
            row = self._connection.execute(COUNT).fetchone()
        except psycopg.Error:
            self.close()
            return
        if row:
            self._note(*row)

    def _note(self, is_open: int, ended: int) -> None:
        now = time.monotonic()
        if ended > self.ended:
            self._moved_at = now
        self.open, self.ended = is_open, ended
        self.stall_s = max(self.stall_s, now - self._moved_at)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
