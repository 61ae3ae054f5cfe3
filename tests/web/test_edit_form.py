"""Editing arguments: types stay what they are, what nobody touched stays byte for byte."""

from typing import Any

import pytest
from django.template.loader import render_to_string
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.core.codec import canonical
from orchestrator.core.errors import Problem
from orchestrator.core.policy.changed import diff_of
from orchestrator.core.schemas import check
from review.edit_form import EditForm
from tests.web.sent_form import sent

ORDER: dict[str, Any] = {
    "type": "object",
    "required": ["id", "count", "lines"],
    "properties": {
        "id": {"type": "string", "maxLength": 40},
        "count": {"type": "integer", "minimum": 0},
        "ratio": {"type": "number"},
        "urgent": {"type": "boolean"},
        "reason": {"enum": ["damaged", "late", 5, "5", None]},
        "kind": {"const": "order"},
        "note": {"type": ["string", "null"], "maxLength": 5_000},
        "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "customer": {"$ref": "#/$defs/person"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        "tags": {"type": "array", "items": {"type": "string"}},
        "open": {},
    },
    "additionalProperties": False,
    "$defs": {
        "person": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        },
        "line": {
            "type": "object",
            "required": ["sku"],
            "properties": {"sku": {"type": "string"}, "count": {"type": "integer"}},
            "additionalProperties": False,
        },
    },
}
ARGS: dict[str, Any] = {
    "id": "5",
    "count": 5,
    "ratio": 0.1,
    "urgent": False,
    "reason": "5",
    "kind": "order",
    "note": None,
    "limit": 9_007_199_254_740_993,
    "customer": {"name": "Ana", "nick/name~": ["x"]},
    "lines": [{"sku": "a"}, {"sku": "b", "count": 2}, {"sku": "c"}],
    "tags": ["one", "two"],
    "open": {"anything": [1, "1"]},
}


def page(form: EditForm) -> str:
    return render_to_string("review/edit_form.html", {"form": form})


def post(
    args: dict[str, Any], schema: Any = ORDER, *, without: tuple[str, ...] = (), **changes: str
) -> EditForm:
    """The form as a browser sends it with some inputs changed; `__` stands for `/`."""
    data = sent(page(EditForm(args, schema)))
    named = {name.replace("__", "/"): text for name, text in changes.items()}
    assert all(name in data or not name.startswith("arg") for name in named), named
    data = {name: text for name, text in (data | named).items() if name not in without}
    return EditForm(args, schema, posted=data)


def edited(args: dict[str, Any], schema: Any = ORDER, **changes: Any) -> Any:
    form = post(args, schema, **changes)
    found = form.parse()
    assert found is not None, form.mistakes
    return [(one.pointer, one.old, one.new) for one in diff_of(args, found)]


def refused(args: dict[str, Any] = ARGS, schema: Any = ORDER, **changes: Any) -> list[str]:
    form = post(args, schema, **changes)
    assert form.parse() is None
    assert "Nothing was changed yet" in page(form)
    return [f"{one.name}: {one.reason}" for one in form.mistakes]


# Nothing changed ----------------------------------------------------------------------------------

KEYS = st.text(max_size=6).filter(lambda text: "\x00" not in text) | st.sampled_from(
    ["a", "b", "a/b", "~", "", "x y", "é", "\n", "<b>", '"']
)
TEXTS = st.text(max_size=120) | st.sampled_from(
    [
        "\n",
        "\r",
        "\r\n",
        "a\r\nb\nc",
        "\na",
        " a ",
        "5",
        "null",
        "</textarea>",
        "&amp;",
        "\u202e",
        "\x1b[",
    ]
)
TEXTS = TEXTS.filter(lambda text: "\x00" not in text)
NUMBERS = st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=6)


@st.composite
def schemas_with_args(draw: st.DrawFn) -> tuple[Any, dict[str, Any]]:
    """Arguments, and a schema that fits them more or less: also what no longer fits comes back."""
    members = draw(st.dictionaries(KEYS, _pairs(2), max_size=6))
    present = {name for name in members if draw(st.booleans())}
    args = {name: value for name, (_, value) in members.items() if name in present}
    args |= draw(st.dictionaries(KEYS, VALUES, max_size=2))
    return _object_of(members, draw(st.sets(st.sampled_from(sorted(members) or ["a"])))), args


