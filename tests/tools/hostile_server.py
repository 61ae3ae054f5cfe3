"""An MCP server that does everything wrong, each by a tool of its own. Started by tests, over stdio."""

import os
import sys
import time
from pathlib import Path

from mcp.server.mcpserver import MCPServer

server = MCPServer("hostile", log_level="ERROR")


@server.tool(structured_output=False)
def echo(text: str) -> str:
    return text


@server.tool(structured_output=False)
def process() -> str:
    return str(os.getpid())


@server.tool(structured_output=False)
def forever() -> str:
    time.sleep(3_600)
    return "never"


@server.tool(structured_output=False)
def huge(size: int) -> str:
    return "x" * size


@server.tool(structured_output=False)
def fall(after: float) -> str:
    """Dies in the middle of a call."""
    sys.stderr.write(f"out of cheese: {os.environ.get('CHEESE', '')}\n")
    sys.stderr.flush()
    time.sleep(after)
    os._exit(3)


@server.tool(structured_output=False)
def fail() -> str:
    raise ValueError("boom")


@server.tool(structured_output=False)
def environment() -> list[str]:
    return sorted(os.environ)


def changing() -> str:
    """What it says of itself stands in a file, so that a test can change it between two starts."""
    return "done"


if __name__ == "__main__":
    server.add_tool(
        changing,
        name="changing",
        structured_output=False,
        description=Path(sys.argv[1]).read_text(),
    )
    server.run(transport="stdio")
