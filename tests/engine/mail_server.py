"""A mail server of our own on loopback: it takes what it is sent, or says no as it is told to."""

import email
import socket
from email.message import Message
from email.policy import default

from tests.engine.listener import Listener

HELLO, OK, GO_ON, BYE = "220 ready", "250 fine", "354 go on", "221 bye"


class MailServer(Listener):
    def __init__(self) -> None:
        super().__init__(serve=self._talk)
        # What it says to commands of these names, instead of yes.
        self.refusals: dict[str, str] = {}
        self.letters: list[Message] = []
        self.recipients: list[str] = []

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
