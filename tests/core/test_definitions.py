"""Definitions: what is refused, in which words and at which place, and what is filled in."""

import json
import re
from collections.abc import Iterator, Mapping
from copy import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.agents.registry import SCHEMAS
from orchestrator.core import definitions
from orchestrator.core.definition_schema import BUDGETS, definition_schema
from orchestrator.core.errors import Problem
from orchestrator.core.plan import read_plan
from orchestrator.core.policy.agent_versions import CALLS_OUT
from orchestrator.core.schemas import check, check_schema

LIMITS = dict.fromkeys(BUDGETS, 10_000_000)


def agent(**fields: Any) -> dict[str, Any]:
    return {"agent": {"kind": "scripted", "name": "one", "says": {"list": [1]}}, **fields}


def pipeline(*stages: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    return {"pattern": "pipeline", "stages": list(stages), **fields}


def machine(states: Mapping[str, Any], initial: str = "first", **fields: Any) -> dict[str, Any]:
    return {"pattern": "machine", "initial": initial, "states": states, **fields}


def found(raw: Any, slug: str = "") -> list[Problem]:
    return definitions.problems(raw, agents=SCHEMAS, limits=LIMITS, slug=slug)


def lines(raw: Any, slug: str = "") -> list[str]:
    return [str(problem) for problem in found(raw, slug)]


END = {"end": "completed"}
TURN = {"run": agent(), "on": {"done": [{"to": "end"}], "failed": [{"to": "end"}]}}
SOUND_MACHINE = machine(
    {
        "first": TURN | {"on": {"done": [{"to": "each"}], "failed": [{"to": "end"}]}},
        "each": TURN | {"run": agent(for_each="/list", needs=["first", "each"])},
        "end": END,
    }
)

EVERY_KIND = pipeline(
    agent(name="read", output={"type": "object"}, attempts=1, timeout_seconds=5),
    agent(name="each", for_each="/list", at_most=3, optional=True),
    {"name": "ask", "approval": {"question": "Sure?", "approvals": 2, "due_seconds": 60}},
    {"name": "wait", "signal": {"name": "paid.in-full"}, "needs": []},
    {"name": "child", "workflow": "other", "optional": True},
    agent(name="act", proposes=True, needs=["read", "ask"]),
    title="All of it",
    intent={"type": "object", "$defs": {"a": {}}, "properties": {"b": {"$ref": "#/$defs/a"}}},
    budget={"steps": 10, "tokens": 1_000},
)


@pytest.mark.parametrize("raw", [EVERY_KIND, SOUND_MACHINE])
def test_what_is_sound_has_no_problems(raw: dict[str, Any]) -> None:
    assert lines(raw) == []
    whole = definitions.complete(raw, LIMITS)
    assert lines(whole) == []
    assert definitions.complete(whole, LIMITS) == whole
    assert read_plan(whole).budget.depth == LIMITS["depth"]


def test_defaults_are_filled_in() -> None:
    whole = definitions.complete(
        pipeline(
            agent(name="a"),
            agent(name="b", for_each="/list"),
            {"name": "c", "approval": {"question": "?"}},
            {"name": "d", "signal": {"name": "go"}},
            budget={"steps": 7},
        ),
        LIMITS,
    )
    first, second, third, fourth = whole["stages"]
    assert (first["attempts"], first["timeout_seconds"], first["proposes"]) == (3, 60, False)
    assert [stage["needs"] for stage in whole["stages"]] == [[], ["a"], ["b"], ["c"]]
    assert "at_most" not in first
    assert second["at_most"] == 20
    assert third["approval"] == {"question": "?", "approvals": 1, "due_seconds": 86_400}
    assert fourth["signal"] == {"name": "go", "due_seconds": 86_400}
    assert whole["budget"] == {**LIMITS, "steps": 7}


def test_works_are_looked_up_by_name() -> None:
    whole = definitions.complete(EVERY_KIND, LIMITS)
    assert definitions.output_schema(whole, "read") == {"type": "object"}
    assert definitions.output_schema(whole, "each") is None
    assert definitions.agent_config(whole, "read")["name"] == "one"
    assert definitions.timeout_s(whole, "read") == 5
    assert definitions.question(whole, "ask") == "Sure?"
    assert definitions.intent_schema(whole) == EVERY_KIND["intent"]
    assert definitions.timeout_s(definitions.complete(SOUND_MACHINE, LIMITS), "first") == 60
    with pytest.raises(KeyError):
        definitions.timeout_s(whole, "none")


FORM = {
    "no object": (3, ["the whole: must be an object; it is 3"]),
    "no pattern": ({}, ["the whole: “pattern” is missing"]),
    "a pattern that nobody knows": (
        {"pattern": "direct"},
        [
            '/pattern: must be "pipeline", "machine", "router", "supervisor", "consensus" or "mesh"; it is "direct"'
        ],
    ),
    "no stages": ({"pattern": "pipeline"}, ["the whole: “stages” is missing"]),
    "an empty list": (pipeline(), ["/stages: must not be empty"]),
    "a mistyped field": (
        pipeline(agent(name="a", timeout_second=3)),
        ["/stages/0/timeout_second: does not belong here. Did you mean “timeout_seconds”?"],
    ),
    "a stage of no kind": (
        pipeline({"name": "a"}),
        [
            "/stages/0: needs one of “agent”, “approval”, “signal”, “workflow”, “collect”, “publish” and “subscribe”"
        ],
    ),
    "a stage of two kinds": (
        pipeline(agent(name="a", workflow="b")),
        ["/stages/0: may have only one of “agent” and “workflow”"],
    ),
    "the kind decides which fields are meant": (
        pipeline({"name": "a", "approval": {"quesion": "?"}}),
        [
            "/stages/0/approval: “question” is missing",
            "/stages/0/approval/quesion: does not belong here. Did you mean “question”?",
        ],
    ),
    "an unknown kind of agent": (
        pipeline({"name": "a", "agent": {"kind": "oracle"}}),
        [
            '/stages/0/agent/kind: must be "agent", "function", "recorded" or "scripted"; it is "oracle"'
        ],
    ),
    "a language model without a version": (
        pipeline({"name": "a", "agent": {"kind": "llm"}}),
        [
            "/stages/0/agent: what is asked over the network is no stage by itself: its endpoint and its "
            "limits belong to a version of an agent; name that agent here",
            '/stages/0/agent/kind: must be "agent", "function", "recorded" or "scripted"; it is "llm"',
        ],
    ),
    "an agent's own fields": (
        pipeline({"name": "a", "agent": {"kind": "function", "nam": "x"}}),
        [
            "/stages/0/agent: “name” is missing",
            "/stages/0/agent/nam: does not belong here. Did you mean “name”?",
        ],
    ),
    "a name that is none": (
        pipeline(agent(name="a b")),
        [
            '/stages/0/name: "a b" does not fit: a name has letters, digits, hyphens and '
            "underscores, and begins with a letter"
        ],
    ),
    "a hyphen in a state, which a guard would take for a minus": (
        machine({"a-b": TURN, "end": END}, initial="a-b"),
        [
            '/states/a-b: as a name "a-b" does not fit: a name has letters, digits and '
            "underscores, and begins with a letter"
        ],
    ),
    "more than the settings allow": (
        pipeline(agent(name="a"), budget={"steps": 10_000_001, "stps": 1}),
        [
            "/budget/steps: must be at most 10,000,000; it is 10000001",
            "/budget/stps: does not belong here. Did you mean “steps”?",
        ],
    ),
    "a pointer that is none": (
        pipeline(agent(name="a", for_each="list")),
        ['/stages/0/for_each: "list" is not a valid json-pointer'],
    ),
}


@pytest.mark.parametrize(("raw", "said"), FORM.values(), ids=FORM)
def test_the_form_is_checked(raw: Any, said: list[str]) -> None:
    assert lines(raw) == said


ONE_CALL = "put a stage before it that is one call of an agent and always has an output"
MEANING = {
    "a name twice": (
        pipeline(agent(name="a"), agent(name="a")),
        ["/stages/1/name: “a” is the name of stage 1 already"],
    ),
    "a reserved name": (
        pipeline(agent(name="intent")),
        ["/stages/0/name: “intent” has a meaning of its own here; choose another name"],
    ),
    "needs": (
        pipeline(agent(name="read", needs=["late", "read", "raed"]), agent(name="late")),
        [
            "/stages/0/needs/0: “late” comes later; only earlier stages have an output",
            "/stages/0/needs/1: a stage cannot need itself",
            "/stages/0/needs/2: there is no stage “raed”. Did you mean “read”?",
        ],
    ),
    "a list out of an approval": (
        pipeline({"name": "ask", "approval": {"question": "?"}}, agent(name="b", for_each="/x")),
        [
            "/stages/1/for_each: its list would come from “ask”, which is no call of an agent; "
            + ONE_CALL
        ],
    ),
    "a list out of many calls": (
        pipeline(agent(name="a", for_each="/x"), agent(name="b", for_each="/x")),
        [
            f"/stages/1/for_each: its list would come from “a”, which is itself many calls; {ONE_CALL}"
        ],
    ),
    "a list out of what may be left out": (
        pipeline(agent(name="a", optional=True), agent(name="b", for_each="/x")),
        [f"/stages/1/for_each: its list would come from “a”, which is optional; {ONE_CALL}"],
    ),
    "a list that is not named first": (
        pipeline(
            agent(name="a"), agent(name="b"), agent(name="c", for_each="/x", needs=["a", "b"])
        ),
        [
            "/stages/2/needs: “for_each” takes its list from “b”, so that has to be named here, "
            "and first"
        ],
    ),
    "a list out of a proposal": (
        pipeline(agent(name="a", proposes=True), agent(name="b", for_each="/x")),
        [f"/stages/1/for_each: its list would come from “a”, which proposes an action; {ONE_CALL}"],
    ),
    "many proposals at once": (
        pipeline(agent(name="a", for_each="/x", proposes=True)),
        ["/stages/0/proposes: one proposal at a time: it cannot stand beside “for_each”"],
    ),
    "a limit of nothing": (
        pipeline(agent(name="a", at_most=3)),
        ["/stages/0/at_most: says nothing without “for_each”"],
    ),
    "a workflow inside itself": (
        pipeline({"name": "a", "workflow": "me"}),
        ["/stages/0/workflow: a workflow cannot wait for a run of itself"],
    ),
    "a schema that is none": (
        pipeline(agent(name="a", output={"type": "objekt"}), intent={"required": "x"}),
        [
            '/intent/required: must be a list; it is "x"',
            '/stages/0/output/type: must be "array", "boolean", "integer", "null", "number", '
            '"object" or "string"; it is "objekt"',
        ],
    ),
}


@pytest.mark.parametrize(("raw", "said"), MEANING.values(), ids=MEANING)
def test_what_no_schema_can_say_is_checked(raw: Any, said: list[str]) -> None:
    assert lines(raw, slug="me") == said


def ways(**events: Any) -> dict[str, Any]:
    return {"run": agent(), "on": {"done": [{"to": "end"}], "failed": [{"to": "end"}], **events}}


STUCK = "when no condition holds the run is stuck; end the list with a way without “if”"
MACHINES = {
    "no initial state": (
        machine({"first": TURN, "end": END}, initial="frist"),
        ["/initial: there is no state “frist”. Did you mean “first”?"],
    ),
    "a way to nowhere": (
        machine({"first": ways(go=[{"to": "edn"}]), "end": END}),
        ["/states/first/on/go/0/to: there is no state “edn”. Did you mean “end”?"],
    ),
    "a state that nothing leads to": (
        machine({"first": TURN, "other": TURN, "end": END}),
        ["/states/other: is never reached from “first”"],
    ),
    "nothing leads out": (
        machine({"first": ways(done=[{"to": "stuck"}]), "stuck": {}, "end": END}),
        [
            "/states/stuck: is a dead end: give it a “run”, a signal in “on”, “after”, or “end”",
        ],
    ),
    "a run whose failure leads nowhere": (
        machine({"first": {"run": agent(), "on": {"done": [{"to": "end"}]}}, "end": END}),
        ["/states/first: has no way for “failed”, which its “run” may say; add it to “on”"],
    ),
    "an end with ways out": (
        machine({"first": TURN, "end": {**END, "after": {"seconds": 1, "to": "first"}}}),
        [
            "/states/end/after: the run ends in this state, so “after” would never count; "
            "remove it or “end”"
        ],
    ),
    "no end": (
        machine({"first": {"after": {"seconds": 1, "to": "first"}}}),
        ["/states: no state is an end; give one of them “end”"],
    ),
    "a circle that nothing leads out of": (
        machine(
            {
                "first": ways(done=[{"to": "a"}]),
                "a": {"after": {"seconds": 1, "to": "b"}},
                "b": {"on": {"go": [{"to": "a"}]}},
                "end": END,
            }
        ),
        [
            "/states/a: goes round for ever: no end can be reached from here",
            "/states/b: goes round for ever: no end can be reached from here",
        ],
    ),
    "only ways with a condition": (
        machine({"first": ways(done=[{"if": "event.x > 1", "to": "end"}]), "end": END}),
        [f"/states/first/on/done: {STUCK}"],
    ),
    "a way behind one that always fits": (
        machine({"first": ways(done=[{"to": "end"}, {"if": "true", "to": "end"}]), "end": END}),
        ["/states/first/on/done/1: is never taken: the way before it has no “if”"],
    ),
    "done without a run": (
        machine({"first": {"on": {"done": [{"to": "end"}], "go": [{"to": "end"}]}}, "end": END}),
        ["/states/first/on/done: never happens here: a state without “run” has nothing that ends"],
    ),
    "a signal that the run takes": (
        machine(
            {"first": {**ways(go=[{"to": "end"}]), "run": {"signal": {"name": "go"}}}, "end": END}
        ),
        [
            "/states/first/on/go: never happens here: the state's own run waits for “go” and then "
            "says “done”"
        ],
    ),
    "a signal of a name that runs use": (
        machine({"first": {**TURN, "run": {"signal": {"name": "done"}}}, "end": END}),
        ["/states/first/run/signal/name: “done” is what a run says of itself; choose another name"],
    ),
    "a state with a name of CEL's": (
        machine({"first": ways(done=[{"to": "in"}]), "in": TURN, "end": END}),
        ["/states/in: is a word with a meaning of its own; rename the state"],
    ),
    "a list that not every way brings": (
        machine(
            {
                "first": ways(done=[{"to": "each"}], failed=[{"to": "each"}]),
                "each": {**TURN, "run": agent(for_each="/list", needs=["first"])},
                "end": END,
            }
        ),
        [
            "/states/each/run/for_each: “failed” of “first” also leads here, and brings no output "
            "of one agent"
        ],
    ),
    "a list from two places": (
        machine(
            {
                "first": ways(done=[{"to": "each"}], failed=[{"to": "other"}]),
                "other": ways(done=[{"to": "each"}]),
                "each": {**TURN, "run": agent(for_each="/list", needs=["first"])},
                "end": END,
            }
        ),
        [
            "/states/each/run/for_each: its list may come from one place only, not from first and other"
        ],
    ),
    "a list whose place is not named": (
        machine(
            {
                "first": ways(done=[{"to": "each"}]),
                "each": {**TURN, "run": agent(for_each="/list")},
                "end": END,
            }
        ),
        [
            "/states/each/run/needs: “for_each” takes its list from “first”, so that has to be "
            "named here, and first"
        ],
    ),
    "a list of the intent in a state that has to wait": (
        machine({"first": {**TURN, "run": agent(for_each="/list", needs=["first"])}, "end": END}),
        ["/states/first/run/needs: its list comes from the intent; it needs no state"],
    ),
    "an output that nobody has": (
        machine({"first": {**TURN, "run": agent(needs=["end", "frist", "first"])}, "end": END}),
        [
            "/states/first/run/needs/0: no state “end” has an output. Known: first.",
            "/states/first/run/needs/1: no state “frist” has an output. Did you mean “first”?",
        ],
    ),
}


@pytest.mark.parametrize(("raw", "said"), MACHINES.values(), ids=MACHINES)
def test_a_machine_cannot_get_stuck(raw: Any, said: list[str]) -> None:
    assert lines(raw) == said


GUARDS = {
    "data.first.amount > 5 && event.ok == true": "",
    "data.intent.who == 'data.nobody'": "",
    "1 + 1": "the condition must be true or false; 1 + 1 is a whole number (line 1, column 1)",
    "data.first.ok &&\n  fuo(1)": "undeclared reference to 'fuo' (line 2, column 3)",
    "data.frist.ok": "no state “frist” has an output that it could see. Did you mean “first”?",
    "data.end.ok": "no state “end” has an output that it could see. Known: first, intent.",
}


@pytest.mark.parametrize(("guard", "said"), GUARDS.items())
def test_guards_are_compiled(guard: str, said: str) -> None:
    raw = machine({"first": ways(done=[{"if": guard, "to": "end"}, {"to": "end"}]), "end": END})
    problems = found(raw)
    assert [problem.pointer for problem in problems] == (
        ["/states/first/on/done/0/if"] if said else []
    )
    assert all(problem.reason.endswith(said) for problem in problems)


def test_everything_is_said_at_once_and_in_order() -> None:
    stages = [agent(name=f"s{number}") for number in range(11)]
    stages[2]["attempts"] = 0
    stages[10]["needs"] = ["none"]
    pointers = [problem.pointer for problem in found(pipeline(*stages, titel="x"))]
    assert pointers == ["/stages/2/attempts", "/stages/10/needs/0", "/titel"]


@pytest.mark.parametrize(
    "raw",
    [
        pipeline(3, None, [], {"name": []}, {"name": "a", "needs": 3, "agent": 1}),
        {"pattern": "pipeline", "stages": {"a": 1}},
        machine({"first": 3, "second": {"on": 3, "run": 4, "after": []}}),
        machine({"first": {"on": {"done": [3, {"to": 4, "if": 5}], "x": 6}}}),
        {"pattern": "machine", "initial": [], "states": []},
        {"pattern": ["pipeline"]},
    ],
)
def test_whatever_the_form_it_is_refused_and_never_crashes(raw: Any) -> None:
    assert found(raw)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in inner:
            yield from places(one, (*path, key))


def with_value(raw: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy(raw)
    changed[path[0]] = with_value(raw[path[0]], path[1:], value)
    return changed


ANYTHING = st.recursive(
    st.sampled_from([None, True, 0, 3, -1, 0.5, "", "end", "first", "done", "/list", "true", []]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["to", "if", "name", "agent", "end", "x"]), inner)
    ),
    max_leaves=4,
)


