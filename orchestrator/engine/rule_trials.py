"""Versions of rules, asked about what the rules saw of recorded proposals."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.policy.backtest import Cell, note_reason
from orchestrator.core.policy.guardrails import Rule
from orchestrator.core.policy.panel import (
    ERROR,
    FAIL,
    OUT,
    UNSEEN,
    Panel,
    Said,
    reason_of,
)
from orchestrator.core.policy.queue_load import elsewhere
from orchestrator.engine.cases import Case, cut, read_cases
from orchestrator.engine.recorded import Line
from orchestrator.engine.trials import Bench, Trial, so_far
from orchestrator.models import AuditEntry, Backtest, RuleVersion

BATCH = 500
# Counting the past takes longer than asking a rule.
BATCH_WITH_HISTORY = 50

_NOBODY = Said(OUT)


@dataclass(eq=False, slots=True)
class RuleTrial(Trial):
    version: RuleVersion
    rule: Rule
    against: Rule | None

    @property
    def rules(self) -> list[Rule]:
        return [self.rule, self.against] if self.against else [self.rule]

    def add(self, case: Case, after: Said, before: Said) -> None:
        alone = elsewhere(case.line.band, case.others, self.version.rule_id)
        cell = Cell(after.result, before.result, case.human, alone)
        if after.result in {ERROR, UNSEEN}:
            note_reason(self.reasons, after.reason)
        self.count(cell, case.line.id, lambda: self._reason(case, cell, before))

    def mark_tested(self) -> None:
        drafts = RuleVersion.objects.filter(pk=self.version.pk, stage=RuleVersion.Stage.DRAFT)
        drafts.update(stage=RuleVersion.Stage.BACKTESTED)
        AuditEntry.objects.create(
            verb="rule.backtested",
            object_id=f"rule/{self.rule.slug}",
            detail={"version": self.rule.number, "backtest": self.id},
        )

    def _reason(self, case: Case, cell: Cell, before: Said) -> str:
        """Why the version that does not let it pass does not."""
        if cell.after == FAIL:
            return reason_of(self.rule, case.seen)
        if cell.before == FAIL and self.against:
            return reason_of(self.against, case.seen)
        return before.reason


class RuleBench(Bench[RuleTrial]):
    def __init__(self, taken: Sequence[Backtest]) -> None:
        super().__init__([_trial(one) for one in taken])
        # Each once, however many trials compare with it.
        rules = {rule.version_id: rule for trial in self.trials for rule in trial.rules}
        self._panel = Panel(list(rules.values()))
        with_history = any(rule.history for rule in self._panel.rules)
        self.batch = BATCH_WITH_HISTORY if with_history else BATCH

    def weigh(self, page: list[Line], deadline: float) -> int:
        lines = cut(self._panel, page)
        cases = read_cases(self._panel, lines)
        for count, line in enumerate(lines, start=1):
            if line.id in cases:
                self._weigh(cases[line.id])
            if time.monotonic() > deadline:
                return count
        return len(lines)

    def _weigh(self, case: Case) -> None:
        said = self._panel.ask(case.seen, case.asked)
        for trial in self.trials:
            after = said.get(trial.rule.version_id, _NOBODY)
            before = said.get(trial.against.version_id, _NOBODY) if trial.against else _NOBODY
            if after is not _NOBODY or before is not _NOBODY:
                trial.add(case, after, before)


def _trial(backtest: Backtest) -> RuleTrial:
    version, against = backtest.rule_version, backtest.against
    return RuleTrial(
        *so_far(backtest),
        version=version,
        rule=version.as_rule,
        against=against.as_rule if against else None,
    )
