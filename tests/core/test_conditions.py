import re
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.errors import RuleInvalid
from orchestrator.core.policy.catalogue import STANDARD, fields_for
from orchestrator.core.policy.conditions import Conditions
from orchestrator.core.policy.diagnostics import DIAGNOSTICS_MAX, ConditionProblem
from orchestrator.core.policy.expressions import Node, read_expression, tokens_of
from orchestrator.core.policy.guardrails import VARIABLES

RULES = Conditions(VARIABLES)
CONTRACT: dict[str, Any] = {
    "type": "object",
    "required": ["amount", "lines"],
    "additionalProperties": False,
    "properties": {
        "amount": {"type": "integer"},
        "price": {"type": "number"},
        "note": {"type": "string"},
        "paid": {"type": "boolean"},
        "currency": {"enum": ["EUR", "USD"]},
        "due-date": {"type": ["string", "null"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "who": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "more": {"type": "object", "properties": {"known": {"type": "string"}}},
        "bounded": {
            "type": "object",
            "required": ["a.b"],
            "additionalProperties": False,
            "properties": {"a.b": {"type": "string"}},
        },
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["qty"],
                "properties": {
                    "qty": {"type": "integer"},
                    "parts": {"type": "array", "items": {"type": "integer"}},
                },
            },
        },
    },
}
FIELDS = fields_for([CONTRACT], ["refunds_today"])


def problems(condition: str) -> list[ConditionProblem]:
    return RULES.problems(condition, FIELDS)


@pytest.mark.parametrize(
    "condition",
    [
        "proposal.args.amount <= 5",
        "proposal.args.amount <= 5.5",
        "proposal.args['amount'] == 5 || proposal.args.`amount` == 6",
        "has(proposal.args.price) && proposal.args.price <= 5",
        "has(proposal.args.note) && proposal.args.note.size() > 3",
        "!has(proposal.args.currency) || proposal.args.currency in ['EUR', 'USD']",
        "'due-date' in proposal.args && proposal.args['due-date'] != null",
        "'due-date' in proposal.args && (proposal.args['due-date'] == null || proposal.args['due-date'] < 'b')",
        "proposal.args.lines.all(line, line.qty > 0)",
        "proposal.args.lines[0].qty == 1",
        "proposal.args.lines.filter(line, line.qty > 1).all(one, one.qty < 100)",
        "proposal.args.lines.map(line, line.qty).exists(qty, qty > 3)",
        "proposal.args.lines.all(line, !has(line.parts) || line.parts.all(part, part * 2 < 9))",
        "context.anything.goes == 'x' && context['at all'] > 3",
        "history.refunds_today <= 3",
        "'/args/note' in proposal.tainted",
        "proposal.confidence == null || proposal.confidence > 0.5",
        "now < timestamp('2027-01-01T00:00:00Z') && now.getHours('Europe/Berlin') < 18",
        "now - timestamp('2027-01-01T00:00:00Z') < duration('1h')",
        "proposal.args.amount * 2 < 500 && double(proposal.args.amount) * 1.5 < 3.0",
        "proposal.args.exists(name, name == 'note')",
        "has(proposal.args.who) && (proposal.args.who == 5 || proposal.args.who == 'a')",
        "size(proposal.args.lines) < 5 ? true : proposal.tier != 'low'",
        "agent.name + '!' != agent.model && agent.name.matches('^a+$')",
        "proposal.action.startsWith('refund.') && type(proposal.args.amount) == int",
        "string(proposal.args.amount) == '5' && dyn(proposal.args.amount) == 'x'",
        "proposal.args.lines.map(line, {'q': line.qty}).all(made, made.q > 0)",
    ],
)
def test_what_can_work_is_let_pass(condition: str) -> None:
    assert problems(condition) == []


