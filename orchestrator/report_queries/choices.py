"""What the filters of a report offer: the names that occur."""

from dataclasses import dataclass

from django.db.models import QuerySet

from orchestrator.models import Rule, Segment


@dataclass(frozen=True, slots=True)
class Choices:
    """Sorted by name, each list with at most `at_most` of them."""

    agents: tuple[str, ...]
    # Of the agent that was chosen; of none when none was.
    agent_versions: tuple[str, ...]
    models: tuple[str, ...]
    actions: tuple[str, ...]
    tiers: tuple[str, ...]
    workflows: tuple[str, ...]
    rules: tuple[str, ...]


def choices(agent: str = "", *, at_most: int = 200) -> Choices:
    proposed = Segment.objects.exclude(first_at=None)

    def names(column: str, rows: QuerySet[Segment] = proposed) -> tuple[str, ...]:
        found = rows.exclude(**{column: ""}).values_list(column, flat=True).distinct()
        return tuple(found.order_by(column)[:at_most])

    slugs = Rule.objects.order_by("slug").values_list("slug", flat=True)
    return Choices(
        agents=names("agent"),
        agent_versions=names("agent_version", proposed.filter(agent=agent)) if agent else (),
        models=names("model"),
        actions=names("action"),
        tiers=names("tier"),
        workflows=names("workflow"),
        rules=tuple(slugs[:at_most]),
    )
