"""Which proposals are put before people although nobody would have looked at them.

A keyed hash of the id draws: retries and replays draw the same, and whoever does not know the key can
neither predict nor steer it. Agents propose; the id is made by the server, the key never leaves it.

How likely a draw is may differ from one proposal to the next, but it is settled by what came before and
stored with it. So what is drawn stays a probability sample: each label stands for 1 / chance proposals.
"""

import hashlib
import hmac
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# A hash cut to so many bits is a whole number below ALL, each of them equally likely.
_BYTES = 8
ALL = 1 << (8 * _BYTES)

# Chances are rounded up to one of these, so that strata with equal chances stay few and can be put
# together: a bound over ten samples is far wider than one over their sum.
RUNGS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_FIRST_DAY = datetime(1970, 1, 1, tzinfo=UTC)


def key_from(secret: str) -> bytes:
    """A key for drawing alone, so that no other use of the secret tells anything about a draw."""
    return hmac.digest(secret.encode(), b"countersign.sampling", hashlib.sha256)


def drawn(key: bytes, proposal_id: str, share: float, purpose: str) -> bool:
    """Whether this one belongs to the share; draws for two purposes have nothing to do with each other."""
    return place(key, proposal_id, purpose) < round(share * ALL)


def place(key: bytes, proposal_id: str, purpose: str) -> int:
    """Where it stands in the order of the draw: a whole number below ALL."""
    # The NUL stands in neither, so no two pairs give one message.
    message = f"{purpose}\x00{proposal_id}".encode()
    return int.from_bytes(hmac.digest(key, message, hashlib.sha256)[:_BYTES], "big")


# How likely a draw is ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of what is alike goes to people. A share of 0 draws nothing, whatever the rest says."""

    share: float
    # While an agent version is new for an action: of so many of its first proposals, this share.
    new_share: float = 0.0
    new_first: int = 0
    # At least so many of each stratum in each period.
    floor: int = 0

    @property
    def usual(self) -> float:
        return rung(self.share)

    @property
    def is_fixed(self) -> bool:
        """Nothing that came before can change it."""
        return self.share <= 0 or self.usual >= 1 or not (self.floor or self.new_first)

    @property
    def last_period_max(self) -> int:
        """From so many on the usual share reaches the floor by itself."""
        return math.ceil(self.floor / self.usual)

    @property
    def this_period_max(self) -> int:
        return 2 * self.last_period_max


@dataclass(frozen=True, slots=True)
class Past:
    """What came before a proposal, counted no further than it matters."""

    # Of its agent version and action, ever.
    of_version: int
    # Of its stratum: in the period before, and in this one so far.
    last_period: int
    this_period: int


def chance(plan: Plan, past: Past) -> float:
    """The highest of the share, the share of what is new, and what the floor of its stratum takes."""
    if plan.share <= 0:
        return 0.0
    is_new = past.of_version < plan.new_first
    return max(plan.usual, rung(plan.new_share) if is_new else 0.0, _for_floor(plan, past))


def _for_floor(plan: Plan, past: Past) -> float:
    """As many as last time are expected, and never more drawn than the floor takes.

    Of what came less often than the floor the first are all drawn. Otherwise the chance is spread over
    the period, and ends early if far more come than last time: twice the floor is then to be expected.
    """
    if not plan.floor:
        return 0.0
    raised = rung(plan.floor / max(plan.floor, past.last_period))
    enough = plan.floor if raised == 1 else 2 * plan.floor / raised
    return raised if past.this_period < enough else 0.0


def rung(chance: float) -> float:
    """The lowest rung that is not below it."""
    if chance <= 0:
        return 0.0
    return next((one for one in RUNGS if one >= chance), 1.0)


def periods(now: datetime, days: int) -> tuple[datetime, datetime]:
    """When the period before began, and when this one did. All strata share them."""
    length = timedelta(days=days)
    begun = _FIRST_DAY + (now - _FIRST_DAY) // length * length
    return begun - length, begun
