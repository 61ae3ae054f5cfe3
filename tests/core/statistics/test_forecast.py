"""A forecast for people: its bounds hold as often as they say, and it says nothing of too little."""

import math
import random
from datetime import date, timedelta
from typing import Any

import pytest

from orchestrator.core.statistics.forecast import (
    DAYS_MAX,
    DAYS_MIN,
    Forecast,
    Handling,
    forecast,
    t_quantile,
)

MONDAY = date(2026, 3, 2)
WEEK = (120, 110, 100, 105, 90, 20, 8)
TWO_MINUTES = Handling(2)


def poisson(drawer: random.Random, mean: float) -> int:
    """Knuth's way, in parts that do not underflow."""
    count = 0
    while mean > 30:
        mean, count = mean - 30, count + poisson(drawer, 30)
    limit, product = math.exp(-mean), drawer.random()
    while product > limit:
        product, count = product * drawer.random(), count + 1
    return count


def uneven(drawer: random.Random, mean: float, shape: float) -> int:
    """Days differ by more than chance: a Poisson count whose mean is itself drawn."""
    return poisson(drawer, mean * drawer.gammavariate(shape, 1 / shape))


def made(counts: list[int], handling: Handling = TWO_MINUTES, **more: Any) -> Forecast:
    found = forecast(MONDAY, counts, handling, **more)
    assert found
    return found


@pytest.mark.parametrize("freedom", [1, 2, 7, 21, 49, 1_000])
@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95, 0.99])
def test_students_quantile_is_scipys(scipy_stats: Any, freedom: int, confidence: float) -> None:
    expected = scipy_stats.t.ppf((1 + confidence) / 2, freedom)
    assert t_quantile(confidence, freedom) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("days", [14, 17, 28, 45, 56])
def test_bounds_are_those_of_a_regression_on_weekdays(numpy: Any, ols: Any, days: int) -> None:
    """The same model by ordinary least squares: one dummy a weekday, the interval of an observation."""
    drawer = random.Random(days)  # noqa: S311
    counts = [uneven(drawer, WEEK[n % 7], 6) for n in range(days)]
    roots = numpy.sqrt(numpy.array(counts) + 3 / 8)
    fitted = ols(roots, numpy.eye(7)[numpy.arange(days) % 7]).fit()
    assert fitted.mse_resid > 1 / 4, "too even to show what the days deviate by"
    ahead = numpy.eye(7)[numpy.arange(days, days + 14) % 7]
    theirs = fitted.get_prediction(ahead).conf_int(obs=True, alpha=0.05)
    for load, (low, high) in zip(made(counts).loads, theirs, strict=True):
        assert load.items_between == (
            max(math.floor(max(low, 0) ** 2 - 3 / 8), 0),
            math.ceil(high**2 - 3 / 8),
        )


@pytest.mark.parametrize("days", [14, 28, 56])
@pytest.mark.parametrize("shape", [None, 20.0, 4.0])
@pytest.mark.parametrize("scale", [0.01, 0.2, 3.0])
def test_bounds_hold_as_often_as_they_say(days: int, shape: float | None, scale: float) -> None:
    """Few items or many, days that differ by chance alone or by much more."""
    drawer, inside, asked = random.Random(7), 0, 0  # noqa: S311

    def day(place: int) -> int:
        mean = WEEK[place % 7] * scale
        return uneven(drawer, mean, shape) if shape else poisson(drawer, mean)

    for _ in range(120):
        counts = [1, *(day(place) for place in range(1, days))]
        for place, load in enumerate(made(counts, ahead=7).loads, start=days):
            low, high = load.items_between
            inside, asked = inside + (low <= day(place) <= high), asked + 1
    assert inside / asked >= 0.93


def test_hours_hold_as_often_as_they_say() -> None:
    """Items take their own time each, and how long on average is known from a few only."""
    drawer, inside, asked = random.Random(8), 0, 0  # noqa: S311
    for _ in range(150):
        counts = [poisson(drawer, WEEK[n % 7]) for n in range(28)]
        took = [drawer.expovariate(1 / 3) for _ in range(40)]
        mean = sum(took) / len(took)
        deviation = math.sqrt(sum((one - mean) ** 2 for one in took) / (len(took) - 1))
        found = made(counts, Handling(mean, deviation, len(took)), ahead=7)
        for place, load in enumerate(found.loads, start=28):
            come = poisson(drawer, WEEK[place % 7])
            hours = sum(drawer.expovariate(1 / 3) for _ in range(come)) / 60
            low, high = load.hours_between
            inside, asked = inside + (low <= hours <= high), asked + 1
    assert inside / asked >= 0.93


def test_each_day_is_expected_like_its_weekday() -> None:
    loads = made([*WEEK, *WEEK], ahead=9).loads
    assert [load.day for load in loads] == [MONDAY + timedelta(days=14 + n) for n in range(9)]
    assert [load.items for load in loads] == [*WEEK, *WEEK[:2]]
    assert loads[0].hours == pytest.approx(120 * 2 / 60)
    for load in loads:
        low, high = load.items_between
        assert 0 <= low <= load.items <= high
        # Weeks that were alike to the item still differ by chance the next time.
        assert high - low >= 2 * math.sqrt(load.items)


def test_reviewers_are_counted_in_whole_people() -> None:
    sunday, monday = made([*WEEK, *WEEK], Handling(10), ahead=8).loads[6:]
    assert monday.reviewers(6)[0] == math.ceil(120 * 10 / 60 / 6) == 4
    assert monday.reviewers(6)[1] == math.ceil(monday.hours_between[1] / 6) > 4
    assert sunday.reviewers(6)[0] == 1
    with pytest.raises(ValueError, match="0 hours"):
        monday.reviewers(0)


def test_of_too_few_days_it_says_nothing() -> None:
    assert forecast(MONDAY, [], TWO_MINUTES) is None
    assert forecast(MONDAY, [5] * (DAYS_MIN - 1), TWO_MINUTES) is None
    assert forecast(MONDAY, [0] * 100, TWO_MINUTES) is None
    # What was before anything came at all is no history, however long it was.
    assert forecast(MONDAY, [0] * 30 + [5] * (DAYS_MIN - 1), TWO_MINUTES) is None


def test_empty_days_before_the_first_item_do_not_dilute_it() -> None:
    late = forecast(MONDAY - timedelta(days=21), [0] * 21 + [*WEEK, *WEEK], TWO_MINUTES)
    assert late == made([*WEEK, *WEEK])


def test_what_is_long_ago_is_left_out() -> None:
    found = forecast(MONDAY, [900] * 70 + [*WEEK] * 8, TWO_MINUTES)
    assert found
    assert found.days == DAYS_MAX
    assert [load.items for load in found.loads[:7]] == [*WEEK]
    assert found.loads[0].day == MONDAY + timedelta(days=70 + 56)