def _object_of(members: Any, required: Any) -> Any:
    properties = {name: schema for name, (schema, _) in members.items()}
    return {"type": "object", "properties": properties, "required": sorted(required)}


def _pairs(depth: int) -> st.SearchStrategy[tuple[Any, Any]]:
    """A schema and a value for it."""
    plain = st.one_of(
        st.tuples(st.just({"type": "string"}), TEXTS),
        st.tuples(st.just({"type": "string", "maxLength": 5_000}), TEXTS),
        st.tuples(st.just({"type": "integer"}), st.integers(-(10**18), 10**18)),
        st.tuples(st.just({"type": "number"}), NUMBERS),
        st.tuples(st.just({"type": "boolean"}), st.booleans()),
        st.tuples(st.just({"type": ["string", "null"]}), st.none() | TEXTS),
        st.tuples(st.just({"type": ["boolean", "null"]}), st.none() | st.booleans()),
        st.tuples(st.just({"anyOf": [{"type": "integer"}, {"type": "null"}]}), st.none() | NUMBERS),
        st.tuples(st.just({"oneOf": [{"type": "integer"}, {"type": "string"}]}), LEAVES),
        st.tuples(
            st.just({"enum": ["a", "5", 5, None, 1.5]}), st.sampled_from(["a", "5", 5, None, 1.5])
        ),
        st.tuples(st.just({"const": 7}), st.just(7)),
        st.tuples(st.sampled_from([{}, True, {"type": "string"}, {"type": "object"}]), VALUES),
    )
    if not depth:
        return plain
    inner = _pairs(depth - 1)
    lists = st.lists(inner, max_size=3).map(
        lambda pairs: (
            {"type": "array", "items": pairs[0][0] if pairs else {}},
            [value for _, value in pairs],
        )
    )
    objects = st.dictionaries(KEYS, inner, max_size=3).map(
        lambda members: (
            _object_of(members, ()),
            {name: value for name, (_, value) in members.items()},
        )
    )
    return plain | lists | objects


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(schemas_with_args())
def test_a_form_that_nobody_touches_comes_back_byte_for_byte(
    pair: tuple[Any, dict[str, Any]],
) -> None:
    schema, args = pair
    form = post(args, schema)
    found = form.parse()
    assert found is not None, form.mistakes
    assert canonical(found) == canonical(args)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(OBJECTS)
def test_without_a_contract_the_types_are_those_of_the_values(args: dict[str, Any]) -> None:
    found = post(args, None).parse()
    assert canonical(found) == canonical(args)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(schemas_with_args(), st.data())
def test_one_change_changes_one_place(
    pair: tuple[Any, dict[str, Any]], data: st.DataObject
) -> None:
    schema, args = pair
    form = EditForm(args, schema)
    texts = [one for one in form.root.walk() if one.kind == "text" and isinstance(one.value, str)]
    if not texts:
        return
    chosen = data.draw(st.sampled_from(texts))
    typed = f"{data.draw(st.text('abc5', min_size=1))}!"
    form = EditForm(args, schema, posted=sent(page(form)) | {f"arg{chosen.key}": typed})
    found = form.parse()
    assert found is not None, form.mistakes
    assert [one.new for one in diff_of(args, found)] in ([typed], [])
    assert typed in canonical(found)


def test_five_thousand_arguments_are_one_json() -> None:
    args = {f"key{number}": number for number in range(5_000)}
    form = EditForm(args, None)
    assert form.root.kind == "json"
    assert post(args, None).parse() == args


