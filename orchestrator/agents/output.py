"""What an isolated function prints, as lines of the worker's log."""

from collections.abc import Callable

BYTES_MAX = 100_000
LINE_BYTES_MAX = 2_000


class Output:
    """Takes bytes as they come and hands on whole lines, none of which can pass for another's."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._rest = b""
        self._room = BYTES_MAX

    def feed(self, piece: bytes) -> None:
        if not self._room:
            return
        *lines, self._rest = (self._rest + piece[: self._room]).split(b"\n")
        for line in lines:
            self._say(line)
        while len(self._rest) > LINE_BYTES_MAX:
            self._say(self._rest[:LINE_BYTES_MAX])
            self._rest = self._rest[LINE_BYTES_MAX:]
        self._room = max(0, self._room - len(piece))
        if not self._room:
            self.end()
            self._write(f"(it printed more than {BYTES_MAX:,} bytes; the rest is left out)")

    def end(self) -> None:
        """Its last words, which need not have ended in a new line."""
        if self._rest:
            self._say(self._rest)
            self._rest = b""

    def _say(self, line: bytes) -> None:
        text = line.decode(errors="replace")
        self._write(
            "".join(
                letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}"
                for letter in text.replace("\t", "    ")
            )
        )
