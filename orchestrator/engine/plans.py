"""The definition and the plan of a workflow version. Versions never change, so each is read once."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from orchestrator.core.codec import read
from orchestrator.core.plan import Plan, read_plan
from orchestrator.models import WorkflowVersion


@lru_cache(maxsize=1_000)
def definition_of(version: int) -> Mapping[str, Any]:
    found = read(WorkflowVersion.objects.values_list("definition", flat=True).get(pk=version))
    return found if isinstance(found, dict) else {}


@lru_cache(maxsize=1_000)
def plan_of(version: int) -> Plan:
    return read_plan(definition_of(version))
