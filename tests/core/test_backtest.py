"""Asking, classifying and adding up, without a database."""

from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.policy import evaluation
from orchestrator.core.policy.backtest import (
    Cell,
    Counts,
    Effects,
    Tally,
    classify,
    find,
    note_reason,
)
from orchestrator.core.policy.evaluation import Bands
from orchestrator.core.policy.guardrails import Check, Rule
from orchestrator.core.policy.panel import Panel, Recorded, hidden_names, reason_of
from orchestrator.core.policy.queue_load import Objection, elsewhere, people

EFFECTS = ("block", "hold", "two_person", "flag")
RESULTS = ("pass", "fail", "error")
INPUTS: dict[str, Any] = {
    "proposal": {
        "action": "refund.create",
        "args": {"amount_minor": 500, "card": "(masked)", "lines": [{"iban": "(masked)"}]},
        "rationale": "the card (masked) was charged",
    },
    "agent": {"name": "refund-agent"},
    "run": {"workflow": "default"},
    "context": {},
    "history": {"limit": {"spent": 1}},
    "now": datetime(2026, 1, 2, tzinfo=UTC),
}


def rule(condition: str, **changes: Any) -> Rule:
    wording = {"version_id": 1, "slug": "limit", "number": 1, "effect": "hold", "message": ""}
    return Rule(condition=condition, **(wording | changes))


def ask(asked: Rule, **recorded: Any) -> tuple[str, str]:
    said = Panel([asked]).ask(Recorded(INPUTS, **recorded), frozenset([asked.version_id]))
    return said[asked.version_id]


def test_many_versions_are_asked_at_once() -> None:
    rules = [rule(f"proposal.args.amount_minor <= {n * 100}", version_id=n) for n in range(1, 10)]
    said = Panel(rules).ask(Recorded(INPUTS), frozenset(range(1, 8)))
    assert [said[n].result for n in range(1, 8)] == ["fail"] * 4 + ["pass"] * 3
    assert 8 not in said


def test_only_those_in_scope_are_asked() -> None:
    panel = Panel(
        [
            rule("true", version_id=1, actions=("refund.*",)),
            rule("true", version_id=2, actions=("mail.send",), workflows=("x",)),
            rule("true", version_id=3, tiers=("high",)),
        ]
    )
    facts = {"agent": "a", "workflow": "default", "tier": "normal"}
    assert panel.asked(action="refund.create", **facts) == {1}
    assert panel.asked(action="refund.create", **facts | {"tier": "high"}) == {1, 3}
    assert panel.asked(action="mail.send", **facts | {"workflow": "x"}) == {2}
    assert panel.wants(action="anything", agent="a")
    assert not Panel(panel.rules[:2]).wants(action="other", agent="a")


def test_what_is_absent_cannot_be_evaluated() -> None:
    result, reason = ask(rule("context.risk < 5"))
    assert result == "error"
    assert "risk" in reason


@pytest.mark.parametrize(
    ("condition", "unseen"),
    [
        ("proposal.args.card.startsWith('4')", "card"),
        ("has(proposal.args.card)", "card"),
        ("proposal.args['card'] == '4'", "card"),
        ("proposal.args.lines.all(line, line.iban != '')", "iban"),
        ("proposal.rationale.contains('charged')", "rationale"),
    ],
)
def test_what_was_masked_is_unseen(condition: str, unseen: str) -> None:
    hidden = hidden_names(INPUTS)
    assert hidden == {"card", "iban", "rationale"}
    said = ask(rule(condition), hidden=hidden)
    assert said == ("unseen", f"{unseen} was masked before it was stored")


def test_what_was_not_masked_is_seen() -> None:
    hidden = hidden_names(INPUTS)
    assert ask(rule("proposal.args.amount_minor < 600"), hidden=hidden) == ("pass", "")
    assert ask(rule("!has(proposal.args.cards)"), hidden=hidden) == ("pass", "")


