"""Two roles in one test: the product runs as the application, tampering is done by the owner.

The connection is the owner's and acts as the application (`SET ROLE`), so that a test can be both
within one transaction. Where one role does both, as with a plain DATABASE_URL, it stays that one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from orchestrator.grants import give_rights

# Left out, so that nothing in a test can reach the tables of the real database beside ours.
OWNER = settings.DATABASES.pop("owner", None)
APPLICATION = str(settings.DATABASES["default"]["USER"])
ORDINARY_OPTIONS = str(settings.DATABASES["default"]["OPTIONS"]["options"])


def become_owner() -> None:
    if OWNER:
        _connect_as_owner(ORDINARY_OPTIONS)


def become_application() -> None:
    if OWNER:
        give_rights(connection.alias, APPLICATION)
        with connection.cursor() as cursor:
            cursor.execute(f"GRANT TRUNCATE ON ALL TABLES IN SCHEMA public TO {APPLICATION}")
        _connect_as_owner(f"{ORDINARY_OPTIONS} -c role={APPLICATION}")


def allow_truncate() -> None:
    """Tests with real transactions are cleaned up by TRUNCATE, which the product itself refuses."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'no_truncate'"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER no_truncate")


def keep_vacuum_away() -> None:
    """While one works on the log no checkpoint is made, and most tests that make one do not wait."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE orchestrator_event SET (autovacuum_enabled = false)")


@contextmanager
def as_owner() -> Iterator[CursorWrapper]:
    with transaction.atomic(), connection.cursor() as cursor:
        # What waits for the end of the transaction would forbid ALTER TABLE.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET LOCAL ROLE NONE")
        yield cursor
        if OWNER:
            cursor.execute(f"SET LOCAL ROLE {APPLICATION}")


def _connect_as_owner(options: str) -> None:
    assert OWNER
    connection.close()
    for name in ("USER", "PASSWORD"):
        connection.settings_dict[name] = OWNER[name]
    connection.settings_dict["OPTIONS"]["options"] = options
