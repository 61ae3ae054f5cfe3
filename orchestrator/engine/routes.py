"""What routers decided, as rows: made with the decision, changed by what becomes of the run."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator.core import events as ev
from orchestrator.core.codec import canonical, read
from orchestrator.core.state import Route, RunState
from orchestrator.models import RouteDecision, Run

# The reason of a rejection that blames the choice of the worker, on instances that offer one.
WRONG_WORKER = "wrong_worker"


@dataclass(slots=True)
class Routes:
    made: dict[str, Route] = field(default_factory=dict)
    changed: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))

    def see(self, run: str, before: RunState, after: RunState, event: ev.Event) -> None:
        route = after.route
        if not route.by:
            return
        if not before.route.by:
            self.made[run] = route
        if route.failed != before.route.failed:
            self.changed[run]["failed"] = route.failed
        if after.has_ended and not before.has_ended:
            self.changed[run]["outcome"] = after.status
        if isinstance(event, ev.ProposalRejected) and event.reason == WRONG_WORKER:
            self.changed[run]["is_refused"] = True

    def write(self, at: datetime) -> None:
        if self.made:
            self._make(at)
        together: dict[str, list[str]] = defaultdict(list)
        for run, values in self.changed.items():
            if run not in self.made:
                together[canonical(values)].append(run)
        for text, runs in together.items():
            same: Any = read(text)
            RouteDecision.objects.filter(pk__in=runs).update(**same)

    def _make(self, at: datetime) -> None:
        found = Run.objects.filter(pk__in=self.made).values_list(
            "pk", "workflow_version", "workflow_version__workflow"
        )
        RouteDecision.objects.bulk_create(
            RouteDecision(
                run_id=run,
                version_id=version,
                workflow_id=workflow,
                decided_at=at,
                **_columns(self.made[run]),
                **self.changed.get(run, {}),
            )
            for run, version, workflow in found
        )


def _columns(route: Route) -> dict[str, Any]:
    return {
        "worker": route.workers[0],
        "workers": list(route.workers),
        "by": route.by,
        "rule": route.rule,
        "cause": route.cause,
        "why": route.why,
        "confidence": route.confidence,
        "features": dict(route.features),
        "claims": dict(route.claims),
        "errors": dict(route.errors),
    }
