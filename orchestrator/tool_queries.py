"""Which tools there are, which of them an agent is offered, and which one an action belongs to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, LiteralString

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from orchestrator.core import typeid
from orchestrator.models import Tool, ToolServer, ToolVersion
from orchestrator.tools.base import ToolSpec

# A use of a writing tool proposes this, unless the tool names another action.
ACTION_PREFIX = "tool:"
# Executors of effects, see `effects/tool.py`.
REPEATABLE, ONCE = "tool", "tool-once"
USED_DAYS = 7
UNKNOWN = "there is no such tool"
RETIRED = "an admin retired it"
SERVER_RETIRED = "an admin retired its server"
GONE = "its server offers it no longer"
WAITS = "it waits for an admin to approve what it says"
WRITES = "it changes something, and this agent only reads"


@dataclass(frozen=True, slots=True)
class Offered:
    """What an agent may use, and why it may not use the rest of what its version names."""

    specs: Sequence[ToolSpec] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


def offered(names: Sequence[str], *, read_only: bool) -> Offered:
    """Least privilege: only what was approved as it stands now, and of writing tools none to who only reads."""
    found = {tool.name: tool for tool in _tools().filter(name__in=names)}
    refused = {
        name: why for name in names if (why := _why_not(found.get(name), read_only=read_only))
    }
    specs = [spec_of(found[name]) for name in dict.fromkeys(names) if name not in refused]
    return Offered(specs, refused)


def _why_not(tool: Tool | None, *, read_only: bool) -> str:
    if tool is None or tool.current is None:
        return UNKNOWN
    if tool.retired_at:
        return RETIRED
    if tool.server and tool.server.retired_at:
        return SERVER_RETIRED
    if not tool.is_offered:
        return GONE
    if not tool.current.is_approved:
        return WAITS
    return WRITES if read_only and tool.current.kind != ToolVersion.Kind.READ else ""


def why_not(tool: Tool) -> str:
    """Why nobody is offered it just now; empty when it is."""
    return _why_not(tool, read_only=False)


def spec_of(tool: Tool) -> ToolSpec:
    """Of its current version. Whoever asks has looked whether it is approved."""
    version = tool.current
    if version is None:
        raise LookupError(f"{tool} has no version")
    return ToolSpec(
        name=tool.name,
        description=version.description,
        parameters=version.schema,
        kind="read" if version.kind == ToolVersion.Kind.READ else "write",
        backend=version.backend,
        digest=version.digest,
        timeout_s=version.timeout_s,
        action=action_of(tool) if version.kind == ToolVersion.Kind.WRITE else "",
    )


def action_of(tool: Tool) -> str:
    """What a use of it proposes."""
    said = tool.current.action if tool.current else ""
    return said or f"{ACTION_PREFIX}{tool.name}"


def tool_for(action: str) -> Tool | None:
    """The writing tool that carries an action out, whatever became of its approval.

    An action stays with the tool that had it last: while what that one says now waits, its effects come
    to nothing, and nothing else passes for having carried them out.
    """
    if action.startswith(ACTION_PREFIX):
        return tool(action.removeprefix(ACTION_PREFIX))
    had = _approved_to_write().filter(action=action).values("tool")
    found = list(_tools().filter(pk__in=had).order_by("pk"))
    now = (one for one in found if _is_approved_for(one.current, action))
    last = (one for one in found if _is_approved_for(_wrote_last(one), action))
    return next(now, None) or next(last, None)


def _approved_to_write() -> QuerySet[ToolVersion]:
    return ToolVersion.objects.filter(kind=ToolVersion.Kind.WRITE, approved_at__isnull=False)


def _is_approved_for(version: ToolVersion | None, action: str) -> bool:
    if version is None or not version.is_approved:
        return False
    return version.kind == ToolVersion.Kind.WRITE and version.action == action


def _wrote_last(tool: Tool) -> ToolVersion | None:
    return _approved_to_write().filter(tool=tool).order_by("-approved_at").first()


def executor_of(action: str) -> str:
    """None stands behind most actions: then empty. One that is not approved is refused when it is called."""
    tool = tool_for(action)
    if tool is None or tool.current is None:
        return ONCE if action.startswith(ACTION_PREFIX) else ""
    return REPEATABLE if tool.current.is_repeatable else ONCE


def version_for(action: str) -> ToolVersion | None:
    """What an effect that is allowed now may call; nothing that nobody approved."""
    tool = tool_for(action)
    version = tool.current if tool else None
    return version if version is not None and version.is_approved else None


def tools(after: str = "", at_most: int = 50) -> list[Tool]:
    """By name, each with its current version."""
    return list(_tools().filter(name__gt=after).order_by("name")[:at_most])


def tool(name: str) -> Tool | None:
    return _tools().filter(name=name).first()


def versions(tool: Tool) -> list[ToolVersion]:
    """The newest first."""
    found = tool.versions.select_related("created_by", "approved_by")
    return list(found.order_by("-number")[:50])


def is_own(version: ToolVersion, user: User) -> bool:
    """Whether somebody else has to approve it: they wrote it, or said where its server is."""
    server = version.tool.server
    is_author = bool(settings.RULES_FOUR_EYES) and user.pk == version.created_by_id
    return is_author or (server is not None and is_own_server(server, user))


def is_own_server(server: ToolServer, user: User) -> bool:
    return bool(settings.RULES_FOUR_EYES) and user.pk == server.changed_by_id


def may_take_over(version: ToolVersion, user: User) -> bool:
    """Whether saying the same as another did makes it theirs: then that one may approve it.

    Who saved the server and who said what its tool does could otherwise both only wait for a third.
    """
    server = version.tool.server
    if server is None or server.changed_by_id != user.pk or version.is_approved:
        return False
    return version.created_by_id not in {None, user.pk}


def approved_before(tool: Tool) -> ToolVersion | None:
    """What the newest approved version said, to hold another one against."""
    return tool.versions.exclude(approved_at=None).order_by("-approved_at").first()


def waiting_count() -> int:
    return waiting(Tool.objects.all()).count()


def waiting(among: QuerySet[Tool]) -> QuerySet[Tool]:
    """Those in use, whose server still offers them, and that nobody approved as they are."""
    return among.filter(
        is_offered=True,
        retired_at=None,
        server__retired_at=None,
        current__isnull=False,
        current__approved_at=None,
    )


@dataclass(frozen=True, slots=True)
class Uses:
    """Of the newest days. Counting stops somewhere; then there may be more."""

    count: int = 0
    is_least: bool = False


def uses_of(found: Sequence[Tool]) -> dict[str, Uses]:
    """By name: how often agents read by each, and how often the action of each that writes was proposed."""
    reading = [tool.name for tool in found if not _writes(tool)]
    writing = {tool.name: action_of(tool) for tool in found if _writes(tool)}
    return {**_reads(reading), **_proposals(writing)}


def _writes(tool: Tool) -> bool:
    return tool.current is None or tool.current.kind == ToolVersion.Kind.WRITE


# The newest first, along the index of times, and no further than so many.
_READS: LiteralString = """
    WITH newest AS MATERIALIZED (
        SELECT kind, name FROM orchestrator_callpiece
         WHERE at >= %(since)s ORDER BY at DESC LIMIT %(at_most)s
    )
    SELECT wanted.name, count(newest.kind), (SELECT count(*) FROM newest)
      FROM unnest(%(names)s::text[]) AS wanted(name)
      LEFT JOIN newest ON newest.kind = 'tool' AND newest.name = wanted.name
     GROUP BY wanted.name
