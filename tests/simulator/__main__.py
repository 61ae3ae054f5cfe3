"""Long runs, and single seeds with their trace: python -m tests.simulator --seeds 1000 --from 0"""

import argparse
import sys
import time

from tests.simulator.simulation import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--trace", action="store_true", help="print what happened, step by step")
    parser.add_argument("--mutant", action="append", default=[], help="take one line out")
    asked = parser.parse_args()
    began, steps, runs, violations = time.process_time(), 0, 0, 0
    for seed in range(asked.first, asked.first + asked.seeds):
        report = run(seed, frozenset(asked.mutant), traced=asked.trace)
        steps, runs = steps + report.steps, runs + report.runs
        if asked.trace:
            _say("\n".join(report.trace))
            _say(report.options)
        if report.violation:
            violations += 1
            _say(report)
    took = time.process_time() - began
    _say(
        f"{asked.seeds} seeds, {runs} runs, {steps} steps in {took:.1f} s of CPU: "
        f"{asked.seeds / took:.1f} seeds/s, {runs / took:.0f} runs/s, {steps / took:.0f} steps/s; "
        f"{violations} violations"
    )
    return 1 if violations else 0


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")


if __name__ == "__main__":
    sys.exit(main())
