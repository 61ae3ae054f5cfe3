"""Any pattern is a stage of any other: as a stage, as what a router chooses, as who does a supervisor's task."""

from typing import Any

import pytest
from pytest_django import Settings

from orchestrator.actions.demo_teamwork import TOGETHER
from orchestrator.actions.demo_workflows import ONE_BY_ONE
from orchestrator.models import Run
from tests import runs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hurried")]

INTENT = {"text": "Where is my delivery?", "order": "A-20931"}
MACHINE: dict[str, Any] = {
    "pattern": "machine",
    "initial": "look",
    "states": {
        "look": {
            "run": {"agent": runs.scripted("looker", 7)},
            "on": {"done": [{"to": "end"}], "failed": [{"to": "end"}]},
        },
        "end": {"end": "completed"},
    },
}
INNER: dict[str, dict[str, Any]] = {
    "pipeline": {"pattern": "pipeline", "stages": [runs.stage("look", 7)]},
    "machine": MACHINE,
    "router": ONE_BY_ONE["front-desk"],
    "supervisor": TOGETHER["order-history"],
    "consensus": TOGETHER["account-closing"],
    "mesh": TOGETHER["failed-payment"],
}
BELOW = {"workflow": "below"}
OUTER: dict[str, dict[str, Any]] = {
    "stage": {"pattern": "pipeline", "stages": [{"name": "sub", **BELOW}]},
    "state": {
        **MACHINE,
        "states": {**MACHINE["states"], "look": {**MACHINE["states"]["look"], "run": BELOW}},
    },
    "route": {
        "pattern": "router",
        "workers": {"sub": {"description": "does it", **BELOW}},
        "rules": [{"to": "sub"}],
        "fallback": "sub",
    },
    "task": {
        "pattern": "supervisor",
        "supervisor": {
            "agent": runs.scripted(
                "lead", {"tasks": [{"worker": "sub", "task": INTENT}], "result": 1}
            )
        },
        "workers": {"sub": {"description": "does it", **BELOW}},
        "rounds": 1,
    },
}


@pytest.mark.parametrize("outer", OUTER)
@pytest.mark.parametrize("inner", INNER)
def test_any_pattern_stands_within_any_other(inner: str, outer: str) -> None:
    runs.save("below", INNER[inner])
    run = runs.start("above", definition=OUTER[outer], intent=INTENT)
    below = Run.objects.get(parent=run)
    assert (below.status, run.status) == ("completed", "completed")


@pytest.mark.parametrize("outer", OUTER)
def test_none_goes_deeper_than_the_limit(outer: str, settings: Settings) -> None:
    settings.RUN_DEPTH_MAX = 1
    runs.save("deep", INNER["pipeline"])
    runs.save("below", {"pattern": "pipeline", "stages": [{"name": "sub", "workflow": "deep"}]})
    run = runs.start("above", definition=OUTER[outer], intent=INTENT)
    below = Run.objects.get(parent=run)
    assert below.status == "failed"
    assert "budget of 1 depth" in str(below.canonical_state.error)
    assert not Run.objects.filter(parent=below).exists()
