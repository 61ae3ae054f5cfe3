"""A target over HTTP, for tests of tools."""

from http.server import BaseHTTPRequestHandler
from typing import Any


class Shop(BaseHTTPRequestHandler):
    """Remembers what it was asked, and answers as it is told to."""

    asked: list[tuple[str, str, bytes, dict[str, str]]] = []
    answers: list[tuple[int, bytes]] = []

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.asked.append((self.command, self.path, self.rfile.read(length), dict(self.headers)))
        status, body = self.answers.pop(0) if self.answers else (200, b'{"ok":true}')
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _answer

    def log_message(self, format: str, *args: Any) -> None:
        pass
