"""What one call has done and spent so far, piece by piece; it is told of calls that fail as well."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from django.conf import settings

from orchestrator.agents.base import Piece, Usage, shorten

NOTHING = Usage()


@dataclass
class Ledger:
    began: float = field(default_factory=time.monotonic)
    usage: Usage = NOTHING
    pieces: list[Piece] = field(default_factory=list)

    def enter(
        self,
        kind: str,
        name: str,
        began: float,
        usage: Usage = NOTHING,
        *,
        error: str = "",
        given: str = "",
        said: str = "",
        notes: tuple[str, ...] = (),
        inside: Sequence[Piece] = (),
    ) -> None:
        """`inside` is what an agent behind a tool did from `began` on; its figures are in `usage`."""
        self.usage += usage
        began_ms = int((began - self.began) * 1000)
        self.pieces.append(
            Piece(
                kind=kind,
                name=name,
                began_ms=began_ms,
                took_ms=int((time.monotonic() - began) * 1000),
                usage=usage,
                error=shorten(error),
                given=shorten(given, settings.TRACE_TEXT_MAX),
                said=shorten(said, settings.TRACE_TEXT_MAX),
                notes=notes,
            )
        )
        self.pieces += [
            replace(one, began_ms=one.began_ms + began_ms, depth=one.depth + 1) for one in inside
        ]
