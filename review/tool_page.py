"""What the pages of tools show."""

from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth.models import User

from orchestrator import tool_queries as queries
from orchestrator.models import Tool, ToolServer
from review.access import may
from review.presentation.tool_changes import differences, said
from review.tool_forms import ApproveForm, KindForm, RetireForm


class ToolLine(NamedTuple):
    tool: Tool
    # Why agents are not offered it; empty when they are.
    why_not: str
    uses: queries.Uses


def tools_page(user: Any, after: str) -> dict[str, Any]:
    size = settings.PAGE_SIZE
    found = queries.tools(after, size + 1)
    shown = found[:size]
    uses = queries.uses_of(shown)
    return {
        "lines": [
            ToolLine(tool, queries.why_not(tool), uses.get(tool.name, queries.Uses()))
            for tool in shown
        ],
        "days": queries.USED_DAYS,
        "read_each_h": settings.TOOL_SYNC_HOURS,
        "following": found[size - 1].name if found[size:] else "",
        "servers": queries.servers(),
        "may_edit": may(user, "tools.edit"),
    }


def tool_page(user: User, tool: Tool) -> dict[str, Any]:
    version, before = tool.current, queries.approved_before(tool)
    waits = version is not None and not version.is_approved
    return {
        "tool": tool,
        "version": version,
        "why_not": queries.why_not(tool),
        "action": queries.action_of(tool),
        "uses": queries.uses_of([tool]).get(tool.name, queries.Uses()),
        "days": queries.USED_DAYS,
        "said": said(version) if version else [],
        "before": before,
        "lines": differences(before, version) if before and version and waits else [],
        "versions": queries.versions(tool),
        "waits": waits,
        "is_own": version is not None and queries.is_own(version, user),
        "takes_over": version is not None and queries.may_take_over(version, user),
        "may_edit": may(user, "tools.edit"),
        "approve": _approve(tool),
        "kind": _kind(tool),
        "retire": RetireForm(),
    }


def server_page(user: User, server: ToolServer) -> dict[str, Any]:
    return {
        "server": server,
        "is_own": queries.is_own_server(server, user),
        "retire": RetireForm(),
    }


def _approve(tool: Tool) -> ApproveForm | None:
    version = tool.current
    if version is None:
        return None
    return ApproveForm(initial={"number": version.number, "digest": version.digest})


def _kind(tool: Tool) -> KindForm | None:
    version = tool.current
    if version is None:
        return None
    known = {name: getattr(version, name) for name in ("number", "kind", "is_repeatable")}
    return KindForm(initial=known, auto_id="kind-%s")
