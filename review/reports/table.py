"""Tables that a page and its CSV file share: what stands in a cell, and what a program reads of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from orchestrator.core.statistics.intervals import Rate
from review.presentation.charts.scale import between, percent
from review.presentation.charts.whiskers import Whisker
from review.presentation.times import span

# What is there and how a program would name it.
type Raw = tuple[object, ...]
RATE_NAMES = ("k", "n", "share", "low", "high")


@dataclass(frozen=True, slots=True)
class Column:
    """`raw` names the columns of the file; none where a cell only draws what stands beside it."""

    label: str
    raw: tuple[str, ...] = ()
    is_number: bool = False
    # Drawn on an axis that stands in the heading.
    axis: object = None
    line: float | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    text: str = ""
    raw: Raw = ()
    url: str = ""
    sub: str = ""
    # Agents, people and files chose these words; `said_sub` always.
    is_said: bool = False
    said_sub: str = ""
    whisker: Whisker | None = None
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Cell, ...]]
    total: tuple[Cell, ...] = field(default=())
    # The page shows no more; the file has all.
    shown_max: int = 200

    @property
    def lines(self) -> list[list[tuple[Column, Cell]]]:
        return [list(zip(self.columns, row, strict=True)) for row in self.rows[: self.shown_max]]

    @property
    def left_out(self) -> int:
        return max(0, len(self.rows) - self.shown_max)

    @property
    def total_line(self) -> list[tuple[Column, Cell]]:
        return list(zip(self.columns, self.total, strict=True)) if self.total else []

    def without(self, *labels: str) -> "Table":
        """Not drawn on the page, where it would say nothing; in the file it stays."""
        kept = [place for place, one in enumerate(self.columns) if one.label not in labels]
        rows = [tuple(row[place] for place in kept) for row in self.rows]
        return replace(self, columns=tuple(self.columns[place] for place in kept), rows=rows)

    @property
    def head(self) -> list[str]:
        return [name for column in self.columns for name in column.raw]

    @property
    def records(self) -> list[list[object]]:
        return [[value for cell in row for value in cell.raw] for row in self.rows]


# Columns ----------------------------------------------------------------------------------------


def text_column(label: str, *raw: str) -> Column:
    return Column(label, raw)


def number_column(label: str, *raw: str) -> Column:
    return Column(label, raw, is_number=True)


def rate_column(label: str, name: str) -> Column:
    return Column(label, tuple(f"{name}_{part}" for part in RATE_NAMES), is_number=True)


# Cells ------------------------------------------------------------------------------------------


def said(text: str, *, sub: str = "", url: str = "", missing: str = "none") -> Cell:
    """A name that somebody else chose."""
    if not text:
        return Cell(missing, ("",), url, sub)
    return Cell(text, (text,), url, sub, is_said=True)


def plain(text: str, *, raw: Raw | None = None, sub: str = "", url: str = "") -> Cell:
    return Cell(text, (text,) if raw is None else raw, url, sub)


def keyed(kind: str, label: str) -> Cell:
    """With the colour and pattern that it has in the chart."""
    return Cell(label, (label,), kind=kind)


def count(number: int, url: str = "", *, sub: str = "") -> Cell:
    return Cell(f"{number:,}", (number,), url if number else "", sub)


def rate(of: Rate, url: str = "") -> Cell:
    """Below as many as a share needs, the counts alone."""
    low, high = of.bounds
    shown = of.shows_share and of.share is not None
    raw = (of.k, of.n, round(of.share or 0.0, 6), round(low, 6), round(high, 6))
    sub = f"{of.k:,} of {of.n:,}" if shown else ""
    if not shown:
        return Cell(
            f"{of.k:,} of {of.n:,}" if of.n else "–", (of.k, of.n, "", "", ""), url if of.n else ""
        )
    return Cell(percent(of.share or 0.0), raw, url, f"{sub}, {between(of.bounds)}")


def drawn(whisker: Whisker) -> Cell:
    return Cell(whisker=whisker)


def lasting(seconds: float | None) -> Cell:
    """Unknown is no time at all, not none."""
    if seconds is None:
        return Cell("–", ("",))
    return Cell(f"{seconds:.0f} s" if seconds < 60 else span(seconds), (round(seconds),))


NOTHING = Cell("–", ("",))
