"""The demo's kept agents: one in use, with a version that waits to be tried, and one at a model of your own.

The one in use is scripted, so that nothing needs a key; the endpoint is where an Ollama would answer. Of
two tools one is approved, and one waits for another admin.
"""

from typing import Any

from orchestrator.actions import (
    agents,
    changes,
    claims,
    confirmations,
    endpoints,
    reviews,
    tools,
)
from orchestrator.actions.actor import Actor
from orchestrator.actions.agents import Wish
from orchestrator.actions.endpoints import Terms, Whereabouts
from orchestrator.actions.tools import Wording
from orchestrator.core.codec import Json
from orchestrator.core.policy.agent_versions import Deployed
from orchestrator.models import ReviewItem

READER, WRITER, HOUSE = "complaint-reader", "letter-writer", "house"
CLASSES = ("public", "internal", "personal")


def _read(reason: str, tokens: int) -> Wish:
    says: dict[str, Json] = {"reason": reason, "urgent": False}
    usage: dict[str, Json] = {"tokens_in": tokens, "tokens_out": 40, "money_micros": tokens * 2}
    parameters: dict[str, Any] = {"says": says, "takes_ms": 300, "usage": usage}
    return Wish(adapter="scripted", data_classes=CLASSES, parameters=parameters)


WRITES = Wish(
    adapter="llm",
    model="llama3.1:8b",
    endpoints=(HOUSE,),
    tools=("read_complaint",),
    data_classes=CLASSES,
    prompt="You write answers to complaints. Promise nothing that the case does not say.",
    limits={"tokens_in": 8_000, "tokens_out": 1_000, "requests": 4},
    parameters={"temperature": 0.2},
)

_ONE_TEXT: dict[str, Json] = {"type": "string", "minLength": 1, "maxLength": 4_000}


def _with_one(name: str) -> dict[str, Json]:
    properties: dict[str, Json] = {name: _ONE_TEXT}
    return {"type": "object", "required": [name], "properties": properties}


READS_COMPLAINTS = Wording(
    kind="read",
    description="Says what a complaint is about.",
    parameters=_with_one("complaint"),
    backend={"kind": "agent", "agent": READER},
)
FINDS_ORDERS = Wording(
    kind="read",
    description="Looks an order up in the shop.",
    parameters=_with_one("order"),
    backend={"kind": "http", "method": "GET", "url": "https://shop.example/orders/{order}"},
)


def load(admin: Actor, other: Actor) -> None:
    """`other` agrees to what `admin` asks for, as it has to be."""
    where = Whereabouts(
        provider="openai_compatible",
        base_url="http://localhost:11434/v1",
        is_local=True,
        data_classes=CLASSES,
    )
    endpoints.make(admin, HOUSE, where, Terms(price_input=0, price_output=0))
    agents.save(admin, READER, title="Says what a complaint is about", owner="support")
    agents.save(admin, WRITER, title="Writes answers to complaints", owner="support")
    agents.write(admin, READER, _read("damaged_item", 900), note="The first.")
    _tools(admin, other)
    agents.write(admin, READER, _read("late_delivery", 500), note="A shorter prompt.")
    agents.write(admin, WRITER, WRITES, note="At a model of our own; it needs an Ollama.")
    _agree(other, changes.propose_deployment(admin, READER, Deployed(1), "It was tried.").pk)


def _tools(admin: Actor, other: Actor) -> None:
    approved = tools.save(admin, "read_complaint", READS_COMPLAINTS, owner="support").version
    tools.approve(other, "read_complaint", approved.number, approved.digest)
    tools.save(admin, "find_order", FINDS_ORDERS, owner="shop")


def _agree(other: Actor, proposal: str) -> None:
    item = claims.take(other, ReviewItem.objects.openly().get(proposal=proposal).pk)
    reviews.decide(
        other,
        item.pk,
        verdict="approve",
        seen=confirmations.seen(other, item),
        idempotency_key=f"demo {READER}",
    )
