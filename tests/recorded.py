"""Recorded proposals in numbers that submitting them one by one would take too long to make.

They hang on the run of a proposal that was really submitted, and look like what the product stores:
a snapshot, a disposition, and for those that a person decided an item with its decision.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import connection

from orchestrator.core import typeid
from orchestrator.core.codec import Json, canonical, digest
from orchestrator.models import EvaluationPolicy, Proposal

CHUNK = 2_000

_STORE = """
    WITH given AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(%s::jsonb) AS g (
            id text, item text, decision text, at timestamptz, agent text, action text, payload text,
            digest text, confidence float, inputs text, inputs_digest text, band text, human text)
    ), proposal AS (
        INSERT INTO orchestrator_proposal (id, run_id, external_id, agent, agent_version, model, action,
            target, payload, digest, confidence, rationale, evidence, status, disposition, created_at)
        SELECT id, %s, '', agent, '', '', action, '', payload, digest, confidence, '', '{}',
               'executed', band, at FROM given
    ), snapshot AS (
        INSERT INTO orchestrator_snapshot (proposal_id, inputs, digest, created_at)
        SELECT id, inputs, inputs_digest, at FROM given RETURNING id, proposal_id
    ), disposition AS (
        INSERT INTO orchestrator_disposition (proposal_id, snapshot_id, policy_id, verdict, band, score,
            reasons, created_at)
        SELECT g.id, s.id, %s, g.band, g.band, g.confidence, '[]', g.at
          FROM given g JOIN snapshot s ON s.proposal_id = g.id
    ), item AS (
        INSERT INTO orchestrator_reviewitem (id, run_id, proposal_id, work, question, kind, status,
            opened_because, closed_because, version, priority, priority_because, approvals_needed,
            action, agent, target, tier, fired, allows, undo_s, lease, wakes_on, snoozed_at_seq,
            due_at, created_at, closed_at)
        SELECT item, %s, id, '', '', 'escalation', 'decided', '[]', human, 2, 0, '[]', 1,
               action, agent, '', 'normal', '{}', '{}', 0, '', '', 0, at, at, at
          FROM given WHERE human <> ''
    )
    INSERT INTO orchestrator_decision (id, item_id, reviewer_id, verdict, reason, note, payload_digest,
        target_digest, item_version, idempotency_key, created_at)
    SELECT decision, item, %s, human, CASE human WHEN 'reject' THEN 'wrong_value' ELSE '' END, '',
           digest, '', 1, decision, at
      FROM given WHERE human <> ''
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What one recorded proposal said, and what a person decided: `approve`, `reject` or nothing."""

    args: dict[str, Json]
    context: dict[str, Json] = field(default_factory=dict)
    action: str = "refund.create"
    agent: str = "refund-agent"
    band: str = "accept"
    human: str = ""


def record(
    count: int,
    tell: Callable[[int], Told],
    *,
    beside: Proposal,
    reviewer: User,
    until: datetime,
    every: timedelta,
) -> list[str]:
    """`count` of them, oldest first; the last one `every` before `until`. Returns their ids."""
    policy = EvaluationPolicy.objects.latest("number").pk
    ids: list[str] = []
    for at in range(0, count, CHUNK):
        numbers = range(at, min(at + CHUNK, count))
        rows = list(_rows(numbers, tell, until - every * count, every))
        with connection.cursor() as cursor:
            values = [json.dumps(rows), beside.run_id, policy, beside.run_id, reviewer.pk]
            cursor.execute(_STORE, values)
        ids += [row["id"] for row in rows]
    return ids


def _rows(
    numbers: range, tell: Callable[[int], Told], first: datetime, every: timedelta
) -> Iterator[dict[str, Any]]:
    for number in numbers:
        told, at = tell(number), first + every * number
        payload = canonical({"action": told.action, "args": told.args, "target": ""})
        inputs = canonical(_inputs(told, at))
        yield {
            "id": _key("prp", at, number),
            "item": _key("rev", at, number),
            "decision": _key("dec", at, number),
            "at": at.isoformat(),
            "agent": told.agent,
            "action": told.action,
            "payload": payload,
            "digest": digest(payload),
            "confidence": 0.95,
            "inputs": inputs,
            "inputs_digest": digest(inputs),
            "band": told.band,
            "human": told.human,
        }


def _key(prefix: str, at: datetime, number: int) -> str:
    return typeid.make(prefix, at_ms=int(at.timestamp() * 1_000), entropy=number)


def _inputs(told: Told, at: datetime) -> dict[str, Json]:
    return {
        "proposal": {
            "action": told.action,
            "target": "order/A-20931",
            "args": told.args,
            "confidence": 0.95,
            "rationale": "The parcel arrived damaged, the photo shows it.",
            "tainted": [],
            "tier": "normal",
        },
        "agent": {"name": told.agent, "version": "4", "model": "a-model"},
        "run": {"id": "run_0", "workflow": "default"},
        "context": told.context,
        "history": {},
        "now": at.isoformat(),
    }
