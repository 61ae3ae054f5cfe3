"""Which rights the application's role has on which table: one list, applied after every migration.

Whoever owns a table can switch its triggers off and rewrite it, so the application is another role.
"""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from psycopg.sql import SQL, Composed, Identifier

READ = ("SELECT",)
APPEND = ("SELECT", "INSERT")
CHANGE = ("SELECT", "INSERT", "UPDATE", "DELETE")

# Every other table may be changed. TRUNCATE, TRIGGER and REFERENCES are given for none.
RIGHTS: dict[str, tuple[str, ...]] = {
    "django_migrations": READ,
    "orchestrator_agenttrial": APPEND,
    "orchestrator_agentversion": APPEND,
    "orchestrator_auditentry": APPEND,
    "orchestrator_calibrator": APPEND,
    "orchestrator_certificate": APPEND,
    "orchestrator_checkpoint": APPEND,
    "orchestrator_contract": APPEND,
    "orchestrator_contractversion": APPEND,
    "orchestrator_decision": APPEND,
    "orchestrator_deployment": APPEND,
    "orchestrator_disposition": APPEND,
    "orchestrator_drift": APPEND,
    "orchestrator_evaluation": APPEND,
    "orchestrator_evaluationpolicy": APPEND,
    # Appended to by the function journal_append alone, which makes the chain.
    "orchestrator_event": READ,
    "orchestrator_golditem": APPEND,
    "orchestrator_goldlook": APPEND,
    "orchestrator_ledgerentry": APPEND,
    # Forgotten when they have expired and nobody read them.
    "orchestrator_observation": ("SELECT", "INSERT", "DELETE"),
    "orchestrator_observationread": APPEND,
    "orchestrator_policycheck": APPEND,
    "orchestrator_routecorrection": APPEND,
    "orchestrator_routetable": APPEND,
    "orchestrator_run": APPEND,
    "orchestrator_snapshot": APPEND,
    "orchestrator_thresholdcertificate": APPEND,
    "orchestrator_toolversion": APPEND,
    "orchestrator_versionendpoint": APPEND,
}
# Columns that may be updated where the table as a whole may not. A run is moved by journal_append
# alone, but only who may update some of a row can lock it.
UPDATED: dict[str, tuple[str, ...]] = {
    "orchestrator_run": ("updated_at",),
    "orchestrator_decision": ("undone_at",),
    "orchestrator_evaluationpolicy": ("stage", "activated_at"),
    "orchestrator_toolversion": ("approved_by_id", "approved_at"),
    "orchestrator_golditem": ("retired_by_id", "retired_at", "retired_why"),
    "orchestrator_observation": ("revoked_by_id", "revoked_at", "revoked_why"),
}

# What belongs to us in our schema. An extension's tables and functions are not ours to give.
_RELATIONS = """
    SELECT relname FROM pg_class
     WHERE relowner = current_user::regrole AND relnamespace = current_schema()::regnamespace
       AND relkind = ANY(%s) ORDER BY relname
"""
_FUNCTIONS = """
    SELECT oid::regprocedure::text FROM pg_proc
     WHERE proowner = current_user::regrole AND pronamespace = current_schema()::regnamespace
"""


def owner_alias() -> str:
    """The connection that may change tables; the ordinary one where a single role does both."""
    return "owner" if "owner" in settings.DATABASES else DEFAULT_DB_ALIAS


def apply_grants(owner: str) -> None:
    """Give the application what it needs and nothing else. Does nothing where it is the owner."""
    application = _role_of(DEFAULT_DB_ALIAS)
    if application != _role_of(owner):
        give_rights(owner, application)


def give_rights(owner: str, application: str) -> None:
    # All in one transaction: nobody ever meets a table with its rights taken away.
    with transaction.atomic(using=owner), connections[owner].cursor() as cursor:
        for statement in _statements(owner, Identifier(application)):
            cursor.execute(statement)


def _statements(owner: str, role: Identifier) -> Iterator[Composed]:
    for table in _names(owner, _RELATIONS, [["r", "p", "v", "m"]]):
        name = Identifier(table)
        rights = SQL(", ").join(map(SQL, RIGHTS.get(table, CHANGE)))
        yield SQL("REVOKE ALL ON {} FROM {}").format(name, role)
        yield SQL("GRANT {} ON {} TO {}").format(rights, name, role)
        if table in UPDATED:
            columns = SQL(", ").join(map(Identifier, UPDATED[table]))
            yield SQL("GRANT UPDATE ({}) ON {} TO {}").format(columns, name, role)
    for sequence in _names(owner, _RELATIONS, [["S"]]):
        yield SQL("GRANT USAGE ON SEQUENCE {} TO {}").format(Identifier(sequence), role)
    for signature in _names(owner, _FUNCTIONS, []):
        # As PostgreSQL itself spells it: quoted where it has to be.
        function = SQL(signature)
        yield SQL("REVOKE ALL ON FUNCTION {} FROM PUBLIC, {}").format(function, role)
        yield SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(function, role)


def _names(owner: str, question: str, values: list[Any]) -> list[str]:
    with connections[owner].cursor() as cursor:
        cursor.execute(question, values)
        return [name for (name,) in cursor.fetchall()]


def _role_of(alias: str) -> str:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT current_user")
        (role,) = cursor.fetchone()
    return str(role)
