"""Proposals with people's verdicts in numbers that deciding one by one would take too long to make.

They hang on the run of a proposal that was really submitted, and look like what the product stores:
a snapshot, a disposition, and where a person judged it the item with its decision.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched, count

from django.contrib.auth.models import User
from django.db import connection

from orchestrator.core import typeid
from orchestrator.core.codec import canonical, digest
from orchestrator.core.policy import auditing
from orchestrator.models import EvaluationPolicy, Proposal

CHUNK = 2_000
EVERY = timedelta(milliseconds=1)
# What an escalated proposal is decided under, and what is drawn of the rest.
KINDS = {"escalate": "escalation", "accept": "audit", "revise": "blind_label"}
numbers = count()

_STORE = """
    WITH given AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS g (
            id text, item text, decision text, at timestamptz, agent text, agent_version text,
            action text, payload text, digest text, score float, disposition text, kind text,
            opened jsonb, chance float, verdict text)
    ), proposal AS (
        INSERT INTO orchestrator_proposal (id, run_id, external_id, agent, agent_version, model, action,
            target, payload, digest, confidence, rationale, evidence, status, disposition, created_at)
        SELECT id, %(run)s, '', agent, agent_version, '', action, '', payload, digest, score, '', '{}',
               'executed', disposition, at FROM given
    ), snapshot AS (
        INSERT INTO orchestrator_snapshot (proposal_id, inputs, digest, created_at)
        SELECT id, '{}', digest, at FROM given RETURNING id, proposal_id
    ), disposition AS (
        INSERT INTO orchestrator_disposition (proposal_id, snapshot_id, policy_id, verdict, band, score,
            reasons, draw_chance, created_at)
        SELECT g.id, s.id, %(policy)s, g.disposition, g.disposition, g.score, '[]', g.chance, g.at
          FROM given g JOIN snapshot s ON s.proposal_id = g.id
    ), item AS (
        INSERT INTO orchestrator_reviewitem (id, run_id, proposal_id, work, question, kind, status,
            opened_because, closed_because, version, priority, priority_because, approvals_needed,
            action, agent, target, tier, fired, allows, undo_s, lease, wakes_on, snoozed_at_seq,
            chance, due_at, created_at, closed_at)
        SELECT item, %(run)s, id, '', '', kind, 'decided', opened,
               CASE WHEN kind = 'escalation' THEN verdict ELSE 'confirmed' END, 2, 0, '[]', 1,
               action, agent, '', 'normal', '{}', '{}', 0, '', '', 0, chance, at, at, at
          FROM given WHERE verdict <> ''
    )
    INSERT INTO orchestrator_decision (id, item_id, reviewer_id, verdict, reason, note, payload_digest,
        target_digest, item_version, idempotency_key, created_at)
    SELECT decision, item, %(reviewer)s, verdict,
           CASE verdict WHEN 'reject' THEN 'wrong_value' ELSE '' END, '', digest, '', 1, decision, at
      FROM given WHERE verdict <> ''
"""


@dataclass(frozen=True, slots=True)
class Told:
    """One proposal, and whether a person said that it was right; None: nobody looked."""

    score: float | None
    right: bool | None
    disposition: str = "escalate"
    # With which it was drawn, or might have been.
    chance: float | None = None
    agent: str = "refund-agent"
    agent_version: str = "4"
    action: str = "refund.create"


def store(told: Sequence[Told], *, beside: Proposal, reviewer: User, until: datetime) -> None:
    """Oldest first, a millisecond between two; the last one just before `until`."""
    policy = EvaluationPolicy.objects.earliest("number").pk
    first = until - EVERY * len(told)
    rows = [_row(one, first + EVERY * place) for place, one in enumerate(told)]
    for chunk in batched(rows, CHUNK, strict=False):
        values = {
            "rows": json.dumps(chunk),
            "run": beside.run_id,
            "policy": policy,
            "reviewer": reviewer.pk,
        }
        with connection.cursor() as cursor:
            cursor.execute(_STORE, values)


def _row(told: Told, at: datetime) -> dict[str, object]:
    number = next(numbers)
    payload = canonical({"action": told.action, "args": {"number": number}, "target": ""})
    kind = KINDS[told.disposition]
    return {
        "id": _key("prp", at, number),
        "item": _key("rev", at, number),
        "decision": _key("dec", at, number),
        "at": at.isoformat(),
        "agent": told.agent,
        "agent_version": told.agent_version,
        "action": told.action,
        "payload": payload,
        "digest": digest(payload),
        "score": told.score,
        "disposition": told.disposition,
        "kind": kind,
        "chance": told.chance,
        "opened": [] if kind == "escalation" else [auditing.DRAWN],
        "verdict": {None: "", True: "approve", False: "reject"}[told.right],
    }


def _key(prefix: str, at: datetime, number: int) -> str:
    return typeid.make(prefix, at_ms=int(at.timestamp() * 1_000), entropy=number)
