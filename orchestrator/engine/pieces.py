"""What is kept of the inside of an agent's call: bounded, without what looks like a secret, fit to be stored.

Made by the thread that called, so that the transaction that stores it has nothing left to do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from orchestrator.agents.base import REASON_LENGTH_MAX, AgentAnswer, Piece
from orchestrator.core.codec import canonical, storable
from orchestrator.core.secret_shapes import hide_secrets
from orchestrator.models import CallPiece

NAME_LENGTH_MAX = 200
NOTES_MAX = 20
NUMBER_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Kept:
    """A piece as it is stored; its notes as JSON."""

    kind: str
    name: str
    began_ms: int = 0
    took_ms: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    money_micros: int | None = 0
    error: str = ""
    notes: str = "[]"
    given: str = ""
    said: str = ""
    depth: int = 0


def kept(pieces: Sequence[Piece]) -> list[Kept]:
    """The first ones; the last of them says how many more there were."""
    most = settings.TRACE_PIECES_MAX
    found = [_kept(piece) for piece in pieces[:most]]
    left_out = len(pieces) - len(found)
    if found and left_out:
        last = pieces[most - 1]
        found[-1] = _kept(last, f"{left_out:,} pieces after this one are not kept")
    return found


def kept_refused(answer: AgentAnswer, took_ms: int) -> Iterator[Kept]:
    """What was answered and not taken: no event has it, and whoever looks for the reason needs it."""
    said = canonical(answer.output) if storable(answer.output) else repr(answer.output)
    text, cut = _text(said)
    yield Kept(
        kind=CallPiece.Kind.REFUSED,
        name="answer that was not taken",
        began_ms=_number(took_ms),
        notes=canonical([cut] if cut else []),
        said=text,
    )


def _kept(piece: Piece, *more: str) -> Kept:
    given, given_cut = _text(piece.given)
    said, said_cut = _text(piece.said)
    notes = [*piece.notes[:NOTES_MAX], *filter(None, (given_cut, said_cut)), *more]
    money = piece.usage.money_micros
    return Kept(
        kind=_legible(piece.kind)[:20],
        name=_legible(piece.name)[:NAME_LENGTH_MAX],
        began_ms=_number(piece.began_ms),
        took_ms=_number(piece.took_ms),
        tokens_in=_number(piece.usage.tokens_in),
        tokens_out=_number(piece.usage.tokens_out),
        money_micros=None if money is None else max(0, min(money, 2**62)),
        error=hide_secrets(_legible(piece.error))[:REASON_LENGTH_MAX],
        notes=canonical([_legible(str(note))[:REASON_LENGTH_MAX] for note in notes]),
        given=given,
        said=said,
        depth=_number(piece.depth),
    )


def _text(text: str) -> tuple[str, str]:
    """As much of it as is kept, and what was left out, in words. Secrets go first: half of one has no shape."""
    most = settings.TRACE_TEXT_MAX
    hidden = hide_secrets(_legible(text[: most * 2]))
    if len(text) <= most and len(hidden) <= most:
        return hidden, ""
    return hidden[:most], f"kept are {most:,} of {len(text):,} characters"


def _legible(text: str) -> str:
    """In letters that PostgreSQL can store."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()


def _number(value: int) -> int:
    return max(0, min(int(value), NUMBER_MAX))


def forget() -> int:
    """Those of long ago, some at a time."""
    old = CallPiece.objects.filter(at__lt=Now() - timedelta(days=settings.TRACE_KEEP_DAYS))
    ids = old.order_by("at").values("pk")[: settings.SWEEP_BATCH]
    return CallPiece.objects.filter(pk__in=ids).delete()[0]
