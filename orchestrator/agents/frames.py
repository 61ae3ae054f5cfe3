"""Frames: ten digits that say how many bytes follow, and the bytes. The other side is not trusted."""

import socket
from dataclasses import dataclass, field

from orchestrator.core.errors import AgentCrashed, OutputInvalid

HEADER_BYTES = 10
CHUNK_BYTES = 65_536


def frame(body: bytes) -> bytes:
    return b"%010d" % len(body) + body


@dataclass
class FrameReader:
    """Puts one frame together from whatever pieces arrive. What follows the frame is ignored."""

    bytes_max: int
    _received: bytearray = field(default_factory=bytearray)

    def feed(self, piece: bytes) -> None:
        self._received += piece
        wanted = self._length()
        if wanted is not None and wanted > self.bytes_max:
            raise OutputInvalid(f"it has {wanted:,} bytes, at most {self.bytes_max:,} are taken.")

    @property
    def body(self) -> bytes | None:
        wanted = self._length()
        if wanted is None or len(self._received) < HEADER_BYTES + wanted:
            return None
        return bytes(self._received[HEADER_BYTES : HEADER_BYTES + wanted])

    def _length(self) -> int | None:
        header = bytes(self._received[:HEADER_BYTES])
        if not header.isdigit() and header:
            raise AgentCrashed("what it sent is not an answer.")
        return int(header) if len(header) == HEADER_BYTES else None


def receive(line: socket.socket, bytes_max: int) -> bytes:
    """One whole frame, however long it takes."""
    reader = FrameReader(bytes_max)
    while (body := reader.body) is None:
        piece = line.recv(CHUNK_BYTES)
        if not piece:
            raise ConnectionError("the other side left in the middle of a frame")
        reader.feed(piece)
    return body
