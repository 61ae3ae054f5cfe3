"""The hostile server over HTTP, which packs what its tools say."""

import gzip
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.tools.hostile_server import reply


class Packing(BaseHTTPRequestHandler):
    """Whatever a tool says is far larger than what goes over the wire."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "id" not in asked:
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        is_bomb = asked["method"] == "tools/call"
        content = [{"type": "text", "text": "0" * 5_000_000}]
        bomb = {"jsonrpc": "2.0", "id": asked["id"], "result": {"content": content}}
        body = json.dumps(bomb if is_bomb else reply(asked)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if is_bomb:
            body = gzip.compress(body)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.send_error(405)

    def log_message(self, *args: Any) -> None:
        pass


def packing() -> ThreadingHTTPServer:
    return ThreadingHTTPServer(("127.0.0.1", 0), Packing)
