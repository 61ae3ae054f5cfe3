"""The way of a version, of a rule or of a policy: where it stands, and what can be done with it next."""

from collections.abc import Mapping
from typing import NamedTuple

from django.conf import settings

from orchestrator.models import EvaluationPolicy, Proposal, RuleVersion
from review.presentation.chips import STAGES, Look

Stage = RuleVersion.Stage
# Policies do not watch: what their bands would have said of a recorded score is known without.
WAYS: dict[str, tuple[Stage, ...]] = {
    "rule": (Stage.DRAFT, Stage.BACKTESTED, Stage.SHADOW, Stage.ACTIVE, Stage.RETIRED),
    "policy": (Stage.DRAFT, Stage.BACKTESTED, Stage.ACTIVE, Stage.RETIRED),
}
ASKED = "Asked. It waits in the queue for another admin."
ASKED_ALONE = (
    "Asked. It waits in the queue for an admin; as RULES_FOUR_EYES is off, that may be you."
)
type Version = RuleVersion | EvaluationPolicy


class Step(NamedTuple):
    look: Look
    about: str
    # "done", "skipped", "now" or "later".
    state: str


_ABOUT = {
    Stage.DRAFT: "written, decides nothing",
    Stage.BACKTESTED: "tried on the past",
    Stage.SHADOW: "watches, decides nothing",
    Stage.ACTIVE: "decides",
    Stage.RETIRED: "no longer decides",
}


def noun_of(version: Version) -> str:
    return "policy" if isinstance(version, EvaluationPolicy) else "rule"


def steps_of(version: Version, *, has_backtest: bool) -> list[Step]:
    """Where it stands on the way, and what it really went through to get there."""
    been = {
        Stage.DRAFT: True,
        Stage.BACKTESTED: has_backtest,
        Stage.SHADOW: isinstance(version, RuleVersion) and version.shadowed_at is not None,
        Stage.ACTIVE: version.activated_at is not None,
    }
    way = WAYS[noun_of(version)]
    stages = [stage for stage in way if stage != Stage.RETIRED or version.stage == stage]
    here = stages.index(Stage(version.stage))
    return [_step(stage, place - here, been) for place, stage in enumerate(stages)]


def _step(stage: Stage, distance: int, been: Mapping[Stage, bool]) -> Step:
    look, about = STAGES[stage], _ABOUT[stage]
    if distance == 0:
        return Step(look, about, "now")
    if distance > 0:
        return Step(look, about, "later")
    return Step(look, about, "done") if been[stage] else Step(look, "left out", "skipped")


class Move(NamedTuple):
    """Something that can be done with a version next, or what is missing for it."""

    step: str
    title: str
    about: str
    button: str = ""
    icon: str = ""
    missing: str = ""
    confirm: str = ""
    needs_note: bool = False
    tone: str = ""


def moves_of(version: Version, pending: Proposal | None, *, has_backtest: bool) -> list[Move]:
    stage, noun = Stage(version.stage), noun_of(version)
    if stage == Stage.RETIRED:
        return [_roll_back(pending, noun), _backtest()]
    if stage == Stage.ACTIVE:
        return [_retire(version, pending), _backtest()]
    watching = [_shadow(stage)] if isinstance(version, RuleVersion) else []
    return [_backtest(), *watching, _activation(stage, noun, has_backtest, pending)]


def _backtest() -> Move:
    return Move(
        "backtest",
        "Backtest",
        "Asks this version about recorded proposals, as a job in the background. Nothing is decided.",
    )


def _shadow(stage: Stage) -> Move:
    if stage == Stage.SHADOW:
        return Move(
            "stop_shadow",
            "Shadow",
            "It is asked about every new proposal and decides nothing.",
            "Stop watching",
            "eye-off",
        )
    return Move(
        "shadow",
        "Shadow",
        "From now on it is asked about every new proposal, decides nothing, and reviewers see "
        "nothing of it. One version of a rule watches at a time.",
        "Let it watch",
        "eye",
        "It needs a finished backtest first." if stage == Stage.DRAFT else "",
    )


def _activation(stage: Stage, noun: str, has_backtest: bool, pending: Proposal | None) -> Move:
    is_tried = has_backtest and stage != Stage.DRAFT
    return Move(
        "activate",
        "Activation",
        "From then on it decides, and the version before is retired.",
        "Ask for activation",
        "shield-check",
        _missing(pending, noun, "" if is_tried else "Activation needs a finished backtest."),
        _second_person("It goes to the queue with its newest finished backtest."),
        needs_note=True,
        tone="accent",
    )


def _roll_back(pending: Proposal | None, noun: str) -> Move:
    return Move(
        "roll_back",
        "Roll back",
        "It decided before, so it needs no new backtest.",
        "Roll back to it",
        "undo-2",
        _missing(pending, noun),
        _second_person("It takes the place of what is in force now."),
        needs_note=True,
        tone="accent",
    )


def _retire(version: Version, pending: Proposal | None) -> Move:
    return Move(
        "retire",
        "Retire",
        _AFTER_IT[noun_of(version)],
        "Ask to retire it",
        "archive",
        _missing(pending, noun_of(version), _why_not_retired(version)),
        _second_person(_THEN[noun_of(version)]),
        needs_note=True,
        tone="bad",
    )


_AFTER_IT = {
    "rule": "No version of the rule decides any more, until one is activated again.",
    "policy": "Whatever it decides about, the next wider policy does, until a version is activated again.",
}
_THEN = {
    "rule": "What the rule stops now then goes on.",
    "policy": "The bands of a wider policy then hold.",
}


def _why_not_retired(version: Version) -> str:
    if isinstance(version, EvaluationPolicy) and not version.scope.named:
        return "It decides about whatever no other policy is for. Activate another version instead."
    return ""


def _missing(pending: Proposal | None, noun: str, otherwise: str = "") -> str:
    return f"Another change of this {noun} is waiting to be decided." if pending else otherwise


def _second_person(what: str) -> str:
    if settings.RULES_FOUR_EYES:
        return f"{what} Another admin has to approve; you cannot."
    return f"{what} An admin has to approve, and as RULES_FOUR_EYES is off, that may be you."
