"""Known secrets, taken out of what somebody said who was handed them: it is stored, shown and signed."""

from collections.abc import Collection

from orchestrator.core.codec import Json

HIDDEN = "•••"


def without(secrets: Collection[str], text: str) -> str:
    # The longest first: one may begin another.
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def without_in(secrets: Collection[str], value: Json) -> Json:
    """The same in all texts of it, and in names."""
    if not any(secrets):
        return value
    if isinstance(value, str):
        return without(secrets, value)
    if isinstance(value, list):
        return [without_in(secrets, inner) for inner in value]
    if isinstance(value, dict):
        return {without(secrets, name): without_in(secrets, value[name]) for name in value}
    return value
