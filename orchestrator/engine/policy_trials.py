"""Versions of policies, asked about the recorded scores of proposals that they would decide about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator import score_queries
from orchestrator.core.policy.backtest import Cell, note_reason
from orchestrator.core.policy.changes import is_change
from orchestrator.core.policy.panel import UNSEEN
from orchestrator.core.policy.second_look import Seen, judge_again
from orchestrator.core.policy.terms import Scope, Terms, decides_about
from orchestrator.engine.recorded import Line
from orchestrator.engine.trials import Bench, Trial, so_far
from orchestrator.models import AuditEntry, Backtest, EvaluationPolicy

BATCH = 500


@dataclass(eq=False, slots=True)
class PolicyTrial(Trial):
    policy: EvaluationPolicy
    terms: Terms
    in_force: Sequence[Scope]

    def add(self, proposal: str, seen: Seen) -> None:
        said = judge_again(self.terms, seen)
        if said.verdict == UNSEEN:
            note_reason(self.reasons, said.reason)
        cell = Cell(said.verdict, seen.verdict, seen.human, seen.elsewhere)
        self.count(cell, proposal, lambda: _reason(seen))

    def mark_tested(self) -> None:
        drafts = EvaluationPolicy.objects.filter(
            pk=self.policy.pk, stage=EvaluationPolicy.Stage.DRAFT
        )
        drafts.update(stage=EvaluationPolicy.Stage.BACKTESTED)
        AuditEntry.objects.create(
            verb="policy.backtested",
            object_id=f"policy/{self.policy.number}",
            detail={"scope": str(self.policy.scope), "backtest": self.id},
        )


class PolicyBench(Bench[PolicyTrial]):
    batch = BATCH

    def __init__(self, taken: Sequence[Backtest]) -> None:
        in_force = [policy.scope for policy in EvaluationPolicy.objects.active()]
        super().__init__([_trial(one, in_force) for one in taken])

    def weigh(self, page: list[Line], deadline: float) -> int:
        """All of them: what is read of each is small, and asking takes no time."""
        ids = [line.id for line in page if not is_change(line.action)]
        seen: Mapping[str, Seen] = score_queries.of_proposals(
            ids, terms=[trial.terms for trial in self.trials]
        )
        for proposal, one in seen.items():
            for trial in self.trials:
                if decides_about(trial.policy.scope, trial.in_force, one.scope):
                    trial.add(proposal, one)
        return len(page)


def _trial(backtest: Backtest, in_force: Sequence[Scope]) -> PolicyTrial:
    policy = backtest.tested_policy
    return PolicyTrial(*so_far(backtest), policy=policy, terms=policy.terms, in_force=in_force)


def _reason(seen: Seen) -> str:
    return "it gave no score" if seen.stated is None else f"its stated score was {seen.stated}"
