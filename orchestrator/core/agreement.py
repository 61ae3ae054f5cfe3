"""How far two answers to the same question agree: a number from 0 to 1, leaf by leaf."""

from collections.abc import Iterator, Mapping

from orchestrator.core.codec import Json

type Leaves = dict[str, Json]


def agreement(one: Json, other: Json) -> float:
    """The share of values, by their place, that are the same in both.

    What only one of them says is a place where they differ. Texts agree when they are the same but for
    spaces around them and capital letters; a number agrees with one that is equal.
    """
    left, right = dict(_leaves(one, "")), dict(_leaves(other, ""))
    places = left.keys() | right.keys()
    if not places:
        return 1.0
    same = sum(
        place in left and place in right and _is_same(left[place], right[place]) for place in places
    )
    return same / len(places)


def _leaves(value: Json, place: str) -> Iterator[tuple[str, Json]]:
    """An empty list or object is a value of its own."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{place}/{name}")
    elif isinstance(value, list | tuple) and value:
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{place}/{index}")
    else:
        yield place, value


def _is_same(one: Json, other: Json) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one.strip().casefold() == other.strip().casefold()
    # True is no number here, though Python says that it equals 1.
    return isinstance(one, bool) == isinstance(other, bool) and one == other
