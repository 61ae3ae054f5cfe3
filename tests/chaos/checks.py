"""What has to be true when the faults are over, asked of the database and of the world outside.

Each check returns the violations it found, as sentences. An empty list from all of them is a green run.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.chaos.agent_checks import (
    find_acting_shadows,
    find_doubled_asks,
    find_misremembered,
    find_unheard_messages,
)
from tests.chaos.audit_checks import find_accepts_while_standing, find_miscounted_days
from tests.chaos.backtest_checks import find_miscounted_backtests
from tests.chaos.change_checks import find_misapplied_changes
from tests.chaos.clients import Accepted
from tests.chaos.event_checks import find_misled_events
from tests.chaos.evidence import CHANGES, Check, Evidence, complaints, reference_of
from tests.chaos.queue_checks import (
    find_bad_certificates,
    find_broken_holds,
    find_doubled_outcomes,
    find_forgotten_undos,
    find_lost_messages,
    find_misjudged_rollbacks,
    find_misplaced_revisions,
)
from tests.chaos.validation_checks import find_unheard_validators

# How runs and outside proposals ended, for the report: a run in which all fail would break no promise.
ENDS = """
    SELECT w.slug || ' ' || coalesce(p.status, r.status), count(*) FROM orchestrator_run r
      JOIN orchestrator_workflowversion v ON v.id = r.workflow_version_id
      JOIN orchestrator_workflow w ON w.id = v.workflow_id
      LEFT JOIN orchestrator_proposal p ON p.run_id = r.id AND w.slug = 'default'
     GROUP BY 1 ORDER BY 1
"""
# What was undone had been done.
DONE_ONCE = frozenset({"done", "undoing", "undone"})


class Note(NamedTuple):
    """One line of what a reviewer was told."""

    item: str
    name: str
    what: str
    decision: str


class Kept(NamedTuple):
    """A decision as the database has it."""

    item: str
    name: str
    verdict: str
    is_undone: bool


def find_lost(evidence: Evidence) -> Iterator[str]:
    """P1: whoever heard 201 finds the first event, and an end."""
    runs = {run: (seq, status) for run, seq, status in evidence.rows(_RUNS)}
    proposals: dict[str, str] = dict(evidence.rows("SELECT id, run_id FROM orchestrator_proposal"))
    for accepted in evidence.told.accepted:
        run = proposals.get(accepted.id, accepted.id)
        if run not in runs:
            yield f"{_name(accepted)} was accepted and is gone"
        elif not runs[run][0]:
            yield f"{_name(accepted)} has no first event"


_RUNS = """
    SELECT r.id, (SELECT count(*) FROM orchestrator_event e WHERE e.run_id = r.id AND e.seq = 1), status
      FROM orchestrator_run r
"""


def find_unfinished(evidence: Evidence) -> Iterator[str]:
    """P1: everybody who has to answer has answered, so nothing may wait for anything any more."""
    for run, slug, status in evidence.rows(_OPEN_RUNS):
        yield f"run {run} of {slug} is still {status}"
    for proposal, status in evidence.rows(_OPEN_PROPOSALS):
        yield f"proposal {proposal} is still {status}"
    for command, kind, status in evidence.rows(_OPEN_COMMANDS):
        yield f"command {command} ({kind}) is still {status}"
    for item, kind in evidence.rows(_OPEN_ITEMS):
        yield f"review item {item} ({kind}) still waits"


_OPEN_RUNS = """
    SELECT r.id, w.slug, r.status FROM orchestrator_run r
      JOIN orchestrator_workflowversion v ON v.id = r.workflow_version_id
      JOIN orchestrator_workflow w ON w.id = v.workflow_id
     WHERE r.status NOT IN ('completed', 'failed', 'cancelled')
"""
_OPEN_PROPOSALS = """
    SELECT id, status FROM orchestrator_proposal
     WHERE status NOT IN ('executed', 'rejected', 'blocked', 'failed', 'expired', 'superseded',
                          'rolled_back', 'withdrawn')
