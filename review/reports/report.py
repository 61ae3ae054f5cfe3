"""What every report hands to its page and to its files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.core.statistics.intervals import Rate, difference
from review.presentation.charts.scale import between, percent, points
from review.reports.measure import Measure
from review.reports.table import Table


@dataclass(frozen=True, slots=True)
class Change:
    """Against the time before. `tone` only where more is plainly better or worse, and chance alone unlikely."""

    text: str
    icon: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Tile:
    label: str
    value: str
    url: str = ""
    note: str = ""
    change: Change | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """`facts` are its own; what it ignored of the filter has to be said."""

    facts: Mapping[str, Any]
    tables: tuple[Table, ...]
    measure: Measure = field(default_factory=Measure)
    ignored: tuple[str, ...] = ()
    is_empty: bool = False

    def table(self, name: str) -> Table | None:
        """The first one where none is named."""
        found = (one for one in self.tables if not name or one.name == name)
        return next(found, None)


# Tiles ------------------------------------------------------------------------------------------


def rate_tile(
    label: str, of: Rate, *, url: str = "", before: Rate | None = None, more_is: str = ""
) -> Tile:
    change = rate_change(of, before, more_is=more_is) if before is not None else None
    if not of.n:
        return Tile(label, "–", note="none yet", change=change)
    if not of.shows_share or of.share is None:
        note = "too few to say a share"
        return Tile(label, f"{of.k:,} of {of.n:,}", url, note, change)
    note = f"{of.k:,} of {of.n:,}, {between(of.bounds)}"
    return Tile(label, percent(of.share), url, note, change)


def count_change(now: float, before: float, measure: Measure | None = None) -> Change:
    said = (measure or Measure()).say(before)
    if not before:
        return Change("none in the time before")
    part = now / before - 1
    icon = "arrow-up" if part > 0 else "arrow-down" if part < 0 else ""
    return Change(f"{abs(part) * 100:.0f} % from {said}" if part else f"as before: {said}", icon)


def rate_change(now: Rate, before: Rate, *, more_is: str = "") -> Change:
    """With the interval of the difference (Newcombe); without one where either is too small."""
    if not now.shows_share or not before.shows_share:
        return Change(f"before: {before.k:,} of {before.n:,}")
    low, high = difference(now.k, now.n, before.k, before.n)
    value = (now.share or 0.0) - (before.share or 0.0)
    icon = "arrow-up" if value > 0 else "arrow-down" if value < 0 else ""
    tone = ""
    if more_is and (low > 0 or high < 0):
        other = "bad" if more_is == "ok" else "ok"
        tone = more_is if low > 0 else other
    return Change(f"{points(value)} points ({points(low)} to {points(high)})", icon, tone)
