"""Conditions that tell what was rejected from what was approved, and none where only chance does."""

import math
import random
from typing import Any

import pytest

from orchestrator.core.policy.builder import Row, Rows, Scalar, problem_of, to_text
from orchestrator.core.policy.guardrails import Rule, check_all, compile_condition
from orchestrator.core.statistics.separation import (
    EACH_MIN,
    LATER_CHANCE_MAX,
    OPPOSITES,
    TEXT_LENGTH_MAX,
    Example,
    Split,
    Suggestion,
    Term,
    is_true,
    search,
    suggest,
)

AMOUNT, COUNTRY = "proposal.args.amount", "proposal.args.country"


def example(drawer: random.Random, **more: Scalar) -> dict[str, Scalar]:
    return {
        AMOUNT: drawer.randrange(0, 1_000, 20),
        "proposal.args.reason": drawer.choice(["damaged", "late", "other"]),
        "proposal.args.urgent": drawer.random() < 0.3,
        "proposal.args.weight": drawer.random(),
        **more,
    }


def history(n: int, seed: int = 1) -> list[Example]:
    """People reject what costs over 600 and goes to the US, and a few others; some name no country."""
    drawer, found = random.Random(seed), []  # noqa: S311
    for _ in range(n):
        country = drawer.choice(["US", "NL", None])
        fields = example(drawer, **{COUNTRY: country} if country else {})
        is_bad = country == "US" and int(fields[AMOUNT] or 0) > 600
        found.append(Example(fields, rejected=drawer.random() < (0.9 if is_bad else 0.03)))
    return found


def holds(terms: tuple[Term, ...], fields: dict[str, Any]) -> list[bool]:
    """What the words mean, said once more and simply."""
    said = {
        "is": lambda value, wanted: value == wanted,
        "is_not": lambda value, wanted: value != wanted,
        "above": lambda value, wanted: value > wanted,
        "at_most": lambda value, wanted: value <= wanted,
        "given": lambda value, wanted: True,
    }
    return [
        term.field not in fields
        if term.operator == "missing"
        else term.field in fields and said[term.operator](fields[term.field], term.value)
        for term in terms
    ]


def check_counts(found: Suggestion, examples: list[Example]) -> None:
    held = [all(holds(found.held_when, dict(one.fields))) for one in examples]
    passed = [any(holds(found.must_hold, dict(one.fields))) for one in examples]
    assert passed == [not one for one in held]
    both = list(zip(held, (one.rejected for one in examples), strict=True))
    assert found.split == Split(
        caught=both.count((True, True)),
        needless=both.count((True, False)),
        missed=both.count((False, True)),
        passed=both.count((False, False)),
    )
    assert found.split_of(examples) == found.split


def test_two_fields_together_are_found() -> None:
    told = history(2_000)
    found = suggest(told)
    assert found
    assert {(term.field, term.operator) for term in found.held_when} == {
        (COUNTRY, "is"),
        (AMOUNT, "above"),
    }
    at = next(term.value for term in found.held_when if term.field == AMOUNT)
    assert isinstance(at, int)
    assert 540 <= at <= 660
    assert found.split.precision.share is not None
    assert found.split.precision.share > 0.75
    assert found.split.recall.n == sum(one.rejected for one in told)
    check_counts(found, told)


def test_one_field_alone_is_enough_where_it_is() -> None:
    drawer, told = random.Random(2), []  # noqa: S311
    for _ in range(400):
        fields = example(drawer)
        told.append(Example(fields, rejected=fields["proposal.args.urgent"] is True))
    found = suggest(told)
    assert found
    assert found.held_when == (Term("proposal.args.urgent", "is", True),)
    assert found.must_hold == (Term("proposal.args.urgent", "is_not", True),)
    assert (found.split.needless, found.split.missed) == (0, 0)


def test_what_is_missing_can_be_the_reason() -> None:
    drawer = random.Random(3)  # noqa: S311
    told = [
        Example(example(drawer, **({} if n % 4 else {COUNTRY: "NL"})), rejected=n % 4 > 0)
        for n in range(200)
    ]
    found = suggest(told)
    assert found
    assert found.held_when == (Term(COUNTRY, "missing"),)
    assert found.must_hold == (Term(COUNTRY, "given"),)
    check_counts(found, told)


