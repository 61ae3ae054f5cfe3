"""Tools and servers of tools that one admin takes out of use, and another one brings back.

Out of use is out of use at once: no call is offered the tool any more, and an effect that was accepted
comes to nothing, with that reason. Nothing is forgotten of what was approved.
"""

from django.db import transaction
from django.utils import timezone

from orchestrator import tool_queries
from orchestrator.actions.actor import Actor, audit
from orchestrator.actions.tools import check_four_eyes, check_person, require_editor
from orchestrator.core.errors import BadInput, NotAllowed, NotFound
from orchestrator.models import Tool, ToolServer
from orchestrator.models.tools import Retirable

WHY_LENGTH_MAX = 500


@transaction.atomic
def retire(actor: Actor, name: str, why: str) -> Tool:
    require_editor(actor, "retire tools")
    tool = _hold(name)
    if _retire(actor, tool, why):
        audit(actor, "tool.retired", f"tool/{name}", why=tool.retired_why)
    return tool


@transaction.atomic
def bring_back(actor: Actor, name: str) -> Tool:
    """As it was: offered, where what it says is approved. Whoever put it there is not who says so."""
    check_person(actor, "bring tools back")
    tool = _hold(name)
    if tool.current is not None:
        check_four_eyes(actor, tool.current, "bring back")
    if _bring_back(tool):
        audit(actor, "tool.brought_back", f"tool/{name}")
    return tool


@transaction.atomic
def retire_server(actor: Actor, slug: str, why: str) -> ToolServer:
    """With all of its tools. It is not read any more, either."""
    require_editor(actor, "retire servers of tools")
    server = _hold_server(slug)
    if _retire(actor, server, why):
        audit(actor, "tool_server.retired", f"tool-server/{slug}", why=server.retired_why)
    return server


@transaction.atomic
def bring_back_server(actor: Actor, slug: str) -> ToolServer:
    check_person(actor, "bring servers of tools back")
    server = _hold_server(slug)
    if actor.user is not None and tool_queries.is_own_server(server, actor.user):
        raise NotAllowed(
            actor.name, "bring back a server that they saved", "Another admin has to look at it."
        )
    if _bring_back(server):
        audit(actor, "tool_server.brought_back", f"tool-server/{slug}")
    return server


def _retire(actor: Actor, one: Retirable, why: str) -> bool:
    """False if somebody did before; then that one's reason stays."""
    if not 0 < len(why.strip()) <= WHY_LENGTH_MAX or "\x00" in why:
        raise BadInput("why", f"say why, in 1 to {WHY_LENGTH_MAX} characters.")
    if one.retired_at:
        return False
    one.retired_at, one.retired_by, one.retired_why = timezone.now(), actor.user, why.strip()
    _save(one)
    return True


def _bring_back(one: Retirable) -> bool:
    if not one.retired_at:
        return False
    one.retired_at, one.retired_by, one.retired_why = None, None, ""
    _save(one)
    return True


def _save(one: Retirable) -> None:
    one.save(update_fields=["retired_at", "retired_by", "retired_why"])


def _hold(name: str) -> Tool:
    tool = (
        Tool.objects.select_for_update(of=("self",))
        .select_related("current", "server")
        .filter(name=name)
        .first()
    )
    if tool is None:
        raise NotFound("tool", name[:100])
    return tool


def _hold_server(slug: str) -> ToolServer:
    server = ToolServer.objects.select_for_update().filter(slug=slug).first()
    if server is None:
        raise NotFound("server of tools", slug[:100])
    return server
