"""A mail server of our own on loopback: it takes what it is sent, or says no as it is told to."""

import email
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from email.policy import default
from typing import Self

HELLO, OK, GO_ON, BYE = "220 ready", "250 fine", "354 go on", "221 bye"


@dataclass
class MailServer:
    # What it says to commands of these names, instead of yes.
    refusals: dict[str, str] = field(default_factory=dict)
    letters: list[Message] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
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
            with suppress(OSError), connection:
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            connection.sendall(f"{HELLO}\r\n".encode())
            for line in lines:
                name = line.decode().strip().split(" ")[0].upper()
                said = self.refusals.get(name) or {"DATA": GO_ON, "QUIT": BYE}.get(name, OK)
                connection.sendall(f"{said}\r\n".encode())
                if name == "RCPT":
                    self.recipients.append(line.decode().partition("<")[2].partition(">")[0])
                if said == GO_ON:
                    self.letters.append(self._letter(lines))
                    connection.sendall(f"{OK}\r\n".encode())
                if said == BYE:
                    return

    def _letter(self, lines: object) -> Message:
        text = b""
        for line in lines:  # type: ignore[attr-defined]
            if line == b".\r\n":
                break
            text += line.removeprefix(b".") if line.startswith(b"..") else line
        return email.message_from_bytes(text, policy=default)  # type: ignore[arg-type]
