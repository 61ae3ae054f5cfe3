"""What a change of Countersign can be about: a version of a rule, or of an evaluation policy.

To `actions/changes` the two are alike: something with versions of which one decides, that is asked for
by a proposal and changed by an executor. Here is what differs.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from orchestrator.actions import policies, rules
from orchestrator.actions.actor import Actor
from orchestrator.core.codec import Json
from orchestrator.core.policy import changes
from orchestrator.models import Backtest, EvaluationPolicy, RuleVersion

type Version = RuleVersion | EvaluationPolicy


class Subject(ABC):
    """One version, with what it is a version of."""

    noun: str
    # Whoever may ask for a change of it.
    capability: str
    activation: str
    retirement: str
    # The column of a backtest that names it.
    column: str
    # From where it may ask to decide.
    tried: tuple[str, ...]
    version: Version

    @property
    @abstractmethod
    def target(self) -> str:
        """What all versions have in common: of one target one change waits at a time."""

    @property
    @abstractmethod
    def log_name(self) -> str:
        """What the audit log calls it."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """Of what the version says."""

    @property
    @abstractmethod
    def names(self) -> dict[str, Json]:
        """The arguments by which `subject_in` finds it again."""

    @abstractmethod
    def hold(self) -> None:
        """Read it as it is now, and let nobody else move a stage of its target meanwhile."""

    @abstractmethod
    def active(self) -> Version | None:
        """The version that decides now."""

    @abstractmethod
    def newest_backtest(self) -> Backtest | None: ...

    @abstractmethod
    def check_retirable(self) -> None: ...

    @abstractmethod
    def activate(self, actor: Actor) -> None: ...

    @abstractmethod
    def retire(self, actor: Actor) -> None: ...


class OfRule(Subject):
    noun, column = "rule", "version"
    capability = "rules.edit"
    activation, retirement = changes.ACTIVATE_RULE, changes.RETIRE_RULE
    tried = rules.TRIED

    def __init__(self, version: RuleVersion) -> None:
        self.version: RuleVersion = version

    @property
    def target(self) -> str:
        return f"rule/{self.version.rule.slug}"

    @property
    def log_name(self) -> str:
        return self.target

    @property
    def digest(self) -> str:
        return self.version.content_hash

    @property
    def names(self) -> dict[str, Json]:
        return {"rule": self.version.rule.slug, "version": self.version.number}

    def hold(self) -> None:
        self.version = rules.hold(self.version)

    def active(self) -> RuleVersion | None:
        return RuleVersion.objects.active().filter(rule=self.version.rule_id).first()

    def newest_backtest(self) -> Backtest | None:
        return rules.newest_backtest(self.version)

    def check_retirable(self) -> None:
        """Any rule can be."""

    def activate(self, actor: Actor) -> None:
        rules.activate(actor, self.version)

    def retire(self, actor: Actor) -> None:
        rules.retire(actor, self.version)


class OfPolicy(Subject):
    noun, column = "policy", "policy"
    capability = "policies.edit"
    activation, retirement = changes.ACTIVATE_POLICY, changes.RETIRE_POLICY
    tried = (EvaluationPolicy.Stage.BACKTESTED,)

    def __init__(self, policy: EvaluationPolicy) -> None:
        self.version: EvaluationPolicy = policy

    @property
    def target(self) -> str:
        return self.version.scope.target

    @property
    def log_name(self) -> str:
        return policies.log_name(self.version)

    @property
    def digest(self) -> str:
        return self.version.digest

    @property
    def names(self) -> dict[str, Json]:
        return {"policy": self.version.number, "scope": dict(self.version.scope.named)}

    def hold(self) -> None:
        self.version = policies.hold(self.version)

    def active(self) -> EvaluationPolicy | None:
        return policies.active_version(self.version.scope)

    def newest_backtest(self) -> Backtest | None:
        return policies.newest_backtest(self.version)

    def check_retirable(self) -> None:
        policies.check_retirable(self.version)

    def activate(self, actor: Actor) -> None:
        policies.activate(actor, self.version)

    def retire(self, actor: Actor) -> None:
        policies.retire(actor, self.version)


def subject_of(version: Version) -> Subject:
    return OfPolicy(version) if isinstance(version, EvaluationPolicy) else OfRule(version)


def subject_in(args: Mapping[str, Any]) -> Subject:
    """What the arguments of a proposed change name. Raises `NotFound`."""
    if "policy" in args:
        return OfPolicy(policies.policy_of(int(args["policy"])))
    return OfRule(rules.version_of(str(args.get("rule")), int(args.get("version", 0))))
