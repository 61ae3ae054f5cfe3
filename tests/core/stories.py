"""Runs told event by event, as the engine would tell them: each event has its number and its time."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.core import commands as cm
from orchestrator.core import controller
from orchestrator.core import events as ev
from orchestrator.core.codec import Json, canonical
from orchestrator.core.errors import IllegalTransition
from orchestrator.core.plan import read_plan
from orchestrator.core.replay import History, stored_form
from orchestrator.core.state import Moment, RunState, WorkState, to_json

DIGEST = "sha256:" + "ab" * 32
BEGAN_MS = 1_790_000_000_000
BUDGET: dict[str, Json] = {
    "steps": 100,
    "depth": 5,
    "agent_calls": 50,
    "tokens": 100_000,
    "money_micros": 1_000_000,
    "wall_s": 86_400,
    "repeats": 3,
}


def agent(name: str = "", **changes: Any) -> dict[str, Any]:
    """A stage, or without a name what a machine's state runs."""
    config = {"kind": "scripted", "output": {"from": name}}
    stage = {"agent": config, "timeout_seconds": 60, "attempts": 3, **changes}
    return _named(name, stage)


def approval(name: str = "", approvals: int = 1, due_s: int = 3_600, **changes: Any) -> Any:
    asked = {"question": "Shall we?", "approvals": approvals, "due_seconds": due_s}
    return _named(name, {"approval": asked, **changes})


def signal(name: str = "", signal: str = "paid", due_s: int = 3_600, **changes: Any) -> Any:
    return _named(name, {"signal": {"name": signal, "due_seconds": due_s}, **changes})


def child(name: str = "", workflow: str = "other", **changes: Any) -> Any:
    return _named(name, {"workflow": workflow, **changes})


def collect(name: str, stage: str, **changes: Any) -> Any:
    return _named(name, {"collect": stage, **changes})


def publish(name: str = "", topic: str = "news") -> Any:
    return _named(name, {"publish": {"topic": topic}})


def subscribe(name: str = "", topic: str = "news", due_s: int = 3_600, **changes: Any) -> Any:
    return _named(name, {"subscribe": {"topic": topic, "due_seconds": due_s}, **changes})


def _named(name: str, stage: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "optional": False, **stage} if name else stage


def pipeline(*stages: Any, **budget: int) -> dict[str, Any]:
    return {
        "pattern": "pipeline",
        "title": "A pipeline",
        "stages": list(stages),
        "budget": BUDGET | budget,
    }


def machine(states: Mapping[str, Any], initial: str = "", **budget: int) -> dict[str, Any]:
    return {
        "pattern": "machine",
        "title": "A machine",
        "initial": initial or next(iter(states)),
        "states": dict(states),
        "budget": BUDGET | budget,
    }


def supervisor(**changes: Any) -> dict[str, Any]:
    """With two workers that are agents and one that is another workflow."""
    budget = BUDGET | changes.pop("budget", {})
    worker = {"agent": {"kind": "scripted", "name": "w"}, "attempts": 2, "timeout_seconds": 60}
    isolated = {**worker, "agent": {"kind": "function", "name": "f"}, "attempts": 1}
    return {
        "pattern": "supervisor",
        "title": "A supervisor",
        "supervisor": {
            "agent": {"kind": "scripted", "name": "boss"},
            "attempts": 2,
            "timeout_seconds": 60,
        },
        "workers": {
            "find": {**worker, "description": "looks things up"},
            "sum": {**isolated, "description": ""},
            "ask": {"workflow": "other", "description": "asks the other team"},
        },
        "at_once": 2,
        "tasks_at_most": 5,
        "rounds": 3,
        "deadline_seconds": 600,
        "delegations": 2,
        "stops_at": {"tokens": budget["tokens"], "money_micros": budget["money_micros"]},
        "budget": budget,
        **changes,
    }


