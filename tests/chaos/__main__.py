"""`make chaos`: run the product while everything around it breaks, and check every promise afterwards.

After the real run come runs with a fault in the product itself, which the checks have to find.
Writes var/chaos-report.json. Never run again to make it green: a run that failed once found something.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.chaos import harness, report
from tests.chaos.mutants import FOUND_BY, ROUNDS
from tests.chaos.options import Options, read_options
from tests.chaos.site import ROOT


def main() -> int:
    options = read_options(sys.argv[1:])
    outcome = harness.run(options, say)
    described = report.describe(outcome)
    if options.mutants:
        print(json.dumps(described))
        shutil.rmtree(outcome.folder, ignore_errors=True)
        return 0
    described["mutants"] = [found for names in ROUNDS for found in run_mutants(names, options)]
    described["violations"] += [
        f"the mutant {mutant['name']} was not found"
        for mutant in described["mutants"]
        if not mutant["caught"]
    ]
    for line in report.lines(described):
        print(line)
    return conclude(described, outcome.folder)


def run_mutants(names: Sequence[str], options: Options) -> Iterator[dict[str, Any]]:
    """In a process of its own, with a short rain of faults."""
    say(f"the product as {' and '.join(names)}: the checks have to find it")
    words = [word for name in names for word in ("--mutant", name)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", *words],
        cwd=ROOT,
        env={**os.environ, "SEED": str(options.seed), "SECONDS": "", "RECORD": "", "WORKFLOWS": ""},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    described = json.loads(done.stdout.splitlines()[-1])
    for name in names:
        count = described["checks"][FOUND_BY[name]]
        yield {"name": name, "caught": count > 0, "found": count, "by": FOUND_BY[name]}


def conclude(described: dict[str, Any], folder: str) -> int:
    target = ROOT / "var" / "chaos-report.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(described, indent=2) + "\n")
    print(f"\nwritten to {target}")
    if described["violations"]:
        print(f"RED: {len(described['violations'])} violations. Everything is kept in {folder}.")
        return 1
    shutil.rmtree(Path(folder), ignore_errors=True)
    print("GREEN: nothing was lost, nothing was done twice.")
    return 0


def say(line: str) -> None:
    """Not on standard output, which a mutant's report goes to."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
