"""What an edit changed: every difference is told, at its place, and nothing else."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.codec import Json, canonical
from orchestrator.core.policy.changed import ABSENT, Absent, Changed, diff_of

LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-2, 2) | st.text(max_size=3)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 1.0}, [("/a", 1, 1.0)]),
        ({"a": 5}, {"a": "5"}, [("/a", 5, "5")]),
        ({"a": 1}, {"a": True}, [("/a", 1, True)]),
        ({"a": None}, {}, [("/a", None, ABSENT)]),
        ({}, {"a": None}, [("/a", ABSENT, None)]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, [("/a/c", 2, 3)]),
        ({"a/b": {"~": 1}}, {"a/b": {"~": 2}}, [("/a~1b/~0", 1, 2)]),
        ({"a": {"b": 1}}, {"a": [1]}, [("/a", {"b": 1}, [1])]),
        ([1, 2, 3], [1, 9, 3], [("/1", 2, 9)]),
        ([1, 2, 3], [1, 3], [("/1", 2, ABSENT)]),
        ([1, 3], [1, 2, 3], [("/1", ABSENT, 2)]),
        ([1], [1, 1], [("/1", ABSENT, 1)]),
        ([{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 3}], [("/1/a", 2, 3)]),
        (1, 2, [("", 1, 2)]),
    ],
)
def test_differences_stand_at_their_place(old: Json, new: Json, found: list[Any]) -> None:
    assert diff_of(old, new) == [Changed(*one) for one in found]
    assert [canonical(one.new) for one in diff_of(old, new) if not isinstance(one.new, Absent)] == [
        canonical(new) for _, _, new in found if new is not ABSENT
    ]


@given(VALUES, VALUES)
def test_nothing_is_told_of_the_same_and_something_of_others(old: Json, new: Json) -> None:
    assert diff_of(old, deepcopy(old)) == []
    assert bool(diff_of(old, new)) == (canonical(old) != canonical(new))


@given(VALUES, VALUES)
def test_going_back_undoes_it(old: Json, new: Json) -> None:
    there, back = diff_of(old, new), diff_of(new, old)
    assert [(one.pointer, one.old, one.new) for one in there] == [
        (one.pointer, one.new, one.old) for one in back
    ]


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=5))
def test_the_changes_make_the_new_out_of_the_old(old: dict[str, Json]) -> None:
    new = {**old, "now": [1, {"x": 2}]}
    for name in list(old)[:2]:
        del new[name]
    made = deepcopy(old)
    for one in diff_of(old, new):
        name = one.pointer[1:].replace("~1", "/").replace("~0", "~")
        if isinstance(one.new, Absent):
            del made[name]
        elif "/" not in one.pointer[1:]:
            made[name] = one.new
    if "now" not in old:
        assert canonical(made) == canonical(new)
