"""YAML that holds no surprise, and the place of everything that is wrong with it."""

import re
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core import yaml_text
from orchestrator.core.codec import Json
from orchestrator.core.yaml_places import Place
from orchestrator.core.yaml_text import Fault, Sheet

# What somebody takes for something else than text, and what YAML has a meaning of its own for.
TRAPS = re.findall(
    r"\S+",
    r"""
on off yes no y n true false null ~ 1 -1 0 010 0o10 0x1F 1e3 1.5 .5 1. 1_000 1:30 .inf .nan 2026-01-01
<< = - ? : # ! & * | > % @ ` ' " [ ] { } , --- ... a:b a:
""",
)
PIECES = [
    *TRAPS,
    "",
    " ",
    "\n",
    "\t",
    "\r",
    "\\",
    "a: b",
    "a #b",
    "ä",
    "😀",
    "\x85",
    "\u2028",
    "\ufeff",
]
PIECES += ["\x1b", "\xa0", "\u200b", "''", '"', "proposal.args.x <= 1", "\n\n", "  "]
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.one_of(
    st.sampled_from(TRAPS),
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join),
    st.text(LETTERS, max_size=40),
)
VALUES = st.recursive(
    TEXTS,
    lambda inner: st.one_of(st.lists(TEXTS, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=10,
)


def only(data: str | bytes) -> Sheet:
    sheets, faults = yaml_text.read(data.encode() if isinstance(data, str) else data)
    assert faults == []
    (sheet,) = sheets
    return sheet


def fault(data: str | bytes) -> Fault:
    sheets, faults = yaml_text.read(data.encode() if isinstance(data, str) else data)
    assert sheets == []
    (found,) = faults
    return found


@given(VALUES)
def test_what_is_written_is_read_back(value: Json) -> None:
    text = yaml_text.write(value)
    assert only(text).value == value
    assert yaml_text.write(only(text).value) == text
    # Nothing is text to us alone.
    assert yaml.safe_load(text) == value


@given(st.text(LETTERS) | st.binary())
def test_whatever_is_read_comes_back_or_is_refused_with_its_place(data: str | bytes) -> None:
    raw = data.encode() if isinstance(data, str) else data
    sheets, faults = yaml_text.read(raw)
    assert not (sheets and faults)
    for found in faults:
        assert found.place >= (1, 1)
        assert found.reason
    for sheet in sheets:
        assert only(yaml_text.write(sheet.value)).value == sheet.value


@pytest.mark.parametrize("trap", ["no", "on", "y", "1e3", "0o10", "1:30", "~", "2026-01-01", "<<"])
def test_text_that_is_none_to_somebody_needs_quotes(trap: str) -> None:
    found = fault(f"effect: {trap}")
    assert found.place == Place(1, 9)
    assert found.reason == (
        f'`{trap}` without quotes is not text to every reader of YAML; write "{trap}"'
    )
    assert only(f'effect: "{trap}"').value == {"effect": trap}
    assert yaml_text.write({"effect": trap}) == f'effect: "{trap}"\n'


@pytest.mark.parametrize(
    ("data", "line", "column", "reason"),
    [
        ("a: 1x\nb: c\na: d", 3, 1, "“a” is said twice; the first is in line 1"),
        ("a:\nb: c", 1, 3, 'it is empty; write ""'),
        ("a: &x b\nc: *x", 1, 4, "&x names a value for later; that is not taken here"),
        ("a: *x", 1, 4, "*x refers to another place; write its value out"),
        (
            "a: !has(b)",
            1,
            4,
            "the tag !has(b) is not taken; a text that begins with ! needs quotes",
        ),
        ("a: [*]", 1, 6, "a text that begins with * needs quotes"),
        ("a: b: c", 1, 5, "a text with a colon and a blank in it needs quotes"),
        ("? [a]\n: b", 1, 3, "a name must be text"),
        ("<<: {a: b}", 1, 1, "`<<` without quotes"),
        ("a: [[[[[[[[b]]]]]]]]", 1, 12, "it is nested deeper than 8 levels"),
        ("a: 'b\nc\n", 3, 1, "while scanning a quoted scalar that begins in line 1"),
        ("ab: c\n\td: e", 2, 1, "found character '\\t'"),
        ('a: "\\ud800"', 1, 4, "half a surrogate pair"),
        ('a: "\\0"', 1, 4, "NUL"),
        ("a: b\nc: \x01", 2, 4, "the character U+0001 cannot stand in a file"),
        (b"a: b\nc: \xff", 2, 4, "byte 8 is not UTF-8"),
        ('a: b\nc: "\\UFFFFFFFF"', 2, 2, "an escape beyond \\U0010FFFF"),
        ("%YAML 1." + "1" * 5_000 + "\n---\na: b", 1, 1, "a version after %YAML"),
        ("a: b\n...\n%YAML " + "1" * 5_000 + ".1\n---\na: b", 2, 4, "a version after %YAML"),
    ],
)
def test_what_can_surprise_is_refused_at_its_place(
    data: str | bytes, line: int, column: int, reason: str
) -> None:
    found = fault(data)
    assert found.place == (line, column)
    assert reason in found.reason


def test_a_tag_that_would_run_something_runs_nothing() -> None:
    assert "the tag" in fault("a: !!python/object/apply:os._exit [3]").reason


@pytest.mark.parametrize(
    "data",
    [
        "[" * 100_000,
        "- " * 50_000,
        "a: |\n" + "\n" * 100_000,
        '"' + "a\n" * 50_000,
        "".join(f"k{number}: v\n" for number in range(10_000)),
        "[" + "a, " * 30_000 + "]",
        "1:" * 50_000,
        "#\n" * 50_000,
    ],
    ids=lambda data: data[:6],
)
def test_a_hostile_file_is_done_with_soon(data: str) -> None:
    began = time.process_time()
    yaml_text.read(data.encode())
    assert time.process_time() - began < 10


def test_a_file_may_hold_none_or_several() -> None:
    assert yaml_text.read(b"# nothing\n") == ([], [])
    sheets, _ = yaml_text.read(b"a: b\n---\nc: d\n")
    assert [sheet.value for sheet in sheets] == [{"a": "b"}, {"c": "d"}]
    assert sheets[1].place_of("/c") == Place(3, 1)


def test_every_value_has_its_place() -> None:
    sheet = only("a: b\nc:\n  d: [e, f]\n")
    assert sheet.place_of("") == Place(1, 1)
    assert sheet.place_of("/c/d") == Place(3, 3)
    assert sheet.place_of("/c/d/1") == Place(3, 10)
    # What is missing is missing in what is around it.
    assert sheet.place_of("/c/x/y") == Place(2, 1)


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("a: one !two", Place(1, 8)),
        ("a: 'one !two'", Place(1, 9)),
        ("a: 'o''e !two'", Place(1, 10)),
        ('a: "one !two"', Place(1, 9)),
        ('a: "\\x6fne !two"', Place(1, 12)),
        ('a: "o\\u006ee !two"', Place(1, 14)),
        ("a: |\n  one !two", Place(2, 7)),
        ("a: |-\n    one !two\n", Place(2, 9)),
    ],
)
def test_a_place_inside_of_a_text_is_found_in_its_file(written: str, place: Place) -> None:
    assert only(written).place_inside("/a", 1, 5) == place


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("x: z\na: |\n  one\n\n    &&  !two\n", Place(5, 9)),
        ("x: z\na: |2\n  one\n\n    &&  !two\n", Place(5, 9)),
        ('x: z\na: "one\\n\\n  &&  !two"', Place(2, 18)),
        ('x: z\na: "one\\n\\n\n  \\  &&  !two"', Place(3, 10)),
        ("x: z\na: 'one\n\n\n  &&  !two'", Place(5, 7)),
        ("x: z\na: one\n\n\n  &&  !two", Place(5, 7)),
        ("x: z\na: >\n  one\n\n\n  &&  !two", Place(6, 7)),
    ],
)
def test_a_place_in_a_later_line_is_found_too(written: str, place: Place) -> None:
    sheet = only(written)
    value = sheet.scalars["/a"].value
    before = value[: value.index("!")]
    line, column = before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1
    assert line == 3
    assert sheet.place_inside("/a", line, column) == place


@given(TEXTS.filter(str.strip), st.data())
def test_every_letter_of_what_was_written_is_found(text: str, data: st.DataObject) -> None:
    """Of plain and literal texts, which are most, the place is exact to the letter."""
    file = yaml_text.write({"a": text})
    sheet = only(file)
    letters = [place for place, letter in enumerate(text) if not letter.isspace()]
    index = data.draw(st.sampled_from(letters or [0]))
    before = text[:index]
    line, column = before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1
    found = sheet.place_inside("/a", line, column)
    lines = file.split("\n")
    assert 1 <= found.line <= len(lines)
    if letters and sheet.scalars["/a"].style in {"", "|"}:
        assert lines[found.line - 1][found.column - 1] == text[index]
