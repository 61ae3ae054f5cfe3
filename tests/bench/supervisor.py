"""A supervisor gives out 20 tasks of two seconds, four at once: ten seconds are the ideal."""

from orchestrator.actions import runs, workflows
from orchestrator.models import Run
from tests.bench.engine import SYSTEM
from tests.bench.engine import _until as until
from tests.bench.engine import _workers as workers

TASKS, AT_ONCE, TASK_S = 20, 4, 2.0


def _warm_up() -> None:
    """The workers have started, imported and connected before the clock runs."""
    stage = {"name": "a", "agent": {"kind": "scripted", "name": "a", "says": 1}}
    workflows.save(SYSTEM, "bench-warm-up", {"pattern": "pipeline", "stages": [stage]})
    first = runs.start(SYSTEM, workflow="bench-warm-up", intent=None)
    until(lambda: Run.objects.filter(pk=first.pk, status="completed").exists())


def supervisor() -> dict[str, float]:
    """From the start of the run to its end: the plan, the tasks, one more plan, and the sum."""
    asked = [{"worker": "sleeper", "task": number} for number in range(TASKS)]
    boss = {"kind": "scripted", "name": "boss", "says": {"tasks": asked, "result": "done"}}
    sleeper = {"kind": "scripted", "name": "sleeper", "takes_ms": int(TASK_S * 1000), "says": 1}
    definition = {
        "pattern": "supervisor",
        "supervisor": {"agent": boss},
        "workers": {"sleeper": {"agent": sleeper}},
        "at_once": AT_ONCE,
    }
    workflows.save(SYSTEM, "bench-supervisor", definition)
    with workers():
        _warm_up()
        run = runs.start(SYSTEM, workflow="bench-supervisor", intent=None)
        until(lambda: Run.objects.filter(pk=run.pk, status="completed").exists())
    run.refresh_from_db()
    if run.ended_at is None:
        raise RuntimeError("a run that is completed has ended")
    total_s = (run.ended_at - run.created_at).total_seconds()
    return {"agents.supervisor_ratio": total_s / (TASKS * TASK_S / AT_ONCE)}
