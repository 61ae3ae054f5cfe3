"""Tools: written by admins or read from servers, and offered to nobody before another admin approved.

What a tool says of itself goes to a model word for word, so a server that changes it can change what agents
do. Each wording is a version of its own, and a new one waits, whoever wrote it. So does one that says of a
tool that it only reads: an agent then uses it without anybody looking.
"""

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import NamedTuple

from django.conf import settings
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction
from django.utils import timezone

from orchestrator import tool_queries
from orchestrator.actions.actor import Actor, audit, require
from orchestrator.core import schemas
from orchestrator.core.codec import Json, JsonLimits, canonical, digest, read, storable
from orchestrator.core.errors import (
    BadInput,
    ContractInvalid,
    NotAllowed,
    NotFound,
    StageWrong,
    ToolError,
)
from orchestrator.core.policy.changes import is_change
from orchestrator.engine import notices
from orchestrator.models import Tool, ToolServer, ToolVersion
from orchestrator.outside import Refused, place_of
from orchestrator.tools import http
from orchestrator.tools.base import Offer, digest_of
from orchestrator.tools.registry import KINDS, offers
from orchestrator.tools.secrets import PREFIX

logger = logging.getLogger(__name__)

# As the vendors of models take them, and with room for what stands before it in an executor's name.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,49}")
SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,49}")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")
OWNER_LENGTH_MAX = 100
ERROR_LENGTH_MAX = 1_000
Kind = ToolVersion.Kind


class Saved(NamedTuple):
    version: ToolVersion
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """All that a version of a tool says."""

    description: str
    parameters: Mapping[str, Json]
    backend: Mapping[str, Json]
    kind: str = Kind.WRITE
    timeout_s: float = 30.0
    action: str = ""
    is_repeatable: bool = False

    @property
    def content_hash(self) -> str:
        said: dict[str, Json] = {
            "description": self.description,
            "parameters": dict(self.parameters),
            "backend": dict(self.backend),
            "kind": str(self.kind),
            "timeout_s": self.timeout_s,
            "action": self.action,
            "is_repeatable": self.is_repeatable,
        }
        return digest(canonical(said))


@transaction.atomic
def save(actor: Actor, name: str, wording: Wording, owner: str = "") -> Saved:
    """A version that says this, current from now on; offered once another admin approved it."""
    require_editor(actor, "save tools")
    if not NAME.fullmatch(name):
        raise BadInput("name", "use 1 to 50 letters, digits, _ and - only, with a letter first.")
    if len(owner) > OWNER_LENGTH_MAX or "\x00" in owner:
        raise BadInput("owner", f"at most {OWNER_LENGTH_MAX} characters, none of them NUL.")
    _check(wording)
    tool = _locked(name)
    if tool.owner != owner and owner:
        tool.owner = owner
        tool.save(update_fields=["owner"])
    return _put_alone(actor, tool, wording)


@transaction.atomic
def say_kind(actor: Actor, name: str, *, number: int, kind: str, is_repeatable: bool) -> Saved:
    """What people say of a tool that is there: what it does, and whether it may be done twice.

    `number` is of the version that they looked at: of another wording they said nothing.
    """
    require_editor(actor, "save tools")
    tool = Tool.objects.select_for_update(of=("self",)).filter(name=name).first()
    if tool is None or tool.current is None:
        raise NotFound("tool", name[:100])
    if tool.current.number != number:
        advice = f"Look at {tool.current} first."
        raise StageWrong(f"{name} v{number}", "older", "say what it does", advice)
    said = replace(wording_of(tool.current), kind=kind, is_repeatable=is_repeatable)
    _check(said)
    return _put_alone(actor, tool, said)


def _locked(name: str, server: ToolServer | None = None) -> Tool:
    found = Tool.objects.select_for_update().filter(name=name).first()
    if found is not None:
        return found
    if Tool.objects.count() >= settings.TOOLS_MAX:
        raise BadInput("name", f"{name} is new, and TOOLS_MAX tools exist already.")
    Tool.objects.bulk_create([Tool(name=name, server=server)], ignore_conflicts=True)
    return Tool.objects.select_for_update().get(name=name)