def test_each_version_sees_the_past_that_it_declares() -> None:
    counted = rule("history.today < 3", history={"today": {"count": {}, "within": "24h"}})
    assert ask(counted, past={1: {"today": 2}}) == ("pass", "")
    assert ask(counted, past={1: {"today": 3}})[0] == "fail"
    assert ask(counted, past={1: "too many to count"}) == ("error", "too many to count")
    assert ask(counted) == ("unseen", "its history was not recorded")
    assert ask(rule("!has(history.limit)")) == ("pass", "")


def test_the_reason_is_the_sentence_people_read() -> None:
    asked = rule("false", message="{proposal.args.amount_minor} is too much")
    assert reason_of(asked, Recorded(INPUTS)) == "500 is too much"


@pytest.mark.parametrize(
    ("result", "human", "kind"),
    [
        ("fail", "rejected", "caught"),
        ("fail", "approved", "needless"),
        ("pass", "rejected", "missed"),
        ("pass", "approved", "passed_approved"),
        ("fail", "unknown", "hits_unknown"),
        ("pass", "unknown", "passes_unknown"),
        ("error", "rejected", "not_evaluable"),
        ("unseen", "approved", "not_evaluable"),
        ("out", "rejected", ""),
    ],
)
def test_every_proposal_has_one_place(result: str, human: str, kind: str) -> None:
    assert classify(result, human) == kind


cells = st.builds(
    Cell,
    st.sampled_from(["pass", "fail", "error", "out", "unseen"]),
    st.sampled_from(["pass", "fail", "error", "out", "unseen"]),
    st.sampled_from(["approved", "rejected", "unknown"]),
    st.sampled_from(["0", "1", "2", "block"]),
)
tallies = st.dictionaries(cells, st.integers(1, 10_000)).map(Tally)


@given(tallies)
def test_a_tally_is_stored_and_read_back(tally: Tally) -> None:
    assert Tally.from_json(tally.to_json()) == tally  # type: ignore[arg-type]


@given(tallies, tallies, st.sampled_from(EFFECTS), st.sampled_from(["", *EFFECTS]))
def test_nothing_is_lost_or_counted_twice(
    one: Tally, other: Tally, after: str, before: str
) -> None:
    def found(tally: Tally) -> Any:
        effects = Effects(after, before)
        return find(tally, looked_at=1, effects=effects, days=2.0, review_minutes=3.0)

    both = found(Tally(one + other))
    assert both.flips_total == found(one).flips_total + found(other).flips_total
    counts: Counts = both.after
    asked = sum(count for cell, count in (one + other).items() if cell.after != "out")
    assert (
        counts.in_scope
        == asked
        == counts.hits
        + counts.missed
        + counts.passed_approved
        + (counts.passes_unknown + counts.not_evaluable)
    )
    load = both.load
    for estimate in (load.before, load.after):
        assert 0 <= estimate.low <= estimate.high <= load.proposals_a_day + 1e-9
    assert load.before.value + load.change.value == pytest.approx(load.after.value)
    assert (both.before is None) == (not before)


def test_unknown_is_neither_right_nor_wrong() -> None:
    tally = Tally(
        {Cell("fail", "out", "unknown", "0"): 90, Cell("fail", "out", "rejected", "0"): 1}
    )
    found = find(tally, looked_at=91, effects=Effects("hold"), days=1, review_minutes=2)
    assert (found.after.unknown, found.after.caught, found.after.hits) == (90, 1, 91)
    assert (found.after.precision.k, found.after.precision.n) == (1, 1)


@pytest.mark.parametrize(
    ("after", "before", "is_flip"),
    [
        ("fail", "pass", True),
        ("pass", "fail", True),
        ("fail", "out", True),
        ("out", "fail", True),
        ("pass", "error", True),
        ("pass", "out", False),
        ("fail", "fail", False),
        ("error", "pass", False),
        ("unseen", "fail", False),
        ("fail", "unseen", False),
    ],
)
def test_a_flip_is_another_answer(after: str, before: str, is_flip: bool) -> None:
    assert bool(Cell(after, before, "unknown", "0").flip) is is_flip


