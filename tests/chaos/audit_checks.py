"""What stood down accepted nothing, and what the reports count is what a recount says."""

from collections.abc import Iterator

from tests.chaos.evidence import Evidence, complaints


def find_accepts_while_standing(evidence: Evidence) -> Iterator[str]:
    """From the moment when it stands until a person, or a settled dispute, ends that."""
    for stand_down, proposal, at in evidence.rows(_SLIPPED):
        yield f"{proposal} was let through at {at}, while {stand_down} stood"


# Both are written while the lock is held that they share: shared by those who accept, alone by the other.
_SLIPPED = """
    SELECT s.id, p.id, d.created_at FROM orchestrator_standdown s
      JOIN orchestrator_trackrecord r ON r.id = s.record_id
      JOIN orchestrator_proposal p ON (p.agent, p.agent_version, p.action)
                                    = (r.agent, r.agent_version, r.action)
      JOIN orchestrator_disposition d ON d.proposal_id = p.id AND d.verdict = 'accept'
     WHERE d.created_at > s.opened_at AND d.created_at < coalesce(s.lifted_at, 'infinity')
"""


def find_miscounted_days(evidence: Evidence) -> Iterator[str]:
    """Every change has marked its day: nothing is counted anew here but what is marked."""
    yield from complaints(evidence, "rollups", "--check")


def count_audits(evidence: Evidence) -> dict[str, int]:
    return {what: evidence.rows(query)[0][0] for what, query in _COUNTS.items()}


_DECIDED = "SELECT count(*) FROM orchestrator_reviewitem WHERE status = 'decided' AND kind = '{}'"
_COUNTS = {
    "audits": _DECIDED.format("audit"),
    "blind labels": _DECIDED.format("blind_label"),
    "second reviews": _DECIDED.format("second_review"),
    "disputes settled": _DECIDED.format("adjudication"),
    "stood down": "SELECT count(*) FROM orchestrator_standdown",
    "lifted by a person": "SELECT count(*) FROM orchestrator_standdown WHERE lifted_by_id IS NOT NULL",
    "labels": "SELECT count(*) FROM orchestrator_trackedlabel",
}