def _put(actor: Actor, tool: Tool, wording: Wording, author: User | None) -> Saved:
    """The caller holds the tool. A version of its own, unless the current one says so already."""
    current = tool.current
    is_anothers = bool(current and author and tool_queries.may_take_over(current, author))
    if current and current.content_hash == wording.content_hash and not is_anothers:
        return Saved(current, is_new=False)
    known = _gone_back_to(tool, wording) if author is None else None
    version = known or _new_version(author, tool, wording)
    tool.current = version
    tool.save(update_fields=["current"])
    audit(
        actor,
        "tool.saved",
        f"tool/{tool.name}",
        version=version.number,
        digest=version.digest,
        approved=version.is_approved,
    )
    return Saved(version, known is None)


def _gone_back_to(tool: Tool, wording: Wording) -> ToolVersion | None:
    """What was approved last, where its server says that again and nobody did anything in between.

    It needs no other approval. Where somebody put another version there, or said that the server is
    elsewhere, what was approved before is what they doubted.
    """
    before = tool_queries.approved_before(tool)
    is_away = tool.current is not None and not tool.current.is_approved
    if before is None or before.content_hash != wording.content_hash or not is_away:
        return None
    since = tool.versions.filter(number__gt=before.number)
    if since.exclude(created_by=None, backend=before.backend).exists():
        return None
    return before


def _put_alone(actor: Actor, tool: Tool, wording: Wording) -> Saved:
    """And whoever may approve it is told, where that is needed."""
    before = tool.current_id
    saved = _put(actor, tool, wording, actor.user)
    if saved.version.pk != before and not saved.version.is_approved:
        notices.tools_wait(1, "", actor.user)
    return saved


def _new_version(author: User | None, tool: Tool, wording: Wording) -> ToolVersion:
    last = tool.versions.order_by("-number").first()
    # What nobody in particular stages in the place of what waits is as much of whoever wrote that.
    waits = tool.current if tool.current and not tool.current.is_approved else None
    return ToolVersion.objects.create(
        tool=tool,
        number=last.number + 1 if last else 1,
        kind=wording.kind,
        description=wording.description,
        parameters=canonical(dict(wording.parameters)),
        backend=dict(wording.backend),
        timeout_s=wording.timeout_s,
        action=wording.action,
        is_repeatable=wording.is_repeatable,
        digest=digest_of(tool.name, wording.description, wording.parameters),
        content_hash=wording.content_hash,
        created_by=author or (waits.created_by if waits else None),
    )


@transaction.atomic
def approve(actor: Actor, name: str, number: int, digest_seen: str) -> ToolVersion:
    """Let agents have it as it stands: by a person, who neither wrote it nor said where its server is."""
    check_person(actor, "approve tools")
    tool = Tool.objects.select_for_update(of=("self",)).filter(name=name).first()
    version = tool.versions.filter(number=number).first() if tool else None
    if tool is None or version is None:
        raise NotFound("tool", f"{name} v{number}"[:100])
    if tool.retired_at:
        raise StageWrong(str(version), "retired", "approve it", "Bring the tool back first.")
    if tool.current_id != version.pk:
        raise StageWrong(str(version), "older", "approve it", "Look at the newest one.")
    if version.is_approved:
        return version
    if version.digest != digest_seen:
        raise StageWrong(str(version), "changed", "approve it", "Look at what it says now.")
    check_four_eyes(actor, version, "approve")
    version.approved_by, version.approved_at = actor.user, timezone.now()
    version.save(update_fields=["approved_by", "approved_at"])
    audit(
        actor,
        "tool.approved",
        f"tool/{tool.name}",
        version=version.number,
        kind=version.kind,
        digest=version.digest,
    )
    return version


def check_person(actor: Actor, what: str) -> None:
    """A program with an admin's token could otherwise approve what another program wrote."""
    require(actor, "tools.edit", what)
    if actor.token is not None:
        raise NotAllowed(actor.name, what, "A person does it, in the browser.")