# Queue load -----------------------------------------------------------------------------------

checks = st.builds(
    Objection, st.integers(1, 3), st.sampled_from(EFFECTS), st.sampled_from(["fail", "error"])
)


@given(st.sampled_from([0.95, 0.7, 0.3, None]), st.lists(checks, max_size=4))
def test_people_are_counted_as_the_product_asks_them(
    score: float | None, others: list[Objection]
) -> None:
    """The shortcut agrees with the one place where a machine's yes or no is made."""
    bands = Bands(0.9, 0.6)
    alone = elsewhere(bands.of(score), others, rule=3)
    for effect, result in product(EFFECTS, RESULTS):
        told = [
            *(one for one in others if one.rule != 3),
            Objection(3, effect, result),
        ]
        enforced = [Check(1, "r", 1, one.effect, one.result, "", True) for one in told]
        assert people(alone, effect, result) == (
            evaluation.dispose(score, bands, enforced).approvals_needed
        )


def test_what_waits_anyway_is_no_more_work() -> None:
    tally = Tally(
        {
            Cell("fail", "pass", "unknown", "1"): 40,
            Cell("fail", "pass", "unknown", "0"): 10,
            Cell("pass", "pass", "unknown", "0"): 50,
        }
    )
    load = find(
        tally, looked_at=100, effects=Effects("hold", "hold"), days=2, review_minutes=6
    ).load
    assert (load.before.value, load.after.value, load.change.value) == (20, 25, 5)
    assert load.change.low == pytest.approx(1.713, abs=0.001)
    assert load.change.high == pytest.approx(8.091, abs=0.001)
    assert load.hours_after - load.hours_before == pytest.approx(0.5)


def test_two_people_take_twice_the_time() -> None:
    tally = Tally({Cell("fail", "fail", "unknown", "0"): 30})
    effects = Effects("two_person", "hold")
    load = find(tally, looked_at=30, effects=effects, days=1, review_minutes=2).load
    assert (load.before.value, load.after.value) == (30, 30)
    assert (load.hours_before, load.hours_after) == (1, 2)


def test_blocking_takes_work_away() -> None:
    tally = Tally({Cell("fail", "out", "unknown", "1"): 30})
    load = find(tally, looked_at=30, effects=Effects("block"), days=1, review_minutes=2).load
    assert (load.before.value, load.after.value) == (30, 0)


def test_a_flag_is_no_work() -> None:
    tally = Tally({Cell("fail", "out", "unknown", "0"): 30})
    found = find(tally, looked_at=30, effects=Effects("flag"), days=1, review_minutes=2)
    assert (found.after.hits, found.load.after.value) == (30, 0)


def test_what_cannot_be_evaluated_is_left_out_of_the_shares_and_said() -> None:
    tally = Tally(
        {
            Cell("error", "pass", "unknown", "0"): 75,
            Cell("fail", "pass", "unknown", "0"): 5,
            Cell("pass", "pass", "unknown", "0"): 20,
        }
    )
    load = find(
        tally, looked_at=100, effects=Effects("hold", "hold"), days=1, review_minutes=2
    ).load
    assert (load.compared, load.proposals_a_day) == (25, 100)
    assert load.after.value == 20
    assert load.errors_a_day == 75


def test_nothing_to_compare_is_no_error() -> None:
    load = find(Tally(), looked_at=0, effects=Effects("hold"), days=1, review_minutes=2).load
    assert (load.after.value, load.after.high, load.hours_after) == (0, 0, 0)


def test_of_many_reasons_the_first_are_named() -> None:
    reasons = Tally().flips()
    for number in range(100):
        note_reason(reasons, f"no such key: k{number}")
    note_reason(reasons, "no such key: k0")
    assert len(reasons) == 20
    assert reasons["no such key: k0"] == 2