def consensus(count: int = 3, **changes: Any) -> dict[str, Any]:
    member = {"agent": {"kind": "scripted", "name": "m"}, "attempts": 2, "timeout_seconds": 60}
    return {
        "pattern": "consensus",
        "title": "A consensus",
        "high_stakes": True,
        "reason": "nobody can take it back",
        "members": dict.fromkeys(("ann", "ben", "cem", "dora")[:count], member),
        "quorum": 2,
        "deadline_seconds": 600,
        "judge": {**member, "agent": {"kind": "scripted", "name": "judge"}},
        "rubric": {"facts": "Which answer rests on facts?"},
        "output": {"type": "string"},
        "budget": BUDGET | changes.pop("budget", {}),
        **changes,
    }


def tasks(*named: str, **more: Any) -> dict[str, Any]:
    """A plan: `find:a` gives the task a to the worker find."""
    found = [dict(zip(("worker", "task"), one.split(":"), strict=True)) for one in named]
    return {"tasks": found, "done": False, **more}


def worker(work: dict[str, Any], about: str = "does it") -> dict[str, Any]:
    return {"description": about, **work}


def router(workers: Mapping[str, Any], *rules: Any, **more: Any) -> dict[str, Any]:
    """`rules` are pairs of a condition and the workers it leads to; by default there is no model."""
    named = [
        {"name": f"rule-{number}", "to": list(to), **({"if": guard} if guard else {})}
        for number, (guard, *to) in enumerate(rules, start=1)
    ]
    model = more.pop("model", None)
    asks = {"model": {**agent(), "confidence_at_least": 0.7, **model}} if model is not None else {}
    budget = BUDGET | more.pop("budget", {})
    return {
        "pattern": "router",
        "title": "A router",
        "rules": named,
        "workers": {name: worker(work) for name, work in workers.items()},
        "fallback": "person",
        "on_failure": "fallback",
        "budget": budget,
        **asks,
        **more,
    }


def peer(*, reads: Any = ("facts",), writes: Any = ("facts",), **changes: Any) -> dict[str, Any]:
    memory = {"reads": list(reads), "writes": list(writes), "at_most": 50}
    return agent(**changes) | {"reads": list(reads), "writes": list(writes), "memory": memory}


def mesh(peers: Mapping[str, Any], *, rounds: int = 5, **more: Any) -> dict[str, Any]:
    limits = {"at_once": more.pop("at_once", 4), "failures": more.pop("failures", 2)}
    return {
        "pattern": "mesh",
        "title": "A mesh",
        "peers": dict(peers),
        "result": more.pop("result", {"key": "answer"}),
        "rounds": rounds,
        **limits,
        "budget": BUDGET | more,
    }


def told(key: str, value: Json = 1, *tags: str) -> dict[str, Json]:
    """What an answer wants remembered, as its event says it."""
    found: dict[str, Json] = {"key": key, "value": value, "tags": list(tags or ("facts",))}
    return {"id": f"obs-{key}", "space": "run", "ttl_s": 60, **found}