def check_four_eyes(actor: Actor, version: ToolVersion, does: str) -> None:
    if actor.user is not None and tool_queries.is_own(version, actor.user):
        raise NotAllowed(
            actor.name,
            f"{does} a tool that they put there",
            "Another admin has to look at it.",
        )


# Servers ---------------------------------------------------------------------------------------


@transaction.atomic
def save_server(
    actor: Actor,
    slug: str,
    *,
    transport: str,
    command: str = "",
    url: str = "",
    secret: str = "",
    env: Sequence[str] = (),
) -> ToolServer:
    require_editor(actor, "save servers of tools")
    _check_server(slug, transport, command, url)
    _check_handed(transport, secret, env)
    known = ToolServer.objects.select_for_update().filter(slug=slug).first()
    if known is None and ToolServer.objects.count() >= settings.TOOL_SERVERS_MAX:
        raise BadInput("slug", f"{slug} is new, and TOOL_SERVERS_MAX servers exist already.")
    server = known or ToolServer(slug=slug, created_by=actor.user)
    server.transport, server.command, server.url = transport, command, url
    server.secret, server.env, server.changed_by = secret, list(env), actor.user
    server.save()
    audit(actor, "tool_server.saved", f"tool-server/{slug}", **server.config)
    return server


def _check_server(slug: str, transport: str, command: str, url: str) -> None:
    if not SLUG.fullmatch(slug):
        raise BadInput("slug", "use 1 to 50 small letters, digits and - only.")
    if transport not in ToolServer.Transport.values:
        raise BadInput("transport", f"choose among {', '.join(ToolServer.Transport.values)}.")
    if transport == ToolServer.Transport.STDIO and command not in settings.TOOL_COMMANDS:
        known = ", ".join(sorted(settings.TOOL_COMMANDS)) or "none so far"
        raise BadInput("command", f"name a program of TOOL_COMMANDS: {known}.")
    if transport == ToolServer.Transport.HTTP:
        _check_url("url", url)


def _check_handed(transport: str, secret: str, env: Sequence[str]) -> None:
    """What would be handed to nobody was meant to be handed to somebody."""
    is_program = transport == ToolServer.Transport.STDIO
    if secret and is_program:
        raise BadInput("secret", "it is sent to an address; name those of a program below.")
    if env and not is_program:
        raise BadInput("env", "a program is started with them; an address is sent its secret.")
    _check_secrets("secret", [secret] if secret else [])
    _check_secrets("env", env)


def _check_url(field: str, url: str) -> None:
    try:
        place_of(url, settings.TOOL_HOSTS_TRUSTED)
    except Refused as error:
        raise BadInput(field, str(error)) from error


def _check_secrets(field: str, names: Iterable[str]) -> None:
    for name in names:
        if not re.fullmatch(rf"{PREFIX}[A-Z0-9_]{{1,80}}", name):
            raise BadInput(field, f"a secret is named {PREFIX}… in capitals; {name[:80]!r} is not.")


@dataclass(frozen=True, slots=True)
class Synced:
    """What a server says of its tools, beside what was known."""

    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    # Those that stand for nothing that could be offered, and why.
    left_out: dict[str, str] = field(default_factory=dict)


def sync(actor: Actor, slug: str) -> Synced:
    """Read what a server offers, outside of any transaction, and stage what is new or says something else."""
    require_editor(actor, "read the tools of a server")
    server = ToolServer.objects.filter(slug=slug).first()
    if server is None:
        raise NotFound("server of tools", slug[:100])
    _check_in_use(server)
    return _read(actor, server)


def _check_in_use(server: ToolServer) -> None:
    if server.retired_at:
        raise StageWrong(f"{server}", "retired", "read its tools", "Bring the server back first.")


