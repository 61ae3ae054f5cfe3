"""Tools that agents may use, the servers that some of them come from, and what was approved of each."""

from typing import Any

from django.conf import settings
from django.db import models

from orchestrator.core.codec import read


class Retirable(models.Model):
    """One admin takes it out of use, at once. What it was stays, and it can be brought back."""

    retired_at = models.DateTimeField(null=True)
    retired_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    retired_why = models.TextField(default="", blank=True)

    class Meta:
        abstract = True


class ToolServer(Retirable):
    """An MCP server: a program on the workers' machine, or an address."""

    class Transport(models.TextChoices):
        STDIO = "stdio", "A program on this machine"
        HTTP = "http", "An address"

    slug = models.SlugField(max_length=50, unique=True)
    transport = models.CharField(max_length=10, choices=Transport)
    # The name of a program in TOOL_COMMANDS: what may be started is not for people who sign in to say.
    command = models.CharField(max_length=100, default="", blank=True)
    url = models.CharField(max_length=2_000, default="", blank=True)
    # Names of secrets in the environment of the workers, and never a secret itself.
    secret = models.CharField(max_length=100, default="", blank=True)
    env = models.JSONField(default=list, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True)
    # Whoever said last where it is: all that is read from it since is theirs, too.
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    synced_at = models.DateTimeField(null=True)
    error = models.TextField(default="", blank=True)

    def __str__(self) -> str:
        return self.slug

    @property
    def secrets(self) -> list[str]:
        """The names of all that it is handed."""
        return [*([self.secret] if self.secret else []), *self.env]

    @property
    def config(self) -> dict[str, Any]:
        """As the backend of a tool names it."""
        return {
            "slug": self.slug,
            "transport": self.transport,
            "command": self.command,
            "url": self.url,
            "secret": self.secret,
            "env": list(self.env),
        }


class Tool(Retirable):
    """A tool by name. What it says and does is in its versions, and the current one counts if it is approved."""

    name = models.CharField(max_length=50, unique=True)
    owner = models.CharField(max_length=100, default="", blank=True)
    # Where it comes from, if from a server; and whether that one still offers it.
    server = models.ForeignKey(ToolServer, models.PROTECT, null=True, related_name="tools")
    is_offered = models.BooleanField(default=True)
    current = models.ForeignKey("ToolVersion", models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name

    @property
    def is_retired(self) -> bool:
        """By itself, or with its server."""
        return bool(self.retired_at or (self.server and self.server.retired_at))


class ToolVersion(models.Model):
    """One immutable wording: what a model is told of a tool, and what is called when it is used."""

    class Kind(models.TextChoices):
        READ = "read", "Reads"
        WRITE = "write", "Changes something"

    tool = models.ForeignKey(Tool, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=Kind)
    description = models.TextField(default="", blank=True)
    # JSON Schema of its arguments, in canonical form.
    parameters = models.TextField()
    backend = models.JSONField()
    timeout_s = models.FloatField(default=30.0)
    # Of writing tools: the action that a use of it proposes, and whether a second call does no harm.
    action = models.CharField(max_length=100, default="", blank=True)
    is_repeatable = models.BooleanField(default=False)
    # Over what a model is told; and over all that a version says.
    digest = models.CharField(max_length=71)
    content_hash = models.CharField(max_length=71)
    # Whoever wrote it; nobody, of what a server says.
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    approved_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tool", "number"], name="tool_version_number_unique"),
        ]
        indexes = [
            # Asked whenever an effect is released: which tool an action belongs to.
            models.Index(
                fields=["action"],
                name="tool_version_of_action",
                condition=models.Q(kind="write", approved_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tool} v{self.number}"

    @property
    def is_approved(self) -> bool:
        return self.approved_at is not None

    @property
    def schema(self) -> dict[str, Any]:
        found = read(self.parameters)
        return found if isinstance(found, dict) else {}
