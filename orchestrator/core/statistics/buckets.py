"""Durations in buckets that grow by a fifth: counters that say what half and nine tenths stayed under.

A bucket holds a quarter of a doubling, so whatever is told from it is right to within a tenth.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence

A_DOUBLING = 4
# Of what was not measured.
NONE = -1


def place(seconds: float) -> int:
    """The bucket of a duration. Less than a second is a second."""
    return math.floor(math.log(max(seconds, 1.0)) / math.log(2.0) * A_DOUBLING)


def middle(bucket: int) -> float:
    return float(2.0 ** ((bucket + 0.5) / A_DOUBLING))


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """In seconds, what this share of all stayed under; None of nothing."""
    known = {bucket: count for bucket, count in counts.items() if bucket != NONE and count}
    wanted, passed = share * sum(known.values()), 0
    for bucket in sorted(known):
        passed += known[bucket]
        if passed >= wanted:
            return middle(bucket)
    return None


def spans(counts: Mapping[int, int], ends: Sequence[float]) -> list[int]:
    """How many lasted up to each end, in seconds, and longer than the one before; the last: longer than all."""
    found = [0] * (len(ends) + 1)
    for bucket, count in counts.items():
        if bucket != NONE:
            found[bisect_left(ends, middle(bucket))] += count
    return found
