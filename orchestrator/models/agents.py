"""Agents, their immutable versions, the endpoints these call, and which version is in use."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from orchestrator.core.policy import agent_versions as words
from orchestrator.core.policy.agent_versions import Deployed, Sight
from orchestrator.models.contracts import ContractVersion
from orchestrator.models.proposals import Proposal
from orchestrator.models.runs import Run


class Endpoint(models.Model):
    """Where agents send what they are handed: a model's address, and what data it may see."""

    class Provider(models.TextChoices):
        OPENAI_COMPATIBLE = (
            "openai_compatible",
            "Speaks the chat-completions protocol, such as Ollama and vLLM",
        )
        OPENAI = "openai", "OpenAI"
        ANTHROPIC = "anthropic", "Anthropic"
        GOOGLE = "google", "Google"
        MISTRAL = "mistral", "Mistral"
        GROQ = "groq", "Groq"
        HTTP = "http", "A service of your own"

    class Auth(models.TextChoices):
        BEARER = "bearer", "Sent, as a bearer token"
        HMAC = "hmac", "Each call is signed with it"
        NONE = "none", "Not at all"

    slug = models.SlugField(max_length=100, unique=True)
    # Counts its changes, so that what somebody countersigned is what they read.
    revision = models.PositiveIntegerField(default=1)
    provider = models.CharField(max_length=30, choices=Provider)
    base_url = models.CharField(max_length=2_000)
    region = models.CharField(max_length=100, default="", blank=True)
    # In our own house: nothing that is sent to it leaves.
    is_local = models.BooleanField(default=False)
    data_classes = ArrayField(models.CharField(max_length=40))
    # Either the name of a variable in the workers' environment, or sealed; see secret_box.py.
    api_key_env = models.CharField(max_length=100, default="", blank=True)
    api_key_sealed = models.TextField(default="", blank=True)
    # How the key is used, where there is one.
    auth = models.CharField(
        max_length=10, choices=Auth, default=Auth.BEARER, db_default=Auth.BEARER
    )
    # Millionths of the currency's unit for a million tokens; null is unknown, and never nothing.
    price_input = models.BigIntegerField(null=True)
    price_output = models.BigIntegerField(null=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True)
    created_at = models.DateTimeField(db_default=Now())
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="endpoint_one_key",
                condition=Q(api_key_env="") | Q(api_key_sealed=""),
            ),
            models.CheckConstraint(
                name="endpoint_price_whole",
                condition=Q(price_input=None, price_output=None)
                | Q(
                    price_input__isnull=False,
                    price_output__isnull=False,
                    price_input__gte=0,
                    price_output__gte=0,
                ),
            ),
            models.CheckConstraint(
                name="endpoint_sees_something", condition=Q(data_classes__len__gte=1)
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    @property
    def sight(self) -> Sight:
        return Sight(self.slug, frozenset(self.data_classes), self.retired_at is not None)

    @property
    def price(self) -> dict[str, int] | None:
        if self.price_input is None or self.price_output is None:
            return None
        return {
            "input_micros_per_mtok": self.price_input,
            "output_micros_per_mtok": self.price_output,
        }


class Agent(models.Model):
    """A worker that workflows ask by name."""

    class Tier(models.TextChoices):
        READ_ONLY = words.READ_ONLY, "Read-only"
        ELEVATED = words.ELEVATED, "Elevated"

    slug = models.SlugField(max_length=100, unique=True)
    title = models.CharField(max_length=200, default="", blank=True)
    owner = models.CharField(max_length=100, default="", blank=True)
    tier = models.CharField(max_length=20, choices=Tier, default=Tier.READ_ONLY)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="agent_tier_known", condition=Q(tier__in=sorted(words.TIERS))
            ),
        ]

    def __str__(self) -> str:
        return self.slug


