"""Reads for advice: the newest ended runs of a version, and the ways they took."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import connection

from orchestrator.core import definitions
from orchestrator.core.advice import Kept, Visited, Way
from orchestrator.core.patterns.parts import GAPS
from orchestrator.core.patterns.supervisor import TASKS
from orchestrator.models import Deployment, Run, WorkflowVersion

ENDED = (Run.Status.COMPLETED, Run.Status.FAILED, Run.Status.CANCELLED)

# How often each run came to each of its works: calls of one coming have the same visit.
_ROUNDS = """
    SELECT run_id, payload::json->>'work', count(DISTINCT payload::json->>'visit')
      FROM orchestrator_command WHERE run_id = ANY(%s::text[]) AND kind = 'run_agent' GROUP BY 1, 2
"""
# Of the state only the works and a supervisor's rounds: a machine carries all its data along in there.
_WORKS = """
    SELECT id, state::json->'works', state::json->'rounds' FROM orchestrator_run
     WHERE id = ANY(%s::text[]) AND state <> '' ORDER BY id DESC
"""


def ways(version: WorkflowVersion) -> list[Way]:
    """At most ADVICE_RUNS_MAX of them."""
    runs = _newest_ended(version)
    rounds = {(run, work): count for run, work, count in _ask(_ROUNDS, runs)}
    return [
        _way(run, works or {}, rounds, [parts for _, parts in over or ()])
        for run, works, over in _ask(_WORKS, runs)
    ]


def kept(definition: Mapping[str, Any]) -> Kept:
    """What the agents are that it names, as they are deployed now."""
    names = {name for _, name, _ in definitions.agents_of(dict(definition))}
    found = Deployment.in_force(names).select_related("stable__agent")
    return {one.agent.slug: (one.stable.adapter, one.stable.may) for one in found}


def _newest_ended(version: WorkflowVersion) -> list[str]:
    """Of each status a few rows from the end of its index."""
    most = settings.ADVICE_RUNS_MAX
    found: list[str] = []
    for status in ENDED:
        rows = Run.objects.filter(workflow_version=version, status=status).order_by("-pk")
        found += rows.values_list("pk", flat=True)[:most]
    return sorted(found, reverse=True)[:most]


def _way(
    run: str,
    works: Mapping[str, Any],
    rounds: Mapping[tuple[str, str], int],
    over: Sequence[Sequence[Any]],
) -> Way:
    """`over` are the parts of a supervisor's rounds: its tasks themselves have those of the last alone."""
    found = []
    for name, work in works.items():
        came = over if name == TASKS and over else [work.get("parts", ())]
        statuses = [part[0] for parts in came for part in parts]
        found.append(
            Visited(
                name=name,
                visit=work.get("visit", 0),
                status=work["status"],
                rounds=len(over) or rounds.get((run, name), 1),
                parts=len(statuses),
                gaps=sum(status in GAPS for status in statuses),
            )
        )
    return sorted(found, key=lambda one: one.visit)


def _ask(sql: str, runs: Sequence[str]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, [list(runs)])
        return list(cursor.fetchall())