def sync_next(is_stopping: Callable[[], bool]) -> bool:
    """Read one server that was read long ago, so that a change is found before an agent meets it.

    False when there is none. A server that cannot be read waits for its next turn as well.
    """
    server = None if is_stopping() else _take_stale()
    if server is None:
        return False
    try:
        _read(Actor(None), server)
    except (ToolError, StageWrong) as error:
        logger.warning("the tools of %s were not read: %s", server, error)
    except DatabaseError:
        raise
    except Exception:
        # Whatever a server from outside brings about must not end the worker.
        logger.exception("the tools of %s were not read", server)
    return True


def _take_stale() -> ToolServer | None:
    """One that was read at all: the first time is an admin's. Whoever takes it is alone with it for a turn."""
    if not settings.TOOL_SYNC_HOURS:
        return None
    long_ago = timezone.now() - timedelta(hours=settings.TOOL_SYNC_HOURS)
    stale = ToolServer.objects.filter(synced_at__lt=long_ago, retired_at=None).order_by("synced_at")
    with transaction.atomic():
        server = stale.select_for_update(skip_locked=True).first()
        if server is not None:
            _note(server, "Reading it began, and has not come to an end.")
    return server


def _read(actor: Actor, server: ToolServer) -> Synced:
    try:
        found = offers(server.config, settings.TOOL_SYNC_TIMEOUT_S)
    except ToolError as error:
        _note(server, str(error))
        raise
    return _stage(actor, server, found)


def _note(server: ToolServer, error: str) -> None:
    """What came of asking it, and when."""
    legible = error.replace("\x00", "\ufffd")[:ERROR_LENGTH_MAX]
    ToolServer.objects.filter(pk=server.pk).update(synced_at=timezone.now(), error=legible)


@transaction.atomic
def _stage(actor: Actor, server: ToolServer, found: Sequence[Offer]) -> Synced:
    server = ToolServer.objects.select_for_update().get(pk=server.pk)
    _check_in_use(server)
    synced, seen = Synced(), set()
    for offer in found:
        name = tool_name(server, offer.name)
        seen.add(name)
        try:
            _stage_one(actor, server, name, offer, synced)
        except (BadInput, ContractInvalid) as error:
            synced.left_out[name] = str(error)
    gone = server.tools.filter(is_offered=True).exclude(name__in=seen)
    synced.gone.extend(gone.order_by("name").values_list("name", flat=True))
    gone.update(is_offered=False)
    _note(server, "")
    if actor.user or synced.new or synced.changed or synced.gone:
        audit(
            actor,
            "tool_server.synced",
            f"tool-server/{server.slug}",
            new=list(synced.new),
            changed=list(synced.changed),
            gone=list(synced.gone),
        )
    staged = server.tools.filter(name__in=[*synced.new, *synced.changed])
    notices.tools_wait(tool_queries.waiting(staged).count(), server.slug, actor.user)
    return synced


def tool_name(server: ToolServer, offered: str) -> str:
    """Under its server's name, so that no server can put its tool in the place of another's."""
    return _NOT_IN_NAMES.sub("-", f"{server.slug}_{offered}")[:50]


def _stage_one(actor: Actor, server: ToolServer, name: str, offer: Offer, synced: Synced) -> None:
    tool = Tool.objects.select_for_update(of=("self",)).filter(name=name).first()
    if tool is not None and tool.server_id != server.pk:
        raise BadInput("name", f"{name} is the name of a tool that is not this server's.")
    wording = _of_offer(server, offer, tool)
    _check(wording)
    tool = tool or _locked(name, server)
    if not tool.is_offered:
        tool.is_offered = True
        tool.save(update_fields=["is_offered"])
    before = tool.current_id
    # Whoever has a server read only carries its words: whose they are is said by who saved the server.
    version = _put(actor, tool, wording, None).version
    if before is None:
        synced.new.append(name)
    elif before != version.pk:
        synced.changed.append(name)


