"""A little server of our own on loopback that notes what it is told, or misbehaves as it is asked to."""

import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

type Reply = tuple[int, Mapping[str, str], bytes]


@dataclass(frozen=True)
class Request:
    line: str
    headers: dict[str, str]
    body: bytes


class Listener:
    """`answers` are given one after the other; when they are used up, each is 200."""

    def __init__(
        self,
        *,
        serve: Callable[[socket.socket], None] | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[Request] = []
        self.answers: list[Reply] = []
        self.names: list[str | None] = []
        self._serve = serve or self._answer
        self._context = context
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            # Whoever hangs up in the middle is what some tests are about.
            with suppress(OSError), connection:
                self._meet(connection)

    def _meet(self, connection: socket.socket) -> None:
        if self._context is None:
            return self._serve(connection)
        with self._context.wrap_socket(connection, server_side=True) as secured:
            return self._serve(secured)

    def _answer(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            line = stream.readline().decode().strip()
            headers: dict[str, str] = {}
            while text := stream.readline().decode().strip():
                name, _, value = text.partition(": ")
                headers[name.lower()] = value
            body = stream.read(int(headers.get("content-length", 0)))
        self.requests.append(Request(line, headers, body))
        status, more, said = self.answers.pop(0) if self.answers else (200, {}, b"")
        head = [f"HTTP/1.1 {status} As Asked", f"Content-Length: {len(said)}"]
        head += [f"{name}: {value}" for name, value in more.items()]
        connection.sendall("\r\n".join([*head, "", ""]).encode() + said)


def certificate_for(name: str, folder: Path) -> None:
    """Signed by itself: `certificate.pem` and `key.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
