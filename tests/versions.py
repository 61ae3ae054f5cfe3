"""Agents with versions, deployed as people deploy them: one admin asks, another agrees."""

from typing import Any

from django.contrib.auth.models import User

from orchestrator.actions import agents, changes, tools, users
from orchestrator.actions.actor import Actor
from orchestrator.actions.agents import Wish
from orchestrator.actions.tools import Wording
from orchestrator.core.codec import Json
from orchestrator.core.policy.agent_versions import Deployed
from orchestrator.models import AgentVersion, Proposal, ReviewItem, ToolVersion
from tests import deciding
from tests.work import work_all

SYSTEM = Actor(None)
CLASSES = ("public", "internal")


def another_admin() -> Actor:
    found = User.objects.filter(username="bea").first()
    return Actor(found or users.create(SYSTEM, username="bea", password=None, role="admin"))


def keep(admin: User, slug: str = "clerk", *, tier: str = "elevated") -> Actor:
    actor = Actor(admin)
    agents.save(actor, slug, title="The clerk", owner="Refunds", tier=tier)
    return actor


def scripted(says: Json, **more: Any) -> Wish:
    classes, names = more.pop("data_classes", CLASSES), more.pop("tools", ())
    parameters = {"says": says, **more}
    return Wish(adapter="scripted", data_classes=classes, tools=names, parameters=parameters)


def write(actor: Actor, slug: str, wish: Wish, **more: Any) -> AgentVersion:
    return agents.write(actor, slug, wish, **more).version


def deploy(actor: Actor, slug: str, *, stable: int, **more: Any) -> Proposal:
    proposal = changes.propose_deployment(actor, slug, Deployed(stable, **more), "as agreed")
    agree(proposal)
    return proposal


def agree(proposal: Proposal) -> None:
    item = ReviewItem.objects.get(proposal=proposal)
    deciding.decide(another_admin(), item.pk)
    work_all()
    proposal.refresh_from_db()
    assert proposal.status == "executed", proposal.status


def approve_tool(ada: Actor, name: str, *, kind: str = "write", **more: Any) -> ToolVersion:
    """One that takes what it is given, written by one admin and approved by another."""
    said: dict[str, Any] = {
        "description": "",
        "parameters": {"type": "object"},
        "backend": {"kind": "function", "name": "orders.refund"},
    }
    version = tools.save(ada, name, Wording(kind=kind, **{**said, **more})).version
    return tools.approve(another_admin(), name, version.number, version.digest)


def stage(name: str, agent: str = "clerk", **more: Any) -> dict[str, Any]:
    return {"name": name, "agent": {"kind": "agent", "name": agent}, **more}


def pipeline(*stages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"pattern": "pipeline", "stages": list(stages), **more}
