"""The protocol under faults, a few thousand runs at a time. A red seed comes back by its number."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import pytest

from orchestrator.core.events import KINDS
from tests.simulator.mutants import CAUGHT, CAUGHT_BY, SURVIVED, THE_BELL
from tests.simulator.options import FAULTS, derive
from tests.simulator.simulation import Report, run

ROOT = Path(__file__).resolve().parents[2]
BLOCKS, SEEDS = 16, 20
# Most mutants are caught within the first few seeds; what takes several mishaps in a row, one in three hundred.
MUTANT_SEEDS = 2_000
# A fault that never strikes proves nothing.
HITS_MIN = 5


@lru_cache
def block(number: int) -> tuple[Report, ...]:
    return tuple(run(seed) for seed in range(number * SEEDS, (number + 1) * SEEDS))


@pytest.mark.parametrize("number", range(BLOCKS))
def test_no_seed_breaks_a_promise(number: int) -> None:
    broken = [str(report) for report in block(number) if report.violation]
    assert not broken, "\n".join(broken)


def test_it_goes_far_and_every_fault_strikes() -> None:
    reports = [report for number in range(BLOCKS) for report in block(number)]
    hits = sum((report.hits for report in reports), Counter[str]())
    assert sum(report.runs for report in reports) >= 2_000
    assert {fault for fault in FAULTS if hits[fault] < HITS_MIN} == set()
    assert {kind for kind in KINDS if hits[kind] < HITS_MIN} == set()
    assert min(hits["fenced off"], hits["refused"]) >= HITS_MIN
    # A worker was faster than second thoughts, and second thoughts had second thoughts.
    assert min(hits["taken back too late"], hits["approved again"]) >= HITS_MIN


@pytest.mark.parametrize("mutant", CAUGHT)
def test_a_mutant_is_caught(mutant: str) -> None:
    seeds = (CAUGHT_BY.get(mutant, 0), *range(MUTANT_SEEDS))
    found = first_violation(frozenset({mutant}), seeds)
    assert re.search(CAUGHT[mutant], found), found or "it survived every seed"


def test_without_anybody_who_looks_a_lost_ring_is_a_lost_run() -> None:
    assert "never ends" in first_violation(THE_BELL, range(SEEDS))


@pytest.mark.parametrize("mutant", SURVIVED)
def test_a_mutant_is_survived_where_two_things_hold(mutant: str) -> None:
    """Once one of these is caught, the second layer is gone: find out why."""
    assert first_violation(frozenset({mutant}), range(SEEDS)) == ""


def first_violation(mutants: frozenset[str], seeds: Iterable[int]) -> str:
    return next(
        (report.violation for seed in seeds if (report := run(seed, mutants)).violation), ""
    )


def test_a_seed_says_what_it_stands_for() -> None:
    assert derive(7) == derive(7)
    assert "faults=[" in str(derive(7))
    violated = Report(derive(7), 1, 1, 1, 1, Counter(), violation="seed 7: it broke")
    assert "python -m tests.simulator --from 7 --seeds 1 --trace" in str(violated)


@pytest.mark.parametrize("words", [["--seeds", "2", "--from", "4", "--trace"]])
def test_the_same_seed_is_the_same_story_in_every_process(words: list[str]) -> None:
    told = {
        re.sub(r" in [\d.]+ s of CPU: .*;", "", _simulate(words, PYTHONHASHSEED=seed, TZ=zone))
        for seed, zone in (("1", "UTC"), ("2", "Asia/Kathmandu"))
    }
    assert len(told) == 1
    assert "the faults are over" in told.pop()


def test_a_broken_promise_is_a_failure_of_the_command() -> None:
    words = ["--seeds", "3", "--from", "0", "--mutant", "effects are released with the proposal"]
    with pytest.raises(subprocess.CalledProcessError) as failure:
        _simulate(words)
    assert "again: python -m tests.simulator" in failure.value.stdout


def _simulate(words: list[str], **changed: str) -> str:
    command = [sys.executable, "-m", "tests.simulator", *words]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | changed, capture_output=True, text=True, check=True
    )
    return done.stdout
