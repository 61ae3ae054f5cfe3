"""Statements of the hot path, past the ORM: bound on the server, and prepared there after a few uses."""

from typing import Any, LiteralString

import psycopg
from django.db import connection

PREPARE_AFTER = 3


def execute(statement: LiteralString, values: dict[str, Any]) -> psycopg.Cursor[Any]:
    """On Django's own connection, inside whatever transaction it is in."""
    connection.ensure_connection()
    raw = connection.connection
    if raw.prepare_threshold is None:
        raw.prepare_threshold = PREPARE_AFTER
    with connection.wrap_database_errors:
        return psycopg.Cursor(raw).execute(statement, values)
