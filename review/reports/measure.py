"""Counted in proposals, or in what they are worth: one currency at a time, since amounts of two are no sum."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.core.statistics.figures import Outcomes
from orchestrator.core.statistics.intervals import Rate
from orchestrator.report_queries.scope import Tally
from review.presentation.charts.scale import compact, percent
from review.presentation.money import money, rough
from review.reports import table
from review.reports.filter import Asked
from review.reports.table import Cell


@dataclass(frozen=True, slots=True)
class Measure:
    """`currency` is empty where proposals are counted, and where nothing of what is there has an amount."""

    in_value: bool = False
    currency: str = ""
    # Others that there are amounts in.
    others: tuple[str, ...] = ()

    def of(self, tally: Tally) -> int:
        return tally.amounts.get(self.currency, 0) if self.in_value else tally.proposals

    def outcomes(self, counts: Outcomes, amounts: Mapping[str, Outcomes]) -> Outcomes:
        return amounts.get(self.currency, Outcomes()) if self.in_value else counts

    def say(self, number: float) -> str:
        return money(round(number), self.currency) or "0" if self.in_value else f"{number:,.0f}"

    def short(self, number: float) -> str:
        """For beside an axis."""
        return rough(number, self.currency) if self.in_value else compact(number)

    def cell(self, number: int, url: str = "") -> Cell:
        return Cell(self.say(number), (number,), url if number else "")

    def share(self, part: int, whole: int, url: str = "") -> Cell:
        """Of money without an interval: amounts are no draws."""
        if not self.in_value:
            return table.rate(Rate(part, whole), url)
        if whole <= 0:
            return Cell("–", (part, whole, "", "", ""))
        raw = (part, whole, round(part / whole, 6), "", "")
        return Cell(percent(part / whole), raw, url, f"{self.say(part)} of {self.say(whole)}")


def measure_of(asked: Asked, currencies: Iterable[str]) -> Measure:
    """In the currency that was asked for, else in the first of those there are."""
    if not asked.in_value:
        return Measure()
    there = sorted(set(currencies))
    chosen = asked.currency if asked.currency in there else next(iter(there), "")
    return Measure(True, chosen, tuple(code for code in there if code != chosen))