# What is wrong, what to write instead, and what is marked.
MISTAKES: dict[str, tuple[str, str, str]] = {
    "proposl.args.amount < 5": (
        "undeclared reference to 'proposl'",
        "did you mean proposal?",
        "proposl",
    ),
    "proposal.args.amonut < 5": (
        "proposal.args has no amonut",
        "did you mean proposal.args.amount?",
        "proposal.args.amonut",
    ),
    "proposal.args['amonut'] < 5": (
        "proposal.args has no amonut",
        "did you mean proposal.args.amount?",
        "proposal.args['amonut']",
    ),
    "proposal.args.amount <= '50000'": (
        "proposal.args.amount (a whole number) and '50000' (a text) cannot be compared",
        "50000",
        "proposal.args.amount <= '50000'",
    ),
    "true && has(proposal.args.note) && proposal.args.note > 5": (
        "proposal.args.note (a text) and 5 (a whole number) cannot be compared",
        '"5"',
        "proposal.args.note > 5",
    ),
    "has(proposal.args.paid) && proposal.args.paid == 'true'": (
        "proposal.args.paid (true or false) and 'true' (a text) are never equal",
        "true",
        "proposal.args.paid == 'true'",
    ),
    "proposal.args.lines.qty > 1": (
        "proposal.args.lines is a list; its fields are those of its items",
        "such as proposal.args.lines.all(item, …) or proposal.args.lines[0]",
        "proposal.args.lines.qty",
    ),
    "proposal.args.lines.all(line, line.qty == 'a')": (
        "line.qty (a whole number) and 'a' (a text) are never equal",
        "",
        "line.qty == 'a'",
    ),
    "proposal.args.amount.minor == 1": (
        "proposal.args.amount is a whole number and has no fields",
        "",
        "proposal.args.amount.minor",
    ),
    "proposal.args.amount * 1.5 < 3.0": (
        "whole numbers and numbers with decimals do not mix here",
        "double(proposal.args.amount) * 1.5",
        "proposal.args.amount * 1.5",
    ),
    "proposal.args.amount + agent.name == 'a'": (
        "+ cannot work with proposal.args.amount (a whole number) and agent.name (a text)",
        "",
        "proposal.args.amount + agent.name",
    ),
    "5 in proposal.tainted": (
        "proposal.tainted has a text in it, and never a whole number",
        "",
        "5",
    ),
    "proposal.args.amount in ['a', 1]": (
        "proposal.args.amount is a whole number and never equals this",
        "",
        "'a'",
    ),
    "'a' in agent.name": (
        "in needs a list or an object; agent.name is a text",
        "agent.name.contains('a')",
        "agent.name",
    ),
    "history.refund_today > 3": (
        "history has no refund_today",
        "did you mean history.refunds_today?",
        "history.refund_today",
    ),
    "now > '2026-01-01'": (
        "> cannot work with a time and a text",
        'write the text as a time: timestamp("2026-01-31T00:00:00Z")',
        ">",
    ),
    "now > agent.name": (
        "now (a time) and agent.name (a text) cannot be compared",
        "timestamp(agent.name)",
        "now > agent.name",
    ),
    "agent.name.getHours() > 3": (
        "getHours is about times; agent.name is a text",
        "timestamp(agent.name).getHours()",
        "agent.name.getHours()",
    ),
    "proposal.args.amount.contains('x')": (
        "contains is about texts; proposal.args.amount is a whole number",
        "",
        "proposal.args.amount",
    ),
    "size(proposal.args.amount) > 1": (
        "size counts what a list or a text has; proposal.args.amount is a whole number",
        "",
        "proposal.args.amount",
    ),
    "proposal.args.amount.all(a, a)": (
        "all goes through a list; proposal.args.amount is a whole number",
        "",
        "proposal.args.amount",
    ),
    "proposal.args.lines.exists(line, line.qty)": (
        "exists needs true or false; line.qty is a whole number",
        "",
        "line.qty",
    ),
    "proposal.args.amount && true": (
        "&&, || and ! need true or false; proposal.args.amount is a whole number",
        "",
        "proposal.args.amount",
    ),
    "agent.name ? true : false": (
        "what stands before ? is true or false; agent.name is a text",
        "",
        "agent.name",
    ),
    "proposal.args.lines > 3": (
        "proposal.args.lines is a list and has no order",
        "",
        "proposal.args.lines",
    ),
    "proposal.args.amount": (
        "the condition must be true or false; proposal.args.amount is a whole number",
        "",
        "proposal.args.amount",
    ),
    "'a' + 'b'": ("the condition must be true or false; 'a' + 'b' is a text", "", "'a' + 'b'"),
    "{'a': 1}": ("the condition must be true or false; {'a': 1} is an object", "", "{'a': 1}"),
    "type(1)": ("it gives type<int>, but must be true or false", "", "type(1)"),
    "agent.name.matches('(a')": (
        "invalid regular expression: missing ): (a",
        "",
        "'(a'",
    ),
    "timestamp('soon') < now": (
        "it cannot be evaluated: String to Timestamp conversion failed",
        "",
        "timestamp('soon')",
    ),
    "size([1]) > 1.5": (
        "> cannot work with a whole number and a number with decimals",
        "write both as whole numbers, or both with decimals: 5 or 5.0",
        ">",
    ),
    "agent.name in 'abc'": (
        "in cannot work with any value and a text",
        "write text.contains(part)",
        "in",
    ),
    "'a' +": ("it ends too early", "", ""),
    "true false": ("false cannot stand here", "", "false"),
    "proposal.args.lines.all(true)": (
        "all cannot be used like this",
        "write list.all(item, …)",
        "all",
    ),
    "proposal.args.lines.al(line, true)": (
        "undeclared reference to 'line'",
        "",
        "line",
    ),
}


