"""Text as a browser sent it. The database stores no NUL, so no page passes one on."""

from django.http import QueryDict

from orchestrator.core.typeid import PATTERN


def text_of(sent: QueryDict, name: str) -> str:
    """Empty where nothing was sent."""
    return sent.get(name, "").replace("\x00", "")


def ids_in(texts: list[str]) -> list[str]:
    """Those that can be ids; what was made up is about nothing."""
    return [text for text in texts if PATTERN.fullmatch(text)]
