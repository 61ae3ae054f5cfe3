"""One backtest in a worker's hands, whatever it tests, with what it has counted so far."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.conf import settings

from orchestrator.core.codec import Json
from orchestrator.core.policy.backtest import Cell, Tally
from orchestrator.engine.recorded import Line
from orchestrator.models import Backtest, BacktestFlip

REASON_LENGTH_MAX = 1_000


@dataclass(eq=False, slots=True)
class Trial(ABC):
    id: str
    fence: int
    tally: Tally
    reasons: Counter[str]
    # How many flips of each kind there were, kept or not.
    flips: Counter[str]
    found: list[BacktestFlip] = field(default_factory=list, kw_only=True)

    @abstractmethod
    def mark_tested(self) -> None:
        """It came to its end. In the transaction that stores that."""

    def count(self, cell: Cell, proposal: str, why: Callable[[], str]) -> None:
        """`why` is asked about flips that are kept."""
        self.tally[cell] += 1
        if kind := cell.flip:
            self.flips[kind] += 1
            if self.flips[kind] <= settings.BACKTEST_FLIPS_MAX:
                self.found.append(self._flip(cell, proposal, why()))

    def counts(self, oldest: str) -> dict[str, Json]:
        reasons: dict[str, Json] = dict(self.reasons)
        return {"cells": self.tally.to_json(), "reasons": reasons, "oldest": oldest}

    def _flip(self, cell: Cell, proposal: str, reason: str) -> BacktestFlip:
        return BacktestFlip(
            backtest_id=self.id,
            proposal_id=proposal,
            before=cell.before,
            after=cell.after,
            human=cell.human,
            reason=reason[:REASON_LENGTH_MAX],
        )


class Bench[Tried: Trial](ABC):
    """Trials of one kind that look at the same proposals."""

    # How many to read at once.
    batch: int

    def __init__(self, trials: Sequence[Tried]) -> None:
        # Those that go on: what was cancelled is taken out between two batches.
        self.trials = list(trials)

    @abstractmethod
    def weigh(self, page: list[Line], deadline: float) -> int:
        """Ask about as many of them as there is room and time for, at least one; how many that were."""


def so_far(backtest: Backtest) -> tuple[str, int, Tally, Counter[str], Counter[str]]:
    """What the last worker left of it: the first parts of a trial."""
    tally = Tally.from_json(backtest.counts.get("cells", {}))
    reasons = Counter[str](backtest.counts.get("reasons", {}))
    return backtest.pk, backtest.fence, tally, reasons, tally.flips()
