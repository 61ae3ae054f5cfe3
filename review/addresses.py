"""What may stand for an id in an address; anything else is not found without asking the database."""

from orchestrator.core.typeid import PATTERN


class ReadableId:
    regex = PATTERN.pattern

    def to_python(self, text: str) -> str:
        return text

    def to_url(self, text: str) -> str:
        return text