def _of_offer(server: ToolServer, offer: Offer, tool: Tool | None) -> Wording:
    """What people said of it stays where the server says the same, and else what they agreed on.

    Of a new one it is believed that it changes something, and so it is of one of which somebody says so
    that nobody agreed with yet.
    """
    backend: dict[str, Json] = {"kind": "mcp", "tool": offer.name, "server": server.config}
    said = Wording(description=offer.description, parameters=offer.parameters, backend=backend)
    current = tool.current if tool else None
    if tool is None or current is None:
        return said
    if current.is_approved or _says_the_same(said, current):
        return _as_agreed(said, current, current)
    known = tool_queries.approved_before(tool)
    return _as_agreed(said, known, current) if known else said


def _as_agreed(said: Wording, known: ToolVersion, waits: ToolVersion) -> Wording:
    """The stricter of both, where what waits says something else."""
    return replace(
        said,
        kind=Kind.WRITE if Kind.WRITE in {known.kind, waits.kind} else known.kind,
        timeout_s=known.timeout_s,
        action=known.action,
        is_repeatable=known.is_repeatable and waits.is_repeatable,
    )


def _says_the_same(said: Wording, version: ToolVersion) -> bool:
    before = wording_of(version)
    return (said.description, said.parameters, said.backend) == (
        before.description,
        before.parameters,
        before.backend,
    )


# What a wording has to be ------------------------------------------------------------------------


def wording_of(version: ToolVersion) -> Wording:
    found = read(version.parameters)
    return Wording(
        description=version.description,
        parameters=found if isinstance(found, dict) else {},
        backend=version.backend,
        kind=version.kind,
        timeout_s=version.timeout_s,
        action=version.action,
        is_repeatable=version.is_repeatable,
    )


def require_editor(actor: Actor, what: str) -> None:
    """Nobody in particular is whoever may run commands on this machine."""
    if actor.user is not None or actor.token is not None:
        require(actor, "tools.edit", what)


def _check(wording: Wording) -> None:
    limits = JsonLimits(settings.TOOL_TEXT_BYTES_MAX)
    if not storable([wording.description, dict(wording.parameters)], limits):
        raise BadInput(
            "parameters",
            f"with the description they have to be JSON of at most {limits.bytes_max:,} bytes "
            "(TOOL_TEXT_BYTES_MAX).",
        )
    problems = schemas.check_schema(dict(wording.parameters))
    if problems:
        raise ContractInvalid(problems)
    if wording.kind not in Kind.values:
        raise BadInput("kind", f"choose among {', '.join(Kind.values)}.")
    if not 0 < wording.timeout_s <= settings.TOOL_TIMEOUT_MAX_S:
        raise BadInput(
            "timeout_s", f"use at most {settings.TOOL_TIMEOUT_MAX_S} s (TOOL_TIMEOUT_MAX_S)."
        )
    if is_change(wording.action):
        raise BadInput("action", "it is Countersign itself, which no tool changes.")
    if len(wording.action) > 100:
        raise BadInput("action", "at most 100 characters.")
    _check_backend(wording.backend)
    if wording.kind == Kind.WRITE and wording.backend.get("kind") == "agent":
        raise BadInput(
            "kind", "an agent behind a tool only reads; what writes is proposed by who asks."
        )


def _check_backend(backend: Mapping[str, Json]) -> None:
    kind = backend.get("kind")
    if kind not in KINDS:
        raise BadInput("backend", f"its kind has to be one of {', '.join(KINDS)}.")
    if not storable(dict(backend), JsonLimits(10_000)):
        raise BadInput("backend", "it has to be JSON of at most 10,000 bytes.")
    secret = backend.get("secret")
    if secret:
        _check_secrets("backend", [str(secret)])
    if kind == "http":
        if problem := http.problem_of(backend):
            raise BadInput("backend", problem)
        _check_url("backend", re.sub(r"\{\w+\}", "x", str(backend["url"])))
    _check_named(backend, {"function": "name", "agent": "agent", "mcp": "tool"}.get(str(kind)))


def _check_named(backend: Mapping[str, Json], field: str | None) -> None:
    if field is not None and not isinstance(backend.get(field), str):
        raise BadInput("backend", f"it has to say its {field}.")
