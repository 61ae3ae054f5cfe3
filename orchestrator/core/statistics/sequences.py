"""Bounds that hold at every look: for dashboards, promotion gates and whatever acts by itself.

An interval for one look (`intervals`) misses the truth in a third of all histories when somebody looks
after each decision and acts on the first that pleases. These (Robbins' mixture with a beta
distribution) miss it in at most one of twenty, however often and whenever one looks or stops.
The price is width: none wrong of 59 means at most 9.1 %, where a single look would say 6.1 % two-sided.

What is promised holds for a share that stays what it is. Of a share that moves they bound nothing, so
they are begun anew with every agent version, contract version and calibrator.
"""

import math

from orchestrator.core.statistics.intervals import CONFIDENCE, Bounds, check_counts
from orchestrator.core.statistics.special import crossing, log_beta

# Before anything was seen: as likely near 0 or 1 as in the middle, so few counts say little.
_PRIOR = 0.5


def watched(k: int, n: int, confidence: float = CONFIDENCE) -> Bounds:
    """The truth lies between them at all times at once, with this confidence."""
    check_counts(k, n)
    # What the evidence is made of stands still while the share is looked for.
    level = _log_mixed(k, n) + math.log(1 - confidence)

    def is_refuted(share: float) -> bool:
        return _log_chance(share, k, n) <= level

    low = 0.0 if k == 0 else crossing(lambda share: not is_refuted(share), 0.0, k / n)
    high = 1.0 if k == n else crossing(is_refuted, k / n, 1.0)
    return low, high


def evidence_against(share: float, k: int, n: int) -> float:
    """The logarithm of what a bet against this share would have won, had it begun with one.

    If the share is true the winnings reach 20 in at most one of twenty histories, ever.
    """
    return (
        log_beta(_PRIOR + k, _PRIOR + n - k) - log_beta(_PRIOR, _PRIOR) - _log_chance(share, k, n)
    )


def watched_difference(
    k: int, n: int, other_k: int, other_n: int, confidence: float = CONFIDENCE
) -> Bounds:
    """Between two shares that are both watched, such as a new agent version and the old one.

    Each is bounded with half of the doubt, so it is wider than it would have to be.
    """
    each = (1 + confidence) / 2
    low, high = watched(k, n, each)
    other_low, other_high = watched(other_k, other_n, each)
    return low - other_high, high - other_low


def _log_mixed(k: int, n: int) -> float:
    """Of this very order of answers, when any share may be the true one."""
    return log_beta(_PRIOR + k, _PRIOR + n - k) - log_beta(_PRIOR, _PRIOR)


def _log_chance(share: float, k: int, n: int) -> float:
    """Of this very order of answers, at one share; what cannot happen has no finite one."""
    if (share <= 0 and k) or (share >= 1 and k < n):
        return -math.inf
    of_yes = k * math.log(share) if k else 0.0
    of_no = (n - k) * math.log1p(-share) if k < n else 0.0
    return of_yes + of_no