@pytest.mark.parametrize("condition", MISTAKES)
def test_what_cannot_work_is_an_error_with_its_place(condition: str) -> None:
    found = next(problem for problem in problems(condition) if problem.severity == "error")
    start = found.column - 1
    marked = condition[start : start + found.length]
    assert (found.reason, found.suggestion, marked) == MISTAKES[condition]


DOUBTS: dict[str, tuple[str, str]] = {
    "proposal.args.note.contains('a')": (
        "proposal.args.note may be missing; the rule then cannot be evaluated, and holds",
        "!has(proposal.args.note) || …",
    ),
    "proposal.args['due-date'] == null": (
        'proposal.args["due-date"] may be missing; the rule then cannot be evaluated, and holds',
        "write has(…) or in before it",
    ),
    "has(proposal.args.more.known)": (
        "proposal.args.more may be missing; the rule then cannot be evaluated, and holds",
        "!has(proposal.args.more) || …",
    ),
    "has(proposal.args.nte)": ("proposal.args has no nte", "did you mean proposal.args.note?"),
    "has(proposal.args.more) && proposal.args.more.knwon == 'a'": (
        "proposal.args.more promises no knwon",
        "did you mean proposal.args.more.known?",
    ),
    "proposal.args.lines.all(line, line.qyt > 0)": (
        "proposal.args.lines[] promises no qyt",
        "did you mean line.qty?",
    ),
    "proposal.confidence > 0.5": (
        "proposal.confidence may be null; the rule then cannot be evaluated, and holds",
        "proposal.confidence != null && …",
    ),
    "has(proposal.args.price) && proposal.args.price * 2 < 5": (
        "whole numbers and numbers with decimals do not mix here",
        "double(proposal.args.price) * 2.0",
    ),
    "has(proposal.args.currency) && proposal.args.currency == 'EURO'": (
        "proposal.args.currency never has this value",
        "did you mean EUR?",
    ),
    "proposal.tier in ['hgih', 'low']": (
        "proposal.tier never has this value",
        "did you mean high?",
    ),
}


@pytest.mark.parametrize("condition", DOUBTS)
def test_what_may_not_work_is_a_warning_and_no_refusal(condition: str) -> None:
    (found,) = problems(condition)
    assert (found.severity, found.reason, found.suggestion) == ("warning", *DOUBTS[condition])
    RULES.check(condition)


def test_every_mistake_is_named_once_and_at_its_line() -> None:
    found = problems("proposal.args.amount == 'a' &&\n  nope(3) ||\n  histroy.x > 1")
    assert [(p.line, p.column, p.length) for p in found] == [(2, 3, 4), (3, 3, 7)]
    twice = problems("proposal.args.note == 'a' ||\n proposal.args.note == 'b'")
    assert [(p.line, p.column) for p in twice] == [(1, 1)]
    many = problems(" || ".join(f"proposal.args.x{n} == 1" for n in range(50)))
    assert len(many) == DIAGNOSTICS_MAX


def test_without_a_contract_nothing_is_said_about_arguments() -> None:
    assert RULES.problems("proposal.args.anything.at.all == 5", STANDARD) == []
    assert RULES.problems("proposal.args.anything == 5", ()) == []
    (found,) = RULES.problems("proposal.agrs.amount == 5", STANDARD)
    assert found.suggestion == "did you mean proposal.args?"


def test_names_with_dots_in_them_are_names() -> None:
    guarded = "has(proposal.args.bounded) && proposal.args.bounded"
    assert problems(f"{guarded}['a.b'] == 'x'") == []
    (found,) = problems(f"{guarded}['a.c'] == 'x'")
    assert found.suggestion == 'did you mean proposal.args.bounded["a.b"]?'


def test_a_refusal_has_the_place_and_the_advice() -> None:
    with pytest.raises(RuleInvalid) as caught:
        RULES.check("true &&\n  proposl.args.amount < 5")
    assert (caught.value.line, caught.value.column) == (2, 3)
    assert "did you mean proposal?" in str(caught.value)


