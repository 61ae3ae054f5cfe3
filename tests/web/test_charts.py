"""Where charts put what they show: places in hundredths, gaps where too little is known, axes that are honest."""

import re

import pytest
from django.template.loader import render_to_string

from orchestrator.core.statistics.calibration import reliability
from orchestrator.core.statistics.intervals import Rate
from orchestrator.core.statistics.judged import Judged
from review.presentation.charts import scale
from review.presentation.charts.flow import Step, flow
from review.presentation.charts.histogram import histogram
from review.presentation.charts.rates import rate_chart
from review.presentation.charts.reliability import reliability_chart
from review.presentation.charts.stacks import Part, stack_chart
from review.presentation.charts.trends import forecast_chart, trend_chart
from review.presentation.charts.whiskers import difference_whiskers, rate_whiskers

NASTY = "</title><script>alert(1)</script>\"' & \u202e"


def drawn(chart: object, name: str) -> str:
    return render_to_string(f"review/charts/{name}.html", {"chart": chart})


# Axes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [0, 1, 3, 7, 99, 100, 1_234, 5_500, 1_000_000])
def test_an_axis_of_counts_begins_at_0_and_holds_the_most(most: int) -> None:
    axis = scale.count_axis(most)
    assert axis.low == 0
    assert not axis.is_cut
    assert axis.high >= most
    assert axis.at(0) == 0
    assert axis.ticks[0].text == "0"
    assert [tick.at for tick in axis.ticks] == sorted({tick.at for tick in axis.ticks})
    assert len({tick.text for tick in axis.ticks}) == len(axis.ticks) <= scale.TICKS + 2


def test_a_narrow_share_gets_a_cut_axis_and_a_wide_one_does_not() -> None:
    narrow, wide = scale.share_axis([0.91, 0.97]), scale.share_axis([0.2, 0.9])
    assert narrow.is_cut
    assert narrow.low <= 0.91
    assert narrow.high >= 0.97
    assert (wide.low, wide.high, wide.is_cut) == (0, 1, False)


def test_a_share_never_lies_outside_its_axis() -> None:
    axis = scale.share_axis([0.0, 0.02])
    assert axis.low == 0
    assert axis.at(0.5) == 100
    assert scale.share_axis([1.0, 1.0]).high == 1


def test_a_difference_lies_around_0() -> None:
    axis = scale.difference_axis([-0.031, 0.12])
    assert axis.low == -axis.high
    assert axis.at(0) == 50
    assert [tick.text for tick in axis.ticks][1] == "0"
    assert axis.ticks[0].text.startswith("−")


def test_labels_leave_room_for_each_other() -> None:
    assert len(scale.spread([str(n) for n in range(180)])) <= scale.LABELS_MAX
    assert [tick.at for tick in scale.spread(["a", "b"])] == [25, 75]


# Rates over time ----------------------------------------------------------------------------------


def test_a_week_with_too_few_is_a_gap() -> None:
    slots = [("1 Jan", Rate(80, 100)), ("8 Jan", Rate(3, 4)), ("15 Jan", Rate(90, 100))]
    chart = rate_chart("Accepted", slots)
    assert [dot.x for dot in chart.dots] == [16.67, 83.33]
    assert chart.lines == ()
    assert len(chart.bands) == 2
    assert chart.title == "Accepted: 80\u00a0% from 1 Jan, 90\u00a0% from 15 Jan"


def test_the_line_lies_inside_its_band() -> None:
    slots = [(str(n), Rate(60 + n, 100)) for n in range(5)]
    chart = rate_chart("Accepted", slots)
    numbers = [float(text) for text in re.findall(r"[\d.]+", chart.bands[0])]
    tops, bottoms = numbers[1:10:2], numbers[11::2][::-1]
    dots = [dot.y for dot in chart.dots]
    assert all(top < dot < low for top, dot, low in zip(tops, dots, bottoms, strict=True))


def test_nothing_known_says_so_and_draws_no_share() -> None:
    chart = rate_chart("Accepted", [("1 Jan", Rate(1, 2))])
    assert chart.is_empty
    assert "too few" in chart.title
    assert "Too few" in drawn(chart, "rates")


def test_changes_stand_at_their_week_and_the_time_before_is_a_line_of_its_own() -> None:
    slots = [(str(n), Rate(80, 100)) for n in range(4)]
    chart = rate_chart("Accepted", slots, before=[Rate(70, 100)] * 6, marked=[1, 3])
    assert [(mark.number, mark.at) for mark in chart.marks] == [(1, 37.5), (2, 87.5)]
    assert chart.before[0].count("L") == 3
    assert chart.axis.low <= 0.7


# Columns, bars, areas -----------------------------------------------------------------------------


