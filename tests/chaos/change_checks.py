"""What became of rules: each change that was countersigned was made once, and nothing else was."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.chaos.evidence import CHANGES, Evidence


def find_misapplied_changes(evidence: Evidence) -> Iterator[str]:
    """One after the other, as they were countersigned; the last of them is in force."""
    agreed, made = _versions(evidence, _AGREED), _versions(evidence, _MADE)
    active = _versions(evidence, _ACTIVE)
    for rule in sorted(agreed.keys() | made.keys() | active.keys()):
        if made[rule] != agreed[rule]:
            yield f"{rule}: changes to {agreed[rule]} were agreed, and to {made[rule]} were made"
        if active[rule] != agreed[rule][-1:]:
            yield f"{rule}: {active[rule]} is active, and {agreed[rule][-1:]} was agreed last"
    there = {key for (key,) in evidence.rows("SELECT id FROM orchestrator_proposal")}
    for kind, key in evidence.asks():
        if kind == "proposal" and key not in there:
            yield f"the change {key} was asked for and is gone"


# What was activated before the run began, as the cast was made up, nobody had to agree to.
_AGREED = f"""
    SELECT 'rule/' || r.slug, v.number FROM orchestrator_ruleversion v
      JOIN orchestrator_rule r ON r.id = v.rule_id WHERE v.number = 1
    UNION ALL
    SELECT * FROM (
        SELECT p.target, (p.payload::jsonb -> 'args' ->> 'version')::int
          FROM orchestrator_effect e JOIN orchestrator_proposal p ON p.id = e.proposal_id
         WHERE e.executor = '{CHANGES}' AND e.status = 'done' ORDER BY e.id) AS changes
"""
_MADE = """
    SELECT object_id, (detail ->> 'version')::int FROM orchestrator_auditentry
     WHERE verb = 'rule.activated' ORDER BY id
"""
_ACTIVE = """
    SELECT 'rule/' || r.slug, v.number FROM orchestrator_ruleversion v
      JOIN orchestrator_rule r ON r.id = v.rule_id WHERE v.stage = 'active'
"""


def _versions(evidence: Evidence, query: str) -> defaultdict[str, list[int]]:
    """Of each rule, in the order of the query."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for rule, number in evidence.rows(query):
        found[rule].append(number)
    return found


def count_changes(evidence: Evidence) -> dict[str, int]:
    """How those that were asked for ended."""
    ends = Counter(status for (status,) in evidence.rows(_ENDS))
    return dict(sorted(ends.items()))


_ENDS = "SELECT status FROM orchestrator_proposal WHERE action LIKE 'countersign.%'"
