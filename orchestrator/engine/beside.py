"""Shadows: another version of an agent, asked what the one in use was asked. Nothing follows from its answer.

It has a command of its own, so that it is retried, fenced and timed as any call; and an outcome of its own,
a row in place of an event, so that whatever becomes of it the run never hears of it. It is handed no tool
that writes, what it would ask for is only noted, and what it spends counts against a budget of its own.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Sum
from django.utils import timezone

from orchestrator.agents.base import AgentAnswer, Usage
from orchestrator.core.agreement import agreement
from orchestrator.core.codec import Json, canonical
from orchestrator.core.errors import AgentError, AgentTimedOut
from orchestrator.engine import agents, inputs, perform
from orchestrator.engine.advance import Ending
from orchestrator.engine.claim import Claimed
from orchestrator.engine.inputs import ForAgent
from orchestrator.engine.memory import Memory
from orchestrator.models import AgentTrial, AgentVersion


@dataclass(frozen=True, slots=True)
class ForShadow:
    given: ForAgent
    # Of the two versions, by which the trial is stored.
    version: int
    beside: int
    is_spent: bool


def load(claims: Sequence[Claimed], memory: Memory) -> dict[int, ForShadow]:
    given = inputs.load_for_shadows(claims, memory)
    versions = _versions(claims)
    spent = _spent(set(versions.values()))
    found: dict[int, ForShadow] = {}
    for claimed in claims:
        name = agents.named(claimed)
        version = versions[name, claimed.payload["shadow"]]
        beside = versions[name, int(claimed.payload["beside"])]
        found[claimed.id] = ForShadow(given[claimed.id], version, beside, version in spent)
    return found


def call(claimed: Claimed, found: ForShadow) -> Ending:
    if found.is_spent:
        reason = "its budget for today is used up"
        return Ending(claimed, "failed", error={"code": "shadow-spent", "reason": reason})
    began = time.monotonic()
    answer: AgentAnswer | None = None
    asked = perform.agent_call(claimed, found.given)
    asked = replace(asked, key=f"{asked.key}/shadow", attempt=1)
    try:
        answer = perform.ask(asked, found.given)
        if not answer.asks:
            # What it would have remembered is let go.
            brought = perform.bring(claimed, found.given, asked, answer)
            answer = replace(answer, output=brought.output)
    except AgentError as error:
        # What was refused had its price all the same.
        error.usage = answer.usage if answer else error.usage
        return _failed(claimed, found, error, perform.since(began))
    return Ending(claimed, "done", trial=_answered(claimed, found, answer, perform.since(began)))


def timeout_s(claimed: Claimed, found: ForShadow) -> float:
    return perform.agent_timeout_s(claimed, found.given)


def overdue(claimed: Claimed, found: ForShadow) -> Ending:
    limit_s = timeout_s(claimed, found)
    error = AgentTimedOut("the worker gave up waiting", timeout_s=limit_s)
    return _failed(claimed, found, error, int(limit_s * 1000))


def _answered(claimed: Claimed, found: ForShadow, answer: AgentAnswer, took_ms: int) -> AgentTrial:
    said: Json = answer.output
    if answer.asks:
        said = {"asks": [{"tool": ask.tool, "args": ask.args} for ask in answer.asks]}
    return AgentTrial(
        **_names(claimed, found),
        status=AgentTrial.Status.ANSWERED,
        output=_short(said),
        # One that asks has not answered; how far it would have agreed nobody knows.
        agreement=None if answer.asks else agreement(found.given.answered, said),
        took_ms=took_ms,
        told=agents.told_of(found.given.agent, answer.agent),
        **_usage(answer.usage),
    )


def _failed(claimed: Claimed, found: ForShadow, error: AgentError, took_ms: int) -> Ending:
    described = perform.describe(error, claimed) | {"retryable": False}
    trial = AgentTrial(
        **_names(claimed, found),
        status=AgentTrial.Status.FAILED,
        error=described,
        took_ms=took_ms,
        told=agents.told_of(found.given.agent, {}),
        **(_usage(error.usage) if isinstance(error.usage, Usage) else {}),
    )
    return Ending(claimed, "failed", error=described, trial=trial)


def _names(claimed: Claimed, found: ForShadow) -> dict[str, Any]:
    payload = claimed.payload
    return {
        "run_id": claimed.run,
        "work": payload["work"],
        "visit": payload["visit"],
        "index": payload.get("index", 0),
        "attempt": payload["attempt"],
        "answer": payload["answer"],
        "version_id": found.version,
        "beside_id": found.beside,
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "tokens_in": usage.tokens_in,
        "tokens_out": usage.tokens_out,
        "money_micros": usage.money_micros,
    }


def _short(said: Json) -> Json:
    """Kept to be looked at; what is long is compared and then left out."""
    return said if len(canonical(said)) <= settings.SHORT_OUTPUT_BYTES_MAX else None


def _versions(claims: Sequence[Claimed]) -> dict[tuple[str, int], int]:
    names = {agents.named(claimed) for claimed in claims}
    numbers = {int(c.payload[which]) for c in claims for which in ("shadow", "beside")}
    rows = AgentVersion.objects.filter(agent__slug__in=names, number__in=numbers)
    return {
        (slug, number): pk for slug, number, pk in rows.values_list("agent__slug", "number", "pk")
    }


def _spent(versions: set[int]) -> set[int]:
    """Shadows that have used up what a day allows them. A price that nobody knows is bounded by the calls."""
    today = datetime.combine(timezone.now().date(), datetime.min.time(), UTC)
    rows = AgentTrial.objects.filter(
        version__in=versions, at__gte=today, at__lt=today + timedelta(days=1)
    )
    sums = rows.values_list("version").annotate(calls=Count("pk"), money=Sum("money_micros"))
    return {
        version
        for version, calls, money in sums
        if calls >= settings.SHADOW_CALLS_PER_DAY_MAX
        or (money or 0) >= settings.SHADOW_MONEY_MICROS_PER_DAY_MAX
    }
