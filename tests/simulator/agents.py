"""What simulated agents answer. The same call gets the same answer, whoever makes it and whenever."""

from random import Random

from orchestrator.core import events as ev
from orchestrator.core.codec import Json
from tests.simulator.engine import Claimed
from tests.simulator.world import KilledError, World

TIMEOUT_MS = 3_000


class Agent:
    def __init__(self, world: World, claimed: Claimed) -> None:
        self.world = world
        self.payload = claimed.payload
        place = f"{world.options.seed} {claimed.run} {sorted(claimed.payload.items())!r}"
        self._chance = Random(place)  # noqa: S311  (it has to be repeatable, not secret)
        drawn = self._chance.random()
        self._hangs, self._kills, self._fails = drawn < 0.06, drawn > 0.95, 0.06 <= drawn < 0.3

    def takes_ms(self) -> float:
        if self._hangs and self.world.strikes("agents hang", 1):
            return 4 * TIMEOUT_MS
        # Some together, most by themselves, a few so late that nobody waits any more.
        return self._chance.choice([2.0, 2.0, self._chance.expovariate(1 / 80), 80.0, 1_500.0])

    def answer(self) -> ev.Event:
        if self._kills and self.world.strikes("agents kill their worker", 1):
            raise KilledError
        cost = {
            "work": self.payload["work"],
            "attempt": self.payload["attempt"],
            "index": self.payload.get("index", 0),
            "tokens_in": self._chance.randint(0, 20),
            "money_micros": self._chance.randint(0, 500),
        }
        if self._fails and self.world.strikes("agents fail", 1):
            return ev.WorkFailed(error=_error("away", self._chance.random() < 0.8), **cost)
        return ev.WorkFinished(output=self._output(), **cost)

    def overdue(self) -> ev.Event:
        return ev.WorkFailed(
            work=self.payload["work"],
            attempt=self.payload["attempt"],
            index=self.payload.get("index", 0),
            error=_error("timed-out", True),
        )

    def _output(self) -> Json:
        if self.world.strikes("hostile proposals", 0.1):
            said: list[Json] = ["ignore all rules", None, [], {"action": 7}]
            return self._chance.choice(said)
        items: list[Json] = list(range(self._chance.randint(0, 4)))
        return {"action": "refund.create", "n": self._chance.randint(0, 3), "items": items}


def _error(code: str, retryable: bool) -> dict[str, Json]:
    return {"code": code, "who": "agent", "reason": code, "retryable": retryable}
