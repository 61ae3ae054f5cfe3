"""Rules that are written to break the worker that judges them, and inputs that make harmless rules do so.

They are asked in a process of their own, whose processor time and memory the system limits: a rule
that hangs or eats memory kills it, and the test says which one it was asking.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors import RuleInvalid
from orchestrator.core.policy import conditions
from orchestrator.core.policy.conditions import Conditions
from orchestrator.core.policy.effort import INPUT_BYTES_MAX, carefree_bytes, estimate, known
from orchestrator.core.policy.expressions import Node
from orchestrator.core.policy.guardrails import VARIABLES, Rule, check_all, compile_condition

ROOT = Path(__file__).resolve().parents[2]
CPU_S = 20
MEMORY_BYTES = 1 << 30
RULES = Conditions(VARIABLES)


def nested(depth: int) -> str:
    """Loops in loops, over a list that is large."""
    text = "true"
    for level in range(depth):
        text = f"proposal.args.many.all(x{level}, {text})"
    return text


# What is refused when it is written, and why.
REFUSED = {
    "1 MB of text": ("'" + "x" * 1_000_000 + "' != ''", "longer than 10,000 characters"),
    "10,000 parentheses": ("(" * 10_000 + "true" + ")" * 10_000, "longer than"),
    "4,000 parentheses": ("(" * 4_000 + "true" + ")" * 4_000, "nested too deeply"),
    "5,000 opened parentheses": ("(" * 5_000, "nested too deeply"),
    "a sum of 20,000 terms": ("+".join(["1"] * 20_000) + " > 0", "longer than"),
    "a sum of 4,000 terms": ("+".join(["1"] * 4_000) + " > 0", "nested too deeply"),
    "4,000 lists in lists": ("[" * 4_000 + "]" * 4_000 + " == []", "nested too deeply"),
    "2,000 fields in fields": ("proposal" + ".a" * 2_000 + " == 1", "nested too deeply"),
    "900 choices in choices": ("true?true:" * 900 + "true", "nested too deeply"),
    "a pattern in a pattern": (
        "agent.name.matches('((a{0,100}){0,100}){0,100}')",
        "invalid repetition size",
    ),
    "a pattern of 900 alphabets": (
        "agent.name.matches('(\\\\pL{1,30}){1,30}')",
        "regular expression too large",
    ),
    "200 large patterns": (
        " || ".join(["'a'.matches('(\\\\pL{1,20}){1,9}!')"] * 200),
        "whatever it reads",
    ),
    "a type error": ("'a' < 5", "cannot work with a text and a whole number"),
    "no condition at all": ("", "it ends too early"),
    "NUL": ("agent.name == '\x00' \x00", "Syntax error"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_hostile_is_refused_with_its_place(name: str) -> None:
    condition, reason = REFUSED[name]
    with pytest.raises(RuleInvalid, match=re.escape(reason)) as caught:
        compile_condition(condition)
    assert caught.value.line >= 1
    assert caught.value.column >= 1
    (check,) = check_all([Rule(1, "r", 1, "flag", condition, "")], {"proposal": {}})
    assert check.result == "error"


MANY: list[Any] = list(range(5_000))
LINES = [{"sku": f"S-{number}", "qty": number} for number in range(4_000)]
LARGE = {
    "proposal": {
        "args": {
            "many": MANY,
            "lines": LINES,
            "note": "x" * 900_000,
            "other": "x" * 900_000 + "y",
            "short": "short",
            "patterns": [r"(\pL{1,20}){1,20}"] * 200,
            "deep": json.loads("[" * 60 + "]" * 60),
        },
        "tainted": [],
    },
    "agent": {"name": "a"},
    "run": {},
    "context": {},
    "history": {},
}

# Each over the inputs above, with what its reason has to say. Nothing here may pass or take long.
JUDGED = {
    "loops in loops": (nested(3), "too many rounds"),
    "two loops over the same list": (nested(2), "too many rounds"),
    "a filter that copies 400 MB": (
        "proposal.args.many.filter(n, n >= 0).size() < 0",
        conditions.TOO_MUCH,
    ),
    "filters of filters": (
        "proposal.args.lines.filter(a, true).filter(b, true).filter(c, true).size() < 0",
        conditions.TOO_MUCH,
    ),
    "a list in a list of the same size": (
        "proposal.args.many.all(n, n in proposal.args.many) && false",
        conditions.TOO_MUCH,
    ),
    "a long text searched 4,000 times": (
        "proposal.args.lines.exists(l, proposal.args.note.contains(l.sku))",
        conditions.TOO_MUCH,
    ),
    "a long text made 5,000 times": (
        "proposal.args.many.exists(n, proposal.args.note + string(n) == '')",
        conditions.TOO_MUCH,
    ),
    "a text that doubles": (
        "[proposal.args.note]" + ".map(a, a + a)" * 9 + "[0] == ''",
        conditions.TOO_MUCH,
    ),
    "a list that doubles": ("['a']" + ".map(a, [a, a])" * 9 + " == []", "does not hold"),
    "a pattern compiled 5,000 times": (
        "proposal.args.many.exists(n, proposal.args.short.matches('[a-z\\\\pL]{1,90}!'))",
        conditions.TOO_MUCH,
    ),
    "patterns from outside": (
        "proposal.args.patterns.exists(p, proposal.args.short.matches(p))",
        conditions.TOO_MUCH,
    ),
    "a pattern built to explode": ("proposal.args.note.matches('^(x+x+)+y$')", "does not hold"),
    "a pattern that remembers": (
        "proposal.args.note.matches('x{1,900}x{1,100}y')",
        "does not hold",
    ),
    "600 patterns over a long text": (
        " || ".join(["proposal.args.note.matches('(x|xx)+y')"] * 200),
        conditions.TOO_MUCH,
    ),
    "a search that starts again at every letter": (
        "proposal.args.note.contains('" + "x" * 5_000 + "y')",
        "does not hold",
    ),
    "long texts compared": ("proposal.args.note == proposal.args.other", "does not hold"),
    "a missing field": ("proposal.args.nope.deeper == 1", '"nope" is missing'),
    "a value of the wrong type": ("proposal.args.note < 5", "No matching overloads"),
    "a division by zero": ("1 / size(proposal.tainted) == 1", "divide by zero"),
    "an index beyond the end": ("proposal.args.many[5000] == 1", "index=5000"),
    "a whole number that is too large": (
        "9223372036854775807 + size(proposal.args.many) == 1",
        "integer overflow",
    ),
    "a list where a text is expected": ("proposal.args.many.matches('a')", "No matching overloads"),
    "an answer that is none": ("proposal.args.deep", "neither true nor false"),
    "5,000 negations": ("!" * 5_001 + "true", "does not hold"),
    "4,000 alternatives": (
        "proposal.args.short in [" + "'a'," * 2_400 + "'b']",
        "does not hold",
    ),
}
ASK = f"""
import json, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({CPU_S}, {CPU_S}))
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY_BYTES}, {MEMORY_BYTES}))
from orchestrator.core.policy.guardrails import Rule, check_all
questions, inputs = json.load(sys.stdin)
for name, condition in questions.items():
    print(json.dumps({{"asking": name}}), flush=True)
    (check,) = check_all([Rule(1, "r", 1, "hold", condition, "")], inputs)
    print(json.dumps([name, check.result, check.reason, check.explain]), flush=True)