"""
_OPEN_COMMANDS = """
    SELECT id, kind, status FROM orchestrator_command WHERE status NOT IN ('done', 'failed', 'cancelled')
"""
# What is judged blind runs nothing and holds nothing up.
_OPEN_ITEMS = """
    SELECT id, kind FROM orchestrator_reviewitem
     WHERE status = 'waiting' AND kind NOT IN ('audit', 'blind_label', 'second_review', 'adjudication')
"""


def find_doubled_requests(evidence: Evidence) -> Iterator[str]:
    """P1: a request that was sent again with its key is one workflow."""
    for table, own in (("run", "TRUE"), ("proposal", "revises_id IS NULL")):
        query = f"""
            SELECT external_id, count(*) FROM orchestrator_{table}
             WHERE external_id <> '' AND {own} GROUP BY 1 HAVING count(*) > 1"""
        for reference, count in evidence.rows(query):
            yield f"{table} {reference} was asked for once and exists {count} times"


def find_duplicated(evidence: Evidence) -> Iterator[str]:
    """P2: by the recorder's own books, what was wanted once was done once, under whatever key."""
    executions: Counter[str] = Counter()
    for happened in evidence.happened.values():
        if not happened.undoes:
            executions[reference_of(happened)] += happened.executions
    for reference, count in executions.items():
        if count > 1:
            yield f"the effect of {reference} was executed {count} times"
    for contradiction in evidence.contradictions:
        yield f"one key came with two payloads: {contradiction}"


def find_disagreements(evidence: Evidence) -> Iterator[str]:
    """P2, P7: what the product believes is what happened, and all of it was allowed."""
    effects = {str(row[0]): row for row in evidence.rows(_EFFECTS)}
    for key, happened in evidence.happened.items():
        if happened.executions and key.removesuffix(":undo") not in effects:
            yield f"the recorder executed {key}, of which the product knows nothing"
    for key, (_, status, payload, allowed, executor) in effects.items():
        if not allowed and status != "withdrawn":
            yield f"the effect {key} was allowed by nobody"
        if executor == CHANGES:
            # Countersign itself is the target: see change_checks.
            continue
        done = evidence.happened.get(key)
        executions = done.executions if done else 0
        if (status in DONE_ONCE) != (executions > 0):
            yield f"the effect {key} is {status}, and was executed {executions} times"
        if done and executions and done.payload != payload:
            yield f"the effect {key} ran with another payload than was allowed"


_EFFECTS = """
    SELECT e.idempotency_key, e.status, p.payload,
           coalesce(i.proposal_id = p.id AND d.verdict = 'approve' AND d.payload_digest = p.digest
                    AND d.undone_at IS NULL
                    AND (SELECT count(DISTINCT g.reviewer_id) FROM orchestrator_decision g
                          WHERE g.item_id = i.id AND g.verdict = 'approve'
                            AND g.undone_at IS NULL) >= i.approvals_needed,
                    s.proposal_id = p.id AND s.verdict = 'accept', false), e.executor
      FROM orchestrator_effect e
      JOIN orchestrator_proposal p ON p.id = e.proposal_id
      LEFT JOIN orchestrator_decision d ON d.id = e.decision_id
      LEFT JOIN orchestrator_reviewitem i ON i.id = d.item_id
      LEFT JOIN orchestrator_disposition s ON s.id = e.disposition_id
"""


def find_gaps(evidence: Evidence) -> Iterator[str]:
    """P3: numbers without gaps, and each run as long as it says."""
    for run, seq, count, last in evidence.rows(_LENGTHS):
        yield f"run {run} says {seq} events, has {count}, and the last is {last}"


_LENGTHS = """
    SELECT r.id, r.seq, count(e.id), coalesce(max(e.seq), 0) FROM orchestrator_run r
      LEFT JOIN orchestrator_event e ON e.run_id = r.id
     GROUP BY r.id HAVING r.seq <> count(e.id) OR r.seq <> coalesce(max(e.seq), 0) OR r.seq = 0
"""


