import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.codec import canonical
from orchestrator.core.policy import conditions, explain
from orchestrator.core.policy.conditions import Conditions
from orchestrator.core.policy.explain import EXPLAIN_NODES_MAX, Row
from orchestrator.core.policy.guardrails import VARIABLES

RULES = Conditions(VARIABLES)
INPUTS: dict[str, Any] = {
    "proposal": {
        "args": {
            "amount": 1_840,
            "note": "x" * 1_000,
            "tags": ["a", "b"],
            "due-date": "2026-01-03",
            "lines": [{"qty": 1, "sku": "A"}, {"qty": 0, "sku": "B"}, {"sku": "C"}],
            "limits": {"a": 1, "b": 20},
            "many": list(range(100)),
        },
    },
    "agent": {"name": "refund-agent"},
    "run": {},
    "context": {"confirmed": True},
    "history": {"today": 4},
    "now": datetime(2026, 1, 2, tzinfo=UTC),
}


def rows(condition: str) -> list[Row]:
    return RULES.explain(condition, INPUTS)


def listed(condition: str) -> list[str]:
    """The rows as a person would write them down."""
    return [
        f"{'  ' * int(str(row['depth']))}{row['expr']} = {row.get('value', row.get('error'))}"
        for row in rows(condition)
    ]


def test_each_part_is_shown_with_its_value() -> None:
    assert listed("context.confirmed && (proposal.args.amount - 40) * 2 <= 500") == [
        "context.confirmed && (proposal.args.amount - 40) * 2 <= 500 = False",
        "  context.confirmed = True",
        "  (proposal.args.amount - 40) * 2 <= 500 = False",
        "    (proposal.args.amount - 40) * 2 = 3600",
        "      proposal.args.amount - 40 = 1800",
        "        proposal.args.amount = 1840",
    ]


def test_of_a_chain_the_parts_stand_side_by_side() -> None:
    found = rows(
        "context.confirmed && history.today < 3 && (agent.name == 'a' || agent.name == 'b')"
    )
    assert [row["expr"] for row in found if row["depth"] == 1] == [
        "context.confirmed",
        "history.today < 3",
        "agent.name == 'a' || agent.name == 'b'",
    ]


def test_what_is_missing_is_an_error_where_it_is_missing() -> None:
    assert listed("context.confirmed && proposal.args.nope.deeper < 5") == [
        'context.confirmed && proposal.args.nope.deeper < 5 = "nope" is missing',
        "  context.confirmed = True",
        '  proposal.args.nope.deeper < 5 = "nope" is missing',
        '    proposal.args.nope.deeper = "nope" is missing',
    ]


def test_a_loop_shows_the_elements_that_decided() -> None:
    assert listed("proposal.args.lines.all(line, line.qty > 0)")[2:] == [
        "  line = proposal.args.lines[1] = {'qty': 0, 'sku': 'B'}",
        "    line.qty > 0 = False",
        "      line.qty = 0",
        "  line = proposal.args.lines[2] = {'sku': 'C'}",
        '    line.qty > 0 = "qty" is missing',
        '      line.qty = "qty" is missing',
    ]


@pytest.mark.parametrize(
    ("condition", "elements"),
    [
        ("proposal.args.many.all(n, n < 7)", [7, 8, 9]),
        ("proposal.args.many.exists(n, n > 97)", [98, 99]),
        ("proposal.args.many.exists(n, n > 100)", [0, 1, 2]),
        ("proposal.args.many.exists_one(n, n > 97)", [98, 99]),
        ("proposal.args.many.filter(n, n > 97).size() == 3", [98, 99]),
        ("proposal.args.many.map(n, n + 1).size() == 3", [0, 1, 2]),
        ("proposal.args.many.map(n, n > 97, n + 1).size() == 3", [98, 99]),
        ("proposal.args.limits.all(name, proposal.args.limits[name] < 9)", ["b"]),
        ("[3, 4].exists(n, n > 4)", [3, 4]),
    ],
)
def test_few_elements_are_shown_and_the_right_ones(condition: str, elements: list[Any]) -> None:
    shown = [row["value"] for row in rows(condition) if " = " in str(row["expr"])]
    assert shown == elements


def test_loops_in_loops_are_followed() -> None:
    assert listed("proposal.args.tags.all(a, proposal.args.tags.all(b, a != b))")[2:6] == [
        "  a = proposal.args.tags[0] = a",
        "    proposal.args.tags.all(b, a != b) = False",
        "      proposal.args.tags = ['a', 'b']",
        "      b = proposal.args.tags[0] = a",
    ]


def test_constants_are_no_news() -> None:
    assert (
        len(rows("proposal.args.amount in [1, 2, 3] && now > timestamp('2027-01-01T00:00:00Z')"))
        == 5
    )
    assert listed("1 / 0 == 1") == ["1 / 0 == 1 = divide by zero"]


def test_what_json_lacks_is_written_as_text() -> None:
    found = rows("now - timestamp(proposal.args['due-date'] + 'T00:00:00Z') > duration('1h')")
    assert [row["value"] for row in found] == [
        False,
        "-86400s",
        "2026-01-02T00:00:00+00:00",
        "2026-01-03T00:00:00+00:00",
        "2026-01-03T00:00:00Z",
        "2026-01-03",
    ]
    assert explain.shown(float("inf")) == "inf"
    assert explain.shown(float("nan")) == "nan"
    assert explain.shown(2**64) == "18446744073709551616"
    assert explain.shown(b"\xffab") == "\N{REPLACEMENT CHARACTER}ab"


