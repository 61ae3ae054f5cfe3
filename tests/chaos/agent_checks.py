"""What agents ask for, remember and tell each other, and what those beside them say."""

from collections.abc import Iterator

from tests.chaos.evidence import Evidence
from tests.chaos.workload import HELPER, SHADOW


def find_doubled_asks(evidence: Evidence) -> Iterator[str]:
    """Each ask became one proposal, whatever was put in its place later, and each run that is over was answered."""
    for run, asked, ask, count in evidence.rows(_PROPOSED_TWICE):
        yield f"ask {ask} of event {asked} of run {run} was proposed {count} times"
    for run, asked, wanted, came in evidence.rows(_UNPROPOSED):
        yield f"event {asked} of run {run} asks for {wanted} things, and {came} were proposed"


_PROPOSED_TWICE = """
    SELECT run_id, payload::jsonb ->> 'asked', payload::jsonb ->> 'ask', count(*)
      FROM orchestrator_event
     WHERE kind = 'proposal_received' AND payload::jsonb ? 'asked' AND NOT payload::jsonb ? 'revises'
     GROUP BY 1, 2, 3 HAVING count(*) > 1
"""
_UNPROPOSED = """
    SELECT e.run_id, e.seq, jsonb_array_length(e.payload::jsonb -> 'asks'),
           count(DISTINCT p.payload::jsonb ->> 'ask')
      FROM orchestrator_event e JOIN orchestrator_run r ON r.id = e.run_id
      LEFT JOIN orchestrator_event p ON p.run_id = e.run_id AND p.kind = 'proposal_received'
       AND (p.payload::jsonb ->> 'asked')::int = e.seq
     WHERE e.kind = 'work_asked' AND r.status = 'completed'
     GROUP BY 1, 2, 3
    HAVING jsonb_array_length(e.payload::jsonb -> 'asks') <> count(DISTINCT p.payload::jsonb ->> 'ask')
"""


def find_misremembered(evidence: Evidence) -> Iterator[str]:
    """What the log says was remembered is there once, and nothing else is; who read it saw it."""
    for pk, in_log, in_memory in evidence.rows(_REMEMBERED):
        yield f"the observation {pk} stands {in_log} times in the log and {in_memory} in memory"
    for run, said in evidence.rows(_UNSEEN):
        yield f"run {run} remembered one thing, and its helper saw {said}"


_REMEMBERED = """
    WITH told AS (
        SELECT one ->> 'id' AS id, count(*) AS times
          FROM orchestrator_event e, jsonb_array_elements(e.payload::jsonb -> 'remembered') AS one
         WHERE e.kind = 'work_finished' AND e.payload::jsonb ? 'remembered' GROUP BY 1)
    SELECT coalesce(t.id, o.id), coalesce(t.times, 0), count(o.id)
      FROM told t FULL JOIN orchestrator_observation o ON o.id = t.id
     GROUP BY t.id, o.id, t.times HAVING coalesce(t.times, 0) <> 1 OR count(o.id) <> 1
"""
_UNSEEN = """
    SELECT e.run_id, e.payload::jsonb #>> '{output,seen}' FROM orchestrator_event e
     WHERE e.kind = 'work_finished' AND e.payload::jsonb ->> 'work' = 'help'
       AND jsonb_array_length(e.payload::jsonb #> '{output,seen}') <> 1
"""


def find_acting_shadows(evidence: Evidence) -> Iterator[str]:
    """A shadow is asked, and no run, no proposal and no effect has anything of it."""
    for kind, what in evidence.rows(_SHADOWS_THAT_ACT):
        yield f"the shadow version of {HELPER} stands in the {kind} {what}"
    for answer, count in evidence.rows(_ASKED_TWICE):
        yield f"a shadow was asked {count} times beside {answer}"


_SHADOWS_THAT_ACT = f"""
    SELECT 'proposal', id FROM orchestrator_proposal
     WHERE agent = '{HELPER}' AND agent_version = '{SHADOW}'
    UNION ALL
    SELECT 'event', run_id || ' ' || seq FROM orchestrator_event
     WHERE kind IN ('work_finished', 'work_asked', 'work_failed')
       AND payload::jsonb #>> '{{agent,name}}' = '{HELPER}'
       AND payload::jsonb #>> '{{agent,version}}' = '{SHADOW}'
"""
_ASKED_TWICE = """
    SELECT run_id || ' ' || answer, count(*) FROM orchestrator_agenttrial
     GROUP BY 1, version_id HAVING count(*) > 1
"""


def find_unheard_messages(evidence: Evidence) -> Iterator[str]:
    """A message reached as many as its sender was told, and each of them once."""
    for run, reached, heard in evidence.rows(_HEARD):
        yield f"run {run} was told that {reached} heard it, and {heard} did"


_HEARD = """
    SELECT e.run_id, coalesce((e.payload::jsonb ->> 'reached')::int, 0), count(h.id)
      FROM orchestrator_event e
      LEFT JOIN orchestrator_event h ON h.kind = 'message_received'
       AND h.payload::jsonb ->> 'run' = e.run_id
     WHERE e.kind = 'published' GROUP BY e.run_id, e.payload
    HAVING coalesce((e.payload::jsonb ->> 'reached')::int, 0) <> count(h.id)
        OR count(h.id) <> count(DISTINCT h.run_id)
"""
