"""On which terms a score is turned into accept, revise or escalate, and for which proposals they hold.

Terms belong to a scope. What a scope leaves empty it leaves open; of those that fit, the one that names
the most decides, and of two that name as much the one that names the agent's version, then the agent,
then the action, then the tier.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self
from urllib.parse import urlencode

from orchestrator.core.codec import Json, canonical, digest
from orchestrator.core.policy.evaluation import Bands

STATED = "stated"
CALIBRATED = "calibrated"
# As Proposal.target.
_TARGET_LENGTH_MAX = 500
SCORES = (STATED, CALIBRATED)


@dataclass(frozen=True, slots=True)
class Scope:
    """Also a proposal, which leaves nothing open."""

    agent: str = ""
    agent_version: str = ""
    action: str = ""
    tier: str = ""

    def fits(self, proposal: "Scope") -> bool:
        return all(
            not wanted or wanted == getattr(proposal, name) for name, wanted in self.named.items()
        )

    @property
    def named(self) -> dict[str, str]:
        given = {
            "agent": self.agent,
            "agent_version": self.agent_version,
            "action": self.action,
            "tier": self.tier,
        }
        return {name: value for name, value in given.items() if value}

    @property
    def rank(self) -> tuple[int, ...]:
        """Larger is more specific."""
        named = self.named
        order = ("agent_version", "agent", "action", "tier")
        return (len(named), *(int(name in named) for name in order))

    @property
    def key(self) -> str:
        """One text for one scope, and for no other."""
        return urlencode(self.named) or "everything"

    @property
    def target(self) -> str:
        """What a change of its policy is about; agents choose names, and some are too long to be stored so."""
        whole = f"policy/{self.key}"
        return whole if len(whole) <= _TARGET_LENGTH_MAX else f"policy/{digest(self.key)}"

    def __str__(self) -> str:
        return ", ".join(self.named.values()) or "everything"


def most_specific[Held](held: Iterable[tuple[Scope, Held]], proposal: Scope) -> Held | None:
    fitting = [(scope.rank, one) for scope, one in held if scope.fits(proposal)]
    return max(fitting, key=lambda found: found[0])[1] if fitting else None


def decides_about(own: Scope, in_force: Iterable[Scope], proposal: Scope) -> bool:
    """Whether terms of this scope would decide, once in force: a narrower scope goes on deciding about its own."""
    others = ((scope, scope) for scope in in_force if scope != own)
    return most_specific([*others, (own, own)], proposal) == own


@dataclass(frozen=True, slots=True, kw_only=True)
class Validator:
    """An agent that is asked what it thinks of a proposal, by a rubric, and answers with a score."""

    name: str
    agent: str
    rubric: str
    timeout_s: int
    money_micros_max: int | None = None

    @property
    def asks(self) -> tuple[str, str]:
        """Whom it asks for what: two that do so alike say the same."""
        return self.agent, self.rubric

    def to_json(self) -> dict[str, Json]:
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        return cls(**{one.name: stored[one.name] for one in fields(cls) if one.name in stored})


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What one version of a policy says."""

    bands: Bands
    # Which number of the agent is held against the bands.
    score: str = STATED
    # Nothing is accepted below the threshold that is certified for this error; None asks for no certificate.
    target_error: float | None = None
    # All of them are asked, and the lowest score of all counts.
    validators: tuple[Validator, ...] = ()

    def to_json(self) -> dict[str, Json]:
        validators: list[Json] = [one.to_json() for one in self.validators]
        return {
            "accept_above": self.bands.accept_above,
            "escalate_at_or_below": self.bands.escalate_at_or_below,
            "score": self.score,
            "target_error": self.target_error,
            "validators": validators,
        }


def content_hash(scope: Scope, terms: Terms) -> str:
    """The same for the same words, and nothing else goes into it."""
    return digest(canonical({"scope": dict(scope.named), **terms.to_json()}))