class Story:
    def __init__(self, definition: Any, intent: Json = None, **started: Any) -> None:
        self.definition = definition
        self.plan = read_plan(definition)
        self.state = RunState()
        self.events: list[ev.Event] = []
        self.times: list[int] = []
        self.commands: dict[int, list[cm.Command]] = {}
        self.now_ms = BEGAN_MS
        values = {"workflow": "main", "version": 1, "definition": "sha256:00"} | started
        self.first = self.tell(
            ev.RunStarted(pattern=self.plan.pattern, intent=intent, by="ada", **values)
        )

    @property
    def seq(self) -> int:
        return len(self.events)

    @property
    def error(self) -> Mapping[str, Any]:
        assert self.state.error is not None
        return self.state.error

    def work(self, name: str) -> WorkState:
        return self.state.works[name]

    def tell(self, event: ev.Event, *, after_s: float = 1) -> list[cm.Command]:
        """What the event asks for. A refused one leaves no trace."""
        at_ms = self.now_ms + int(after_s * 1000)
        moment = Moment(self.seq + 1, at_ms)
        self.state, commands = controller.step(self.state, event, plan=self.plan, moment=moment)
        self.now_ms = at_ms
        self.events.append(event)
        self.times.append(at_ms)
        if commands:
            self.commands[self.seq] = commands
        return commands

    def refuses(self, event: ev.Event, match: str = ".", *, after_s: float = 1) -> None:
        before = canonical(to_json(self.state))
        with pytest.raises(IllegalTransition, match=match):
            self.tell(event, after_s=after_s)
        assert canonical(to_json(self.state)) == before

    def finish(self, work: str, output: Json = None, **values: Any) -> list[cm.Command]:
        return self.tell(finished(work, output, **values))

    def ask(self, work: str, count: int = 1, **values: Any) -> int:
        """Where the asks stand."""
        asks: tuple[dict[str, Json], ...] = tuple(
            {"key": f"k{n}", "tool": "refund", "action": "refund.create", "args": {"n": n}}
            for n in range(1, count + 1)
        )
        values = {"attempt": 1, "memory": {"kept": 1}, "asks": asks} | values
        self.tell(ev.WorkAsked(work=work, **values))
        return self.seq

    def fail(self, work: str, *, retryable: bool = True, **values: Any) -> list[cm.Command]:
        return self.tell(failed(work, retryable=retryable, **values))

    def time_passes(self, seconds: float) -> list[cm.Command]:
        return self.tell(ev.TimeReached(), after_s=seconds)

    def propose(self, work: str, disposition: str = "accept", proposal: str = "p1") -> Any:
        self.tell(received(work, proposal))
        return self.tell(disposed(disposition, proposal))

    def execute(self, proposal: str = "p1") -> list[cm.Command]:
        self.tell(effect_started(proposal))
        return self.tell(
            ev.EffectSucceeded(proposal=proposal, effect=f"e-{proposal}", receipt={"entry": 1})
        )

    def history(self, name: str) -> History:
        return History(
            run=name,
            events=tuple(self.events),
            commands={
                seq: tuple(stored_form(command) for command in said)
                for seq, said in self.commands.items()
            },
            state=canonical(to_json(self.state)),
            times=tuple(self.times),
            definition=canonical(self.definition),
        )


def finished(work: str, output: Json = None, *, attempt: int = 1, **values: Any) -> ev.Event:
    return ev.WorkFinished(work=work, attempt=attempt, output=output, **values)


def failed(work: str, *, attempt: int = 1, retryable: bool = True, **values: Any) -> ev.Event:
    error: dict[str, Json] = {
        "code": "agent-unavailable",
        "who": work,
        "where": "host:1",
        "reason": "no line",
        "retryable": retryable,
    }
    return ev.WorkFailed(work=work, attempt=attempt, error=error, **values)


def asked(work: str, item: str = "i1") -> ev.Event:
    return ev.PersonAsked(work=work, item=item)


def answered(work: str, verdict: str = "approve", *, item: str = "i1", by: str = "rita") -> Any:
    return ev.PersonAnswered(
        work=work, item=item, decision=f"d-{by}", by=by, verdict=verdict, note="looked at it"
    )


def heard(name: str = "paid", data: Json = None) -> ev.Event:
    return ev.SignalReceived(name=name, by="shop", data=data)


def received(work: str, proposal: str = "p1", **values: Any) -> ev.Event:
    return ev.ProposalReceived(
        proposal=proposal,
        action="refund.create",
        digest=DIGEST,
        agent="a",
        agent_version="1",
        model="m",
        work=work,
        **values,
    )


def validation(proposal: str = "p1", *names: str) -> ev.Event:
    return ev.ValidationRequested(
        proposal=proposal, policy_version=2, validators=names or ("tone", "facts"), due_s=60
    )


def validated(name: str, proposal: str = "p1", **values: Any) -> ev.Event:
    return ev.ValidationFinished(
        proposal=proposal,
        validator=name,
        policy_version=2,
        score=0.95,
        verdict="pass",
        reasons=("it is polite",),
        inputs=DIGEST,
        money_micros=1_300,
        took_ms=420,
        **values,
    )


