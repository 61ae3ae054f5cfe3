"""What became of review items: held by one at a time, decided once a round, and taken back for good."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

from tests.chaos.evidence import CHANGES, Evidence, reference_of
from tests.chaos.site import ROOT, WITH_DJANGO


def find_broken_holds(evidence: Evidence) -> Iterator[str]:
    """Nobody got an item, as it was, while another one's hold on it went on."""
    for item, before, after in evidence.rows(_HELD_TWICE):
        yield f"review item {item} was in {before}'s hands when {after} got it"
    for lease, count in evidence.rows(_SAME_LEASE):
        yield f"the hold {lease} was given to {count} people"


# Whoever undoes or hands on changes the version: then the other one's hold counts for nothing.
_HELD_TWICE = """
    SELECT h.item, b.username, a.username FROM chaos_hold h
      JOIN auth_user b ON b.id = h.was_with JOIN auth_user a ON a.id = h.is_with
     WHERE h.was_with <> h.is_with AND h.was_until > h.at AND h.was_version = h.is_version
"""
_SAME_LEASE = """
    SELECT lease, count(DISTINCT is_with) FROM chaos_hold
     GROUP BY 1 HAVING count(DISTINCT is_with) > 1
"""


def find_doubled_outcomes(evidence: Evidence) -> Iterator[str]:
    """One outcome for each item until it is taken back, then one more."""
    closed: set[str] = set()
    for item, kind in evidence.rows(_OUTCOMES):
        if kind == "decision_undone":
            closed.discard(item)
        elif item in closed:
            yield f"review item {item} was decided, and then came {kind}"
        else:
            closed.add(item)


_OUTCOMES = """
    SELECT payload::jsonb ->> 'item', kind FROM orchestrator_event
     WHERE kind IN ('proposal_approved', 'proposal_rejected', 'proposal_expired', 'effect_settled',
                    'revision_requested', 'proposal_superseded', 'rollback_settled',
                    'decision_undone')
       AND payload::jsonb ->> 'item' IS NOT NULL
     ORDER BY run_id, seq
"""


def find_forgotten_undos(evidence: Evidence) -> Iterator[str]:
    """What was taken back caused nothing: no effect rests on it, and its target knew nothing then."""
    for key, is_withdrawn, rests_on_it, undone_at in evidence.rows(_TAKEN_BACK):
        happened = evidence.happened.get(key)
        if rests_on_it and not is_withdrawn:
            yield f"the effect {key} rests on an approval that was taken back"
        if happened and happened.executions and happened.first_at < undone_at:
            yield f"the effect {key} was executed, and its approval was taken back after that"


_TAKEN_BACK = """
    SELECT e.idempotency_key, e.status = 'withdrawn', bool_or(d.id = e.decision_id),
           extract(epoch FROM max(d.undone_at))::float8
      FROM orchestrator_effect e JOIN orchestrator_reviewitem i ON i.proposal_id = e.proposal_id
      JOIN orchestrator_decision d ON d.item_id = i.id
     WHERE d.verdict = 'approve' AND d.undone_at IS NOT NULL
     GROUP BY 1, 2
"""


def find_misplaced_revisions(evidence: Evidence) -> Iterator[str]:
    """Only the last of its line runs, and no approval of one counts for the next."""
    for proposal, status, revision in evidence.rows(_REPLACED):
        if status != "superseded":
            yield f"proposal {proposal} is {status}, and {revision} stands in its place"
    for key, status in evidence.rows(_RELEASED_BEFORE):
        happened = evidence.happened.get(key)
        if status != "withdrawn" or (happened and happened.executions):
            yield f"the effect {key} is {status}, and its proposal was superseded"
    for (proposal,) in evidence.rows(_SUPERSEDED_BY_NOTHING):
        yield f"proposal {proposal} was superseded, and nothing stands in its place"


_REPLACED = """
    SELECT b.id, b.status, a.id FROM orchestrator_proposal a
      JOIN orchestrator_proposal b ON b.id = a.revises_id
"""
_RELEASED_BEFORE = """
    SELECT e.idempotency_key, e.status FROM orchestrator_effect e
      JOIN orchestrator_proposal a ON a.revises_id = e.proposal_id
"""
_SUPERSEDED_BY_NOTHING = """
    SELECT b.id FROM orchestrator_proposal b WHERE b.status = 'superseded'
       AND NOT EXISTS (SELECT 1 FROM orchestrator_proposal a WHERE a.revises_id = b.id)
"""