"""


@pytest.fixture(scope="module")
def answers() -> dict[str, tuple[str, str, list[dict[str, Any]]]]:
    """All of them one after the other, by one worker, which has to be alive at the end."""
    questions = {name: condition for name, (condition, _) in JUDGED.items()}
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        input=json.dumps([questions, LARGE]),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=600,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"the worker died: {lines[-1:]} {done.stderr[-500:]}"
    return {line[0]: tuple(line[1:]) for line in lines if isinstance(line, list)}


@pytest.mark.parametrize("name", JUDGED)
def test_what_is_hostile_ends_soon_and_does_not_pass(
    name: str, answers: dict[str, tuple[str, str, list[dict[str, Any]]]]
) -> None:
    result, reason, explain = answers[name]
    assert result == ("fail" if "does not hold" in JUDGED[name][1] else "error")
    assert JUDGED[name][1] in reason
    assert explain
    assert len(json.dumps(explain)) < 100_000


# The estimate ------------------------------------------------------------------------------------


def tree(condition: str) -> Node:
    return RULES._compiled(condition).tree


@pytest.mark.parametrize(
    "condition",
    [
        "proposal.args.amount <= 5 && context.confirmed",
        "proposal.args.lines.all(line, line.qty > 0)",
        "proposal.args.lines.all(line, line.parts.all(part, part.qty > 0))",
        "'/args/note' in proposal.tainted",
        "has(proposal.args.note) && size(proposal.args.tags) < 3",
    ],
)
def test_most_rules_are_little_work_over_anything(condition: str) -> None:
    assert carefree_bytes(tree(condition), list(VARIABLES)) == INPUT_BYTES_MAX


@pytest.mark.parametrize(
    "condition",
    [
        "proposal.args.lines.filter(line, line.qty > 1).size() < 3",
        "proposal.args.tags.all(tag, tag in ['a', 'b'] || tag.matches('^[a-z]{2,10}$'))",
        "proposal.args.tags.all(tag, proposal.args.note.contains(tag))",
        "proposal.args.lines.map(line, line.sku + '!').exists(sku, sku == 'a!')",
    ],
)
def test_loops_over_what_proposals_usually_hold_are_let_run(condition: str) -> None:
    args = {
        "note": "text " * 200,
        "tags": ["some-tag"] * 50,
        "lines": [{"sku": "A-1", "qty": 2}] * 100,
    }
    activation = RULES.activate({"proposal": {"args": args}})
    assert RULES.evaluate(condition, activation)[0] in {"pass", "fail"}


def test_larger_inputs_are_never_less_work() -> None:
    for condition, _ in JUDGED.values():
        sizes = [
            estimate(tree(condition), known({"proposal": {"args": _args(n)}}))
            for n in (0, 1, 10, 100)
        ]
        assert sizes == sorted(sizes)


def _args(size: int) -> dict[str, Any]:
    return {
        "many": MANY[:size],
        "lines": LINES[:size],
        "note": "x" * size,
        "other": "x" * size,
        "short": "short",
        "patterns": ["a"] * size,
        "deep": [],
    }


# Whatever somebody types ------------------------------------------------------------------------

PIECES = ["proposal", ".args", ".many", "[0]", "(", ")", "&&", "||", "!", "'a'", "5", "1.5", "in",
          ".all(x, ", ".map(x, ", "x", ", ", "?", ":", "==", "<", "+", "-", "size(", "has(",
          ".matches('a+')", "[", "]", "{", "}", "now", "null", " ", "\n", "//", "'", "é", "\x00"]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_every_text_gets_an_answer_and_never_an_exception(text: str) -> None:
    found = RULES.problems(text, ())
    assert all(problem.line >= 1 and problem.column >= 1 for problem in found)
    inputs = {"proposal": {"args": {"many": [1, 2]}}}
    result, _ = RULES.evaluate(text, RULES.activate(inputs))
    assert result in {"pass", "fail", "error"}
    assert RULES.explain(text, inputs)
