"""What one version of a policy decides differently from another: meaning first.

Stricter is what can only put more before people or send more back, looser what can only let more through.
"""

from collections.abc import Iterator

from orchestrator.core.policy.compare import LOOSER, STRICTER, Comparison, Difference
from orchestrator.core.policy.terms import CALIBRATED, Terms, Validator

NONE_ASKED = "none"
_SCORES = {CALIBRATED: "the calibrated confidence"}


def compare_terms(old: Terms, new: Terms) -> Comparison:
    found = [*_lines(old, new), *_score(old, new), *_target(old, new), *_validators(old, new)]
    places = {one.what.partition(":")[0] for one in found}
    names = ("accept above", "escalate at or below", "score", "target error", "validator")
    return Comparison(tuple(found), tuple(name for name in names if name not in places))


def _lines(old: Terms, new: Terms) -> Iterator[Difference]:
    lines = (
        ("accept above", old.bands.accept_above, new.bands.accept_above),
        ("escalate at or below", old.bands.escalate_at_or_below, new.bands.escalate_at_or_below),
    )
    for name, before, after in lines:
        if before != after:
            bearing = STRICTER if after > before else LOOSER
            yield Difference(name, f"{before:g}", f"{after:g}", bearing)


def _score(old: Terms, new: Terms) -> Iterator[Difference]:
    """Which of the two is stricter depends on the agent."""
    if old.score != new.score:
        yield Difference("score", *(_SCORES.get(one.score, "the stated one") for one in (old, new)))


def _target(old: Terms, new: Terms) -> Iterator[Difference]:
    if old.target_error == new.target_error:
        return
    before, after = old.target_error, new.target_error
    # Without a target no certificate is asked for, which is as loose as it gets.
    is_stricter = before is None or (after is not None and after < before)
    bearing = STRICTER if is_stricter else LOOSER
    yield Difference("target error", target_text(before), target_text(after), bearing)


def target_text(target: float | None) -> str:
    return NONE_ASKED if target is None else f"{target * 100:g} %"


def _validators(old: Terms, new: Terms) -> Iterator[Difference]:
    """The lowest score counts, so that asking one more can only be stricter."""
    before = {one.name: one for one in old.validators}
    after = {one.name: one for one in new.validators}
    for name in sorted(before | after):
        was, becomes = before.get(name), after.get(name)
        if was == becomes:
            continue
        bearing = STRICTER if was is None else LOOSER if becomes is None else ""
        yield Difference(f"validator: {name}", _told(was), _told(becomes), bearing)


def _told(validator: Validator | None) -> str:
    if validator is None:
        return ""
    cap = validator.money_micros_max
    cost = "" if cap is None else f", at most {cap:,} millionths"
    return f"{validator.agent} within {validator.timeout_s} s{cost}: {validator.rubric}"