"""
# Keys begin with the time, so each count walks proposal_by_action and ends at its limit.
_PROPOSALS: LiteralString = """
    SELECT wanted.action,
           (SELECT count(*) FROM (SELECT 1 FROM orchestrator_proposal
                                   WHERE action = wanted.action AND id >= %(since)s
                                   LIMIT %(at_most)s) AS counted)
      FROM unnest(%(actions)s::text[]) AS wanted(action)
"""


def _reads(names: Sequence[str]) -> dict[str, Uses]:
    if not names:
        return {}
    most = settings.TOOL_PIECES_READ_MAX
    values: dict[str, Any] = {"since": _since(), "at_most": most, "names": list(names)}
    with connection.cursor() as cursor:
        cursor.execute(_READS, values)
        rows = cursor.fetchall()
    return {name: Uses(uses, is_least=read >= most) for name, uses, read in rows}


def _proposals(actions: Mapping[str, str]) -> dict[str, Uses]:
    if not actions:
        return {}
    most = settings.TOOL_PROPOSALS_COUNTED_MAX
    values: dict[str, Any] = {
        "since": typeid.least_at("prp", _since()),
        "at_most": most,
        "actions": sorted(set(actions.values())),
    }
    with connection.cursor() as cursor:
        cursor.execute(_PROPOSALS, values)
        counted = dict(cursor.fetchall())
    return {name: Uses(counted[one], counted[one] >= most) for name, one in actions.items()}


def _since() -> datetime:
    return timezone.now() - timedelta(days=USED_DAYS)


def servers() -> list[ToolServer]:
    return list(ToolServer.objects.select_related("retired_by").order_by("slug"))


def server(slug: str) -> ToolServer | None:
    return ToolServer.objects.select_related("retired_by").filter(slug=slug).first()


def _tools() -> QuerySet[Tool]:
    return Tool.objects.select_related("current__created_by", "current__approved_by", "server")
