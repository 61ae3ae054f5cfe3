"""Tables, constraints and querysets. Rows change only through `actions/` and `engine/`."""

from orchestrator.models.audit import AuditEntry
from orchestrator.models.checkpoints import Checkpoint
from orchestrator.models.contracts import Contract, ContractVersion
from orchestrator.models.effects import Effect, LedgerEntry
from orchestrator.models.journal import Command, Event
from orchestrator.models.proposals import (
    Disposition,
    Evaluation,
    EvaluationPolicy,
    PolicyCheck,
    Proposal,
    Snapshot,
)
from orchestrator.models.reviews import Decision, ReviewItem
from orchestrator.models.routing import InboundEvent, RouteTable
from orchestrator.models.rules import Backtest, BacktestFlip, Rule, RuleVersion
from orchestrator.models.runs import Run
from orchestrator.models.tokens import ApiToken, IdempotencyRecord
from orchestrator.models.workflows import Workflow, WorkflowVersion

__all__ = [
    "ApiToken",
    "AuditEntry",
    "Backtest",
    "BacktestFlip",
    "Checkpoint",
    "Command",
    "Contract",
    "ContractVersion",
    "Decision",
    "Disposition",
    "Effect",
    "Evaluation",
    "EvaluationPolicy",
    "Event",
    "IdempotencyRecord",
    "InboundEvent",
    "LedgerEntry",
    "PolicyCheck",
    "Proposal",
    "ReviewItem",
    "RouteTable",
    "Rule",
    "RuleVersion",
    "Run",
    "Snapshot",
    "Workflow",
    "WorkflowVersion",
]
