"""CloudEvents 1.0 in JSON: the envelope around what somebody outside says has happened."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestrator.core.codec import Json, canonical, digest
from orchestrator.core.errors import BadInput
from orchestrator.core.schemas import check

TYPE_LENGTH_MAX = 100
SOURCE_LENGTH_MAX = 300
ID_LENGTH_MAX = 200
TEXT_LENGTH_MAX = 1_000


def _text(length: int = TEXT_LENGTH_MAX, **more: str) -> dict[str, Any]:
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": length,
        "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$",
        "description": "a text without control characters",
    } | more


# Also published: the body of POST /api/v1/events.
ENVELOPE: dict[str, Any] = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": _text(ID_LENGTH_MAX),
        "source": _text(SOURCE_LENGTH_MAX, format="uri-reference"),
        "type": _text(TYPE_LENGTH_MAX),
        "subject": _text(),
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": _text(),
        "dataschema": _text(format="uri"),
        "contractversion": {
            "type": ["string", "integer"],
            "maxLength": 20,
            "description": "the number of the version of its contract; the newest when absent",
        },
        "data": {"description": "what its contract describes"},
    },
    "propertyNames": {
        "maxLength": 50,
        "pattern": "^[a-z0-9]+$",
        "description": "attributes have lower-case letters and digits only",
    },
    "additionalProperties": {
        "type": ["string", "boolean", "integer"],
        "maxLength": TEXT_LENGTH_MAX,
        "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$",
        "description": "a text without control characters",
    },
}
_ENVELOPE_TEXT = canonical(ENVELOPE)
_JSON_TYPE = re.compile(r"(?:[a-z]+/(?:[\w.+-]+\+)?json)\s*(?:;.*)?", re.IGNORECASE)
_NUMBERED = re.compile(r".*/v?([0-9]+)")


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event as it came, and what deciding about it needs."""

    id: str
    source: str
    type: str
    occurred_at: datetime | None
    # Of its contract, as the sender wrote it; empty for the newest.
    version: str
    # Everything but the data.
    attributes: Mapping[str, Json]
    data: Json
    # All of it in canonical form.
    text: str

    @property
    def digest(self) -> str:
        """Over what it says. How it was sent may differ: a retry has a trace of its own."""
        said = {"type": self.type, "subject": self.attributes.get("subject"), "data": self.data}
        return digest(canonical(said))


def read_envelope(raw: Json) -> Envelope:
    """Raises BadInput with the attribute for what is no CloudEvent with JSON inside."""
    if not isinstance(raw, dict):
        raise BadInput("event", "it must be a CloudEvent: an object with specversion, id, …")
    if "data_base64" in raw:
        raise BadInput("data_base64", "contracts describe JSON; send it as data.")
    # The specification takes an attribute that is null for one that is not there.
    said: dict[str, Json] = {name: value for name, value in raw.items() if value is not None}
    problems = check(_ENVELOPE_TEXT, said)
    if problems:
        first = problems[0]
        raise BadInput(first.pointer.lstrip("/")[:80] or "event", first.reason)
    return _envelope(said)


def _envelope(said: dict[str, Any]) -> Envelope:
    content_type = said.get("datacontenttype", "application/json")
    if not _JSON_TYPE.fullmatch(content_type):
        raise BadInput("datacontenttype", f"{content_type[:60]!r} is not JSON.")
    return Envelope(
        id=said["id"],
        source=said["source"],
        type=said["type"],
        occurred_at=_time(said["time"]) if "time" in said else None,
        version=_version(said),
        attributes={name: value for name, value in said.items() if name != "data"},
        data=said.get("data"),
        text=canonical(said),
    )


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadInput("time", f"{text[:60]!r} is no time that can be stored.") from error


def _version(said: Mapping[str, Any]) -> str:
    if "contractversion" in said:
        return str(said["contractversion"])
    numbered = _NUMBERED.fullmatch(said.get("dataschema", ""))
    return numbered[1] if numbered else ""
