"""Which version of an agent a run asks, and which endpoint may see the run's data. Decided before any call.

The draw is by a keyed hash of the run, so that it needs no writing down: the same run always gets the same
version, and nobody who does not know the key can choose a run that gets another.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.core.codec import Json, canonical, digest

READ_ONLY = "read_only"
ELEVATED = "elevated"
TIERS = {
    READ_ONLY: "It only reads: it gets no tool that changes anything and proposes nothing.",
    ELEVATED: "It may propose, and nothing else: what changes something is always a proposal.",
}
ADAPTERS = {
    "scripted": "An answer given as data",
    "recorded": "A recorded conversation, replayed",
    "http": "A service of your own, over HTTP",
    "llm": "A language model",
    "function": "A function in a worker's own process",
}
# These send what they are handed to an endpoint; the others stay in the worker.
CALLS_OUT = frozenset({"http", "llm"})


def calls_out(agent: Mapping[str, Any]) -> bool:
    """Whether an agent of this configuration, however wrong it may be, would send what it is handed."""
    kind = agent.get("kind")
    return isinstance(kind, str) and kind in CALLS_OUT


STABLE, CANARY, SHADOW = "stable", "canary", "shadow"
PERCENT = 100
_BYTES = 8


@dataclass(frozen=True, slots=True)
class Deployed:
    """What of an agent is in use: numbers of versions, and in percent how many runs the canary gets."""

    stable: int
    canary: int | None = None
    share: int = 0
    shadow: int | None = None

    def to_json(self) -> dict[str, Json]:
        return {
            "stable": self.stable,
            "canary": self.canary,
            "share": self.share,
            "shadow": self.shadow,
        }

    @property
    def versions(self) -> list[int]:
        return [number for number in (self.stable, self.canary, self.shadow) if number]

    def __str__(self) -> str:
        said = [f"version {self.stable}"]
        if self.canary:
            said.append(f"canary {self.canary} for {self.share} % of runs")
        if self.shadow:
            said.append(f"shadow {self.shadow}")
        return ", ".join(said)


@dataclass(frozen=True, slots=True)
class Choice:
    """The version for one call, and what it is there as."""

    number: int
    role: str
    # The canary that failed before, in whose place the stable version is asked.
    instead_of: int | None = None


def key_from(secret: str) -> bytes:
    """A key for canaries alone, so that no other use of the secret tells anything about a draw."""
    return hmac.digest(secret.encode(), b"countersign.canary", hashlib.sha256)


def choose(deployed: Deployed, key: bytes, agent: str, run: str, *, has_failed: bool) -> Choice:
    """`has_failed` says that the canary already failed at this very work of the run."""
    canary = deployed.canary
    if canary is None or not _is_drawn(key, agent, run, deployed.share):
        return Choice(deployed.stable, STABLE)
    if has_failed:
        return Choice(deployed.stable, STABLE, instead_of=canary)
    return Choice(canary, CANARY)


def _is_drawn(key: bytes, agent: str, run: str, percent: int) -> bool:
    # The NUL stands in neither name, so no two pairs give one message.
    hashed = hmac.digest(key, f"{agent}\x00{run}".encode(), hashlib.sha256)[:_BYTES]
    return int.from_bytes(hashed, "big") * PERCENT < percent << (8 * _BYTES)


# Where data may go ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sight:
    """An endpoint, as far as the choice needs to know it."""

    slug: str
    data_classes: frozenset[str]
    is_retired: bool = False


def first_allowed(data: Iterable[str], endpoints: Sequence[Sight]) -> Sight | None:
    """The first one, in the order of the version, that may see all of it."""
    wanted = frozenset(data)
    for endpoint in endpoints:
        if not endpoint.is_retired and wanted <= endpoint.data_classes:
            return endpoint
    return None


def why_none(data: Iterable[str], handled: Iterable[str], endpoints: Sequence[Sight]) -> str:
    """For the record of a refusal: every endpoint with what it lacks."""
    wanted, beyond = sorted(set(data)), sorted(set(data) - set(handled))
    if beyond:
        return f"it is not made for {', '.join(beyond)} data; the run has {', '.join(wanted)} data"
    if not endpoints:
        return "its version names no endpoint"
    lacks = [f"{one.slug} {_lack(one, wanted)}" for one in endpoints]
    return f"the run has {', '.join(wanted)} data, and {'; '.join(lacks)}"


def _lack(endpoint: Sight, wanted: Sequence[str]) -> str:
    if endpoint.is_retired:
        return "is retired"
    missing = [name for name in wanted if name not in endpoint.data_classes]
    return f"may not see {', '.join(missing)}"


# What a version says -------------------------------------------------------------------------------


def content_hash(content: Mapping[str, Any]) -> str:
    return digest(canonical(dict(content)))


def prompt_hash(prompt: str) -> str:
    return digest(prompt) if prompt else ""


def tools_for(tier: str, tools: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Whoever only reads is not even told of the others. What does not say what it is counts as writing."""
    return [dict(tool) for tool in tools if tier == ELEVATED or tool.get("kind") == "read"]
