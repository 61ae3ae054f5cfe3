"""What is wrong, and where it begins."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

KEPT_MAX = 1_000


class Wrong(StrEnum):
    CHANGED = "was changed: its hash does not fit its content"
    REPLACED = "was replaced by another"
    MISSING = "is missing"
    CUT = "is missing with all that followed: the run was cut"
    RUN_GONE = "is missing with its whole run"
    ORPHANED = "belongs to a run that is gone"
    NOT_BY_US = "was not written by us"
    OUT_OF_ORDER = "is out of order"
    TIME_MOVED = "has a time that cannot be: it was moved"
    NOT_THE_END = "is not what its run says it ends with"


@dataclass(frozen=True, slots=True)
class Finding:
    run: str
    seq: int
    what: Wrong
    kind: str = ""
    checkpoint: int | None = None

    def __str__(self) -> str:
        kind = f" ({self.kind})" if self.kind else ""
        vouched = f"; checkpoint {self.checkpoint} vouches for it" if self.checkpoint else ""
        return f"run {self.run}, event {self.seq}{kind} {self.what}{vouched}"


@dataclass(slots=True)
class Findings:
    """The first bad event of each run (of very many runs, the oldest), and what ails checkpoints."""

    by_run: dict[str, Finding] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)

    def add(self, finding: Finding) -> None:
        known = self.by_run.get(finding.run)
        # Of two words about one event the earlier stays: it was said with a checkpoint in hand.
        if known is None or finding.seq < known.seq:
            self.by_run[finding.run] = finding
        if len(self.by_run) > KEPT_MAX:
            del self.by_run[max(self.by_run)]

    def doubt(self, reason: str) -> None:
        if len(self.doubts) < KEPT_MAX:
            self.doubts.append(reason)

    def explain_missing(self, last_seq: Callable[[str], int | None]) -> None:
        """Whether an event is missing alone, with all that followed it, or with its whole run."""
        for run, finding in self.by_run.items():
            if finding.what is Wrong.MISSING:
                last = last_seq(run)
                if last is None or last < finding.seq:
                    what = Wrong.RUN_GONE if last is None else Wrong.CUT
                    self.by_run[run] = replace(finding, what=what)

    @property
    def in_order(self) -> list[str]:
        return [*(str(self.by_run[run]) for run in sorted(self.by_run)), *self.doubts]
