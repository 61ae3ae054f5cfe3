"""What can be chosen for a run: by name in the environment, as `make chaos SECONDS=60 SEED=7`."""

import argparse
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.mutants import FOUND_BY

# Fewer workflows than this within the time, and the run proved too little to be green.
WORKFLOWS_PER_S = 3


@dataclass(frozen=True, kw_only=True)
class Options:
    seed: int
    # How long faults rain on the load. The servers' start, the calm after it and the checks come on top.
    seconds: float
    # The load goes on until this many were accepted, however long that takes.
    workflows: int
    # Faults that the harness puts into the product itself, to see that the checks would find them.
    mutants: tuple[str, ...] = ()

    @property
    def faults(self) -> int:
        """A record is worth as much as what it went through."""
        return 0 if self.seconds else self.workflows // 5

    @property
    def wipes(self) -> int:
        return 0 if self.seconds else self.workflows // 100


def read_options(words: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--mutant", action="append", choices=FOUND_BY, default=[])
    mutants = tuple(parser.parse_args(words).mutant)
    seed = _number("SEED", secrets.randbelow(1_000_000))
    if record := _number("RECORD", 0):
        return Options(seed=seed, seconds=0, workflows=record, mutants=mutants)
    seconds = _number("SECONDS", 25 if mutants else 200)
    wanted = 0 if mutants else int(seconds * WORKFLOWS_PER_S)
    return Options(
        seed=seed, seconds=seconds, workflows=_number("WORKFLOWS", wanted), mutants=mutants
    )


def _number(name: str, default: int) -> int:
    return int(os.environ.get(name) or default)
