"""A named agent as its adapter is handed it, with an endpoint that may see the data; or why it is not asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator import secret_box
from orchestrator.agents.base import shorten
from orchestrator.core import definitions
from orchestrator.core.codec import Json
from orchestrator.core.errors import AgentError, AgentMayNot, NoEndpoint, SecretUnreadable
from orchestrator.core.policy import agent_versions as core
from orchestrator.core.policy.agent_versions import CANARY, SHADOW
from orchestrator.engine.deployed import Wanted
from orchestrator.engine.plans import definition_of
from orchestrator.models import Endpoint
from orchestrator.tool_queries import Offered
from orchestrator.tools.base import to_json

LEFT_OUT_LENGTH_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Resolved:
    """An agent as it is called: what its adapter is handed, and what events say of it."""

    config: dict[str, Any]
    told: dict[str, str]
    # What its answer has to look like, where the workflow does not say.
    schema: dict[str, Json] | None = None
    # Why it is not asked at all.
    refusal: AgentError | None = None
    # The version that is asked the same beside it, once this one has answered.
    shadow: int = 0
    # The stable version, which the next attempt asks when this one, a canary, fails.
    falls_back_to: int = 0
    # The classes of data that it may be handed.
    data: frozenset[str] = frozenset()


def as_called(
    wanted: Wanted, endpoints: dict[int, Endpoint], behind: dict[str, Any] | None = None
) -> Resolved:
    version, choice = wanted.version, wanted.choice
    told = _told(wanted)
    config: dict[str, Any] = {"kind": version.adapter, "name": wanted.name}
    try:
        _check_may(wanted)
        endpoint = _endpoint(wanted, [endpoints[pk] for pk in version.endpoints])
        if endpoint is not None:
            told["endpoint"] = endpoint.slug
        config = _config(wanted, endpoint) | ({"behind": behind} if behind else {})
    except AgentError as error:
        error.who = f"{wanted.name} v{version.number}"
        return Resolved(config, told, refusal=error, falls_back_to=_fallback(wanted))
    shadow = wanted.agent.deployed.shadow or 0
    return Resolved(
        config,
        told,
        schema=version.schema,
        shadow=shadow if shadow != choice.number else 0,
        falls_back_to=_fallback(wanted),
        data=wanted.data,
    )


def _fallback(wanted: Wanted) -> int:
    return wanted.agent.deployed.stable if wanted.choice.role == CANARY else 0


def _told(wanted: Wanted) -> dict[str, str]:
    version, choice = wanted.version, wanted.choice
    told = {
        "kind": version.adapter,
        "name": wanted.name,
        "version": str(version.number),
        "model": version.model,
        "prompt_hash": core.prompt_hash(version.prompt),
        "as": choice.role,
        "instead_of": str(choice.instead_of or ""),
        "tools_left_out": _left_out(wanted.tools),
    }
    return {name: text for name, text in told.items() if text}


def _left_out(tools: Offered) -> str:
    said = "; ".join(f"{name}: {why}" for name, why in tools.refused.items())
    return shorten(said, LEFT_OUT_LENGTH_MAX)


def _check_may(wanted: Wanted) -> None:
    claimed, version = wanted.claimed, wanted.version
    if not version.is_sound:
        raise AgentMayNot(f"what is stored of version {version.number} is not what its hash says")
    if wanted.is_behind:
        return
    definition = definition_of(claimed.version)
    payload = claimed.payload
    proposes = definitions.proposes(definition, payload["work"], payload.get("who", ""))
    if proposes and wanted.tier == core.READ_ONLY and wanted.choice.role != SHADOW:
        raise AgentMayNot("it is read-only, and what this work says is proposed")


def _endpoint(wanted: Wanted, endpoints: Sequence[Endpoint]) -> Endpoint | None:
    """The first that may see the data. Where none may, nothing is sent to any."""
    version = wanted.version
    allowed = None
    sights = [endpoint.sight for endpoint in endpoints]
    if wanted.data <= version.data_classes:
        allowed = core.first_allowed(wanted.data, sights)
        if version.adapter not in core.CALLS_OUT:
            return None
    if allowed is None:
        raise NoEndpoint(
            core.why_none(wanted.data, version.data_classes, sights),
            data=sorted(wanted.data),
            endpoints=[sight.slug for sight in sights],
        )
    return next(endpoint for endpoint in endpoints if endpoint.slug == allowed.slug)


def _config(wanted: Wanted, endpoint: Endpoint | None) -> dict[str, Any]:
    version = wanted.version
    common: dict[str, Any] = {
        "kind": version.adapter,
        "name": wanted.name,
        "version": version.number,
        "tier": wanted.tier_here,
        "tools": [to_json(spec) for spec in wanted.tools.specs],
    }
    if version.adapter == "function":
        # In the worker's own process: which queue a work is on was settled when it was planned.
        own = {"name": version.parameters["function"], "isolated": False}
        return common | own | {"options": version.parameters.get("options", {})}
    if version.adapter not in core.CALLS_OUT:
        return version.parameters | common
    return common | {
        "model": version.model,
        "prompt": version.prompt,
        "endpoint": _endpoint_config(endpoint) if endpoint else None,
        "limits": version.limits,
        "settings": version.parameters,
        "traceparent": wanted.traceparent,
    }


class _Secret(str):
    """A key that does not show itself in a traceback or a log."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'…'"


def _endpoint_config(endpoint: Endpoint) -> dict[str, Any]:
    """With its key, which from here on is nowhere but in this worker's memory."""
    config: dict[str, Any] = {
        "slug": endpoint.slug,
        "provider": endpoint.provider,
        "base_url": endpoint.base_url,
        "region": endpoint.region,
        "is_local": endpoint.is_local,
        "data_classes": sorted(endpoint.data_classes),
        "price": endpoint.price,
        "auth": endpoint.auth,
    }
    if endpoint.auth == Endpoint.Auth.NONE:
        return config
    if endpoint.api_key_env:
        config["api_key_env"] = endpoint.api_key_env
    elif endpoint.api_key_sealed:
        try:
            config["api_key"] = _Secret(secret_box.unseal(endpoint.api_key_sealed))
        except SecretUnreadable as error:
            raise NoEndpoint(
                f"the key of {endpoint.slug} was sealed with another SECRET_KEY; set it again",
                endpoints=[endpoint.slug],
            ) from error
    return config
