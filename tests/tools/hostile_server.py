"""An MCP server that does everything wrong, each by a tool of its own. Started by tests, over stdio.

It is written without the SDK, whose own server starts slowly and would not let it say such things.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROTOCOL = "2025-06-18"
# With each letter more, Python's search takes twice as long to see that the text does not fit.
PATTERN, SLOW_TO_SEARCH = "^(a+)+$", "a" * 24 + "!"


def say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def forever(args: dict[str, Any]) -> str:
    time.sleep(3_600)
    return "never"


def fall(args: dict[str, Any]) -> str:
    """Dies in the middle of a call."""
    sys.stderr.write(f"out of cheese: {os.environ.get('CHEESE', '')}\n")
    sys.stderr.flush()
    time.sleep(args["after"])
    os._exit(3)


def fail(args: dict[str, Any]) -> str:
    raise ValueError("boom")


def flood(args: dict[str, Any]) -> str:
    while True:
        say('{"jsonrpc":"2.0","method":"notifications/x"}\n' * 1_000)


def endless_line(args: dict[str, Any]) -> str:
    while True:
        say("x" * 100_000)


def gibberish(args: dict[str, Any]) -> str:
    say("not json\n[1,2]\n{}\n\n")
    return "and then this"


TOOLS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "echo": lambda args: args["text"],
    "process": lambda args: str(os.getpid()),
    "forever": forever,
    "huge": lambda args: "x" * args["size"],
    "fall": fall,
    "fail": fail,
    "environment": lambda args: json.dumps(sorted(os.environ)),
    "changing": lambda args: "done",
    "flood": flood,
    "endless_line": endless_line,
    "gibberish": gibberish,
    # Says of its answer what is slow to check, and wrong.
    "entangled": lambda args: {"a": SLOW_TO_SEARCH},
}
MORE: dict[str, dict[str, Any]] = {
    "echo": {"inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}}},
    "entangled": {
        "outputSchema": {"type": "object", "properties": {"a": {"pattern": PATTERN}}},
    },
}


def tools() -> dict[str, Any]:
    plain = {"inputSchema": {"type": "object"}}
    found = [{"name": name, **plain, **MORE.get(name, {})} for name in TOOLS]
    return {"tools": found} | ({"nextCursor": "more"} if "pages" in sys.argv else {})


def called(name: str, args: dict[str, Any]) -> dict[str, Any]:
    try:
        found = TOOLS[name](args)
    except ValueError as error:
        return {"content": [{"type": "text", "text": str(error)}], "isError": True}
    if isinstance(found, dict):
        return {"content": [], "structuredContent": found}
    return {"content": [{"type": "text", "text": found}]}


def answer(method: str, asked: dict[str, Any]) -> dict[str, Any]:
    if method == "initialize":
        about = {"name": "hostile", "version": "1"}
        return {"protocolVersion": PROTOCOL, "capabilities": {"tools": {}}, "serverInfo": about}
    if method == "tools/list":
        return tools()
    return called(asked["name"], asked.get("arguments") or {})


def reply(asked: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"jsonrpc": "2.0", "id": asked["id"]}
    if asked["method"] in {"initialize", "tools/list", "tools/call"}:
        return {**said, "result": answer(asked["method"], asked.get("params") or {})}
    return {**said, "error": {"code": -32601, "message": "no such method"}}


def main() -> None:
    """What `changing` says of itself stands in a file, so that a test can change it between two starts."""
    MORE["changing"] = {"description": Path(sys.argv[1]).read_text()}
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" in asked:
            say(json.dumps(reply(asked)) + "\n")


if __name__ == "__main__":
    main()
