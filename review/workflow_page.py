"""The page of one workflow version: what it says, how that looks, and what was run of it."""

from typing import Any

from orchestrator import queries
from orchestrator.models import WorkflowVersion
from review.presentation.chips import RUNS, Look
from review.presentation.definitions import budget_of, pretty, rows_of
from review.presentation.graph import KINDS, draw

VERSIONS_MAX = 50


def workflow_page(version: WorkflowVersion) -> dict[str, Any]:
    definition = queries.content_of(version)
    slug = version.workflow.slug
    is_plan = definition["pattern"] != "direct"
    return {
        "version": version,
        "definition": definition,
        "is_plan": is_plan,
        "counting": queries.workflow_version(slug),
        "drawing": draw(version.definition) if is_plan else None,
        "rows": [(row, KINDS[row.kind]) for row in rows_of(definition)],
        "budget": budget_of(definition),
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
