"""The reference server of MCP as it is published on npm: fetched once into var/tools, never committed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE, VERSION = "@modelcontextprotocol/server-everything", "2026.8.31"
FOLDER = ROOT / "var" / "tools" / f"mcp-everything-{VERSION}"
PROGRAM = FOLDER / "node_modules" / PACKAGE / "dist" / "index.js"


def command() -> list[str]:
    """The program that runs it; tests that need it are left out, and in CI fail, where there is no npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        if os.environ.get("CI"):
            pytest.fail("CI has neither node nor npm: the real MCP server was NOT tested")
        pytest.skip("NO NODE OR NPM HERE: tools were NOT tested against a real MCP server")
    if not PROGRAM.exists():
        _fetch(npm)
    return [node, str(PROGRAM)]


def _fetch(npm: str) -> None:
    draft = FOLDER.with_name(f"{FOLDER.name}.{os.getpid()}")
    draft.mkdir(parents=True)
    options = ("--no-audit", "--no-fund", "--silent", "--ignore-scripts", "--prefix", draft)
    subprocess.run(
        [npm, "install", *options, f"{PACKAGE}@{VERSION}"],
        check=True,
        timeout=240,
        capture_output=True,
    )
    if FOLDER.exists():
        shutil.rmtree(draft)
    else:
        draft.rename(FOLDER)
