"""An MCP server as it is configured."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from orchestrator.core.errors import ToolRefused, ToolUnavailable
from orchestrator.tools.secrets import PREFIX, secret, secret_for


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Equal ones share a connection."""

    slug: str
    transport: str
    command: str = ""
    url: str = ""
    secret: str = ""
    env: tuple[str, ...] = ()

    @classmethod
    def read(cls, tool: str, found: Any) -> "ServerConfig":
        if not isinstance(found, Mapping) or found.get("transport") not in {"stdio", "http"}:
            raise ToolRefused(tool, "its MCP server is not described.")
        names = ("slug", "transport", "command", "url", "secret")
        texts = {name: str(found.get(name, "")) for name in names}
        return cls(**texts, env=tuple(found.get("env", ())))

    def command_line(self) -> list[str]:
        line: list[str] | None = settings.TOOL_COMMANDS.get(self.command)
        if line is None:
            raise ToolUnavailable(
                self.slug, f"TOOL_COMMANDS of this worker names no {self.command!r}."
            )
        return line

    def environment(self) -> dict[str, str]:
        """Named secrets, under their names without the prefix; the server knows them by these."""
        return {name.removeprefix(PREFIX): secret(self.slug, name) for name in self.env}

    def headers(self) -> dict[str, str]:
        if not self.secret:
            return {}
        return {"Authorization": f"Bearer {secret_for(self.slug, self.secret, self.url)}"}
