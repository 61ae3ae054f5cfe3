"""An agent that people keep in Countersign, named in a definition. Which version is asked is found out at each call."""

from typing import Any

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["kind", "name"],
    "additionalProperties": False,
    "properties": {
        "kind": {"const": "agent"},
        "name": {
            "type": "string",
            "maxLength": 100,
            "pattern": "^[A-Za-z0-9_-]+$",
            "description": "an agent of this instance; see /api/v1/agents",
        },
    },
}
