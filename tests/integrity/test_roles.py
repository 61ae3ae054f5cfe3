"""What the application's role may not do, asked of a database that `manage.py migrate` made."""

import os
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from django.conf import settings
from psycopg.errors import InsufficientPrivilege

from orchestrator.grants import APPEND, READ, RIGHTS
from tests.own_database import own_database
from tests.roles import OWNER

pytestmark = pytest.mark.skipif(OWNER is None, reason="one role owns and uses the database")

Urls = dict[str, str]


def manage(urls: Urls, *words: str) -> str:
    return subprocess.run(
        [sys.executable, str(settings.BASE_DIR / "manage.py"), *words],
        env={**os.environ, **urls},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.fixture(scope="module")
def urls() -> Iterator[Urls]:
    with own_database(settings.DATABASE_URL, settings.DATABASE_OWNER_URL, "roles") as made:
        manage(made, "migrate", "--verbosity", "0")
        yield made


REFUSED = {
    "an event is changed": "UPDATE orchestrator_event SET payload = '{}'",
    "an event is dated back": "UPDATE orchestrator_event SET at = now()",
    "an event is deleted": "DELETE FROM orchestrator_event",
    "the log is emptied": "TRUNCATE orchestrator_event",
    "an event is inserted": "INSERT INTO orchestrator_event (run_id, seq, kind, payload, at, prev_hash, hash)"
    " VALUES ('run_01m7y7gcfzfrwaqhskw95520vm', 1, 'k', '{}', now(), '', '')",
    "triggers are switched off": "ALTER TABLE orchestrator_event DISABLE TRIGGER ALL",
    "triggers are switched off one by one": "ALTER TABLE orchestrator_event DISABLE TRIGGER USER",
    "a trigger is dropped": "DROP TRIGGER append_only ON orchestrator_event",
    "a trigger is added": "CREATE TRIGGER own BEFORE INSERT ON orchestrator_event"
    " FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "a rule is added": "CREATE RULE own AS ON INSERT TO orchestrator_event DO INSTEAD NOTHING",
    "triggers are told that this is a replica": "SET session_replication_role = replica",
    "the log is locked": "LOCK TABLE orchestrator_event IN ACCESS EXCLUSIVE MODE",
    "ids begin anew": "SELECT setval(pg_get_serial_sequence('orchestrator_event', 'id'), 1)",
    "a run gets another head": "UPDATE orchestrator_run SET head = ''",
    "a run gets another length": "UPDATE orchestrator_run SET seq = 0",
    "a run gets another state": "UPDATE orchestrator_run SET state = '{}'",
    "a run gets another status": "UPDATE orchestrator_run SET status = 'completed'",
    "a run gets another workflow": "UPDATE orchestrator_run SET workflow_version_id = 1",
    "a run is deleted": "DELETE FROM orchestrator_run",
    "a function is replaced": "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger"
    " LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "a function is dropped": "DROP FUNCTION journal_append",
    "a function is taken over": "ALTER FUNCTION log_horizon OWNER TO CURRENT_USER",
    "a function is added": "CREATE FUNCTION public.own() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "the table is taken over": "ALTER TABLE orchestrator_event OWNER TO CURRENT_USER",
    "rights are given": "GRANT UPDATE ON orchestrator_event TO CURRENT_USER;"
    " UPDATE orchestrator_event SET payload = '{}'",
    "a checkpoint is changed": "UPDATE orchestrator_checkpoint SET line = ''",
    "a checkpoint is deleted": "DELETE FROM orchestrator_checkpoint",
    "an audit entry is changed": "UPDATE orchestrator_auditentry SET verb = ''",
    "a decision is deleted": "DELETE FROM orchestrator_decision",
    "a settled answer is changed": "UPDATE orchestrator_golditem SET should_run = true",
    "who was tried on what is forgotten": "DELETE FROM orchestrator_goldlook",
    "a migration is forgotten": "DELETE FROM django_migrations",
    "anything else is emptied": "TRUNCATE orchestrator_command",
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_application_may_not(urls: Urls, what: str) -> None:
    with (
        psycopg.connect(urls["DATABASE_URL"]) as application,
        pytest.raises(InsufficientPrivilege),
    ):
        application.execute(REFUSED[what])


def test_the_application_cannot_become_the_owner(urls: Urls) -> None:
    assert OWNER
    refused = pytest.raises(InsufficientPrivilege)
    with psycopg.connect(urls["DATABASE_URL"]) as application, refused:
        application.execute(f"SET ROLE {OWNER['USER']}")


def test_a_table_of_the_same_name_does_not_catch_the_log(urls: Urls) -> None:
    with psycopg.connect(urls["DATABASE_URL"]) as application:
        application.execute("CREATE TEMP TABLE orchestrator_event (id bigint, seq int)")
        application.execute("INSERT INTO pg_temp.orchestrator_event VALUES (7, 7)")
        found = application.execute("SELECT newest FROM log_horizon(1000)").fetchone()
    assert found == (None,)


def test_the_list_of_rights_names_what_is_written_once(urls: Urls) -> None:
    with psycopg.connect(urls["DATABASE_URL"]) as application:
        found = application.execute(
            "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'append_only'"
        )
        written_once = {table for (table,) in found}
    limited = {table for table, rights in RIGHTS.items() if rights in (READ, APPEND)}
    # A decision or a gold item may be marked as taken back, the stage of a policy moves, and a wording of a
    # tool is approved; triggers of their own see to that.
    moving = {
        *("orchestrator_run", "orchestrator_decision"),
        *("orchestrator_evaluationpolicy", "orchestrator_golditem", "orchestrator_toolversion"),
    }
    assert limited - written_once == {"django_migrations"} | moving
    assert written_once - limited == set()


def test_rights_can_be_given_again(urls: Urls) -> None:
    before = rights(urls)
    manage(urls, "migrate", "--verbosity", "0")
    assert rights(urls) == before
    assert any("countersign_app" in acl or "=" in acl for _, acl in before)


def rights(urls: Urls) -> list[tuple[str, str]]:
    question = (
        "SELECT relname, relacl::text FROM pg_class WHERE relacl IS NOT NULL"
        " AND relnamespace = 'public'::regnamespace ORDER BY relname"
    )
    with psycopg.connect(urls["DATABASE_OWNER_URL"]) as owner:
        return owner.execute(question).fetchall()


def test_verify_says_who_could_change_the_log(urls: Urls) -> None:
    assert "cannot change the log" in manage(urls, "verify")
    as_one = dict.fromkeys(urls, urls["DATABASE_OWNER_URL"])
    assert "owns the log or may change it" in manage(as_one, "verify")
