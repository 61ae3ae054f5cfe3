"""What was to be validated: nothing of it ran unheard, nobody was heard twice, and doubts went to people."""

from collections.abc import Iterator
from typing import Any

from tests.chaos.evidence import Evidence
from tests.chaos.workload import VALIDATED, VALIDATORS

_HEARD = """
    SELECT e.payload::jsonb ->> 'proposal', e.payload::jsonb ->> 'validator', count(*)
      FROM orchestrator_event e WHERE e.kind IN ('validation_finished', 'validation_failed')
     GROUP BY 1, 2 HAVING count(*) > 1
"""
# Of those that were let through without a person: how many validators were content.
_ACCEPTED = """
    SELECT p.id, p.payload::jsonb -> 'args' ->> 'amount_minor',
           (SELECT count(*) FROM orchestrator_evaluation v
             WHERE v.proposal_id = p.id AND v.evaluator = 'validator' AND v.raw ->> 'verdict' = 'pass')
      FROM orchestrator_disposition d JOIN orchestrator_proposal p ON p.id = d.proposal_id
     WHERE d.verdict = 'accept' AND p.agent IN ({agents})
"""


def find_unheard_validators(evidence: Evidence) -> Iterator[str]:
    for proposal, name, count in evidence.rows(_HEARD):
        yield f"{name} was heard {count} times about {proposal}"
    agents = ", ".join(f"'{name}'" for name in VALIDATED)
    accepted: list[Any] = list(evidence.rows(_ACCEPTED.format(agents=agents)))
    if not accepted:
        yield "nothing was ever let through by its validators"
    for proposal, amount, content in accepted:
        if content != len(VALIDATORS):
            yield f"{proposal} was let through, and {content} of its validators were content"
        if int(amount) % 2:
            yield f"{proposal} was let through, and every validator finds fault with {amount}"
