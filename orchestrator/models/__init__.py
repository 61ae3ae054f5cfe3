"""Tables, constraints and querysets. Rows change only through `actions/` and `engine/`."""

from orchestrator.models.agents import (
    Agent,
    AgentTrial,
    AgentVersion,
    Deployment,
    Endpoint,
    VersionEndpoint,
)
from orchestrator.models.audit import AuditEntry
from orchestrator.models.calibration import (
    Calibrator,
    Drift,
    StandDown,
    StandDownCause,
    ThresholdCertificate,
    TrackedLabel,
    TrackRecord,
)
from orchestrator.models.checkpoints import Checkpoint
from orchestrator.models.contracts import Contract, ContractVersion
from orchestrator.models.decisions import Batch, Certificate, Comment, Decision, Reason
from orchestrator.models.effects import Effect, LedgerEntry
from orchestrator.models.gold import GoldItem, GoldLook
from orchestrator.models.journal import Command, Event
from orchestrator.models.memory import Observation, ObservationRead
from orchestrator.models.notices import (
    Delivery,
    Notice,
    NoticeAddress,
    NoticeChoice,
    NoticeKind,
    WebhookEndpoint,
    WeeklyReport,
)
from orchestrator.models.policies import EvaluationPolicy
from orchestrator.models.proposals import (
    Disposition,
    Evaluation,
    PolicyCheck,
    Proposal,
    Snapshot,
)
from orchestrator.models.reviews import ReviewItem
from orchestrator.models.rollups import (
    AuditDay,
    CallDay,
    ChangedDay,
    ItemDay,
    Label,
    ProposalDay,
    ReviewerDay,
    RuleDay,
    ScoreDay,
    Segment,
)
from orchestrator.models.routes import RouteCorrection, RouteDecision
from orchestrator.models.routing import InboundEvent, RouteTable
from orchestrator.models.rules import Backtest, BacktestFlip, Rule, RuleVersion
from orchestrator.models.runs import Run, Subscription
from orchestrator.models.sign_in import BrowserSession, SignInTry
from orchestrator.models.teams import Assignment, SavedView, Team
from orchestrator.models.tokens import ApiToken, IdempotencyRecord
from orchestrator.models.tools import Tool, ToolServer, ToolVersion
from orchestrator.models.traces import CallPiece, TelemetryMark
from orchestrator.models.workflows import Workflow, WorkflowVersion

__all__ = [
    "Agent",
    "AgentTrial",
    "AgentVersion",
    "ApiToken",
    "Assignment",
    "AuditDay",
    "AuditEntry",
    "Backtest",
    "BacktestFlip",
    "Batch",
    "BrowserSession",
    "Calibrator",
    "CallDay",
    "CallPiece",
    "Certificate",
    "ChangedDay",
    "Checkpoint",
    "Command",
    "Comment",
    "Contract",
    "ContractVersion",
    "Decision",
    "Delivery",
    "Deployment",
    "Disposition",
    "Drift",
    "Effect",
    "Endpoint",
    "Evaluation",
    "EvaluationPolicy",
    "Event",
    "GoldItem",
    "GoldLook",
    "IdempotencyRecord",
    "InboundEvent",
    "ItemDay",
    "Label",
    "LedgerEntry",
    "Notice",
    "NoticeAddress",
    "NoticeChoice",
    "NoticeKind",
    "Observation",
    "ObservationRead",
    "PolicyCheck",
    "Proposal",
    "ProposalDay",
    "Reason",
    "ReviewItem",
    "ReviewerDay",
    "RouteCorrection",
    "RouteDecision",
    "RouteTable",
    "Rule",
    "RuleDay",
    "RuleVersion",
    "Run",
    "SavedView",
    "ScoreDay",
    "Segment",
    "SignInTry",
    "Snapshot",
    "StandDown",
    "StandDownCause",
    "Subscription",
    "Team",
    "TelemetryMark",
    "ThresholdCertificate",
    "Tool",
    "ToolServer",
    "ToolVersion",
    "TrackRecord",
    "TrackedLabel",
    "VersionEndpoint",
    "WebhookEndpoint",
    "WeeklyReport",
    "Workflow",
    "WorkflowVersion",
]