def find_divergences(evidence: Evidence) -> Iterator[str]:
    """P3, P4: every chain of hashes holds, every fold is the stored state, every command is emitted again."""
    yield from complaints(evidence, "replay", "--all")


def find_tampering(evidence: Evidence) -> Iterator[str]:
    """P11: what was signed is there, and the copies outside the database say the same."""
    yield from complaints(evidence, "verify")


def find_doubled_completions(evidence: Evidence) -> Iterator[str]:
    """P5: each thing was completed once."""
    for run, work, index, count in evidence.rows(_FINISHED_TWICE):
        yield f"run {run}: part {index} of {work} finished {count} times"
    for effect, count in evidence.rows(_ENDED_TWICE):
        yield f"the effect {effect} succeeded {count} times"


# A machine may come to the same work again; a pipeline only where people sent its agent back to it.
_FINISHED_TWICE = """
    SELECT e.run_id, e.payload::jsonb ->> 'work', e.payload::jsonb ->> 'index', count(*)
      FROM orchestrator_event e JOIN orchestrator_run r ON r.id = e.run_id
      JOIN orchestrator_workflowversion v ON v.id = r.workflow_version_id
     WHERE e.kind = 'work_finished' AND v.definition::jsonb ->> 'pattern' = 'pipeline'
     GROUP BY 1, 2, 3 HAVING count(*) >
           1 + (SELECT count(*) FROM orchestrator_event b
                 WHERE b.run_id = e.run_id AND b.kind = 'revision_requested')
"""
_ENDED_TWICE = """
    SELECT payload::jsonb ->> 'effect', count(*) FROM orchestrator_event
     WHERE kind = 'effect_succeeded' GROUP BY 1 HAVING count(*) > 1
"""


def find_stale_writers(evidence: Evidence) -> Iterator[str]:
    """P5: each claim has a token of its own, and only the newest one completes."""
    for command, token, count in evidence.rows(_TOKEN_TWICE):
        yield f"command {command} was claimed {count} times with the token {token}"
    for command, token in evidence.rows(_STALE):
        yield f"command {command} was changed by whoever held the old token {token}"


_TOKEN_TWICE = """
    SELECT command, token, count(*) FROM chaos_claim WHERE status = 'running'
     GROUP BY 1, 2 HAVING count(*) > 1
"""
_STALE = """
    SELECT c.command, c.token FROM chaos_claim c WHERE EXISTS
        (SELECT 1 FROM chaos_claim b WHERE b.command = c.command AND b.id < c.id AND b.token > c.token)
"""


def find_doubled_decisions(evidence: Evidence) -> Iterator[str]:
    """P6: one outcome for each item, as many people as it needs, and what was confirmed was kept."""
    yield from find_doubled_outcomes(evidence)
    for item, given, needed in evidence.rows(_APPROVALS):
        yield f"review item {item} was approved by {given} people and needed {needed}"
    kept = {key: Kept(*rest) for key, *rest in evidence.rows(_DECISIONS)}
    for note in _confirmed(evidence.decisions):
        if not _is_kept(note, kept):
            yield f"{note.name} was told that {note.item} is now {note.what}, and it is not"


_APPROVALS = """
    SELECT i.id, count(DISTINCT d.reviewer_id), i.approvals_needed FROM orchestrator_reviewitem i
      JOIN orchestrator_decision d ON d.item_id = i.id AND d.verdict = 'approve'
       AND d.undone_at IS NULL
     GROUP BY i.id HAVING count(*) > i.approvals_needed OR count(*) <> count(DISTINCT d.reviewer_id)
"""
_DECISIONS = """
    SELECT d.id, d.item_id, u.username, d.verdict, d.undone_at IS NOT NULL
      FROM orchestrator_decision d
      JOIN auth_user u ON u.id = d.reviewer_id
"""


