from typing import Any

from django.conf import settings
from django.db import models

from orchestrator.core.codec import read
from orchestrator.core.policy.terms import Scope
from orchestrator.models.contracts import ContractVersion
from orchestrator.models.ids import IdField
from orchestrator.models.policies import EvaluationPolicy
from orchestrator.models.rules import RuleVersion
from orchestrator.models.runs import Run
from orchestrator.models.tokens import ApiToken


class ProposalQuerySet(models.QuerySet["Proposal"]):
    def visible_to_token(self, token: ApiToken) -> "ProposalQuerySet":
        """A token that may only propose sees what it proposed; other people's ids do not exist for it."""
        return self if token.may("read") else self.filter(token=token)


class Proposal(models.Model):
    """A suggested action. What was suggested never changes; `status` and `disposition` follow the run's state."""

    class Status(models.TextChoices):
        RECEIVED = "received"
        # Its validators were asked, and not all of them were heard.
        EVALUATING = "evaluating"
        IN_REVIEW = "in_review"
        REVISION_REQUESTED = "revision_requested"
        ACCEPTED = "accepted"
        REJECTED = "rejected"
        BLOCKED = "blocked"
        EXPIRED = "expired"
        WITHDRAWN = "withdrawn"
        EXECUTING = "executing"
        EXECUTED = "executed"
        FAILED = "failed"
        UNKNOWN = "unknown"
        ROLLING_BACK = "rolling_back"
        ROLLED_BACK = "rolled_back"
        # A revision stands in its place: an agent's answer to people, or a person's edit.
        SUPERSEDED = "superseded"

    id = IdField("prp")
    run = models.ForeignKey(Run, models.PROTECT, related_name="proposals")
    token = models.ForeignKey(ApiToken, models.PROTECT, null=True, related_name="proposals")
    external_id = models.CharField(max_length=200, default="")
    # The proposal in whose place it stands, how many came before, and the person who wrote it, if one did.
    revises = models.OneToOneField("self", models.PROTECT, null=True, related_name="revised_by")
    revision = models.PositiveSmallIntegerField(default=1, db_default=1)
    edited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="edited_proposals"
    )
    agent = models.CharField(max_length=100)
    agent_version = models.CharField(max_length=100, default="")
    model = models.CharField(max_length=200, default="")
    action = models.CharField(max_length=100)
    # The contract that its arguments were checked against, if the action has one.
    contract_version = models.ForeignKey(ContractVersion, models.PROTECT, null=True)
    target = models.CharField(max_length=500, default="")
    # The bytes that will run: {"action", "args", "target"} in canonical form; `digest` is over them.
    payload = models.TextField()
    digest = models.CharField(max_length=71)
    confidence = models.FloatField(null=True)
    rationale = models.TextField(default="")
    # Evidence beside the payload: {"context", "tainted", "trace"} in canonical form.
    evidence = models.TextField(default="{}")
    status = models.CharField(max_length=20, choices=Status, default=Status.RECEIVED)
    disposition = models.CharField(max_length=20, default="")
    due_at = models.DateTimeField(
        null=True, help_text="when an unanswered revision request expires"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ProposalQuerySet.as_manager()

    class Meta:
        constraints = [
            # Effects refer to (id, digest): what runs is what was proposed.
            models.UniqueConstraint(fields=["id", "digest"], name="proposal_id_digest_unique"),
        ]
        indexes = [
            models.Index(fields=["status", "-id"], name="proposal_by_status"),
            models.Index(fields=["disposition", "-id"], name="proposal_by_disposition"),
            models.Index(fields=["action", "-id"], name="proposal_by_action"),
            models.Index(fields=["agent", "-id"], name="proposal_by_agent"),
            # history_queries: what happened to one target. Migration 0008 adds one over the arguments.
            models.Index(fields=["target", "-id"], name="proposal_by_target"),
            # sampling_queries: how many of a stratum came in a period. calibration_queries: its newest.
            models.Index(
                fields=["agent", "agent_version", "action", "disposition", "id"],
                name="proposal_by_stratum",
            ),
            # engine.sweep: revision requests that nobody answered.
            models.Index(
                fields=["due_at"],
                name="proposal_revision_due",
                condition=models.Q(status="revision_requested"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target} ({self.status})"

    @property
    def scope(self) -> Scope:
        """What terms may name of it."""
        version = self.contract_version
        tier = version.tier if version else ContractVersion.Tier.NORMAL.value
        return Scope(self.agent, self.agent_version, self.action, str(tier))

    @property
    def args(self) -> dict[str, Any]:
        return self._section(self.payload, "args")

    @property
    def context(self) -> dict[str, Any]:
        return self._section(self.evidence, "context")

    @property
    def trace(self) -> dict[str, Any]:
        return self._section(self.evidence, "trace")

    @property
    def tainted(self) -> list[str]:
        data = read(self.evidence)
        found = data.get("tainted", []) if isinstance(data, dict) else []
        return [str(pointer) for pointer in found] if isinstance(found, list) else []

    @property
    def lineage(self) -> list[dict[str, Any]]:
        """Of its tainted arguments, where each came from, as far as that is known."""
        found = self.trace.get("lineage", [])
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    @staticmethod
    def _section(text: str, name: str) -> dict[str, Any]:
        data = read(text)
        section = data.get(name, {}) if isinstance(data, dict) else {}
        return section if isinstance(section, dict) else {}


class Snapshot(models.Model):
    """Everything that guardrails and evaluators saw, in the bytes they saw: replay and backtest need it."""

    proposal = models.ForeignKey(Proposal, models.PROTECT, related_name="snapshots")
    inputs = models.TextField()
    digest = models.CharField(max_length=71)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.proposal_id} {self.digest}"


class PolicyCheck(models.Model):
    """What one rule version said about one proposal."""

    class Result(models.TextChoices):
        PASS = "pass"  # noqa: S105  (a result, not a password)
        FAIL = "fail"
        ERROR = "error"

    proposal = models.ForeignKey(Proposal, models.PROTECT, related_name="policy_checks")
    rule_version = models.ForeignKey(RuleVersion, models.PROTECT, related_name="checks")
    snapshot = models.ForeignKey(Snapshot, models.PROTECT)
    effect = models.CharField(max_length=20)
    enforced = models.BooleanField()
    result = models.CharField(max_length=10, choices=Result)
    reason = models.TextField(default="")
    # Of failures and errors: each sub-expression with its value, in the order of reading.
    explain = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            # The list of rules: what each version did not let pass, newest first.
            models.Index(
                fields=["rule_version", "-created_at"],
                name="policy_check_hits",
                condition=~models.Q(result="pass"),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["snapshot", "rule_version"], name="policy_check_once_per_snapshot"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule_version} {self.result}"


class Evaluation(models.Model):
    """One score of one proposal by one evaluator."""

    class Evaluator(models.TextChoices):
        CONFIDENCE = "confidence", "The agent's own confidence"
        CALIBRATED = "calibrated", "What that confidence has meant so far"
        CHECK = "check", "A deterministic check"
        VALIDATOR = "validator", "A model-based validator"
        PERSON = "person", "A person"

    proposal = models.ForeignKey(Proposal, models.PROTECT, related_name="evaluations")
    snapshot = models.ForeignKey(Snapshot, models.PROTECT)
    evaluator = models.CharField(max_length=20, choices=Evaluator)
    # Of a validator: which one of the policy's.
    name = models.CharField(max_length=100, default="", db_default="")
    version = models.CharField(max_length=100, default="")
    score = models.FloatField(null=True)
    raw = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.proposal_id} {self.evaluator} {self.score}"


class Disposition(models.Model):
    """What the policy made of checks and scores, and why."""

    class Verdict(models.TextChoices):
        ACCEPT = "accept"
        REVISE = "revise"
        ESCALATE = "escalate"
        HOLD = "hold"
        BLOCK = "block"

    proposal = models.ForeignKey(Proposal, models.PROTECT, related_name="dispositions")
    snapshot = models.OneToOneField(Snapshot, models.PROTECT)
    # Its index is the one below.
    policy = models.ForeignKey(EvaluationPolicy, models.PROTECT, db_index=False)
    verdict = models.CharField(max_length=20, choices=Verdict)
    band = models.CharField(max_length=20)
    score = models.FloatField(null=True)
    reasons = models.JSONField(default=list)
    # With which chance it was put before an auditor, whether it was or not; null where nothing draws.
    draw_chance = models.FloatField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            # policy_queries: what the newest of each policy came to.
            models.Index(fields=["policy", "-id"], name="disposition_of_policy"),
        ]

    def __str__(self) -> str:
        return f"{self.proposal_id} {self.verdict}"
