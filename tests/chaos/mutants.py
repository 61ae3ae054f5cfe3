"""Faults in the product itself, which the checks have to find: checks that find nothing prove nothing.

Those of the database are put there by the harness as the superuser; the others are in the plugin, and
in the hands of the reviewers, who skip what the product would have done.
"""

from collections.abc import Collection

import psycopg

from orchestrator.embedded.locations import POSTGRES_DATABASE
from tests.chaos.workload import AUDITED, MIX

# The check that has to find each; others may find it as well.
FOUND_BY = {
    "key-per-attempt": "duplicated",
    "no-fence": "stale-writers",
    "each-delivery": "events",
    # An item is given to whoever reaches for it, whoever has it.
    "hold-without-condition": "holds",
    # A decision is marked as taken back, and the command that it caused goes on.
    "undo-forgets": "taken-back",
    # Whoever accepts does not hold up a stand-down, which comes between the question and the accept.
    "no-standing-lock": "stand-downs",
    # What was to be remembered is stored apart from the event that says so, and may be missing.
    "memory-apart": "memory",
    # What a shadow says is kept as often as it is brought.
    "each-trial": "shadows",
}
# What one needs much of, to show itself in its short time.
WANTS = {
    "no-standing-lock": {"audited": 60},
    "memory-apart": {"help": 30},
    "each-trial": {"help": 30},
}
# Those that are found by different checks share a run.
ROUNDS = (
    ("key-per-attempt", "hold-without-condition", "no-standing-lock", "memory-apart"),
    ("no-fence", "each-delivery", "undo-forgets", "each-trial"),
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
# The lock that is shared is none, and some accepts wait for what it would have kept apart. Most go on at
# once, so that there is something to audit.
_NO_STANDING_LOCK = f"""
CREATE FUNCTION public.pg_advisory_xact_lock_shared(integer, integer) RETURNS void
    LANGUAGE sql VOLATILE AS $$ SELECT $$;
CREATE FUNCTION chaos_dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF random() < 0.3 AND EXISTS (
        SELECT FROM orchestrator_proposal WHERE id = NEW.proposal_id AND agent = '{AUDITED}'
    ) THEN
        FOR i IN 1 .. 40 LOOP
            EXIT WHEN EXISTS (SELECT FROM orchestrator_standdown WHERE opened_at > now());
            PERFORM pg_sleep(0.2);
        END LOOP;
        NEW.created_at := clock_timestamp();
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER chaos_dawdle BEFORE INSERT ON orchestrator_disposition FOR EACH ROW
    WHEN (NEW.verdict = 'accept') EXECUTE FUNCTION chaos_dawdle();
ALTER DATABASE {POSTGRES_DATABASE} SET search_path = public, pg_catalog;
"""
_MEMORY_APART = """
CREATE FUNCTION chaos_forget() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF random() < 0.5 THEN RETURN NULL; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER chaos_forget BEFORE INSERT ON orchestrator_observation FOR EACH ROW
    EXECUTE FUNCTION chaos_forget();
"""
_EACH_TRIAL = """
ALTER TABLE orchestrator_agenttrial DROP CONSTRAINT agent_trial_once;
CREATE FUNCTION chaos_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.id := nextval(pg_get_serial_sequence('orchestrator_agenttrial', 'id'));
    INSERT INTO orchestrator_agenttrial SELECT NEW.*;
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_again AFTER INSERT ON orchestrator_agenttrial FOR EACH ROW
    WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION chaos_again();
"""
_IN_DATABASE = {
    "no-fence": _NO_FENCE,
    "each-delivery": _EACH_DELIVERY,
    "no-standing-lock": _NO_STANDING_LOCK,
    "memory-apart": _MEMORY_APART,
    "each-trial": _EACH_TRIAL,
}


def mix_for(names: Collection[str]) -> dict[str, int]:
    return MIX | {kind: share for name in names for kind, share in WANTS.get(name, {}).items()}


def install(connection: psycopg.Connection, names: Collection[str]) -> None:
    """Before the product connects for the first time."""
    for name in _IN_DATABASE.keys() & set(names):
        connection.execute(_IN_DATABASE[name])
