"""What has to be true before the first process may serve: tables up to date, static files in place."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import django
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from orchestrator.grants import apply_grants, owner_alias

# Any number, as long as every host that migrates the same database uses the same.
MIGRATION_LOCK = 7_361_002


def apply_migrations() -> int:
    """Bring the tables up to date, and the rights on them; returns how many migrations that took."""
    with connections[owner_alias()].cursor() as cursor:
        # Building an index may take longer than any request should, and another host may be at it.
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SET lock_timeout = 0")
        cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
    missing = count_missing_migrations()
    if missing:
        call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
    else:
        # A dump that was restored brings the tables and may have left the rights behind.
        apply_grants(owner_alias())
    return missing


def count_missing_migrations() -> int:
    executor = MigrationExecutor(connections[owner_alias()])
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def let_go_of_database() -> None:
    """Close for good, pool included: it ends the migration lock and the session's long timeouts."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        close_pool = getattr(connection, "close_pool", None)
        if close_pool:
            close_pool()


def collect_static_files() -> bool:
    """Copy, hash and compress them; skipped when none has changed. Returns whether it was done."""
    stamp = Path(settings.VAR_DIR) / "static.stamp"
    fingerprint = hashlib.sha256("\n".join(_static_facts()).encode()).hexdigest()
    manifest = Path(settings.STATIC_ROOT) / "staticfiles.json"
    if manifest.exists() and stamp.exists() and stamp.read_text() == fingerprint:
        return False
    call_command("collectstatic", interactive=False, verbosity=0, skip_checks=True)
    stamp.write_text(fingerprint)
    return True


def _static_facts() -> Iterator[str]:
    yield f"{django.__version__} {settings.STORAGES['staticfiles']['BACKEND']}"
    for finder in get_finders():
        for name, storage in finder.list([]):
            found = Path(storage.path(name)).stat()
            yield f"{name} {found.st_size} {found.st_mtime_ns}"
