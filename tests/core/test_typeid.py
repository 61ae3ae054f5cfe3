from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core import typeid

moments = st.integers(0, 2**48 - 1)
chance = st.integers(0, 2**74 - 1)


@given(moments, chance)
def test_it_makes_ids_that_it_knows_again(at_ms: int, entropy: int) -> None:
    made = typeid.make("prp", at_ms=at_ms, entropy=entropy)
    assert typeid.is_id(made, "prp")
    assert not typeid.is_id(made, "rev")
    assert typeid.made_at_ms(made) == at_ms


@given(moments, moments, chance, chance)
def test_order_is_time_order(first: int, second: int, one: int, other: int) -> None:
    if first < second:
        earlier = typeid.make("prp", at_ms=first, entropy=one)
        assert earlier < typeid.make("prp", at_ms=second, entropy=other)


@given(moments, chance, chance)
def test_different_chance_gives_different_ids(at_ms: int, one: int, other: int) -> None:
    if one != other:
        assert typeid.make("a", at_ms=at_ms, entropy=one) != typeid.make(
            "a", at_ms=at_ms, entropy=other
        )


def test_it_knows_what_is_not_an_id() -> None:
    for text in ("", "prp_", "prp_../../etc/passwd", "prp_" + "z" * 26, "prp_" + "0" * 25):
        assert not typeid.is_id(text, "prp")
