"""What one run of a consensus is going to cost, as far as that can be known before it runs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.core.definition_works import works


@dataclass(frozen=True, slots=True)
class CallCost:
    """One call. Nobody knows the cost when `micros` is None."""

    who: str
    agent: str
    micros: int | None
    basis: str  # past, limits, unknown


@dataclass(frozen=True, slots=True)
class Estimate:
    calls: tuple[CallCost, ...]
    # More than this no run may cost, as far as its calls have a price.
    at_most_micros: int
    # Of which workflow it is a run, where that is one inside.
    workflow: str = ""

    @property
    def known_micros(self) -> int:
        return sum(call.micros or 0 for call in self.calls)

    @property
    def unknown(self) -> int:
        """How many calls the sum lacks."""
        return sum(call.micros is None for call in self.calls)


def estimate(
    definition: Mapping[str, Any],
    means: Mapping[str, int],
    most: Mapping[str, int | None],
    workflow: str = "",
) -> Estimate | None:
    """By agent's name `means` has what its past calls cost, `most` what one may where it is kept.

    None for what is no consensus.
    """
    if definition["pattern"] != "consensus":
        return None
    calls = tuple(_call(who, config, means, most) for who, config in _asked(definition))
    return Estimate(calls, definition["budget"]["money_micros"], workflow)


def most_of_call(price: Mapping[str, int] | None, limits: Mapping[str, int]) -> int | None:
    """All the requests that a model may be sent, each as long as it may be, at the price of its endpoint."""
    if price is None:
        return None
    tokens_in = limits["tokens_in"] * price["input_micros_per_mtok"]
    tokens_out = limits["tokens_out"] * price["output_micros_per_mtok"]
    return -(-limits["requests"] * (tokens_in + tokens_out) // 1_000_000)


def script_cost(script: Mapping[str, Any]) -> int:
    return int(script.get("usage", {}).get("money_micros") or 0)


def workflows_of(definition: Mapping[str, Any]) -> set[str]:
    """Those of which its works start runs."""
    named = (work.get("workflow") for _, work in works(dict(definition)))
    return {name for name in named if isinstance(name, str)}


def estimate_sentence(found: Estimate) -> str:
    """In units of the currency, as a line for people."""
    of = f" of {found.workflow}, which it starts," if found.workflow else ""
    known = (
        f"A run{of} calls {len(found.calls)} agents and costs about {_units(found.known_micros)}"
    )
    lacks = f", and what {found.unknown} of them cost, which nobody knows" if found.unknown else ""
    bound = "of what has a price at most" if found.unknown else "at most"
    return f"{known}{lacks}; {bound} {_units(found.at_most_micros)}."


def _units(micros: int) -> str:
    return f"{micros / 1_000_000:,.4f}"


def _asked(definition: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, member in definition["members"].items():
        yield name, member["agent"]
    yield "judge", definition["judge"]["agent"]


def _call(
    who: str, config: Mapping[str, Any], means: Mapping[str, int], most: Mapping[str, int | None]
) -> CallCost:
    agent = str(config.get("name", config["kind"]))
    if agent in means:
        return CallCost(who, agent, means[agent], "past")
    limit = most.get(agent) if config["kind"] == "agent" else None
    if config["kind"] == "scripted":
        limit = script_cost(config)
    return CallCost(who, agent, limit, "unknown" if limit is None else "limits")
