"""Conditions that tell what was rejected from what was approved, and none where only chance does."""

import random
from typing import Any

import pytest

from orchestrator.core.policy.builder import Row, Rows, problem_of, to_text
from orchestrator.core.policy.guardrails import compile_condition
from orchestrator.core.statistics.separation import (
    OPPOSITES,
    Example,
    Scalar,
    Suggestion,
    Term,
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
    assert found.caught == both.count((True, True))
    assert found.needless == both.count((True, False))
    assert found.missed == both.count((False, True))
    assert found.passed == both.count((False, False))


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
    assert found.precision.share is not None
    assert found.precision.share > 0.75
    assert found.recall.n == sum(one.rejected for one in told)
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
    assert (found.needless, found.missed) == (0, 0)


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
    table = [[found.caught, found.needless], [found.missed, found.passed]]
    alone = scipy_stats.fisher_exact(table, alternative="greater").pvalue
    # Two single terms were tried, and they share the doubt with the pairs.
    assert found.chance == pytest.approx(4 * alone, rel=1e-9)


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
