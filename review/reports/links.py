"""From a number to the list of exactly what was counted."""

from collections.abc import Mapping
from datetime import date, timedelta
from urllib.parse import urlencode

from django.urls import reverse

from orchestrator.report_queries.scope import Scope


def proposals(
    scope: Scope,
    more: Mapping[str, str] | None = None,
    *,
    first: date | None = None,
    last: date | None = None,
) -> str:
    """The proposals of a scope, or of some of its days, narrowed by more."""
    parts = {
        "since": max(first or scope.since, scope.since),
        "until": min(last or scope.until, scope.until - timedelta(days=1)),
        "agent": scope.agent,
        "version": scope.agent_version,
        "model": scope.model,
        "action": scope.action,
        "tier": scope.tier,
        "rule": scope.rule,
        "workflow": scope.workflow,
        "counted": "1",
    } | dict(more or {})
    return (
        f"{reverse('proposals')}?{urlencode({name: text for name, text in parts.items() if text})}"
    )


def rule(slug: str, number: int) -> str:
    return reverse("rule_version", kwargs={"slug": slug, "number": number})