# The tree ----------------------------------------------------------------------------------------


def texts(condition: str) -> list[str]:
    """Each part as it is written, outermost first."""
    tree = RULES._compiled(condition).tree
    return [condition[node.start : node.end] for node in tree.walk()]


@pytest.mark.parametrize(
    ("condition", "parts"),
    [
        ("agent.name == 'é🙂'", ["agent.name == 'é🙂'", "agent.name", "agent", "'é🙂'"]),
        (
            "'é🙂' == (agent . name) // (why)",
            ["'é🙂' == (agent . name)", "'é🙂'", "agent . name", "agent"],
        ),
        (
            "((agent.n + 1)) * - 2 > 0x1F",
            [
                "((agent.n + 1)) * - 2 > 0x1F",
                "((agent.n + 1)) * - 2",
                "agent.n + 1",
                "agent.n",
                "agent",
                "1",
                "- 2",
                "0x1F",
            ],
        ),
        (
            "has( agent.name ) ? !agent.x : size((agent.y)) > 1",
            [
                "has( agent.name ) ? !agent.x : size((agent.y)) > 1",
                "has( agent.name )",
                "agent",
                "!agent.x",
                "agent.x",
                "agent",
                "size((agent.y)) > 1",
                "size((agent.y))",
                "agent.y",
                "agent",
                "1",
            ],
        ),
        (
            "(agent).l[0].map(x, x > 1, [x, {'k': x}]) == []",
            [
                "(agent).l[0].map(x, x > 1, [x, {'k': x}]) == []",
                "(agent).l[0].map(x, x > 1, [x, {'k': x}])",
                "(agent).l[0]",
                "(agent).l",
                "agent",
                "0",
                "x > 1",
                "x",
                "1",
                "[x, {'k': x}]",
                "x",
                "{'k': x}",
                "'k'",
                "x",
                "[]",
            ],
        ),
        (
            "agent.`a b`.exists_one(x, x == r'\\d')",
            [
                "agent.`a b`.exists_one(x, x == r'\\d')",
                "agent.`a b`",
                "agent",
                "x == r'\\d'",
                "x",
                "r'\\d'",
            ],
        ),
        ('"""a\n"b""" == agent.n', ['"""a\n"b""" == agent.n', '"""a\n"b"""', "agent.n", "agent"]),
    ],
)
def test_each_part_knows_where_it_stands(condition: str, parts: list[str]) -> None:
    assert texts(condition) == parts


def test_constants_have_their_values() -> None:
    condition = (
        "[1, -1, 9223372036854775807, -9223372036854775807, 2u, 1.5, 'a', b'b', null, true] == []"
    )
    made, _ = RULES._compiled(condition).tree.children
    assert [node.value for node in made.children] == [
        1,
        -1,
        2**63 - 1,
        -(2**63) + 1,
        2,
        1.5,
        "a",
        b"b",
        None,
        True,
    ]


def test_a_loop_is_read_as_it_is_written() -> None:
    tree = RULES._compiled("agent.l.filter(x, x > 1).all(y, y > 2)").tree
    assert (tree.kind, tree.name, tree.variable) == ("loop", "all", "y")
    inner = tree.children[0]
    assert (inner.kind, inner.name, inner.variable) == ("loop", "filter", "x")
    assert [child.kind for child in inner.children] == ["field", "call"]
    made = RULES._compiled("google.protobuf.Int32Value{value: agent.n} == 1").tree.children[0]
    assert (made.kind, made.name) == ("message", "google.protobuf.Int32Value")


def test_what_no_condition_has_is_read_as_nothing() -> None:
    assert read_expression(b"", "true") == Node("constant", "", (), 0, 4, b"")
    assert [token.text for token in tokens_of("a <=b// c\n'x")] == ["a", "<=", "b", "'", "x"]
    assert tokens_of("") == []


def documented() -> list[str]:
    """The whole conditions among the examples of the documentation."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "guardrails.md").read_text()
    section = page[page.index("## The language") : page.index("### What is checked")]
    examples = re.findall(r"`([^`]+)`", section.replace("\\|", "|"))
    return [text for text in examples if re.match(r"(!has|now|proposal|history)\b.*[<=&|([]", text)]


@pytest.mark.parametrize("example", documented())
def test_what_the_documentation_shows_can_be_written(example: str) -> None:
    assert RULES.problems(example, STANDARD) == []


def test_the_documentation_has_examples() -> None:
    assert len(documented()) >= 10