# Changes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"arg__count": "6"}, [("/count", 5, 6)]),
        ({"arg__count": " −7 "}, [("/count", 5, -7)]),
        ({"arg__id": "6"}, [("/id", "5", "6")]),
        ({"arg__id": ""}, [("/id", "5", "")]),
        ({"arg__ratio": "0.25"}, [("/ratio", 0.1, 0.25)]),
        ({"arg__ratio": "2"}, [("/ratio", 0.1, 2)]),
        ({"arg__ratio": "1e-3"}, [("/ratio", 0.1, 0.001)]),
        ({"arg__urgent": "0"}, [("/urgent", False, True)]),
        ({"arg__reason": "2"}, [("/reason", "5", 5)]),
        ({"arg__reason": "4"}, [("/reason", "5", None)]),
        ({"leave__ratio": "on"}, [("/ratio", 0.1, "ABSENT")]),
        ({"null__limit": "on"}, [("/limit", 9_007_199_254_740_993, None)]),
        (
            {"arg__limit": "9007199254740995"},
            [("/limit", 9_007_199_254_740_993, 9_007_199_254_740_995)],
        ),
        ({"arg__customer__name": "Bo"}, [("/customer/name", "Ana", "Bo")]),
        ({"arg__lines__1__sku": "z"}, [("/lines/1/sku", "b", "z")]),
        ({"leave__lines__1": "on"}, [("/lines/1", {"sku": "b", "count": 2}, "ABSENT")]),
        ({"arg__tags__0": "0"}, [("/tags/0", "one", "0")]),
        ({"arg__open": "[1]"}, [("/open", {"anything": [1, "1"]}, [1])]),
    ],
)
def test_what_is_typed_has_the_type_of_its_field(changes: dict[str, str], found: list[Any]) -> None:
    told = [
        (p, old, new if repr(new)[:7] != "<Absent" else "ABSENT")
        for p, old, new in edited(ARGS, **changes)
    ]
    assert canonical([list(one) for one in told]) == canonical([list(one) for one in found])


def test_a_null_is_filled_in_and_a_left_out_field_comes_back() -> None:
    form = post(ARGS, without=("null/note",), arg__note="call first")
    assert (form.parse() or {})["note"] == "call first"
    assert (post(ARGS, without=("null/note",)).parse() or {})["note"] == ""
    form = post(ARGS, without=("leave/customer/age",), arg__customer__age="40")
    assert (form.parse() or {})["customer"]["age"] == 40


def test_a_row_is_added_by_asking_for_it_and_filled_in_then() -> None:
    asked = post(ARGS, add="/lines", arg__id="typed already", arg__count="")
    assert asked.is_adding
    assert asked.parse() is None
    assert asked.mistakes == []
    html = page(asked)
    assert 'value="typed already"' in html
    data = sent(html)
    assert data["rows/lines"] == "4"
    data |= {"arg/lines/3/sku": "new", "arg/count": "5"}
    found = EditForm(ARGS, ORDER, posted=data).parse()
    assert found is not None
    assert found["lines"][3] == {"sku": "new"}
    assert found["id"] == "typed already"
    assert len(EditForm(ARGS, ORDER, posted=data | {"leave/lines/0": "on"}).parse()["lines"]) == 3  # type: ignore[index]


def test_rows_have_an_end() -> None:
    form = EditForm(ARGS, ORDER, posted={"rows/lines": "999", "rows/tags": "x", "add": "/lines"})
    lines = next(one for one in form.root.walk() if one.key == "/lines")
    assert len(lines.children) == 50
    assert not lines.may_grow


def test_line_ends_stay_what_they_were() -> None:
    args = {"body": "one\r\ntwo\r\n"}
    assert edited(args, None, arg__body="one\r\n2\r\n") == [("/body", args["body"], "one\r\n2\r\n")]
    args = {"body": "one\ntwo"}
    assert edited(args, None, arg__body="one\r\n2") == [("/body", args["body"], "one\n2")]


def test_json_counts_when_it_is_chosen() -> None:
    form = post(ARGS, raw='{"id": "5.0", "count": 5.0}', as_json="on")
    assert canonical(form.parse()) == '{"count":5.0,"id":"5.0"}'
    assert post(ARGS, as_json="on").parse() == ARGS


# Refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"arg__count": "5.5"}, "count: Write a whole number"),
        ({"arg__count": "five"}, "count: Write a whole number"),
        ({"arg__count": ""}, "count: Write a whole number"),
        ({"arg__count": "٣"}, "count: Write a whole number"),
        ({"arg__count": "1,000"}, "count: Write a whole number"),
        ({"arg__count": "1" + "0" * 19}, "count: It is beyond"),
        ({"arg__ratio": "0,5"}, "ratio: Write a number"),
        ({"arg__ratio": "NaN"}, "ratio: Write a number"),
        ({"arg__ratio": "1e999"}, "ratio: It has more digits"),
        ({"arg__ratio": "0.1000000000000000055"}, "ratio: It has more digits"),
        ({"arg__reason": "9"}, "reason: Choose one"),
        ({"arg__reason": "x"}, "reason: Choose one"),
        ({"arg__open": "{"}, "open: It was refused"),
        ({"arg__open": '{"a":1,"a":2}'}, "open: It was refused: the key 'a' appears twice"),
        ({"leave__ratio": "on", "arg__ratio": "0.2"}, "ratio: This is left out, and"),
        ({"null__limit": "on", "arg__limit": "3"}, "limit: This is null, and"),
        ({"leave__customer": "on", "arg__customer__name": "x"}, "customer: This is left out, and"),
        ({"arg__note": "typed"}, "note: This is null, and"),
        ({"raw": "{}"}, "JSON: You changed the JSON"),
        ({"raw": "{}", "as_json": "on", "arg__count": "6"}, "JSON: The fields and the JSON"),
        ({"raw": "{", "as_json": "on"}, "JSON: It was refused"),
        ({"raw": "[]", "as_json": "on"}, ": Arguments have names"),
    ],
)
def test_what_cannot_be_read_is_said_at_its_place(changes: dict[str, str], said: str) -> None:
    (found,) = refused(**changes)
    assert found.startswith(said)


def test_what_was_typed_stays_after_a_refusal() -> None:
    html = page(post(ARGS, arg__count="many", arg__id="typed", leave__ratio="on"))
    assert 'value="many"' in html
    again = sent(html)
    assert (again["arg/id"], again["leave/ratio"]) == ("typed", "on")
    form = EditForm(ARGS, ORDER, posted=again)
    form.parse()
    assert 'aria-invalid="true" aria-describedby="arg/count_error"' in page(form)


def test_a_mistake_in_what_is_removed_is_none() -> None:
    assert post(ARGS, leave__lines__1="on", arg__lines__1__count="x").parse() is not None


def test_what_the_contract_refuses_is_said_beside_its_field() -> None:
    form = post(ARGS, arg__count="-1", leave__lines__0="on", arg__lines__2__sku="z")
    found = form.parse()
    assert found is not None
    form.add_problems(
        [*check(ORDER, found), Problem("/lines/1/sku", "is out of stock"), Problem("", "is late")]
    )
    said = {one.name: one.reason for one in form.mistakes}
    assert said["count"] == "It must be at least 0; it is -1."
    # The second row that is left is the third that there was.
    assert said["lines.2.sku"] == "It is out of stock."
    assert said[""] == "the whole: is late"
    assert 'href="#arg/lines/2/sku"' in page(form)


def test_what_was_not_on_the_page_stays_as_it_is() -> None:
    assert EditForm(ARGS, ORDER, posted={"reason": "wording"}).parse() == ARGS


# What the page says ------------------------------------------------------------------------------


def test_it_marks_what_is_untrusted_and_what_hides() -> None:
    form = EditForm({"to": "a\u202eb", "ok": "x"}, None, tainted=["/args/to"])
    html = page(form)
    assert html.count("untrusted") == 1
    assert "U+202E" in html
    assert "nobody sees" in html


def test_words_of_agents_break_out_of_nothing() -> None:
    nasty = '</textarea><script>x</script>"><img src=x onerror=y>'
    args = {nasty: nasty, "list": [nasty], "deep": {nasty: [nasty, {"a": nasty}]}}
    html = page(EditForm(args, None, tainted=[nasty]))
    assert "<script" not in html
    assert "<img" not in html
    assert post(args, None).parse() == args


def test_a_field_says_what_fits() -> None:
    schema = {
        "type": "object",
        "required": ["n"],
        "properties": {
            "n": {"type": "integer", "minimum": 1, "maximum": 9, "description": "how many"}
        },
    }
    html = page(EditForm({"n": 3}, schema))
    assert "how many" in html
    assert "1 to 9" in html
    assert 'aria-describedby="arg/n_help"' in html
    assert "leave out" not in html
