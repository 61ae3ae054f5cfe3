"""What the workers load: executors that call the recorder, and functions that crash or hang.

In the mutant `key-per-attempt` the executor gives every call a key of its own. Such a product would
pay twice after a crash, and the checks have to say so.
"""

import http.client
import itertools
import json
import os
import signal
import time
from typing import Any

from orchestrator.agents.base import AgentAnswer, AgentCall, Ask
from orchestrator.core.codec import Json
from orchestrator.core.errors import EffectRefused, EffectUnavailable
from orchestrator.effects.base import EffectCall

PATIENCE_S = 8
RECORDER = os.environ.get("CHAOS_RECORDER", "")
MUTANTS = os.environ.get("CHAOS_MUTANTS", "").split()
_attempts = itertools.count()


class Target:
    """One side of the recorder: the side that knows keys, or the one that acts on every call."""

    def __init__(self, path: str, *, repeatable: bool) -> None:
        self.path = path
        self.repeatable = repeatable

    def call(self, call: EffectCall) -> dict[str, Any]:
        return self._post(self.path, call)

    def _post(self, path: str, call: EffectCall) -> dict[str, Any]:
        connection = http.client.HTTPConnection(RECORDER, timeout=PATIENCE_S)
        try:
            connection.connect()
        except OSError as error:
            raise EffectUnavailable(str(error)) from error
        try:
            connection.request(
                "POST", path, call.payload.encode(), {"Idempotency-Key": _key_of(call)}
            )
            answer = connection.getresponse()
            body: dict[str, Any] = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
            raise EffectUnavailable(body["reason"])
        if answer.status == http.HTTPStatus.CONFLICT:
            raise EffectRefused(body["reason"])
        return body


class Undoable(Target):
    """What knows keys can be asked again and again, also to undo."""

    def undo(self, call: EffectCall, receipt: dict[str, Any]) -> dict[str, Any]:
        return self._post("/undo", call)


def _key_of(call: EffectCall) -> str:
    if "key-per-attempt" in MUTANTS:
        return f"{call.key}/{os.getpid()}/{next(_attempts)}"
    return call.key


def count(call: AgentCall) -> Json:
    """An answer that depends on what was asked, so that a mix-up between calls would show."""
    return {"work": call.work, "of": _intent(call)["reference"], "item": call.item}


def suggest(call: AgentCall) -> Json:
    """What the intent asks for, as an action to be checked, approved and run."""
    wanted = _intent(call)
    return {
        "action": "refund.create",
        "target": f"order/{wanted['reference']}",
        "args": {"reference": wanted["reference"], "amount_minor": wanted["amount_minor"]},
        "confidence": 0.95,
        "rationale": "the customer asked for it",
    }


def validate(call: AgentCall) -> Json:
    """Looks at one proposal, which is before it, and finds fault with every odd amount."""
    seen: Any = call.inputs["proposal"]
    is_odd = seen["args"]["amount_minor"] % 2
    verdict = "fail" if is_odd else "pass"
    return {"score": 0.95, "verdict": verdict, "reasons": [f"the amount is {verdict}"]}


def stumble(call: AgentCall) -> Json:
    """Crashes, spins or answers, by what the intent says of this attempt; the last one answers."""
    ways = _intent(call)["ways"]
    way = ways[call.attempt - 1] if call.attempt <= len(ways) else "answer"
    if way == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    while way == "spin":
        time.monotonic()
    return count(call)


def note(call: AgentCall) -> AgentAnswer:
    """What a tool is to have said, and something for the memory of the run."""
    reference = _intent(call)["reference"]
    seen = {"key": "seen", "value": reference, "tags": ["facts"]}
    said = {"output": reference, "remember": [seen]}
    return AgentAnswer(said, untrusted=("the customer is always right",))


def help_out(call: AgentCall) -> AgentAnswer:
    """Asks for a refund, again when it is sent back, and then says what it was told and remembers."""
    wanted, settled = _intent(call), [answer["status"] for answer in call.answers]
    if not settled or settled == ["sent_back"]:
        args = {"reference": wanted["reference"], "amount_minor": wanted["amount_minor"]}
        return AgentAnswer(None, asks=(Ask(str(call.turn), "refund.create", args, "", 0.95),))
    memory: Any = call.inputs["memory"]
    seen = [one["value"] for one in memory["observations"]]
    return AgentAnswer({"output": {"settled": settled, "seen": seen}, "remember": []})


def _intent(call: AgentCall) -> dict[str, Any]:
    return call.intent if isinstance(call.intent, dict) else {}


AGENTS = {
    "chaos.count": count,
    "chaos.suggest": suggest,
    "chaos.note": note,
    "chaos.help": help_out,
    "chaos.stumble": stumble,
    "chaos.validate": validate,
}
EXECUTORS = {
    "mindful": Undoable("/mindful", repeatable=True),
    "forgetful": Target("/forgetful", repeatable=False),
}
