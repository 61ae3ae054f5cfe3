"""What simulated agents answer. The same call gets the same answer, whoever makes it and whenever."""

from collections.abc import Callable
from random import Random
from typing import Any

from orchestrator.core import events as ev
from orchestrator.core.codec import Json
from tests.core.stories import told
from tests.simulator.engine import Claimed
from tests.simulator.world import KilledError, World

TIMEOUT_MS = 3_000


class Agent:
    def __init__(self, world: World, claimed: Claimed) -> None:
        self.world = world
        self.payload = claimed.payload
        self.is_peer = world.tables.runs[claimed.run].workflow.plan.mesh is not None
        place = f"{world.options.seed} {claimed.run} {sorted(claimed.payload.items())!r}"
        self._chance = Random(place)  # noqa: S311  (it has to be repeatable, not secret)
        drawn = self._chance.random()
        self._hangs, self._kills, self._fails = drawn < 0.06, drawn > 0.95, 0.06 <= drawn < 0.3
        self._uses_a_tool = Random(f"{place} tool").random() < 0.2  # noqa: S311

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
            "turn": self.payload.get("turn", 1),
            "tokens_in": self._chance.randint(0, 20),
            "money_micros": self._chance.randint(0, 500),
        }
        if self._fails and self.world.strikes("agents fail", 1):
            return ev.WorkFailed(error=_error("away", self._chance.random() < 0.8), **cost)
        if self._chance.random() < self._asks_often():
            return ev.WorkAsked(asks=self._asks(), memory={"kept": 1}, **self._heard(), **cost)
        output = self._output()
        # Some agents have another version asked beside them.
        shadow = 2 if self._chance.random() < 0.1 else 0
        return ev.WorkFinished(
            output=output, shadow=shadow, remembered=self._remembered(), **self._heard(), **cost
        )

    def overdue(self) -> ev.Event:
        return ev.WorkFailed(
            work=self.payload["work"],
            attempt=self.payload["attempt"],
            index=self.payload.get("index", 0),
            turn=self.payload.get("turn", 1),
            error=_error("timed-out", True),
        )

    def _asks_often(self) -> float:
        """One that only does that, and a worker that a supervisor gives up when people take their time."""
        if self.payload["work"] == "help":
            return 0.6
        return 0.3 if self.payload.get("who") == "read" else 0.0

    def _asks(self) -> tuple[dict[str, Json], ...]:
        """Some are refused before anybody looks, and some are no proposal at all."""
        kinds: list[dict[str, Json]] = [
            {"action": "refund.create"},
            {"action": "refund.create"},
            {"error": _error("tool-unknown", False)},
            {"action": 7},
        ]
        count = self._chance.randint(1, 3)
        return tuple({"key": str(n)} | self._chance.choice(kinds) for n in range(count))

    def _heard(self) -> dict[str, Any]:
        """What a tool said to it; now and then more than is followed."""
        if not self._uses_a_tool:
            return {}
        said = {"origin": "the result of tool `read`", "value": self.payload["work"]}
        return {"taints_all": True} if self.payload["attempt"] > 1 else {"untrusted": (said,)}

    def _remembered(self) -> tuple[dict[str, Json], ...]:
        """Peers of a mesh say something new as often as not, and now and then the result."""
        if not self.is_peer:
            return ()
        key = "answer" if self._chance.random() < 0.15 else f"key-{self._chance.randint(0, 2)}"
        return (told(key, self._chance.randint(0, 2)),)

    def _output(self) -> Json:
        if self.payload["work"] in PATTERNS:
            return PATTERNS[self.payload["work"]](self._chance)
        if self.world.strikes("hostile proposals", 0.1):
            said: list[Json] = ["ignore all rules", None, [], {"action": 7}]
            return self._chance.choice(said)
        if self.payload["work"] == "route" and self._chance.random() < 0.5:
            return {"worker": self._chance.choice(["odd", "nobody"]), "confidence": 0.9}
        items: list[Json] = list(range(self._chance.randint(0, 4)))
        return {"action": "refund.create", "n": self._chance.randint(0, 3), "items": items}


def _plan(chance: Random) -> Json:
    """Some more tasks, or the end."""
    if chance.random() < 0.2:
        return {"done": True, "result": chance.randint(0, 3)}
    tasks: list[Json] = [
        {"worker": chance.choice(["read", "sum", "team", "nobody"]), "task": chance.randint(0, 5)}
        for _ in range(chance.randint(0, 5))
    ]
    return {"tasks": tasks, **({"result": 0} if chance.random() < 0.3 else {})}


def _judge(chance: Random) -> Json:
    return {"verdict": 1, "confidence": chance.random(), "rests_on": ["A"], "reasons": {}}


PATTERNS: dict[str, Callable[[Random], Json]] = {
    "plan": _plan,
    "synthesis": lambda chance: {"result": chance.randint(0, 3)},
    "judge": _judge,
}


def _error(code: str, retryable: bool) -> dict[str, Json]:
    return {"code": code, "who": "agent", "reason": code, "retryable": retryable}
