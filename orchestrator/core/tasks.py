"""What an agent is asked to work on, as the command of its call names it.

The same for whoever asks the agent and for whoever reads in a trace what it was handed.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.core import definitions
from orchestrator.core.codec import Json
from orchestrator.core.handing import Said, fill_in, find, places
from orchestrator.core.patterns.router import ROUTE
from orchestrator.core.plan import Plan

INTENT = 1
# The input that names a proposal instead of places in the log.
SENT_BACK = "sent_back"


@dataclass(frozen=True, slots=True)
class Task:
    intent: Json
    inputs: dict[str, Json]
    # The element of a fan-out, or the task of a round, that this call is about.
    item: Json


def events_of(payload: Mapping[str, Any]) -> Iterator[int]:
    """The numbers of all events whose values `read_task` asks for."""
    yield INTENT
    yield from places(payload.get("item"))
    for name, form in payload.get("inputs", {}).items():
        if name != SENT_BACK:
            yield from places(form)


def read_task(
    plan: Plan,
    definition: Mapping[str, Any],
    payload: Mapping[str, Any],
    said: Said,
    sent_back: Callable[[str], Json],
) -> Task:
    intent = said(INTENT)
    inputs = {
        name: sent_back(form) if name == SENT_BACK else fill_in(form, said, definition)
        for name, form in payload.get("inputs", {}).items()
    }
    given = payload.get("item")
    element = None if given else _element(plan, payload, intent, inputs)
    if definition["pattern"] == "router" and payload["work"] == ROUTE:
        inputs["workers"] = definitions.descriptions(dict(definition))
    return Task(intent, inputs, fill_in(given, said, definition) if given else element)


def _element(
    plan: Plan, payload: Mapping[str, Any], intent: Json, inputs: Mapping[str, Json]
) -> Json:
    """Of the list before, where each of its elements is a call of its own."""
    work = plan.works[payload["work"]]
    if work.for_each is None:
        return None
    came = inputs.get(work.needs[0]) if work.needs else intent
    items = find(came, work.for_each)
    return items[payload.get("index", 0)] if isinstance(items, list) else None
