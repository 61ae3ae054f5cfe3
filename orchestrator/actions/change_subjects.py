"""What a change of Countersign can be about: a version of a rule or of an evaluation policy, which versions
of an agent are in use, where an endpoint is and what it may see.

To `actions/changes` they are alike: something that is asked for by a proposal, and changed by an executor
if it is still what was looked at. Here is what differs.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from orchestrator.actions import agents, deployments, endpoints, policies, rules
from orchestrator.actions.actor import Actor
from orchestrator.actions.endpoints import Whereabouts
from orchestrator.core.codec import Json
from orchestrator.core.errors import NotFound, StageWrong
from orchestrator.core.policy import changes
from orchestrator.core.policy.agent_versions import Deployed
from orchestrator.effects.base import EffectCall
from orchestrator.models import Backtest, EvaluationPolicy, RuleVersion

type Version = RuleVersion | EvaluationPolicy
ACTIVE = "active"


class Subject(ABC):
    """What is to be changed, and into what."""

    noun: str
    # Whoever may ask for a change of it.
    capability: str

    @property
    @abstractmethod
    def target(self) -> str:
        """Of one target one change waits at a time."""

    @property
    @abstractmethod
    def log_name(self) -> str:
        """What the audit log calls it."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """Of what is looked at by whoever agrees."""

    @property
    @abstractmethod
    def names(self) -> dict[str, Json]:
        """The arguments by which `subject_in` finds it again."""

    @property
    @abstractmethod
    def number(self) -> int | None:
        """Of what it becomes, where that has a number."""

    @abstractmethod
    def hold(self) -> None:
        """Read it as it is now, and let nobody else change its target meanwhile."""

    @abstractmethod
    def in_force(self) -> int | None:
        """The number of what stands there now."""

    @property
    def becomes(self) -> int | None:
        """The number that stands there once it is made; None where it is not known before."""
        return None

    def moved(self, number: int | None) -> str:
        """How it is said that something else stands there."""
        return f"the {self.noun} was changed"

    @abstractmethod
    def evidence(self, action: str) -> dict[str, Json]:
        """What goes along, once it may become what is asked for. Raises where it may not."""

    @abstractmethod
    def make(self, actor: Actor, call: EffectCall) -> bool:
        """Make the change; false for an action that is none of it."""


class OfVersion(Subject):
    """One version of something of which one version decides."""

    activation: str
    retirement: str
    # The column of a backtest that names it.
    column: str
    # From where it may ask to decide.
    tried: tuple[str, ...]
    version: Version

    @property
    def number(self) -> int:
        return self.version.number

    @property
    def becomes(self) -> int:
        return self.version.number

    def moved(self, number: int | None) -> str:
        return f"version {number} became active"

    def in_force(self) -> int | None:
        active = self.active()
        return active.number if active else None

    def evidence(self, action: str) -> dict[str, Json]:
        """The newest finished backtest."""
        version = self.version
        if action in changes.RETIREMENTS:
            if version.stage != ACTIVE:
                raise self.stage_wrong("retire it", "Only an active one can.")
            self.check_retirable()
            return {}
        if version.stage == ACTIVE:
            raise self.stage_wrong("activate it", "It decides already.")
        backtest = self.newest_backtest()
        if version.activated_at is None and (backtest is None or version.stage not in self.tried):
            raise self.stage_wrong("activate it", "It needs a finished backtest first.")
        return {"backtest": backtest.pk} if backtest else {}

    def make(self, actor: Actor, call: EffectCall) -> bool:
        makers = {self.activation: self.activate, self.retirement: self.retire}
        if call.action not in makers:
            return False
        makers[call.action](actor)
        return True

    def stage_wrong(self, wish: str, advice: str) -> StageWrong:
        return StageWrong(str(self.version), self.version.stage, wish, advice)

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


class OfRule(OfVersion):
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


class OfPolicy(OfVersion):
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


class OfAgent(Subject):
    """Which versions of an agent are in use."""

    noun, capability = "deployment", "agents.edit"

    def __init__(self, slug: str, wanted: Deployed) -> None:
        self.slug, self.wanted = slug, wanted

    @property
    def target(self) -> str:
        return f"agent/{self.slug}"

    @property
    def log_name(self) -> str:
        return agents.log_name(self.slug)

    @property
    def digest(self) -> str:
        return deployments.digest_of(self.slug, self.wanted)

    @property
    def names(self) -> dict[str, Json]:
        return {"agent": self.slug, **self.wanted.to_json()}

    @property
    def number(self) -> int | None:
        return self.wanted.stable

    def hold(self) -> None:
        agents.hold(self.slug)

    def in_force(self) -> int | None:
        now = deployments.current(self.slug)
        return now.number if now else None

    def evidence(self, action: str) -> dict[str, Json]:
        """How it is now, for whoever reads the proposal alone."""
        deployments.check_new(self.slug, self.wanted)
        now = deployments.current(self.slug)
        return {"before": now.deployed.to_json() if now else None}

    def make(self, actor: Actor, call: EffectCall) -> bool:
        if call.action != changes.DEPLOY_AGENT:
            return False
        deployments.make(actor, self.slug, self.wanted, effect=call.key)
        return True


class OfEndpoint(Subject):
    """Where an endpoint is, and what it may see."""

    noun, capability = "endpoint", "agents.edit"

    def __init__(self, slug: str, wanted: Whereabouts) -> None:
        self.endpoint, self.wanted = endpoints.endpoint_of(slug), wanted

    @property
    def target(self) -> str:
        return f"endpoint/{self.endpoint.slug}"

    @property
    def log_name(self) -> str:
        return endpoints.log_name(self.endpoint.slug)

    @property
    def digest(self) -> str:
        return endpoints.digest_of(self.endpoint, self.wanted)

    @property
    def names(self) -> dict[str, Json]:
        return {"endpoint": self.endpoint.slug, "to": self.wanted.to_json()}

    @property
    def number(self) -> int | None:
        return self.endpoint.revision

    def hold(self) -> None:
        self.endpoint = endpoints.hold(self.endpoint.slug)

    def in_force(self) -> int | None:
        return self.endpoint.revision

    def evidence(self, action: str) -> dict[str, Json]:
        """How it is now, for whoever reads the proposal alone."""
        endpoints.check(self.wanted)
        if self.endpoint.retired_at is not None:
            raise StageWrong(self.endpoint.slug, "retired", "change it", "Make another one.")
        if not endpoints.needs_agreement(self.endpoint, self.wanted):
            raise StageWrong(
                self.endpoint.slug, "like that, or sees more", "ask for it", "Change it directly."
            )
        return {"before": Whereabouts.of(self.endpoint).to_json()}

    def make(self, actor: Actor, call: EffectCall) -> bool:
        if call.action != changes.MOVE_ENDPOINT:
            return False
        endpoints.relocate(actor, self.endpoint, self.wanted)
        return True


def subject_of(version: Version) -> OfVersion:
    return OfPolicy(version) if isinstance(version, EvaluationPolicy) else OfRule(version)


def subject_in(args: Mapping[str, Any]) -> Subject:
    """What the arguments of a proposed change name. Raises `NotFound`."""
    if "policy" in args:
        return OfPolicy(policies.policy_of(int(args["policy"])))
    if "agent" in args:
        return OfAgent(str(args["agent"]), deployments.wanted_in(args))
    if "endpoint" in args:
        return OfEndpoint(str(args["endpoint"]), Whereabouts.from_json(args["to"]))
    return OfRule(rules.version_of(str(args.get("rule")), int(args.get("version", 0))))


def version_in(args: Mapping[str, Any]) -> Version:
    """The version that a proposed change is about. Raises `NotFound` for a change of something else."""
    subject = subject_in(args)
    if not isinstance(subject, OfVersion):
        raise NotFound("version", subject.target)
    return subject.version
