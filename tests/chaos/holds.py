"""Who held each review item, noted by a trigger that the harness brings along as the superuser.

The product's own row only knows who holds an item now. This knows who was there before, and whether
their hold had ended.
"""

import psycopg

NOTE = """
CREATE TABLE chaos_hold (
    id bigserial PRIMARY KEY, item text NOT NULL, was_with int, was_until timestamptz,
    was_version int NOT NULL, is_with int, lease text NOT NULL, is_version int NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE FUNCTION chaos_note_hold() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO public.chaos_hold
        (item, was_with, was_until, was_version, is_with, lease, is_version)
    VALUES (NEW.id, OLD.holder_id, OLD.lease_until, OLD.version, NEW.holder_id, NEW.lease,
            NEW.version);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_note_hold AFTER UPDATE ON orchestrator_reviewitem FOR EACH ROW
    WHEN (OLD.lease IS DISTINCT FROM NEW.lease AND NEW.lease <> '')
    EXECUTE FUNCTION chaos_note_hold();
"""


def install(connection: psycopg.Connection) -> None:
    connection.execute(NOTE)