def find_misjudged_rollbacks(evidence: Evidence) -> Iterator[str]:
    """Each effect was undone at most once, after it was done, and the product knows."""
    yield from _find_undone_twice(evidence)
    for key, status in evidence.rows(_EFFECTS):
        undone = evidence.happened.get(f"{key}:undo")
        executions = undone.executions if undone else 0
        if (status == "undone") != (executions > 0):
            yield f"the effect {key} is {status}, and was undone {executions} times"
        if undone and executions and undone.first_at < evidence.happened[key].first_at:
            yield f"the effect {key} was undone before it was done"
    asked = {proposal for (proposal,) in evidence.rows(_ASKED)}
    for kind, proposal in evidence.asks():
        if kind == "rollback" and proposal not in asked:
            yield f"the rollback of {proposal} was asked for, and the log does not know"


_EFFECTS = f"""
    SELECT idempotency_key, status FROM orchestrator_effect WHERE executor <> '{CHANGES}'
"""
_ASKED = """
    SELECT DISTINCT payload::jsonb ->> 'proposal' FROM orchestrator_event
     WHERE kind = 'rollback_requested'
"""


def _find_undone_twice(evidence: Evidence) -> Iterator[str]:
    """By what the work is called, whatever key it came under."""
    undone: Counter[str] = Counter()
    for happened in evidence.happened.values():
        if happened.undoes:
            undone[reference_of(happened)] += happened.executions
    for reference, count in undone.items():
        if count > 1:
            yield f"the effect of {reference} was undone {count} times"


def find_bad_certificates(evidence: Evidence) -> Iterator[str]:
    """What people allowed has a certificate, and those that are looked at hold."""
    for effect, decision in evidence.rows(_UNCERTIFIED):
        yield f"the effect {effect} has no certificate of {decision}"
    done = subprocess.run(
        [sys.executable, *WITH_DJANGO, "tests.chaos.certificates"],
        cwd=ROOT,
        env=evidence.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    yield from done.stdout.splitlines()
    if done.returncode:
        yield from done.stderr.splitlines()[-1:]


_UNCERTIFIED = """
    SELECT e.id, e.decision_id FROM orchestrator_effect e
      LEFT JOIN orchestrator_certificate c ON c.decision_id = e.decision_id
     WHERE e.decision_id IS NOT NULL AND c.decision_id IS NULL
"""


def find_lost_messages(evidence: Evidence) -> Iterator[str]:
    """What was sent arrived, at least once. What still waits is not lost."""
    for delivery, status, error in evidence.rows(_MESSAGES):
        if status == "failed":
            yield f"the message {delivery} was given up: {error}"
        elif status == "done" and not evidence.heard.get(delivery):
            yield f"the message {delivery} was sent, and never arrived"


_MESSAGES = "SELECT id, status, error FROM orchestrator_delivery"


def count_queue(evidence: Evidence) -> dict[str, int]:
    """What people did with items besides deciding them, and what became of what was undone."""
    return {what: evidence.rows(query)[0][0] for what, query in _COUNTS.items()} | {
        "messages arrived": len(evidence.heard),
        "messages arrived again": evidence.heard.total() - len(evidence.heard),
    }


_AUDITED = "SELECT count(*) FROM orchestrator_auditentry WHERE verb = 'review_item.{}'"
_IN_LOG = "SELECT count(*) FROM orchestrator_event WHERE kind = '{}'"
_COUNTS = {
    "holds": "SELECT count(*) FROM chaos_hold",
    "taken back": "SELECT count(*) FROM orchestrator_decision WHERE undone_at IS NOT NULL",
    "edited": "SELECT count(*) FROM orchestrator_decision WHERE verdict = 'edit'",
    "sent back": _IN_LOG.format("revision_requested"),
    "superseded": _IN_LOG.format("proposal_superseded"),
    "snoozed": _AUDITED.format("snoozed"),
    "escalated": _AUDITED.format("escalated"),
    "commented": _AUDITED.format("commented"),
    "rollbacks asked": _IN_LOG.format("rollback_requested"),
    "rolled back": "SELECT count(*) FROM orchestrator_effect WHERE status = 'undone'",
    "rollbacks failed": _IN_LOG.format("rollback_failed"),
}
