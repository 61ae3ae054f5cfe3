"""What looks like a key or a password is hidden, wherever it stands, and nothing else is."""

import re
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.secret_shapes import _SHAPES, MASKED, hide_secrets

LONG = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6"
SECRETS = {
    f"Authorization: Bearer {LONG}": f"Authorization: Bearer {MASKED}",
    f"authorization: BASIC {LONG}==": f"authorization: BASIC {MASKED}",
    f"sk-{LONG}": MASKED,
    f"github_pat_{LONG}": MASKED,
    f"xoxb-{LONG}": MASKED,
    "AKIA" + "A1B2" * 4: MASKED,
    f"AIza{LONG}": MASKED,
    f"eyJ{LONG}.{LONG}.{LONG}": MASKED,
    "postgres://ada:hunter22@db.example/x": f"postgres://ada:{MASKED}@db.example/x",
    '{"password": "hunter22"}': f'{{"password": "{MASKED}"}}',
    "API_KEY=hunter22": f"API_KEY={MASKED}",
    "client-secret: hunter22": f"client-secret: {MASKED}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{LONG}\n-----END RSA PRIVATE KEY-----": MASKED,
}
HARMLESS = (
    "Order A-20931 came with a broken hinge; the customer asks for 184.00 EUR back.",
    "See https://help.example/returns for the key points, and the basic terms.",
    "The token of a secret ballot is a key question.",
    "a task-force-of-sixteen-or-more",
)

pieces = st.sampled_from([*SECRETS, *HARMLESS, *(text.swapcase() for text in SECRETS)]) | st.text()


def test_each_shape_is_hidden_and_what_it_is_called_stays() -> None:
    for text, hidden in SECRETS.items():
        assert hide_secrets(f"so: {text} and on") == f"so: {hidden} and on"


def test_plain_words_stay_as_they_are() -> None:
    for text in HARMLESS:
        assert hide_secrets(text) == text


@given(st.lists(pieces, max_size=6).map(" ".join))
def test_a_hint_keeps_no_pattern_from_what_it_fits(text: str) -> None:
    expected = text
    for shape in _SHAPES:
        expected = shape.pattern.sub(shape.left, expected)
    assert hide_secrets(text) == expected


@given(st.text(alphabet="eyJa.-_ é", max_size=80) | st.lists(pieces, max_size=4).map("-".join))
def test_a_token_is_found_wherever_it_begins(text: str) -> None:
    simple = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")
    (shape,) = (shape for shape in _SHAPES if "eyj" in shape.hints)
    assert shape.pattern.sub(shape.left, text) == simple.sub(MASKED, text)


@pytest.mark.parametrize(
    "part",
    [
        *("eyJ-", "eyJ", "eyJaaaaaaaa.", "eyJaaaaaaaa.-", "a.", "eyJaaaaaaaa.eyJ-aaaaa "),
        *("-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "bearer ", "basic  \t", "sk-", "sk-pk_"),
        *("AKIA", "AKIAA", "AIza", "AIza-", "a://b:", "a://b@", "ab+.", "password=", "secret: "),
    ],
)
def test_what_begins_like_one_again_and_again_is_not_slow(part: str) -> None:
    text = f"eyJ bearer :// {part * (400_000 // len(part))}"
    began = process_time()
    hide_secrets(text)
    assert process_time() - began < 2
