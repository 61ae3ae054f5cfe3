"""Agents and their versions. Writing one puts nothing in use: see `actions/deployments.py`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.conf import settings
from django.core.validators import slug_re
from django.db import transaction

from orchestrator.actions import contracts
from orchestrator.actions.actor import Actor, audit, require
from orchestrator.agents.registry import SCHEMAS
from orchestrator.core import definitions, schemas
from orchestrator.core.codec import Json, canonical
from orchestrator.core.errors import AgentChanged, BadInput, NotFound, Problem
from orchestrator.core.policy import agent_versions as core
from orchestrator.core.schemas import did_you_mean
from orchestrator.models import (
    Agent,
    AgentVersion,
    Contract,
    ContractVersion,
    Endpoint,
    Tool,
    VersionEndpoint,
)

NOTE_LENGTH_MAX = 5_000
TITLE_LENGTH_MAX = 200
NAME_LENGTH_MAX = 100
MODEL_LENGTH_MAX = 200
TOOLS_MAX = 100
ENDPOINTS_MAX = 10
# By adapter: what a version may bound of its calls.
LIMITS: dict[str, tuple[str, ...]] = {
    "llm": ("tokens_in", "tokens_out", "requests", "money_micros"),
    "http": ("tokens_in", "tokens_out"),
}
LIMIT_MAX = 10**15
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+/-]{0,99}")
# What each adapter needs among its settings, and what it may have besides.
_NEEDED = {"function": {"function"}, "recorded": {"trajectory"}}
_TAKEN: dict[str, set[str]] = {
    "function": {"function", "options"},
    "recorded": {"trajectory", "in_time"},
    "scripted": {"says", "turns", "takes_ms", "usage", "fails"},
}
# A definition may say the same of one that it brings itself.
_AS_IN_DEFINITIONS = ("recorded", "scripted")
_TAKEN_NAME = (
    "“{}” is an agent that is kept here, and this is another: name that one, of the kind agent, or "
    "call this one otherwise"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """All that a version says."""

    adapter: str
    model: str = ""
    prompt: str = ""
    endpoints: Sequence[str] = ()
    # Their names. What one says and does was approved by itself, see `actions/tools.py`.
    tools: Sequence[str] = ()
    data_classes: Sequence[str] = ()
    limits: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    # The name of a contract of outputs; its newest version is the one that is kept to.
    contract: str = ""


class Written(NamedTuple):
    version: AgentVersion
    is_new: bool


@transaction.atomic
def save(
    actor: Actor, slug: str, *, title: str = "", owner: str = "", tier: str = core.READ_ONLY
) -> Agent:
    """Make an agent, or say anew what it is called, whose it is and what it may.

    Lowering its tier counts at once. Raising it gives nothing to the versions it has: they keep the tier
    that they were written with, and another one has to be deployed.
    """
    require(actor, "agents.edit", "edit agents")
    _check_text("title", title, TITLE_LENGTH_MAX)
    _check_text("owner", owner, NAME_LENGTH_MAX)
    if tier not in core.TIERS:
        raise BadInput("tier", f"choose among {', '.join(core.TIERS)}.")
    agent = _made(actor, slug)
    before: dict[str, Json] = {"title": agent.title, "owner": agent.owner, "tier": agent.tier}
    after: dict[str, Json] = {"title": title.strip(), "owner": owner.strip(), "tier": tier}
    if before != after:
        Agent.objects.filter(pk=agent.pk).update(**after)
        audit(actor, "agent.changed", log_name(slug), before=before, after=after)
    return agent_of(slug)


@transaction.atomic
def write(
    actor: Actor,
    slug: str,
    wish: Wish,
    *,
    label: str = "",
    note: str = "",
    base: int | None = None,
) -> Written:
    """A new version; what the newest one says already makes no other. It is in use once it is deployed.

    `base` is the newest version that the writer knew, 0 for none; somebody else's in between is not
    buried under theirs.
    """
    require(actor, "agents.edit", "write versions of agents")
    agent = hold(slug)
    newest = agent.versions.order_by("-number").first()
    known = newest.number if newest else 0
    if base is not None and base != known:
        raise AgentChanged(slug=slug, seen=base, current=known)
    wish = checked(wish)
    _check_text("note", note, NOTE_LENGTH_MAX)
    _check_label(agent, label)
    endpoints, contract = _endpoints(wish), _contract(wish.contract)
    content = _content(wish, agent.tier, contract)
    if newest is not None and newest.content_hash == core.content_hash(content):
        return Written(newest, is_new=False)
    if known >= settings.AGENT_VERSIONS_MAX:
        raise BadInput("version", "AGENT_VERSIONS_MAX versions of this agent exist already.")
    version = AgentVersion.objects.create(
        agent=agent,
        number=known + 1,
        label=label,
        tier=agent.tier,
        adapter=wish.adapter,
        model=wish.model,
        prompt=wish.prompt,
        tools=list(wish.tools),
        data_classes=sorted(wish.data_classes),
        limits=dict(wish.limits),
        parameters=dict(wish.parameters),
        contract=contract,
        content_hash=core.content_hash(content),
        note=note,
        created_by=actor.user,
    )
    VersionEndpoint.objects.bulk_create(
        VersionEndpoint(version=version, place=place, endpoint=endpoint)
        for place, endpoint in enumerate(endpoints)
    )
    audit(actor, "agent.version_written", log_name(slug), version=version.number, note=note)
    return Written(version, is_new=True)


def agent_of(slug: str) -> Agent:
    found = Agent.objects.filter(slug=slug).first()
    if found is None:
        raise NotFound("agent", slug[:100])
    return found


def version_of(slug: str, number: int) -> AgentVersion:
    rows = AgentVersion.objects.select_related("agent", "contract__contract", "created_by")
    found = rows.prefetch_related("endpoints__endpoint").filter(agent__slug=slug, number=number)
    version = found.first()
    if version is None:
        raise NotFound("version", f"{slug[:100]} v{number}")
    return version


def hold(slug: str) -> Agent:
    """As it is now; of two that write versions or deploy at once, the second waits."""
    found = Agent.objects.select_for_update(no_key=True).filter(slug=slug).first()
    if found is None:
        raise NotFound("agent", slug[:100])
    return found


def log_name(slug: str) -> str:
    """What the audit log calls it."""
    return f"agent/{slug}"


def problems(raw: Json) -> list[Problem]:
    """What of the agents and data classes that a definition names does not exist or cannot work."""
    named, own = definitions.agents_of(raw), definitions.own_agents_of(raw)
    known = dict(Agent.objects.values_list("slug", "tier")) if named or own else {}
    deployed = set(
        Agent.objects.filter(deployments__isnull=False, slug__in=known).values_list(
            "slug", flat=True
        )
    )
    found = [
        Problem(place, reason)
        for place, name, proposes in named
        if (reason := _why_not(name, known, deployed, proposes=proposes))
    ]
    found += [Problem(place, _TAKEN_NAME.format(name)) for place, name in own if name in known]
    for place, name in definitions.data_classes_of(raw):
        if name not in settings.DATA_CLASSES:
            hint = did_you_mean(name, settings.DATA_CLASSES)
            found.append(Problem(place, f"“{name}” is no class of DATA_CLASSES. {hint}".strip()))
    return found


def _why_not(name: str, known: Mapping[str, str], deployed: set[str], *, proposes: bool) -> str:
    if name not in known:
        return f"there is no agent “{name}”. {did_you_mean(name, list(known))}".strip()
    if name not in deployed:
        return f"no version of “{name}” is deployed yet; deploy one first"
    if proposes and known[name] == core.READ_ONLY:
        return f"“{name}” is read-only, and what this work says is proposed; raise its tier first"
    return ""


# What may be said -----------------------------------------------------------------------------


def checked(wish: Wish) -> Wish:
    """The wish, once it is known that a version of it could work. Raises BadInput."""
    if wish.adapter not in core.ADAPTERS:
        raise BadInput("adapter", f"choose among {', '.join(core.ADAPTERS)}.")
    _check_text("model", wish.model, MODEL_LENGTH_MAX)
    if "\x00" in wish.prompt:
        raise BadInput("prompt", "it holds the character NUL, which cannot be stored.")
    check_classes(wish.data_classes)
    _check_limits(wish.adapter, wish.limits)
    _check_tools(wish.tools)
    _check_parameters(wish.adapter, wish.parameters)
    if wish.adapter == "llm" and not wish.model.strip():
        raise BadInput("model", "say which model is asked.")
    if wish.adapter in core.CALLS_OUT and not wish.endpoints:
        raise BadInput("endpoints", "name at least one; without any it could never be called.")
    if wish.adapter not in core.CALLS_OUT and wish.endpoints:
        raise BadInput("endpoints", f"a {wish.adapter} agent calls none.")
    size = len(canonical(_plain(wish)).encode())
    if size > settings.AGENT_VERSION_BYTES_MAX:
        most = f"at most {settings.AGENT_VERSION_BYTES_MAX:,} are taken (AGENT_VERSION_BYTES_MAX)."
        raise BadInput("version", f"it has {size:,} bytes, {most}")
    return wish


def check_classes(classes: Sequence[str]) -> None:
    if not classes:
        raise BadInput("data_classes", f"name at least one of {', '.join(settings.DATA_CLASSES)}.")
    for name in classes:
        if name not in settings.DATA_CLASSES:
            raise BadInput("data_classes", f"“{name[:40]}” is no class of DATA_CLASSES.")
    if len(set(classes)) < len(classes):
        raise BadInput("data_classes", "one of them stands there twice.")


def _check_limits(adapter: str, limits: Mapping[str, Any]) -> None:
    known = LIMITS.get(adapter, ())
    if limits and not known:
        raise BadInput(
            "limits",
            f"nothing of a {adapter} agent can be bounded from here; only an llm or http agent has them.",
        )
    for name, value in limits.items():
        if name not in known:
            raise BadInput(
                "limits",
                f"“{name[:40]}” is none of an {adapter} agent; there are {', '.join(known)}.",
            )
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LIMIT_MAX:
            raise BadInput("limits", f"{name} has to be a whole number of at least 1.")


def _check_tools(names: Sequence[str]) -> None:
    """One that waits for its approval may be named: until then it is not offered."""
    if len(names) > TOOLS_MAX:
        raise BadInput("tools", f"at most {TOOLS_MAX} tools.")
    known = set(Tool.objects.filter(name__in=names).values_list("name", flat=True))
    for number, name in enumerate(names):
        if name not in known:
            raise BadInput(f"tools/{number}", f"there is no tool “{name[:NAME_LENGTH_MAX]}”.")
        if name in names[:number]:
            raise BadInput(f"tools/{number}", f"{name} stands there twice.")


def _check_parameters(adapter: str, parameters: Mapping[str, Any]) -> None:
    taken, needed = _TAKEN.get(adapter), _NEEDED.get(adapter, set())
    beyond = sorted(set(parameters) - taken) if taken is not None else []
    if beyond:
        raise BadInput("settings", f"a {adapter} agent has no “{beyond[0][:40]}”.")
    if lacking := sorted(needed - set(parameters)):
        raise BadInput("settings", f"a {adapter} agent needs “{lacking[0]}”.")
    if adapter == "function" and not isinstance(parameters["function"], str):
        raise BadInput("settings", "“function” has to be the name of a function.")
    if adapter in _AS_IN_DEFINITIONS:
        whole = {**parameters, "kind": adapter, "name": "agent"}
        for problem in schemas.check(SCHEMAS[adapter], whole)[:1]:
            raise BadInput("settings", f"{str(problem).rstrip('.')}.")


def _check_label(agent: Agent, label: str) -> None:
    if not label:
        return
    if not LABEL.fullmatch(label):
        raise BadInput("label", "use 1 to 100 letters, digits, spaces, dots, hyphens and slashes.")
    if label.isdecimal():
        raise BadInput("label", "a number alone would pass for the number of another version.")
    if agent.versions.filter(label=label).exists():
        raise BadInput("label", f"another version of this agent is called “{label}”.")


def _check_text(name: str, text: str, length_max: int) -> None:
    if len(text) > length_max:
        raise BadInput(name, f"it has {len(text):,} characters, at most {length_max:,}.")
    if "\x00" in text:
        raise BadInput(name, "it holds the character NUL, which cannot be stored.")


def _endpoints(wish: Wish) -> list[Endpoint]:
    """In their order. One that may see nothing of what the version is made for would never be called."""
    if len(wish.endpoints) > ENDPOINTS_MAX:
        raise BadInput("endpoints", f"at most {ENDPOINTS_MAX}.")
    if len(set(wish.endpoints)) < len(wish.endpoints):
        raise BadInput("endpoints", "one of them stands there twice.")
    known = {one.slug: one for one in Endpoint.objects.filter(slug__in=wish.endpoints)}
    for slug in wish.endpoints:
        if slug not in known:
            raise BadInput("endpoints", f"there is no endpoint “{slug[:100]}”.")
        if known[slug].retired_at is not None:
            raise BadInput("endpoints", f"{slug} is retired.")
    return [known[slug] for slug in wish.endpoints]


def _contract(name: str) -> ContractVersion | None:
    if not name:
        return None
    found = contracts.newest(Contract.Kind.OUTPUT, name)
    if found is None:
        raise BadInput("contract", f"there is no contract of outputs named “{name[:100]}”.")
    return found


def _content(wish: Wish, tier: str, contract: ContractVersion | None) -> dict[str, Any]:
    """As `AgentVersion.content` reads it back."""
    said = f"{contract.contract.name} v{contract.number}" if contract else None
    return _plain(wish) | {"contract": said, "tier": tier}


def _plain(wish: Wish) -> dict[str, Any]:
    return {
        "adapter": wish.adapter,
        "data_classes": sorted(wish.data_classes),
        "endpoints": list(wish.endpoints),
        "limits": dict(wish.limits),
        "model": wish.model,
        "parameters": dict(wish.parameters),
        "prompt": wish.prompt,
        "tools": list(wish.tools),
    }


def _made(actor: Actor, slug: str) -> Agent:
    """Locked. Of two that make the same one at once, the second finds it there."""
    if not slug_re.fullmatch(slug) or len(slug) > NAME_LENGTH_MAX:
        raise BadInput("agent", "use 1 to 100 letters, digits, hyphens and underscores only.")
    if not Agent.objects.filter(slug=slug).exists():
        if Agent.objects.count() >= settings.AGENTS_MAX:
            raise BadInput("agent", f"{slug} is new, and AGENTS_MAX agents exist already.")
        _, is_new = Agent.objects.get_or_create(slug=slug, defaults={"created_by": actor.user})
        if is_new:
            audit(actor, "agent.made", log_name(slug))
    return Agent.objects.select_for_update(no_key=True).get(slug=slug)
