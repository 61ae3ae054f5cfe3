"""Validators: asked by workers, heard from the log, and never taken for a yes when they say nothing."""

from random import Random
from typing import Any

from orchestrator.core import events as ev
from orchestrator.core.codec import Json, read
from tests.simulator.agents import TIMEOUT_MS
from tests.simulator.engine import Claimed, Engine
from tests.simulator.world import KilledError, World

NAMES = ("tone", "facts")
# Longer than one call may take, and shorter than a worker that comes back again and again.
DUE_S = 8
SHARE = 0.5


def request(proposal: str, chance: Random) -> ev.ValidationRequested:
    names = NAMES[: chance.randint(1, len(NAMES))]
    return ev.ValidationRequested(
        proposal=proposal, policy_version=1, validators=names, due_s=DUE_S
    )


class Validator:
    def __init__(self, world: World, claimed: Claimed) -> None:
        self.world = world
        self.payload = claimed.payload
        place = f"{world.options.seed} {claimed.run} {sorted(claimed.payload.items())!r}"
        self._chance = Random(place)  # noqa: S311  (it has to be repeatable, not secret)
        drawn = self._chance.random()
        self._hangs, self._kills, self._fails = drawn < 0.1, drawn > 0.9, 0.1 <= drawn < 0.4

    def takes_ms(self) -> float:
        if self._hangs and self.world.strikes("agents hang", 1):
            return 4 * TIMEOUT_MS
        return self._chance.choice([2.0, self._chance.expovariate(1 / 80), 1_500.0])

    def answer(self) -> ev.Event:
        if self._kills and self.world.strikes("agents kill their worker", 1):
            raise KilledError
        if self._fails and self.world.strikes("validators fail", 1):
            return failed(self.payload, "away")
        verdict = self._chance.choice(["pass", "pass", "pass", "fail"])
        return ev.ValidationFinished(score=0.95, verdict=verdict, **_names(self.payload))


def failed(payload: dict[str, Any], code: str) -> ev.ValidationFailed:
    error: dict[str, Json] = {"code": code, "reason": code, "retryable": False}
    return ev.ValidationFailed(error=error, **_names(payload))


def is_in_doubt(engine: Engine, run: str, proposal: str) -> bool:
    """Whether anybody said no, or nothing."""
    asked = engine.state_of(run).proposals[proposal].validations
    said = [engine.tables.events[run, seq] for seq in asked.values()]
    answers = [(line.kind, read(line.payload)) for line in said]
    if engine.is_mutant("silence of a validator is taken for a yes"):
        answers = [one for one in answers if one[0] == "validation_finished"]
    return not all(isinstance(data, dict) and data.get("verdict") == "pass" for _, data in answers)


def _names(payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "proposal": payload["proposal"],
        "validator": payload["validator"],
        "policy_version": payload["policy"],
    }
