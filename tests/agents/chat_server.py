"""A server that speaks the chat-completions protocol on this machine, and says what a test has written down.

Each request takes the next turn of the script; the last one is repeated. `python -m tests.agents.chat_server
WAIT_S` runs one for benchmarks: it prints its port and answers everybody after that time.
"""

import asyncio
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}


@dataclass(frozen=True)
class Says:
    """One turn: text, or tools with their arguments, or a fault."""

    text: str | None = None
    calls: Sequence[tuple[str, Any]] = ()
    usage: dict[str, int] | None = field(default_factory=lambda: dict(USAGE))
    finish: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    # In place of an answer, as it stands.
    body: bytes | None = None
    wait_s: float = 0.0
    # Where the connection is closed, in the middle of what was promised.
    cut_after: int | None = None
    # Between two pieces of a stream.
    pause_s: float = 0.0

    @property
    def finish_reason(self) -> str:
        return self.finish or ("tool_calls" if self.calls else "stop")


def call_of(name: str, args: Any, number: int) -> dict[str, Any]:
    written = args if isinstance(args, str) else json.dumps(args)
    return {
        "id": f"call_{number}",
        "type": "function",
        "function": {"name": name, "arguments": written},
    }


def whole(turn: Says, model: str) -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": turn.text}
    if turn.calls:
        message["tool_calls"] = [
            call_of(name, args, number) for number, (name, args) in enumerate(turn.calls)
        ]
    answer = {
        "id": "chat_1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": turn.finish_reason}],
    }
    return json.dumps(answer | ({"usage": turn.usage} if turn.usage else {})).encode()


def streamed(turn: Says, model: str) -> Iterator[bytes]:
    for delta in _deltas(turn):
        yield _chunk(model, [{"index": 0, "delta": delta, "finish_reason": None}])
    yield _chunk(model, [{"index": 0, "delta": {}, "finish_reason": turn.finish_reason}])
    if turn.usage:
        yield _chunk(model, [], turn.usage)
    yield b"data: [DONE]\n\n"


def _deltas(turn: Says) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": ""}
    for word in (turn.text or "").split(" "):
        yield {"content": f"{word} "}
    for number, (name, args) in enumerate(turn.calls):
        call = call_of(name, "", number)
        written = args if isinstance(args, str) else json.dumps(args)
        yield {"tool_calls": [{"index": number, **call}]}
        half = len(written) // 2
        for piece in (written[:half], written[half:]):
            yield {"tool_calls": [{"index": number, "function": {"arguments": piece}}]}


def _chunk(model: str, choices: list[Any], usage: dict[str, int] | None = None) -> bytes:
    chunk = {
        "id": "chat_1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": model,
        "choices": choices,
        **({"usage": usage} if usage else {}),
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


@dataclass
class ChatServer:
    """What was asked, and what is said to it."""

    url: str = ""
    script: list[Says] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    # Set when the test is over: whoever waits need not.
    over: threading.Event = field(default_factory=threading.Event)
    _lock: Any = field(default_factory=threading.Lock)

    def says(self, *turns: Says | str) -> None:
        self.script = [Says(turn) if isinstance(turn, str) else turn for turn in turns]

    def next_turn(self) -> Says:
        with self._lock:
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    chat: ClassVar[ChatServer]

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.chat.asked.append(asked)
        self.chat.headers.append({name.lower(): value for name, value in self.headers.items()})
        self.chat.paths.append(self.path)
        turn = self.chat.next_turn()
        self.chat.over.wait(turn.wait_s)
        try:
            if asked.get("stream") and turn.body is None and turn.status == 200:
                self._stream(turn, asked["model"])
            else:
                self._answer(turn, asked.get("model", ""))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _answer(self, turn: Says, model: str) -> None:
        body = turn.body if turn.body is not None else whole(turn, model)
        self.send_response(turn.status)
        for name, value in {"Content-Type": "application/json", **turn.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if turn.cut_after is not None:
            body, self.close_connection = body[: turn.cut_after], True
        self.wfile.write(body)
        self.wfile.flush()

    def _stream(self, turn: Says, model: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for number, piece in enumerate(streamed(turn, model)):
            if number == turn.cut_after:
                return
            self.wfile.write(piece)
            self.wfile.flush()
            self.chat.over.wait(turn.pause_s)

    def log_message(self, *args: object) -> None:
        """Quiet."""


class Server(ThreadingHTTPServer):
    """Leaves no thread behind: other tests fork, which only a process without threads should."""

    daemon_threads = False

    def __init__(self, chat: ChatServer) -> None:
        handler: type[BaseHTTPRequestHandler] = type("Of", (Handler,), {"chat": chat})
        super().__init__(("127.0.0.1", 0), handler)
        self._lines: list[socket.socket] = []

    def get_request(self) -> tuple[socket.socket, Any]:
        line, address = super().get_request()
        self._lines.append(line)
        return line, address

    def hang_up(self) -> None:
        for line in self._lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    chat = ChatServer()
    server = Server(chat)
    chat.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield chat
    finally:
        chat.over.set()
        server.shutdown()
        server.hang_up()
        server.server_close()
        thread.join()


# For benchmarks: hundreds that wait, on one thread ------------------------------------------------


async def serve_after(wait_s: float, tell: Callable[[int], None]) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            asked = json.loads(await reader.readexactly(_length(head)))
            await asyncio.sleep(wait_s)
            tools = asked.get("tools") or []
            name = tools[0]["function"]["name"] if tools else ""
            turn = Says(calls=[(name, {"total": 7})]) if tools else Says("7")
            body = whole(turn, asked["model"])
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                + str(len(body)).encode()
                + b"\r\n\r\n"
                + body
            )
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1_000)
    tell(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    asyncio.run(
        serve_after(float(sys.argv[1]), lambda port: sys.stdout.write(f"{port}\n") and None)
    )