def test_no_character_is_shown_that_no_database_takes() -> None:
    (_, made, _) = rows("agent.name + '\\u0000' == 'a'")
    assert made["value"] == "refund-agent\N{REPLACEMENT CHARACTER}"
    (error, *_) = rows("agent['\\u0000'] == 'a'")
    assert "\x00" not in str(error)
    assert explain.storable_text("a\ud800") == "a\N{REPLACEMENT CHARACTER}"


def test_what_is_long_is_cut() -> None:
    assert len(str(rows("proposal.args.note == ''")[1]["value"])) == explain.VALUE_SHOWN_MAX
    assert rows("proposal.args.many == []")[1]["value"] == [0, 1, 2, 3, 4, "… and 95 more"]
    wide = explain.shown({str(n): n for n in range(9)})
    assert isinstance(wide, dict)
    assert wide["…"] == "and 4 more"
    assert explain.shown([[[[1]], {}]]) == [[["[…]"], {}]]
    assert explain.shown({"a": {"b": {"c": {"d": 1}}}}) == {"a": {"b": {"c": "{…}"}}}
    long = " || ".join(f"proposal.args.amount == {n}" for n in range(100))
    found = rows(long)
    assert len(str(found[0]["expr"])) == explain.EXPRESSION_SHOWN_MAX
    assert len(found) == EXPLAIN_NODES_MAX
    assert found[-1] == {"expr": "…", "depth": 0, "error": "the other parts are not shown"}


def test_loops_fill_no_more_than_there_is_room_for() -> None:
    body = " && ".join(f"n + {k} < 0" for k in range(60))
    assert len(rows(f"proposal.args.many.all(n, {body})")) == EXPLAIN_NODES_MAX


def test_elements_that_the_engine_does_not_take_back_are_said_to_be_so() -> None:
    found = listed("[now - now].all(d, d > duration('1h'))")
    assert found[0].endswith("= False")
    assert any("Non-CEL value" in row for row in found)


def test_a_condition_that_does_not_compile_says_why() -> None:
    (row,) = rows("nope.x == 1")
    assert "undeclared reference to 'nope'" in str(row["error"])


def test_too_much_work_is_not_looked_into() -> None:
    many = {**INPUTS, "context": {"many": list(range(4_000))}}
    (row,) = RULES.explain("context.many.filter(n, n > 0).size() == 0", many)
    assert row["error"] == conditions.TOO_MUCH_TO_EXPLAIN


def test_it_is_prepared_once() -> None:
    rules = Conditions(VARIABLES)
    for _ in range(3):
        rules.explain("agent.name == 'a'", INPUTS)
    assert rules._prepared.cache_info().misses == 1


PARTS = [
    "context.confirmed",
    "proposal.args.amount <= 50",
    "proposal.args.nope == 1",
    "has(proposal.args.note)",
    "'a' in proposal.args.tags",
    "proposal.args.lines.all(line, line.qty >= 0)",
    "proposal.args.lines.exists(line, line.sku == 'C')",
    "proposal.args['due-date'].startsWith('2026')",
    "size(proposal.args.tags) == 2",
    "now < timestamp('2026-06-01T00:00:00Z')",
    "proposal.args.amount",
    "1 / 0 == 1",
    "'é🙂' != agent.name",
]


@st.composite
def composed(draw: st.DrawFn) -> str:
    """Parts put together in every way, with blanks and comments where nobody expects them."""
    text = draw(st.sampled_from(PARTS))
    for _ in range(draw(st.integers(0, 5))):
        other = draw(st.sampled_from(PARTS))
        pattern = draw(
            st.sampled_from(
                [
                    "{} && {}",
                    "{} || ({})",
                    "!({}) || {}",
                    "({})  ?  ({}) : true",
                    "({}) == ({})",
                    "(({} && // a ) comment (\n{}))",
                ]
            )
        )
        text = pattern.format(text, other)
    return text


@given(composed())
def test_the_first_row_says_what_the_whole_says(condition: str) -> None:
    result, _ = RULES.evaluate(condition, RULES.activate(INPUTS))
    found = RULES.explain(condition, INPUTS)
    first = found[0]
    said = {True: "pass", False: "fail"}.get(first.get("value"), "error")  # type: ignore[arg-type]
    assert said == result
    assert all(("value" in row) != ("error" in row) for row in found)
    assert canonical([dict(row) for row in found])
    depths = [int(str(row["depth"])) for row in found]
    assert all(after <= before + 1 for before, after in itertools.pairwise(depths))


@given(composed())
def test_every_row_is_written_in_the_condition(condition: str) -> None:
    flat = " ".join(condition.split())
    for row in RULES.explain(condition, INPUTS):
        text = str(row["expr"]).removesuffix("…")
        assert text in flat or text.partition(" = ")[2].partition("[")[0] in flat, row
        assert len(text) > 150 or text.count("(") == text.count(")")
