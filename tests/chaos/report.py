"""The verdict: what was found, what was reached, and whether that is enough. Written as JSON, shown as a table."""

import os
import statistics
import subprocess
from collections.abc import Iterator
from typing import Any

from tests.chaos.harness import Outcome
from tests.chaos.site import LEASE_S, ROOT
from tests.chaos.steering import HITS_MIN

# Under faults the product must not merely survive: it has to get on with its work. So much of the
# load has to be accepted, and never may there be so long in which nothing comes to its end. The share
# of the pace without faults is told and not judged: faults come a thousand times as often as in life,
# and what it measures is how fast this machine starts Python.
PAUSE_MAX_S = 15
# Whoever is killed has to be started again, most of a pause, and on a machine that others use too this
# may take any time: so many times what it took before there were any faults is allowed as well.
STARTS_MAX = 3
SHOWN = 10
TITLES = (
    *(
        "ends",
        "events",
        "backtests",
        "changes",
        "decisions",
        "queue",
        "audits",
        "effects",
        "answers",
    ),
    *("faults", "failpoints", "checks"),
)


def describe(outcome: Outcome) -> dict[str, Any]:
    violations = list(_violations(outcome))
    return {
        "seed": outcome.options.seed,
        "git": _git(),
        "cores": os.cpu_count(),
        "mutant": " ".join(outcome.options.mutants),
        "workflows": outcome.workflows,
        "seconds": round(outcome.faulty_s, 1),
        "throughput": {
            "without_faults_per_s": round(outcome.calm_per_s, 2),
            "under_faults_per_s": round(outcome.faulty_per_s, 2),
            "share": round(_progress(outcome), 3),
        },
        "starts_s": round(outcome.starts_s, 1),
        "stall_s": round(outcome.stall_s, 1),
        "ends": outcome.ends,
        "decisions": outcome.decisions,
        "events": outcome.events,
        "backtests": outcome.backtests,
        "changes": outcome.changes,
        "queue": outcome.queue,
        "audits": outcome.audits,
        "faults": outcome.faults,
        "failpoints": outcome.failpoints,
        "restarts": outcome.restarts,
        "answers": outcome.answers,
        "effects": outcome.effects,
        "lost": len(outcome.found["lost"]) + len(outcome.found["unfinished"]),
        "duplicated": len(outcome.found["duplicated"]) + len(outcome.found["requests"]),
        "recoveries": len(outcome.recoveries_s),
        "recovery_p50_s": round(_percentile(outcome.recoveries_s, 50), 2),
        "recovery_p99_s": round(_percentile(outcome.recoveries_s, 99), 2),
        "rest_after_s": round(outcome.calm_after_s, 1),
        "checks": {name: len(found) for name, found in outcome.found.items()},
        "violations": violations,
    }


def lines(report: dict[str, Any]) -> Iterator[str]:
    """As people read it."""
    yield ""
    for name in ("seed", "git", "cores", "workflows", "seconds", "lost", "duplicated"):
        yield _line(name, report[name])
    for name, value in report["throughput"].items():
        yield _line(name, value)
    for name in (
        *("recoveries", "recovery_p50_s", "recovery_p99_s"),
        *("starts_s", "stall_s", "rest_after_s", "restarts"),
    ):
        yield _line(name, report[name])
    for title in TITLES:
        yield f"\n{title}"
        for name, value in report[title].items():
            yield _line(f"  {name}", value)
    yield "\nmutants"
    for mutant in report["mutants"]:
        yield _line(f"  {mutant['name']}", "found" if mutant["caught"] else "NOT FOUND")
    yield ""
    for violation in report["violations"][: 5 * SHOWN]:
        yield f"VIOLATION  {violation}"


def _line(name: str, value: object) -> str:
    return f"{name:<36} {value!s:>12}"


def _violations(outcome: Outcome) -> Iterator[str]:
    for name, found in outcome.found.items():
        yield from (f"{name}: {sentence}" for sentence in found[:SHOWN])
        if len(found) > SHOWN:
            yield f"{name}: and {len(found) - SHOWN} more"
    if not outcome.options.mutants:
        yield from _shortfalls(outcome)


def _shortfalls(outcome: Outcome) -> Iterator[str]:
    """A run in which nothing happened would find nothing, too."""
    for name, hits in outcome.failpoints.items():
        if hits < HITS_MIN:
            yield f"failpoint {name} was hit {hits} times, of at least {HITS_MIN}"
    if not outcome.audits["stood down"]:
        yield "nothing ever stood down"
    if outcome.workflows < outcome.options.workflows:
        yield f"{outcome.workflows} workflows were accepted, of at least {outcome.options.workflows}"
    pause_s = max(PAUSE_MAX_S, STARTS_MAX * outcome.starts_s)
    if outcome.stall_s > pause_s:
        yield f"for {outcome.stall_s:.1f} s nothing came to its end, of at most {pause_s:.1f} s"
    # From the death of a worker to the next hand on its command: the lease, and what may go wrong meanwhile.
    if _percentile(outcome.recoveries_s, 99) > LEASE_S + pause_s:
        yield f"recovery_p99_s is over {LEASE_S + pause_s:.1f} s"


def _progress(outcome: Outcome) -> float:
    return outcome.faulty_per_s / outcome.calm_per_s if outcome.calm_per_s else 0.0


def _percentile(values: list[float], percent: int) -> float:
    if len(values) < 2:
        return sum(values)
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _git() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