@given(st.sampled_from([EVERY_KIND, SOUND_MACHINE]), st.data())
def test_what_is_taken_can_be_completed_and_read(raw: Any, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(places(raw))))
        raw = with_value(raw, path, data.draw(ANYTHING))
    if not found(raw):
        whole = definitions.complete(raw, LIMITS)
        assert found(whole) == []
        assert read_plan(whole).pattern == whole["pattern"]


@pytest.mark.parametrize(
    ("schema", "pointer", "said"),
    [
        (3, "", "must be an object; it is 3"),
        ({"$ref": "https://example.org/x"}, "/$ref", "nothing is fetched from elsewhere"),
        ({"items": {"$ref": "file:///etc/passwd"}}, "/items/$ref", "nothing is fetched"),
        ({"$ref": "#/$defs/none"}, "", "cannot be used"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/$schema", "the one dialect"),
        ({"pattern": "("}, "/pattern", '"(" is not a valid regex'),
    ],
)
def test_schemas_are_checked_and_nothing_is_fetched(schema: Any, pointer: str, said: str) -> None:
    problems = check_schema(schema)
    assert problems[0].pointer == pointer
    assert said in problems[0].reason


def test_a_reference_that_is_data_is_none() -> None:
    assert check_schema({"const": {"$ref": "https://example.org/x"}}) == []


VALUES: list[tuple[dict[str, Any], Any, str]] = [
    ({"type": ["string", "null"]}, 3, "must be null or a string; it is 3"),
    ({"const": {"a": 1}}, 3, "must be an object; it is 3"),
    ({"minimum": 3}, 1, "must be at least 3; it is 1"),
    ({"exclusiveMinimum": 3}, 3, "must be more than 3; it is 3"),
    ({"exclusiveMaximum": 3}, 3, "must be less than 3; it is 3"),
    ({"multipleOf": 2}, 3, "must be a multiple of 2; it is 3"),
    ({"minLength": 2}, "a", "needs at least 2 characters"),
    ({"maxLength": 2}, "abc", "may have at most 2 characters; it has 3"),
    ({"minItems": 1}, [], "must not be empty"),
    ({"maxItems": 1}, [1, 2], "may have at most 1 elements; it has 2"),
    ({"minProperties": 2}, {}, "needs at least 2 entries"),
    ({"maxProperties": 0}, {"a": 1}, "may have at most 0 entries; it has 1"),
    ({"uniqueItems": True}, [1, 1], "has the same element twice"),
    ({"contains": {"type": "null"}}, [1], "has no element of the kind that it needs"),
    ({"format": "date"}, "x", '"x" is not a valid date'),
    ({"pattern": "^a$"}, "b" * 99, f'"{"b" * 58}… does not fit: it must match ^a$'),
    ({"not": {"const": 1}}, 1, "may not be 1"),
    ({"oneOf": [{"type": "string"}, {"type": "array"}]}, 3, "must be a string or a list; it is 3"),
    ({"oneOf": [{"minimum": 1}, {"minimum": 2}]}, 3, "fits more than one of the alternatives"),
]


@pytest.mark.parametrize(("schema", "value", "said"), VALUES)
def test_errors_of_values_are_sentences(schema: dict[str, Any], value: Any, said: str) -> None:
    (problem,) = check(schema, value)
    assert problem.reason.startswith(said)


def test_of_alternatives_the_likely_one_is_explained() -> None:
    schema = {
        "anyOf": [
            {"type": "string"},
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
        ]
    }
    assert check(schema, {"a": "x"}) == [Problem("/a", 'must be a whole number; it is "x"')]
    assert check(schema, {}) == [Problem("", "“a” is missing")]


def test_pointers_are_escaped() -> None:
    schema = {"properties": {"a/b~c": False}}
    assert check(schema, {"a/b~c": 1}) == [Problem("/a~1b~0c", "is not allowed here")]


def test_the_examples_of_the_documents_are_sound() -> None:
    text = (Path(__file__).parents[2] / "docs" / "workflows.md").read_text()
    examples = re.findall(r"```json definition\n(.*?)```", text, re.DOTALL)
    assert [lines(json.loads(example), slug="refund") for example in examples] == [[]] * 6


def test_the_format_is_itself_a_schema() -> None:
    schema = definition_schema(SCHEMAS, LIMITS)
    assert check_schema(schema) == []
    assert check(schema, definitions.complete(EVERY_KIND, LIMITS)) == []


def places_of_agents(schema: dict[str, Any]) -> dict[str, set[tuple[str, ...]]]:
    """By pattern, where the schema lets an agent stand; `*` is any name or place in a list."""

    def walk(part: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if not isinstance(part, dict):
            return
        if part.get("$ref") == "#/$defs/agent":
            yield path
        elif "$ref" in part:
            yield from walk(schema["$defs"][part["$ref"].rpartition("/")[2]], path)
        for key, value in part.get("properties", {}).items():
            yield from walk(value, (*path, key))
        for key in ("items", "additionalProperties"):
            yield from walk(part.get(key), (*path, "*"))
        for key in ("then", "else"):
            yield from walk(part.get(key), path)
        for key in ("allOf", "anyOf", "oneOf"):
            for one in part.get(key, ()):
                yield from walk(one, path)

    return {
        name: set(walk(schema["$defs"][name], ()))
        for name in schema["properties"]["pattern"]["enum"]
    }


def standing(pattern: str, path: tuple[str, ...], agent: Any) -> dict[str, Any]:
    """A definition with nothing but an agent at this place."""
    held: Any = agent
    for place, key in reversed([*enumerate(path)]):
        # `stages` is the only list.
        held = (
            [held]
            if key == "*" and path[place - 1] == "stages"
            else {key.strip("*") or "one": held}
        )
    return {"pattern": pattern, **held}


def test_wherever_an_agent_can_stand_none_behind_an_address_may_stand_by_itself() -> None:
    places = places_of_agents(definition_schema(SCHEMAS, LIMITS))
    assert places == {
        "pipeline": {("stages", "*", "agent")},
        "machine": {("states", "*", "run", "agent")},
        "router": {("model", "agent"), ("workers", "*", "agent")},
        "supervisor": {("supervisor", "agent"), ("workers", "*", "agent")},
        "consensus": {("judge", "agent"), ("members", "*", "agent")},
        "mesh": {("peers", "*", "agent")},
    }
    for pattern, paths in places.items():
        for path in paths:
            for kind in sorted(CALLS_OUT):
                said = lines(standing(pattern, path, {"kind": kind, "name": "x"}))
                where = "/" + "/".join(path)
                where = where.replace("stages/*", "stages/0").replace("*", "one")
                assert any(
                    line.startswith(f"{where}: what is asked over the network") for line in said
                ), (where, said)
            assert not any(
                "over the network" in line
                for line in lines(standing(pattern, path, {"kind": "agent", "name": "x"}))
            )
            # Its data, contract and name are asked of the same places.
            whole = standing(pattern, path, {"kind": "agent", "name": "x"})
            assert [name for _, name, _ in definitions.agents_of(whole)] == ["x"]
