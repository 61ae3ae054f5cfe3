"""Plans as Hypothesis draws them: short, and with every kind of stage and every kind of way."""

from typing import Any

from hypothesis import strategies as st

from tests.core.stories import agent, approval, child, machine, pipeline, signal

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
    )


def _stage(name: str) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda stage, optional: {**stage, "optional": optional}, _runs(name), st.booleans()
    )


PIPELINES = st.builds(
    lambda count, stages, budget: pipeline(*stages[:count], **budget),
    st.integers(1, 3),
    st.tuples(*map(_stage, NAMES)),
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
