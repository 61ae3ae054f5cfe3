"""Plans as Hypothesis draws them: short, and with every kind of stage and every kind of way."""

from typing import Any

from hypothesis import strategies as st

from tests.core.stories import (
    agent,
    approval,
    child,
    collect,
    consensus,
    machine,
    pipeline,
    publish,
    router,
    signal,
    subscribe,
    supervisor,
)

NAMES = ["a", "b", "c"]
SIGNALS = ["paid", "stop"]
GUARDS = ["event == 1", "data.a == event", "size(data) > 2", "data.nothing"]
AGENTS = st.fixed_dictionaries(
    {"attempts": st.integers(1, 3)},
    optional={
        "proposes": st.just(True),
        "for_each": st.sampled_from(["", "/items"]),
        "at_most": st.integers(1, 3),
    },
).map(lambda drawn: {**drawn, "for_each": None} if drawn.get("proposes") else drawn)
BUDGETS = st.fixed_dictionaries(
    {},
    optional={
        "steps": st.integers(1, 8),
        "agent_calls": st.integers(1, 8),
        "tokens": st.integers(1, 30),
        "money_micros": st.integers(1, 30),
        "wall_s": st.integers(1, 100),
        "repeats": st.integers(1, 3),
        "turns": st.integers(1, 4),
    },
)


def _runs(name: str = "") -> st.SearchStrategy[Any]:
    due = st.integers(1, 30)
    return st.one_of(
        AGENTS.map(lambda drawn: agent(name, **drawn)),
        st.builds(lambda needed, due_s: approval(name, needed, due_s), st.integers(1, 2), due),
        st.builds(
            lambda signalled, due_s: signal(name, signalled, due_s), st.sampled_from(SIGNALS), due
        ),
        st.just(child(name)),
        st.just(publish(name)),
        st.builds(lambda due_s: subscribe(name, due_s=due_s), due),
    )


def _stage(name: str) -> st.SearchStrategy[Any]:
    meanwhile = st.just(child(name, wait=False))
    collecting = st.sampled_from(NAMES).map(lambda started: collect(name, started))
    return st.builds(
        lambda stage, optional: {**stage, "optional": optional},
        st.one_of(_runs(name), _runs(name), meanwhile, collecting),
        st.booleans(),
    )


PIPELINES = st.builds(
    lambda count, stages, budget: pipeline(*stages[:count], **budget),
    st.integers(1, 3),
    st.tuples(*map(_stage, NAMES)),
    BUDGETS,
)

POOLS = st.builds(
    lambda at_once, rounds, tokens, budget: supervisor(
        at_once=at_once,
        rounds=rounds,
        stops_at={"tokens": tokens, "money_micros": 0},
        deadline_seconds=30,
        budget=budget,
    ),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from([0, 8]),
    BUDGETS,
)
COUNCILS = st.builds(
    lambda quorum, budget: consensus(3, quorum=quorum, deadline_seconds=30, budget=budget),
    st.integers(2, 3),
    BUDGETS,
)

_TO = st.sampled_from([*NAMES, "good", "bad"])
_WAYS = st.builds(
    lambda guarded, last: [*guarded, {"to": last}],
    st.lists(st.fixed_dictionaries({"if": st.sampled_from(GUARDS), "to": _TO}), max_size=1),
    _TO,
)
_STATE = st.fixed_dictionaries(
    {
        "on": st.fixed_dictionaries(
            {"done": _WAYS, "failed": _WAYS}, optional=dict.fromkeys(SIGNALS, _WAYS)
        )
    },
    optional={
        "run": _runs(),
        "after": st.fixed_dictionaries({"seconds": st.integers(1, 30), "to": _TO}),
    },
)
MACHINES = st.builds(
    lambda states, budget: machine(
        {
            **dict(zip(NAMES, states, strict=True)),
            "good": {"end": "completed"},
            "bad": {"end": "failed"},
        },
        **budget,
    ),
    st.tuples(_STATE, _STATE, _STATE),
    BUDGETS,
)

_WORKER = st.one_of(
    st.builds(agent, attempts=st.integers(1, 3), proposes=st.booleans()),
    st.builds(lambda due_s: approval(due_s=due_s), st.integers(1, 30)),
    st.just(child()),
)
_ROUTE_GUARDS = st.sampled_from(["intent == 1", "size(intent.items) > 1", "intent.nothing", ""])
_ROUTES = st.lists(
    st.builds(
        lambda guard, to: (guard, *to),
        _ROUTE_GUARDS,
        st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True),
    ),
    max_size=3,
)
ROUTERS = st.builds(
    lambda works, rules, model, on_failure, fallback, budget: router(
        dict(zip(NAMES, works, strict=True)),
        *rules,
        model=model,
        on_failure=on_failure,
        fallback=fallback,
        budget=budget,
    ),
    st.tuples(_WORKER, _WORKER, _WORKER),
    _ROUTES,
    st.sampled_from([None, {}, {"attempts": 1, "confidence_at_least": 0.5}]),
    st.sampled_from(["fallback", "fail"]),
    st.sampled_from(NAMES),
    BUDGETS,
)