def find_needless_failures(evidence: Evidence) -> Iterator[str]:
    """No fault may cost a run its life: only people said no, and no function fails more often than it may."""
    for run, slug, error in evidence.rows(_FAILED_RUNS):
        yield f"run {run} of {slug} failed: {error}"
    for proposal, status, error in evidence.rows(_FAILED_PROPOSALS):
        yield f"proposal {proposal} is {status}: {error}"


# A person who gave a command up has said no as well.
_FAILED_RUNS = """
    SELECT r.id, w.slug, left(r.state::jsonb ->> 'error', 300) FROM orchestrator_run r
      JOIN orchestrator_workflowversion v ON v.id = r.workflow_version_id
      JOIN orchestrator_workflow w ON w.id = v.workflow_id
     WHERE r.status IN ('failed', 'cancelled') AND NOT EXISTS
           (SELECT 1 FROM orchestrator_decision d JOIN orchestrator_reviewitem i ON i.id = d.item_id
             WHERE i.run_id = r.id AND d.verdict IN ('reject', 'give_up')
               AND d.undone_at IS NULL)
"""
_FAILED_PROPOSALS = """
    SELECT p.id, p.status, left(e.error ->> 'reason', 300) FROM orchestrator_proposal p
      LEFT JOIN orchestrator_effect e ON e.proposal_id = p.id
     WHERE p.status IN ('failed', 'expired', 'withdrawn') AND NOT EXISTS
           (SELECT 1 FROM orchestrator_decision d JOIN orchestrator_reviewitem i ON i.id = d.item_id
             WHERE i.run_id = p.run_id AND d.verdict = 'give_up')
"""


def find_refusals(evidence: Evidence) -> Iterator[str]:
    """Nobody asked for anything that may be refused."""
    yield from evidence.told.refusals


CHECKS: dict[str, Check] = {
    "lost": find_lost,
    "validators": find_unheard_validators,
    "stand-downs": find_accepts_while_standing,
    "counters": find_miscounted_days,
    "unfinished": find_unfinished,
    "requests": find_doubled_requests,
    "duplicated": find_duplicated,
    "disagreements": find_disagreements,
    "gaps": find_gaps,
    "divergences": find_divergences,
    "tampering": find_tampering,
    "completions": find_doubled_completions,
    "stale-writers": find_stale_writers,
    "decisions": find_doubled_decisions,
    "holds": find_broken_holds,
    "taken-back": find_forgotten_undos,
    "revisions": find_misplaced_revisions,
    "rollbacks": find_misjudged_rollbacks,
    "certificates": find_bad_certificates,
    "messages": find_lost_messages,
    "events": find_misled_events,
    "backtests": find_miscounted_backtests,
    "changes": find_misapplied_changes,
    "asks": find_doubled_asks,
    "memory": find_misremembered,
    "shadows": find_acting_shadows,
    "told": find_unheard_messages,
    "failures": find_needless_failures,
    "refusals": find_refusals,
}


def check_all(evidence: Evidence) -> dict[str, list[str]]:
    """The violations by check; every check is there, so that a report shows what was asked."""
    return {name: list(check(evidence)) for name, check in CHECKS.items()}


def _name(accepted: Accepted) -> str:
    return f"{accepted.request.kind} {accepted.id} ({accepted.request.reference})"


def _confirmed(decisions: Path) -> Iterator[Note]:
    """What reviewers were told, by their own notes."""
    for note in _notes(decisions):
        if not note.what.startswith("refused:"):
            yield note


def _is_kept(note: Note, kept: dict[str, Kept]) -> bool:
    """A decision for good, and whether it was taken back."""
    known = kept.get(note.decision)
    if known is None or (known.item, known.name) != (note.item, note.name):
        return False
    return known.is_undone if note.what == "undone" else known.verdict == note.what


def count_decisions(decisions: Path) -> dict[str, int]:
    """How reviewers fared; who was refused came second in a race."""
    return dict(sorted(Counter(note.what for note in _notes(decisions)).items()))


def _notes(decisions: Path) -> Iterator[Note]:
    lines = decisions.read_text().splitlines() if decisions.exists() else []
    for line in lines:
        yield Note(*line.split())