def test_chance_is_not_offered() -> None:
    """In 100 histories without any reason, at most a few of a hundred may look like one."""
    drawer, offered = random.Random(4), 0  # noqa: S311
    for _ in range(100):
        told = [Example(example(drawer), rejected=drawer.random() < 0.2) for _ in range(150)]
        offered += suggest(told) is not None
    assert offered <= 3


def test_its_chance_is_fishers_for_all_that_were_tried(scipy_stats: Any) -> None:
    told = [Example({"a": n % 2 > 0}, rejected=n % 2 > 0 or n % 16 == 0) for n in range(64)]
    found = suggest(told)
    assert found
    split = found.split
    table = [[split.caught, split.needless], [split.missed, split.passed]]
    alone = scipy_stats.fisher_exact(table, alternative="greater").pvalue
    # Two single terms were tried, and they share the doubt with the pairs.
    assert found.chance == pytest.approx(4 * alone, rel=1e-9)
    assert found.tried == 2 + 1


def test_it_can_be_written_as_a_rule() -> None:
    """In the words of the rows that conditions are built from, and the engine takes it."""
    found = suggest(history(2_000))
    assert found
    rows = Rows(tuple(Row(*term) for term in found.must_hold), join="any")
    assert not any(problem_of(row) for row in rows.rows)
    compile_condition(to_text(rows))
    assert "!has(proposal.args.country)" in to_text(rows)
    for operator in OPPOSITES:
        assert not problem_of(Row("a.b", operator, None if operator in {"given", "missing"} else 3))


def test_fields_of_several_types_are_left_alone() -> None:
    told = [Example({"a": 3 if n % 2 else "x", "b": None}, rejected=n % 2 > 0) for n in range(100)]
    assert suggest(told) is None


def test_of_one_side_alone_nothing_is_told_apart() -> None:
    assert suggest([]) is None
    assert suggest([Example({"a": 1}, rejected=True)] * 50) is None
    assert suggest([Example({"a": n}, rejected=False) for n in range(50)]) is None


def test_opposites_are_mutual() -> None:
    for one in OPPOSITES:
        assert OPPOSITES[OPPOSITES[one]] == one


# Searching ---------------------------------------------------------------------------------------


def test_what_is_found_among_the_older_is_counted_among_the_newest() -> None:
    told = history(3_000)
    found = search(told)
    assert (found.older, found.newest) == (2_000, 1_000)
    assert found.suggestion == suggest(told[:2_000])
    assert found.suggestion
    assert found.later == found.suggestion.split_of(told[2_000:])
    assert found.later
    assert found.later.total == 1_000
    assert found.is_confirmed


def test_what_the_newest_do_not_bear_out_is_not_confirmed() -> None:
    """People rejected what was urgent, and stopped to: the older ones alone would still offer it."""
    drawer, told = random.Random(5), []  # noqa: S311
    for n in range(900):
        fields = example(drawer)
        was_bad = fields["proposal.args.urgent"] is True if n < 600 else drawer.random() < 0.3
        told.append(Example(fields, rejected=was_bad))
    found = search(told)
    assert found.suggestion
    assert found.suggestion.chance < 1e-9
    assert not found.is_confirmed


def test_later_counts_are_not_too_good() -> None:
    """Where there is no reason at all the best of many looks like one, and on the newest it does not."""
    shine, truth, drawer = 0.0, 0.0, random.Random(6)  # noqa: S311
    for _ in range(40):
        told = [
            Example({f"a.f{n}": drawer.randrange(8) for n in range(6)}, drawer.random() < 0.3)
            for _ in range(240)
        ]
        found = search(told, chance_max=math.inf)
        assert found.suggestion
        assert found.later
        shine += (found.suggestion.split.precision.share or 0) / 40
        truth += (found.later.precision.share or 0) / 40
    assert shine > 0.4
    assert truth == pytest.approx(0.3, abs=0.05)


def test_of_too_few_of_either_side_nothing_is_looked_for() -> None:
    def told(rejected_older: int, rejected_newest: int) -> list[Example]:
        older = [Example({"a.b": n}, rejected=n < rejected_older) for n in range(60)]
        return older + [Example({"a.b": n}, rejected=n < rejected_newest) for n in range(30)]

    assert search(told(EACH_MIN, EACH_MIN)).is_enough
    assert not search(told(EACH_MIN - 1, EACH_MIN)).is_enough
    assert not search(told(EACH_MIN, EACH_MIN - 1)).is_enough
    assert not search(told(60 - EACH_MIN + 1, EACH_MIN)).is_enough
    assert not search([]).is_enough


