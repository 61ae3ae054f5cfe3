import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from orchestrator.tools import mcp
from orchestrator.tools.base import ToolSpec, digest_of
from tests.tools import hostile_server


def make_spec(backend: dict[str, Any], **changes: Any) -> ToolSpec:
    values: dict[str, Any] = {
        "name": "look",
        "description": "Looks.",
        "parameters": {"type": "object"},
        "backend": backend,
    } | changes
    told = (values["name"], values["description"], values["parameters"])
    return ToolSpec(**{"digest": digest_of(*told), **values})


@pytest.fixture(autouse=True)
def _left_alone() -> Iterator[None]:
    """No server outlives the test that started it."""
    yield
    mcp.stop_all()


def offered(server: dict[str, Any], name: str, **changes: Any) -> ToolSpec:
    """A tool as its server describes it just now, as if that had been approved."""
    [found] = [one for one in mcp.offers(server, 20) if one.name == name]
    backend = {"kind": "mcp", "tool": name, "server": server}
    return make_spec(
        backend,
        name=name,
        description=found.description,
        parameters=found.parameters,
        **changes,
    )


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """What the hostile server says of its tool `changing`, when it starts."""
    found = tmp_path / "description"
    found.write_text("Does something.")
    return found


@pytest.fixture
def hostile(settings: Settings, text: Path) -> dict[str, Any]:
    program = [sys.executable, hostile_server.__file__, str(text)]
    settings.TOOL_COMMANDS = {"hostile": program}
    return {"slug": "hostile", "transport": "stdio", "command": "hostile"}
