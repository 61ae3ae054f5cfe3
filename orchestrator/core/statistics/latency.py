"""How long calls took, as counters hold it: how many were over within each of a few bounds."""

from dataclasses import dataclass

from orchestrator.core.statistics.intervals import SHARES_FROM

BOUNDS_S = (1, 5, 15, 60)


@dataclass(frozen=True, slots=True)
class Latency:
    n: int
    took_ms: int
    # As many as BOUNDS_S, each counting those before it as well.
    within: tuple[int, ...]

    @property
    def mean_s(self) -> float | None:
        return self.took_ms / self.n / 1_000 if self.n else None

    @property
    def shows_shares(self) -> bool:
        """Whether they are enough to speak of percentiles."""
        return self.n >= SHARES_FROM

    @property
    def p50(self) -> str:
        return self._bound(0.5)

    @property
    def p95(self) -> str:
        return self._bound(0.95)

    def __add__(self, other: "Latency") -> "Latency":
        within = tuple(map(sum, zip(self.within, other.within, strict=True)))
        return Latency(self.n + other.n, self.took_ms + other.took_ms, within)

    def _bound(self, share: float) -> str:
        """The least bound within which that share of the calls was over."""
        over = (
            f"≤ {s} s"
            for s, count in zip(BOUNDS_S, self.within, strict=True)
            if count >= share * self.n
        )
        return next(over, f"> {BOUNDS_S[-1]} s")

    def __str__(self) -> str:
        if not self.n:
            return "none"
        if self.shows_shares:
            return f"p50 {self.p50}, p95 {self.p95}"
        return f"{self.within[0]:,} of {self.n:,} within {BOUNDS_S[0]} s"
