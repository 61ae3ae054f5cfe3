import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.codec import JsonLimits, canonical, digest, read, safe_json
from orchestrator.core.errors import BadJson

REFUSED = {
    "nothing": (b"", "not JSON"),
    "half an object": (b'{"a":', "line 1, column 6"),
    "not UTF-8": (b'{"a":"\xff"}', "byte 6"),
    "a key twice": (b'{"a":1,"b":{"c":1,"c":2}}', "'c' appears twice"),
    "NaN": (b"[NaN]", "NaN"),
    "infinity": (b"[-Infinity]", "-Infinity"),
    "a float beyond range": (b"[1e5000]", "too large"),
    "an integer beyond range": (b"[1000000000000000001]", "10^18"),
    "an integer of 5,000 digits": (b"[" + b"9" * 5_000 + b"]", "10^18"),
    "a raw NUL": (b'"a\x00b"', "control character"),
    "an escaped NUL": (b'{"a":["\\u0000"]}', "NUL"),
    "an escaped NUL in a key": (b'{"a\\u0000":1}', "NUL"),
    "half a surrogate pair": (b'"\\ud800"', "surrogate"),
    "3,000 levels": (b"[" * 3_000 + b"]" * 3_000, "deeper than 64"),
    "many small values": (b"[" + b"{}," * 300_000 + b"1]", "more than 20,000"),
    "many bytes": (b'"' + b"x" * 1_000_001 + b'"', "at most 1,000,000"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_refuses(name: str) -> None:
    raw, sentence = REFUSED[name]
    with pytest.raises(BadJson) as caught:
        safe_json(raw)
    assert sentence in str(caught.value)
    assert "nothing was stored" in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"b":[1,2.5,-3e2],"a":null}', {"b": [1, 2.5, -300.0], "a": None}),
        (b'"\\\\u0000 is only text"', "\\u0000 is only text"),
        (b'"\\ud83d\\ude00"', "😀"),
        ('"ünïcödé"'.encode(), "ünïcödé"),
        (b'"[[[[ brackets in a string }}}}"', "[[[[ brackets in a string }}}}"),
        (b"[1000000000000000000]", [10**18]),
        (b"[" * 64 + b"]" * 64, json.loads("[" * 64 + "]" * 64)),
    ],
)
def test_it_takes(raw: bytes, value: object) -> None:
    assert safe_json(raw) == value


@pytest.mark.parametrize(
    "raw",
    [b'{"a":"' + b'\\"' * 400_000, b'"' * 900_001, b'["' + b"\\" * 900_000, b'{"' + b"a" * 900_000],
    ids=["escaped quotes", "quotes", "backslashes", "one long word"],
)
def test_an_unfinished_string_costs_no_more_than_its_length(raw: bytes) -> None:
    before = time.process_time()
    with pytest.raises(BadJson):
        safe_json(raw)
    assert time.process_time() - before < 2


def test_it_takes_limits() -> None:
    assert safe_json(b"[[1]]", JsonLimits(depth_max=2)) == [[1]]
    with pytest.raises(BadJson):
        safe_json(b"[[[1]]]", JsonLimits(depth_max=2))


def test_it_marks_what_is_too_large() -> None:
    with pytest.raises(BadJson) as caught:
        safe_json(b'"xxx"', JsonLimits(bytes_max=3))
    assert caught.value.too_large


outside = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\x00")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc\u00e9", max_size=4), inner),
    max_leaves=20,
)


@given(outside)
def test_what_passes_the_gate_survives_storing(value: object) -> None:
    taken = safe_json(json.dumps(value).encode())
    assert read(canonical(taken)) == taken == value


@given(st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused_with_a_sentence(raw: bytes) -> None:
    try:
        value = safe_json(raw)
    except BadJson as error:
        assert str(error).endswith((".", ")."))
    else:
        assert read(canonical(value)) == value


def test_equal_values_have_equal_digests() -> None:
    assert digest(canonical({"a": 1, "b": "é"})) == digest(canonical({"b": "é", "a": 1}))
    assert digest(canonical({"a": 1})) != digest(canonical({"a": 1.0}))
