"""What files with rules would change, and the change itself: all of it or nothing."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction

from orchestrator import rule_queries
from orchestrator.actions import backtests, changes, rules
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import BadInput, ChangeWaiting, RuleInvalid
from orchestrator.core.policy import rule_text
from orchestrator.core.policy.rule_text import Document
from orchestrator.management.rule_files import FileFault, RuleFile
from orchestrator.models import RuleVersion

EVERY_RULE = 1_000_000


@dataclass(frozen=True, slots=True)
class Known:
    """What the database says of a rule: the version that stands for it, and the newest."""

    standing: RuleVersion
    newest: RuleVersion

    def version_that_says(self, wanted: Document) -> RuleVersion | None:
        """What is in force needs no draft, even when somebody drafted something else since."""
        for version in (self.standing, self.newest):
            if rule_text.canonical(rule_text.document_of(version)) == rule_text.canonical(wanted):
                return version
        return None


@dataclass(frozen=True, slots=True)
class Taken:
    """One rule of the files, and what became of it."""

    document: Document
    # The version that stood for it before.
    before: RuleVersion | None
    version: RuleVersion
    is_changed: bool
    is_drafted: bool = False
    # How far it is on its way to being in force.
    step: str = ""


def known_rules() -> dict[str, Known]:
    standing = rule_queries.rule_lines(rule_queries.RuleFilter(), at_most=EVERY_RULE)
    newest = rule_queries.newest_versions([version.rule_id for version in standing])
    return {one.rule.slug: Known(one, newest[one.rule_id]) for one in standing}


def not_among(found: Iterable[RuleFile]) -> list[RuleVersion]:
    """The versions in force of which no file speaks."""
    named = {rule.document.slug for rule in found}
    standing = [known.standing for slug, known in known_rules().items() if slug not in named]
    return [version for version in standing if version.stage == RuleVersion.Stage.ACTIVE]


def take(
    actor: Actor, found: Sequence[RuleFile], *, note: str, activate: bool, dry_run: bool
) -> tuple[list[Taken], list[FileFault]]:
    """Draft what is new. A dry run does the same and then forgets it, so that it refuses the same."""
    faults: list[FileFault] = []
    with transaction.atomic():
        known = known_rules()
        taken = [
            one
            for rule in found
            for one in _draft(actor, rule, known.get(rule.document.slug), note, faults)
        ]
        if activate and not faults and not dry_run:
            # One end for all: backtests of the same window read each proposal once.
            until = backtests.next_minute()
            taken = [replace(one, step=_go_on(actor, one.version, note, until)) for one in taken]
        if faults or dry_run:
            transaction.set_rollback(True)
    return taken, faults


def _draft(
    actor: Actor, rule: RuleFile, known: Known | None, note: str, faults: list[FileFault]
) -> Iterator[Taken]:
    before = known.standing if known else None
    # A file that names no owner leaves the rule to the one it has.
    owner = rule.document.owner or (before.rule.owner if before else "")
    document = replace(rule.document, owner=owner)
    same = known.version_that_says(document) if known else None
    if same:
        yield Taken(document, before, same, is_changed=False)
        return
    try:
        version = rules.draft(
            actor,
            slug=document.slug,
            title=document.title,
            effect=document.effect,
            condition=document.require,
            message=document.message,
            applies_to=document.applies_to,
            history=document.history,
            owner=document.owner,
            note=note,
        )
    except RuleInvalid as error:
        faults += rule.faults_of(error)
    except BadInput as error:
        faults.append(rule.fault_at(f"/{error.field}", error.reason))
    else:
        # A rule that only gets another owner needs no version for it.
        is_drafted = known is None or version.number > known.newest.number
        yield Taken(document, before, version, is_changed=True, is_drafted=is_drafted)


def _go_on(actor: Actor, version: RuleVersion, note: str, until: datetime) -> str:
    """The next step of a version on its way into force, which ends with another admin's approval."""
    if version.stage == RuleVersion.Stage.ACTIVE:
        return ""
    is_tried = version.stage in rules.TRIED and rules.newest_backtest(version)
    # What was in force before was tried by that.
    if version.activated_at is None and not is_tried:
        backtest = backtests.request(actor, version, until=until)
        return f"it needs a backtest first, which is asked for ({backtest.pk})"
    try:
        proposal = changes.propose_activation(actor, version, note)
    except ChangeWaiting as waiting:
        return f"a change of it waits for another admin already ({waiting.item})"
    return f"its activation is proposed ({proposal.pk})"