def test_parts_of_a_column_lie_on_each_other_and_fill_it() -> None:
    parts = [Part("automatic", "By itself"), Part("people", "By people"), Part("open", "Open")]
    chart = stack_chart("Weeks", parts, [("1 Jan", [30, 0, 10]), ("8 Jan", [0, 0, 0])])
    low, high = chart.boxes
    assert (low.kind, high.kind) == ("automatic", "open")
    assert low.y + low.height == pytest.approx(100)
    assert high.y + high.height == pytest.approx(low.y)
    assert chart.title == "Weeks: in all 30 by itself, 0 by people, 10 open"


def test_bars_of_a_histogram_are_as_high_as_they_count() -> None:
    chart = histogram("Waits", [("1 min", 10), ("2 min", 0), ("4 min", 5)], lines=[(1.5, "half")])
    assert [bar.height for bar in chart.bars] == [100, 50]
    assert chart.lines[0].at == 50
    assert "half" in drawn(chart, "histogram")


def test_what_came_and_went_share_one_axis() -> None:
    chart = trend_chart("Items", ["1 Jan", "2 Jan"], [10, 20], [5, 40])
    assert chart.axis.high == 40
    assert chart.area.endswith("Z")
    assert chart.line == "M25 87.5L75 0"
    assert trend_chart("Items", ["1 Jan"], [0], [0]).is_empty


def test_what_is_expected_begins_where_what_was_measured_ends() -> None:
    chart = forecast_chart("Items", ["1", "2", "3", "4"], [10, 20], [(5, 10, 15), (5, 10, 20)])
    assert (chart.expected_from, chart.expected_width) == (50, 50)
    assert chart.band.startswith("M62.5 25L87.5 0")


def test_columns_of_the_flow_are_shares_of_everything_proposed() -> None:
    first, second = flow(
        [
            ("Proposed", [Step("proposed", "By agents", 200)]),
            ("Done", [Step("automatic", "Done", 50), Step("refused", "Failed", 1)]),
        ]
    )
    assert [one.height for one in first.segments] == [100]
    assert [(one.y, one.height) for one in second.segments] == [(75, 25), (74.5, 0.5)]
    assert second.share == "26\u00a0%"
    assert second.segments[1].share == "2\u00a0%"
    assert second.title == "Done: 50 done, 1 failed"


# Dots and whiskers --------------------------------------------------------------------------------


def test_a_dot_has_its_interval_and_few_have_none() -> None:
    chart = rate_whiskers([Rate(80, 100), Rate(2, 3)])
    known, few = chart.rows
    assert known.dot is not None
    assert known.low < known.dot < known.low + known.width
    assert few.dot is None
    assert few.title == "2 of 3, too few to say a share"


def test_a_difference_has_a_tone_only_where_chance_alone_is_no_explanation() -> None:
    chart = difference_whiskers(
        [(0.1, (0.02, 0.2)), (0.1, (-0.02, 0.2)), (-0.1, (-0.2, -0.01)), None], more_is="ok"
    )
    assert [row.tone for row in chart.rows] == ["ok", "", "bad", ""]
    assert chart.line == 50


# What scores mean ---------------------------------------------------------------------------------


def test_bins_with_few_labels_have_a_bar_below_and_no_dot() -> None:
    judged = [Judged(score=0.95, right=n % 5 != 0) for n in range(40)]
    judged += [Judged(score=0.15, right=False) for _ in range(4)]
    chart = reliability_chart(reliability(judged))
    assert [(place.x, place.y) for place in chart.places] == [(95, 20)]
    assert [(bar.x, bar.height) for bar in chart.weights] == [(10.5, 10), (90.5, 100)]
    assert (
        chart.title
        == "Of answers with a stated confidence of 90 to 100\u00a0%, 80\u00a0% were right"
    )


# Other people's words -----------------------------------------------------------------------------


def test_hostile_words_stay_words_in_every_chart() -> None:
    pages = [
        drawn(rate_chart(NASTY, [(NASTY, Rate(80, 100))]), "rates"),
        drawn(stack_chart(NASTY, [Part("automatic", NASTY)], [(NASTY, [3])]), "stacks"),
        drawn(trend_chart(NASTY, [NASTY], [1], [2]), "trends"),
        drawn(histogram(NASTY, [(NASTY, 1)], lines=[(0, NASTY)]), "histogram"),
        render_to_string(
            "review/charts/flow.html", {"columns": flow([(NASTY, [Step("open", NASTY, 1)])])}
        ),
    ]
    for page in pages:
        assert "<script" not in page
        assert page.count("</title>") == page.count("<title>")


def test_a_chart_is_one_picture_with_one_sentence() -> None:
    page = drawn(rate_chart("Accepted", [("1 Jan", Rate(80, 100))]), "rates")
    assert page.count('role="img"') == 1
    assert "style=" not in page
