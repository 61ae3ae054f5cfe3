"""One chaos run from an empty folder to a verdict."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import checks, claims, holds, mutants
from tests.chaos.audit_checks import count_audits
from tests.chaos.backtest_checks import count_backtests
from tests.chaos.change_checks import count_changes
from tests.chaos.clients import Client, Load, Told
from tests.chaos.event_checks import count_events
from tests.chaos.evidence import Evidence
from tests.chaos.gauge import Gauge
from tests.chaos.nemesis import Nemesis
from tests.chaos.options import Options
from tests.chaos.queue_checks import count_queue
from tests.chaos.recorder import Recorder
from tests.chaos.site import EDITOR_PROGRAM, LEASE_S, RESTORER_PROGRAM, ROOT, WITH_DJANGO, Site
from tests.chaos.steering import LOOK_EVERY_S, Steering
from tests.chaos.workload import requests

CLIENTS = 6
CALM_WITHIN_S = 60
CALIBRATION_S = 15
# The load rises before it is measured, and the first calls compile what later ones reuse.
WARM_UP_S = 5
LOOP_S = 0.05
RECORD_WITHIN_S = 80 * 60
# Over which a record gives each failpoint its hits, again and again.
RECORD_ROUND_S = 120.0


@dataclass
class Outcome:
    """Everything that a report says."""

    options: Options
    workflows: int = 0
    # Until everything was up for the first time.
    starts_s: float = 0.0
    calm_per_s: float = 0.0
    faulty_per_s: float = 0.0
    faulty_s: float = 0.0
    calm_after_s: float = 0.0
    recoveries_s: list[float] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    failpoints: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    effects: dict[str, int] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    decisions: dict[str, int] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    backtests: dict[str, int] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)
    queue: dict[str, int] = field(default_factory=dict)
    audits: dict[str, int] = field(default_factory=dict)
    stall_s: float = 0.0
    restarts: int = 0
    found: dict[str, list[str]] = field(default_factory=dict)
    folder: str = ""


class Harness:
    """Everything happens in the thread that made it: children end with the thread that started them."""

    def __init__(self, options: Options, folder: Path, say: Callable[[str], None]) -> None:
        self.options = options
        self.say = say
        self.recorder = Recorder(options.seed, LEASE_S)
        self.site = Site(folder, recorder=self.recorder.address, mutants=options.mutants)
        self.gauge = Gauge(self.site)
        self.nemesis = Nemesis(self.site, options.seed)
        self.outcome = Outcome(options, folder=str(folder))
        self.told = Told()
        self.steering = Steering(
            self.site.failpoints, self.site.hits, options.seed, options.seconds or RECORD_ROUND_S
        )

    def run(self) -> Outcome:
        self.recorder.start()
        self.steering.rest()
        self.say("starting PostgreSQL, Valkey, web, workers, sweepers and reviewers")
        self.site.start_servers()
        token = self._cast()
        began = time.monotonic()
        self.site.start_crew()
        self.outcome.starts_s = time.monotonic() - began
        load = Load(
            requests(self.options.seed, mutants.mix_for(self.options.mutants)),
            Client(self.site.ports, token, self.told),
            self.gauge.has_room,
            CLIENTS,
        )
        load.start()
        self._measure_calm()
        self._rage(load)
        self._calm_down(load)
        self._judge()
        return self.outcome

    def stop(self) -> None:
        self.gauge.close()
        self.site.crew.kill()
        self.site.stop()
        self.recorder.stop()

    def _cast(self) -> str:
        with self.site.connect() as connection:
            claims.install(connection)
            holds.install(connection)
            mutants.install(connection, self.options.mutants)
        command = [sys.executable, *WITH_DJANGO, "tests.chaos.cast"]
        return subprocess.run(
            command,
            cwd=ROOT,
            env=self.site.environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout.strip()

    def _measure_calm(self) -> None:
        """The pace without faults, to compare with: the machine decides what is fast today."""
        self._loop(WARM_UP_S)
        if self.options.mutants:
            return
        self.outcome.calm_per_s = self._pace(lambda: self._loop(CALIBRATION_S))
        self.say(f"without faults: {self.outcome.calm_per_s:.1f} workflows/s")

    def _rage(self, load: Load) -> None:
        self.say(f"faults on, seed {self.options.seed}")
        began = time.monotonic()
        next_look = began

        def strike() -> None:
            nonlocal next_look
            self.nemesis.tick()
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + LOOK_EVERY_S
                self.steering.steer(time.monotonic() - began)

        self.gauge.stall_s = 0.0
        self.outcome.faulty_per_s = self._pace(lambda: self._loop_until(self._is_enough, strike))
        self.outcome.faulty_s = time.monotonic() - began
        self.outcome.stall_s = self.gauge.stall_s
        self.nemesis.rest()
        self.steering.rest()
        self.recorder.is_calm = True
        self.site.crew.dismiss(EDITOR_PROGRAM)
        self.site.crew.dismiss(RESTORER_PROGRAM)
        load.stop()
        self.say(f"faults off: {self.outcome.faulty_per_s:.1f} workflows/s under them")

    def _is_enough(self, elapsed_s: float) -> bool:
        enough = len(self.told.accepted) >= self.options.workflows
        if self.options.seconds:
            return elapsed_s >= self.options.seconds and (enough or elapsed_s > self._patience_s)
        counts = self.nemesis.counts
        hits = sum(counts.values()) + len(self.steering.hits())
        is_hit = hits >= self.options.faults and counts["doorbell-wiped"] >= self.options.wipes
        return (enough and is_hit) or elapsed_s > RECORD_WITHIN_S

    @property
    def _patience_s(self) -> float:
        return self.options.seconds * 1.25

    def _calm_down(self, load: Load) -> None:
        """Faults are over: whatever was accepted has this long to come to its end."""
        began = time.monotonic()

        def is_quiet(elapsed_s: float) -> bool:
            return elapsed_s > CALM_WITHIN_S or (
                load.is_over and elapsed_s > LEASE_S + 3 and self.gauge.open == 0
            )

        self._loop_until(is_quiet)
        self.outcome.calm_after_s = time.monotonic() - began
        self.say(f"everything came to rest after {self.outcome.calm_after_s:.1f} s; checking")

    def _judge(self) -> None:
        self.site.crew.stop()
        stubborn = self.site.crew.kill()
        orphans = self.site.crew.orphans()
        with self.site.connect() as connection:
            evidence = Evidence(
                connection,
                self.told,
                self.recorder.happened,
                self.recorder.contradictions,
                self.recorder.heard,
                self.site.decisions,
                self.site.asked,
                self.site.environment,
            )
            self.outcome.found = checks.check_all(evidence)
            self.outcome.ends = dict(evidence.rows(checks.ENDS))
            self.outcome.events = count_events(evidence)
            self.outcome.backtests = count_backtests(evidence)
            self.outcome.changes = count_changes(evidence)
            self.outcome.queue = count_queue(evidence)
            self.outcome.audits = count_audits(evidence)
            self.outcome.recoveries_s = claims.recoveries_s(connection, self._deaths())
        self.outcome.found["processes"] = [
            *(f"{name} did not stop when asked to" for name in stubborn),
            *(f"process {pid} outlived its worker" for pid in orphans),
        ]
        self._count()

    def _deaths(self) -> list[claims.Death]:
        killed = [hit for hit in self.steering.hits() if hit.action == "kill"]
        by_hand = [
            claims.Death(pid, fault.at) for fault in self.nemesis.struck for pid in fault.pids
        ]
        return [*by_hand, *(claims.Death(hit.pid, hit.at) for hit in killed)]

    def _count(self) -> None:
        hits = [hit.name for hit in self.steering.hits()]
        happened = self.recorder.happened.values()
        self.outcome.workflows = len(self.told.accepted)
        self.outcome.faults = dict(sorted(self.nemesis.counts.items()))
        self.outcome.failpoints = {name: hits.count(name) for name in self.steering.names}
        self.outcome.answers = dict(sorted(self.told.answers.items()))
        self.outcome.decisions = checks.count_decisions(self.site.decisions)
        self.outcome.restarts = self.site.crew.starts
        self.outcome.effects = {
            "executed": sum(one.executions for one in happened if not one.undoes),
            "undone": sum(one.executions for one in happened if one.undoes),
            "calls": sum(one.calls for one in happened),
        }

    def _pace(self, work: Callable[[], None]) -> float:
        before, began = self.gauge.ended, time.monotonic()
        work()
        return (self.gauge.ended - before) / (time.monotonic() - began)

    def _loop(self, seconds: float) -> None:
        self._loop_until(lambda elapsed_s: elapsed_s >= seconds)

    def _loop_until(
        self, is_over: Callable[[float], bool], also: Callable[[], None] = lambda: None
    ) -> None:
        began = time.monotonic()
        while not is_over(time.monotonic() - began):
            self.site.tend()
            self.gauge.tick()
            also()
            time.sleep(LOOP_S)


def run(options: Options, say: Callable[[str], None]) -> Outcome:
    folder = Path(tempfile.mkdtemp(prefix="countersign-chaos-"))
    harness = Harness(options, folder, say)
    try:
        return harness.run()
    finally:
        harness.stop()
