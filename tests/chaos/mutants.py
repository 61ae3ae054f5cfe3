"""Faults in the product itself, which the checks have to find: checks that find nothing prove nothing.

Those of the database are put there by the harness as the superuser; the others are in the plugin, and
in the hands of the reviewers, who skip what the product would have done.
"""

from collections.abc import Collection

import psycopg

from orchestrator.embedded.locations import POSTGRES_DATABASE

# The check that has to find each; others may find it as well.
FOUND_BY = {
    "key-per-attempt": "duplicated",
    "no-fence": "stale-writers",
    "each-delivery": "events",
    # An item is given to whoever reaches for it, whoever has it.
    "hold-without-condition": "holds",
    # A decision is marked as taken back, and the command that it caused goes on.
    "undo-forgets": "taken-back",
}
# Those that are found by different checks share a run.
ROUNDS = (
    ("key-per-attempt", "hold-without-condition"),
    ("no-fence", "each-delivery", "undo-forgets"),
)

# New tokens are taken away again.
_NO_FENCE = """
CREATE FUNCTION chaos_unfence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.token := 1;
    RETURN NEW;
END $$;
CREATE TRIGGER chaos_unfence BEFORE UPDATE ON orchestrator_command FOR EACH ROW
    EXECUTE FUNCTION chaos_unfence();
"""
# Nothing keeps two deliveries apart: no constraint, and locks that never meet.
_EACH_DELIVERY = f"""
DROP INDEX inbound_event_once;
CREATE FUNCTION public.hashtextextended(text, bigint) RETURNS bigint LANGUAGE sql VOLATILE
    AS $$ SELECT (random() * 1e18)::bigint $$;
ALTER DATABASE {POSTGRES_DATABASE} SET search_path = public, pg_catalog;
"""
_IN_DATABASE = {"no-fence": _NO_FENCE, "each-delivery": _EACH_DELIVERY}


def install(connection: psycopg.Connection, names: Collection[str]) -> None:
    """Before the product connects for the first time."""
    for name in _IN_DATABASE.keys() & set(names):
        connection.execute(_IN_DATABASE[name])
