"""A server of MCP without the SDK, whose own server would not let it say such things."""

import json
import sys
from typing import Any

TOOLS = ("flood", "endless_line", "gibberish")
PROTOCOL = "2025-06-18"


def say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def flood() -> None:
    while True:
        say('{"jsonrpc":"2.0","method":"notifications/x"}\n' * 1_000)


def endless_line() -> None:
    while True:
        say("x" * 100_000)


def tools() -> dict[str, Any]:
    found = [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]
    return {"tools": found} | ({"nextCursor": "more"} if "pages" in sys.argv else {})


def called(name: str) -> dict[str, Any]:
    if name == "flood":
        flood()
    if name == "endless_line":
        endless_line()
    say("not json\n[1,2]\n{}\n\n")
    return {"content": [{"type": "text", "text": "and then this"}]}


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    if asked["method"] == "initialize":
        about = {"name": "babbling", "version": "1"}
        return {"protocolVersion": PROTOCOL, "capabilities": {"tools": {}}, "serverInfo": about}
    if asked["method"] == "tools/list":
        return tools()
    return called(asked["params"]["name"])


def reply(asked: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"jsonrpc": "2.0", "id": asked["id"]}
    if asked["method"] in {"initialize", "tools/list", "tools/call"}:
        return {**said, "result": answer(asked)}
    return {**said, "error": {"code": -32601, "message": "no such method"}}


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" not in asked:
            continue
        say(json.dumps(reply(asked)) + "\n")


if __name__ == "__main__":
    main()
