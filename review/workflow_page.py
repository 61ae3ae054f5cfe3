"""The page of one workflow version: what it says, how that looks, and what was run of it."""

from typing import Any

from orchestrator import queries
from orchestrator.cost_queries import estimates_of
from orchestrator.models import WorkflowVersion
from review.advice_page import advice_of
from review.presentation.chips import RUNS, Look
from review.presentation.definitions import budget_of, pretty, rows_of
from review.presentation.graph import KINDS, draw
from review.presentation.routes import rules_of

VERSIONS_MAX = 50
# What a pattern is made of.
WORDS = {
    "machine": "state",
    "supervisor": "agent",
    "consensus": "agent",
    "router": "worker",
    "mesh": "peer",
}


def workflow_page(version: WorkflowVersion) -> dict[str, Any]:
    definition = queries.content_of(version)
    slug = version.workflow.slug
    is_plan = definition["pattern"] != "direct"
    return {
        "version": version,
        "definition": definition,
        "is_plan": is_plan,
        "word": WORDS.get(definition["pattern"], "stage"),
        "counting": queries.workflow_version(slug),
        "drawing": draw(version.definition) if is_plan else None,
        "rows": [(row, KINDS[row.kind]) for row in rows_of(definition)],
        "rules": rules_of(definition) if definition["pattern"] == "router" else None,
        "advice": advice_of(version, definition) if is_plan else None,
        "budget": budget_of(definition),
        "estimates": estimates_of(slug, definition),
        "intent": pretty(definition["intent"]) if "intent" in definition else "",
        "raw": pretty(definition),
        "versions": queries.workflow_versions(slug, at_most=VERSIONS_MAX),
        "runs": _runs(slug),
    }


def _runs(slug: str) -> list[tuple[str, Look, str]]:
    """Of all versions together, by status; what is too many to count is said to be more."""
    most = queries.RUNS_COUNTED_MAX
    return [
        (status, RUNS[status], f"{count:,}" if count <= most else f"over {most:,}")
        for status, count in queries.run_counts(slug).items()
    ]
