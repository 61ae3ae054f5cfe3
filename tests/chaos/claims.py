"""What happened to each command, noted by a trigger that the harness brings along as the superuser.

From it comes how long work lay idle after its worker was killed, and whether a token was ever
given twice.
"""

from dataclasses import dataclass

import psycopg

NOTE = """
CREATE TABLE chaos_claim (
    id bigserial PRIMARY KEY, command bigint NOT NULL, token int NOT NULL, status text NOT NULL,
    worker text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX chaos_claim_command ON chaos_claim (command, id);
CREATE FUNCTION chaos_note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO public.chaos_claim (command, token, status, worker)
    VALUES (NEW.id, NEW.token, NEW.status, NEW.worker);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_note AFTER UPDATE ON orchestrator_command FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status OR OLD.token IS DISTINCT FROM NEW.token)
    EXECUTE FUNCTION chaos_note();
-- A worker may take a command for itself as it stores it.
CREATE TRIGGER chaos_note_taken AFTER INSERT ON orchestrator_command FOR EACH ROW
    WHEN (NEW.status = 'running') EXECUTE FUNCTION chaos_note();
"""
# Of each command that a process held when it died: how long until anybody took it up again.
IDLE = """
    SELECT extract(epoch FROM next.at) - %(died)s
      FROM chaos_claim AS held
      CROSS JOIN LATERAL (SELECT later.at FROM chaos_claim AS later
                           WHERE later.command = held.command AND later.id > held.id
                           ORDER BY later.id LIMIT 1) AS ended
      CROSS JOIN LATERAL (SELECT later.at FROM chaos_claim AS later
                           WHERE later.command = held.command AND later.id > held.id
                             AND later.status <> 'pending' ORDER BY later.id LIMIT 1) AS next
     WHERE held.status = 'running' AND held.worker ~ %(worker)s
       AND held.at < to_timestamp(%(died)s) AND ended.at > to_timestamp(%(died)s)
"""


@dataclass(frozen=True, slots=True)
class Death:
    """A process that was killed, and when, by the clock that the database reads too."""

    pid: int
    at: float


def install(connection: psycopg.Connection) -> None:
    connection.execute(NOTE)


def recoveries_s(connection: psycopg.Connection, deaths: list[Death]) -> list[float]:
    """One number for each command that lost its worker."""
    found: list[float] = []
    for death in deaths:
        values = {"died": death.at, "worker": rf":{death.pid}(\D|$)"}
        found.extend(float(idle) for (idle,) in connection.execute(IDLE, values))
    return sorted(found)