def test_chance_in_later_ones_is_fishers(scipy_stats: Any) -> None:
    for split in (Split(7, 2, 3, 40), Split(0, 0, 5, 9), Split(5, 9, 0, 0), Split(3, 3, 3, 3)):
        table = [[split.caught, split.needless], [split.missed, split.passed]]
        alone = scipy_stats.fisher_exact(table, alternative="greater").pvalue
        assert math.exp(split.log_chance) == pytest.approx(alone, rel=1e-9)
    assert math.exp(Split(3, 3, 3, 3).log_chance) > LATER_CHANCE_MAX


def test_a_field_that_may_be_missing_is_let_be_missing() -> None:
    """Though none of these lacks it: the contract does not ask for it."""
    told = [Example({AMOUNT: n}, rejected=n > 60) for n in range(120)]
    found = suggest(told, may_lack=[AMOUNT, "proposal.args.other"])
    assert found
    assert found.must_hold == (Term(AMOUNT, "missing"), Term(AMOUNT, "at_most", 60))
    assert found.optional == {AMOUNT}
    without = suggest(told)
    assert without
    assert without.must_hold == (Term(AMOUNT, "at_most", 60),)


@pytest.mark.parametrize("value", ["x" * (TEXT_LENGTH_MAX + 1), "a\0b", 1 << 63, -(1 << 70)])
def test_what_no_rule_can_say_is_not_tried(value: Scalar) -> None:
    other = "y" if isinstance(value, str) else value
    told = [Example({"a.b": value if n % 2 else other}, rejected=n % 2 > 0) for n in range(64)]
    found = suggest(told)
    if found:
        assert all(term.value != value for term in found.held_when)
        assert not any(problem_of(Row(*term)) for term in found.must_hold)


def test_a_field_without_a_dot_is_not_asked_whether_it_is_there() -> None:
    odd = 'proposal.args["due-date"]'
    told = [Example({odd: "x"} if n % 2 else {}, rejected=n % 2 > 0) for n in range(64)]
    assert suggest(told) is None


def test_words_mean_what_they_say() -> None:
    fields: dict[str, Scalar] = {"a": 3, "b": "x", "c": True}
    terms = [
        Term(field, operator, value)
        for field, value in (("a", 3), ("a", 2), ("b", "x"), ("b", "y"), ("c", True), ("d", 1))
        for operator in OPPOSITES
        if operator not in {"above", "at_most"} or field == "a"
    ]
    assert [is_true(term, fields) for term in terms] == holds(tuple(terms), fields)


# As a rule ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        'a"b',
        "a\\",
        "'); DROP TABLE x; --",
        "line\nbreak\r\ttab",
        'x" || true || "',
        '"""',
        "\u2028\u202e\ufeff\x7f\x1b",
        "naïve 🦊 ﷽",
        "{proposal.args.amount}",
        "</script><script>alert(1)</script>",
        "",
        " ",
        True,
        -1.5,
        (1 << 63) - 1,
        5e-324,
    ],
)
@pytest.mark.parametrize("lacks", [True, False])
def test_a_rule_means_what_was_counted(value: Scalar, lacks: bool) -> None:
    """Asked by the engine about each proposal; hostile texts are texts and nothing else."""
    other: Scalar = "y" if isinstance(value, str) else False if value is True else -2.5
    fields: list[dict[str, Scalar]] = [
        {"proposal.args.amount": n % 3, **({} if lacks and n % 4 == 0 else {COUNTRY: bad})}
        for n in range(60)
        for bad in [value if n % 2 else other]
    ]
    told = [Example(one, rejected=n % 2 > 0) for n, one in enumerate(fields)]
    found = suggest(told, may_lack=[COUNTRY])
    assert found
    assert (found.split.caught, found.split.needless) == (30, 0)
    rows = tuple(Row(*term) for term in found.must_hold)
    condition = to_text(Rows(rows, join="any" if len(rows) > 1 else "all"))
    names = ("amount", "country")
    for one, was in zip(fields, told, strict=True):
        args = {name: one[path] for name in names if (path := f"proposal.args.{name}") in one}
        inputs = {"proposal": {"args": args}, "agent": {}, "run": {}, "context": {}, "now": "x"}
        (said,) = check_all([Rule(0, "s", 1, "hold", condition, "")], inputs)
        assert said.result == ("fail" if was.rejected else "pass"), said.reason