def not_validated(name: str, proposal: str = "p1") -> ev.Event:
    error: dict[str, Json] = {"code": "agent-timed-out", "reason": "no answer within 1 s"}
    return ev.ValidationFailed(proposal=proposal, validator=name, policy_version=2, error=error)


def withdrawn(proposal: str = "p1") -> ev.Event:
    return ev.ProposalWithdrawn(proposal=proposal, reason="rita gave it up: it never works")


def disposed(disposition: str, proposal: str = "p1", approvals_needed: int = 1) -> ev.Event:
    reviewed = disposition in {"escalate", "hold"}
    return ev.ProposalDisposed(
        proposal=proposal,
        disposition=disposition,
        score=0.5,
        policy_version=1,
        rules=({"rule": "r", "version": 1, "result": "pass"},),
        approvals_needed=approvals_needed if reviewed else 0,
        item=f"i-{proposal}" if reviewed else None,
        effect=f"e-{proposal}" if disposition == "accept" else None,
    )


def approved(proposal: str = "p1", by: str = "rita") -> ev.Event:
    return ev.ProposalApproved(
        proposal=proposal,
        item=f"i-{proposal}",
        decision=f"d-{by}",
        by=by,
        digest=DIGEST,
        effect=f"e-{proposal}",
    )


def rejected(proposal: str = "p1") -> ev.Event:
    return ev.ProposalRejected(
        proposal=proposal, item=f"i-{proposal}", decision="d-rita", by="rita", reason="other"
    )


def undone(proposal: str = "p1", by: str = "rita") -> ev.Event:
    return ev.DecisionUndone(proposal=proposal, item=f"i-{proposal}", decision=f"d-{by}", by=by)


def sent_back(proposal: str = "p1") -> ev.Event:
    return ev.RevisionRequested(
        proposal=proposal, item=f"i-{proposal}", decision="d-rita", by="rita", text="Half of it."
    )


def superseded(proposal: str = "p1", by: str = "rita") -> ev.Event:
    return ev.ProposalSuperseded(proposal=proposal, revision="p2", by=by, item=f"i-{proposal}")


def revision(work: str, *, edited_by: str = "") -> ev.Event:
    return replace(received(work, "p2"), revises="p1", edited_by=edited_by)


def roll_back(proposal: str = "p1") -> ev.Event:
    return ev.RollbackRequested(
        proposal=proposal, effect=f"e-{proposal}", by="ada", reason="the wrong customer"
    )


def rolled_back(proposal: str = "p1") -> ev.Event:
    return ev.RollbackDone(proposal=proposal, effect=f"e-{proposal}", receipt={"entry": 2})


def rollback_failed(proposal: str = "p1") -> ev.Event:
    return ev.RollbackFailed(
        proposal=proposal, effect=f"e-{proposal}", error={"code": "effect-refused"}
    )


def rollback_settled(verdict: str, proposal: str = "p1") -> ev.Event:
    return ev.RollbackSettled(
        proposal=proposal,
        effect=f"e-{proposal}",
        item="i-stuck",
        decision="d-stuck",
        by="rita",
        verdict=verdict,
    )


def effect_started(proposal: str = "p1") -> ev.Event:
    return ev.EffectStarted(
        proposal=proposal, effect=f"e-{proposal}", digest=DIGEST, executor="ledger"
    )


def effect_failed(proposal: str = "p1") -> ev.Event:
    return ev.EffectFailed(proposal=proposal, effect=f"e-{proposal}", error={"code": "refused"})


def effect_lost(proposal: str = "p1") -> ev.Event:
    return ev.EffectLost(proposal=proposal, effect=f"e-{proposal}", error={"code": "no-answer"})


def settled(verdict: str, proposal: str = "p1") -> ev.Event:
    return ev.EffectSettled(
        proposal=proposal,
        effect=f"e-{proposal}",
        item="i-lost",
        decision="d-lost",
        by="rita",
        verdict=verdict,
    )