class AgentVersion(models.Model):
    """What an agent is, as it was written: nothing of it ever changes."""

    class Adapter(models.TextChoices):
        SCRIPTED = "scripted", words.ADAPTERS["scripted"]
        RECORDED = "recorded", words.ADAPTERS["recorded"]
        HTTP = "http", words.ADAPTERS["http"]
        LLM = "llm", words.ADAPTERS["llm"]
        FUNCTION = "function", words.ADAPTERS["function"]

    agent = models.ForeignKey(Agent, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    # What its author calls it; agents outside may state it in place of the number.
    label = models.CharField(max_length=100, default="", blank=True)
    # As the agent's was when it was written. The lower of the two counts, so that an agent that is raised
    # needs a version that somebody deploys.
    tier = models.CharField(max_length=20, choices=Agent.Tier)
    adapter = models.CharField(max_length=20, choices=Adapter)
    model = models.CharField(max_length=200, default="", blank=True)
    prompt = models.TextField(default="", blank=True)
    # Names of tools; what is approved of them when it is called is what it is offered.
    tools = models.JSONField(default=list, blank=True)
    data_classes = ArrayField(models.CharField(max_length=40))
    limits = models.JSONField(default=dict, blank=True)
    # Of its adapter: a temperature, what a script says, a recorded conversation.
    parameters = models.JSONField(default=dict, blank=True)
    contract = models.ForeignKey(ContractVersion, models.PROTECT, null=True, related_name="+")
    content_hash = models.CharField(max_length=71)
    note = models.TextField(default="", blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agent", "number"], name="agent_version_number_unique"),
            models.UniqueConstraint(
                fields=["agent", "label"],
                condition=~Q(label=""),
                name="agent_version_label_unique",
            ),
            models.CheckConstraint(
                name="agent_version_adapter_known",
                condition=Q(adapter__in=sorted(words.ADAPTERS)),
            ),
            models.CheckConstraint(
                name="agent_version_tier_known", condition=Q(tier__in=sorted(words.TIERS))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent} v{self.number}"

    @property
    def may(self) -> str:
        """The tier that counts."""
        both = {self.tier, self.agent.tier}
        return words.READ_ONLY if words.READ_ONLY in both else words.ELEVATED

    @property
    def endpoint_slugs(self) -> list[str]:
        return [one.endpoint.slug for one in self.endpoints.all()]

    @property
    def content(self) -> dict[str, Any]:
        """All that its hash is over."""
        contract = self.contract
        return {
            "adapter": self.adapter,
            "contract": f"{contract.contract.name} v{contract.number}" if contract else None,
            "data_classes": sorted(self.data_classes),
            "endpoints": self.endpoint_slugs,
            "limits": self.limits,
            "model": self.model,
            "parameters": self.parameters,
            "prompt": self.prompt,
            "tier": self.tier,
            "tools": self.tools,
        }


class VersionEndpoint(models.Model):
    """An endpoint that a version may call; the first that may see the data is the one that is called."""

    version = models.ForeignKey(AgentVersion, models.PROTECT, related_name="endpoints")
    place = models.PositiveSmallIntegerField()
    endpoint = models.ForeignKey(Endpoint, models.PROTECT, related_name="used_by")

    class Meta:
        ordering: ClassVar[list[str]] = ["place"]
        constraints = [
            models.UniqueConstraint(
                fields=["version", "place"], name="version_endpoint_place_unique"
            ),
            models.UniqueConstraint(fields=["version", "endpoint"], name="version_endpoint_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.version_id} {self.place} {self.endpoint_id}"


class Deployment(models.Model):
    """From when on which versions of an agent are in use. The newest before a run's start is that run's."""

    agent = models.ForeignKey(Agent, models.PROTECT, related_name="deployments", db_index=False)
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    stable = models.ForeignKey(AgentVersion, models.PROTECT, related_name="+")
    canary = models.ForeignKey(AgentVersion, models.PROTECT, null=True, related_name="+")
    # Percent of the runs that get the canary.
    share = models.PositiveSmallIntegerField(default=0)
    shadow = models.ForeignKey(AgentVersion, models.PROTECT, null=True, related_name="+")
    # Who asked for it and who agreed stand there.
    proposal = models.OneToOneField(Proposal, models.PROTECT, null=True, related_name="deployment")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True)
    note = models.TextField(default="", blank=True)

    class Meta:
        constraints = [
            # engine.deployed: the one in force when a run started.
            models.UniqueConstraint(fields=["agent", "number"], name="deployment_number_unique"),
            models.CheckConstraint(
                name="deployment_canary_has_share",
                condition=Q(canary=None, share=0)
                | Q(canary__isnull=False, share__gte=1, share__lte=99),
            ),
            models.CheckConstraint(
                name="deployment_canary_is_other", condition=~Q(canary=F("stable"))
            ),
            models.CheckConstraint(
                name="deployment_shadow_is_other", condition=~Q(shadow=F("stable"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent} deployment {self.number}"

    @classmethod
    def in_force(cls, agents: Iterable[str]) -> "models.QuerySet[Deployment]":
        """The newest of each of these agents."""
        found = cls.objects.filter(agent__slug__in=list(agents)).select_related("agent", "stable")
        return found.order_by("agent", "-number").distinct("agent")

    @property
    def deployed(self) -> Deployed:
        return Deployed(
            stable=self.stable.number,
            canary=self.canary.number if self.canary else None,
            share=self.share,
            shadow=self.shadow.number if self.shadow else None,
        )


class AgentTrial(models.Model):
    """What a shadow version said beside the one that counted, and how far the two agree. It moved nothing."""

    class Status(models.TextChoices):
        ANSWERED = "answered", "It answered"
        FAILED = "failed", "It failed"

    run = models.ForeignKey(Run, models.PROTECT, related_name="trials")
    work = models.CharField(max_length=60)
    visit = models.PositiveIntegerField()
    index = models.PositiveIntegerField(default=0)
    attempt = models.PositiveSmallIntegerField(default=1)
    # Where the answer that counted stands in the log of the run.
    answer = models.PositiveIntegerField()
    beside = models.ForeignKey(AgentVersion, models.PROTECT, related_name="+")
    version = models.ForeignKey(AgentVersion, models.PROTECT, related_name="trials", db_index=False)
    status = models.CharField(max_length=10, choices=Status)
    output = models.JSONField(null=True)
    error = models.JSONField(null=True)
    agreement = models.FloatField(null=True)
    tokens_in = models.PositiveBigIntegerField(default=0)
    tokens_out = models.PositiveBigIntegerField(default=0)
    # Null is unknown.
    money_micros = models.BigIntegerField(null=True)
    took_ms = models.PositiveBigIntegerField(default=0)
    told = models.JSONField(default=dict)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["run", "work", "visit", "index", "attempt", "version"],
                name="agent_trial_once",
            ),
            models.CheckConstraint(
                name="agent_trial_agreement_is_share",
                condition=Q(agreement=None) | Q(agreement__gte=0, agreement__lte=1),
            ),
        ]
        # engine.beside: what a shadow used up today; agent_queries: how far it agrees.
        indexes = [models.Index(fields=["version", "at"], name="agent_trial_by_version")]

    def __str__(self) -> str:
        return f"{self.run_id} {self.work} {self.version_id}"
