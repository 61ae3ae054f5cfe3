"""How a day is counted: what belongs to it, and each table of counters with one statement.

First everything that belongs to the day is gathered in three temporary tables of this connection, each
line with its segment. Then each table is counted from them. Keys are in the order of time, so a day is
a range of keys.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, LiteralString

from django.conf import settings

from orchestrator.audit_queries import DISPUTES, JUDGED_OPENLY, SAMPLED
from orchestrator.core import typeid
from orchestrator.core.definitions import DIRECT
from orchestrator.core.policy import auditing
from orchestrator.core.policy.changes import RESERVED
from orchestrator.core.statistics import buckets
from orchestrator.models import ReviewItem
from orchestrator.models.rollups import UNKNOWN_CHANCE

# An amount of more digits is none that anybody deals in, and would make every sum meaningless.
AMOUNT_DIGITS_MAX = 15


@dataclass(frozen=True, slots=True)
class Counter:
    """One table, what a line of it is told apart by besides the day, and what is counted."""

    table: LiteralString
    keys: tuple[LiteralString, ...]
    values: tuple[LiteralString, ...]
    # Gives keys and values in this order.
    count: LiteralString


# Gathered anew for each day. The end of the transaction empties them, unless it is part of another one.
SHAPES: LiteralString = """
CREATE TEMP TABLE IF NOT EXISTS day_proposal (
    id typeid, at timestamptz, workflow text, agent text, agent_version text, model text, action text,
    tier text, currency text, segment_id integer, total_id integer, amount numeric, disposition text, status text,
    edited boolean, chance float8, score float8, confidence float8
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS day_work (
    what text, workflow text, agent text, agent_version text, model text, action text, tier text,
    segment_id integer, total_id integer, reviewer_id integer, kind text, word text, seconds float8, handled_ms bigint
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS day_call (
    workflow text, agent text, agent_version text, model text, segment_id integer, has_failed boolean,
    tokens_in bigint, tokens_out bigint, money_micros bigint, unpriced boolean, took_ms bigint
) ON COMMIT DELETE ROWS;
DELETE FROM day_proposal;
DELETE FROM day_work;
DELETE FROM day_call;
"""

# The amount is where the contract of the action says that money is; of several, the first by its pointer.
_AMOUNTS: LiteralString = r"""
    SELECT id,
           (SELECT array_agg(replace(replace(part, '~1', '/'), '~0', '~') ORDER BY place)
              FROM unnest(string_to_array('args' || pointer, '/')) WITH ORDINALITY AS t(part, place))
               AS amount_at,
           CASE WHEN currency LIKE '/%%' THEN
               (SELECT array_agg(replace(replace(part, '~1', '/'), '~0', '~') ORDER BY place)
                  FROM unnest(string_to_array('args' || currency, '/')) WITH ORDINALITY AS t(part, place))
           END AS currency_at, currency
      FROM (SELECT DISTINCT ON (c.id) c.id, show.key AS pointer, show.value ->> 'currency' AS currency
              FROM orchestrator_contractversion c,
                   jsonb_each(CASE jsonb_typeof(c.review -> 'shows')
                              WHEN 'object' THEN c.review -> 'shows' ELSE '{}' END) AS show
             WHERE show.value ->> 'as' = 'money'
             ORDER BY c.id, show.key COLLATE "C") AS money
"""

GATHER_PROPOSALS: LiteralString = rf"""
WITH money AS MATERIALIZED ({_AMOUNTS}),
found AS (
    SELECT p.*, w.slug, coalesce(c.tier, 'normal') AS tier,
           CASE WHEN m.id IS NOT NULL THEN p.payload::jsonb END AS body,
           m.amount_at, m.currency_at, m.currency AS code
      FROM orchestrator_proposal p
      JOIN orchestrator_run r ON r.id = p.run_id
      JOIN orchestrator_workflowversion v ON v.id = r.workflow_version_id
      JOIN orchestrator_workflow w ON w.id = v.workflow_id
      LEFT JOIN orchestrator_contractversion c ON c.id = p.contract_version_id
      LEFT JOIN money m ON m.id = p.contract_version_id
     WHERE p.id >= %(prp_from)s AND p.id < %(prp_to)s AND NOT starts_with(p.action, %(reserved)s)
), priced AS (
    SELECT *, CASE WHEN jsonb_typeof(body #> amount_at) = 'number' THEN body #>> amount_at END AS said,
           CASE WHEN currency_at IS NULL THEN code ELSE body #>> currency_at END AS unit
      FROM found
)
INSERT INTO day_proposal
SELECT p.id, p.created_at, p.slug, p.agent, p.agent_version, p.model, p.action, p.tier,
       CASE WHEN p.is_amount THEN p.unit ELSE '' END, NULL, NULL,
       CASE WHEN p.is_amount THEN p.said::numeric ELSE 0 END, p.disposition, p.status,
       p.edited_by_id IS NOT NULL, coalesce(d.draw_chance, {UNKNOWN_CHANCE}), d.score, p.confidence
  FROM (SELECT *, coalesce(said ~ '^-?[0-9]{{1,{AMOUNT_DIGITS_MAX}}}$' AND unit ~ '^[A-Z]{{3}}$', false)
                  AS is_amount FROM priced) AS p
  LEFT JOIN LATERAL (SELECT d.score, d.draw_chance FROM orchestrator_disposition d
                      WHERE d.proposal_id = p.id ORDER BY d.id DESC LIMIT 1) AS d ON true
"""

# Nothing is no time at all: the least of it and a number would be the number.
_HANDLED_MS: LiteralString = """
    CASE WHEN d.handled_ms IS NOT NULL THEN least(d.handled_ms, %(handled_ms_max)s) END
"""
_ABOUT: LiteralString = """
       w.slug, coalesce(p.agent, ''), coalesce(p.agent_version, ''), coalesce(p.model, ''),
       coalesce(p.action, ''), CASE WHEN p.id IS NULL THEN i.tier ELSE coalesce(c.tier, 'normal') END
"""
_OF_ITEM: LiteralString = """
       JOIN orchestrator_run r ON r.id = i.run_id
       JOIN orchestrator_workflowversion v ON v.id = r.workflow_version_id
       JOIN orchestrator_workflow w ON w.id = v.workflow_id
       LEFT JOIN orchestrator_proposal p ON p.id = i.proposal_id
       LEFT JOIN orchestrator_contractversion c ON c.id = p.contract_version_id
"""
GATHER_WORK: LiteralString = f"""
INSERT INTO day_work (what, workflow, agent, agent_version, model, action, tier, kind, word, seconds,
                      reviewer_id, handled_ms)
SELECT 'item', {_ABOUT}, i.kind, 'opened', NULL::float8, NULL::integer, NULL::bigint
  FROM orchestrator_reviewitem i {_OF_ITEM}
 WHERE i.id >= %(rev_from)s AND i.id < %(rev_to)s
UNION ALL
SELECT 'item', {_ABOUT}, i.kind,
       CASE WHEN i.status = 'decided' AND i.closed_at > i.due_at THEN 'late' ELSE i.status END,
       extract(epoch FROM i.closed_at - i.created_at)::float8, NULL::integer, NULL::bigint
  FROM orchestrator_reviewitem i {_OF_ITEM}
 WHERE i.closed_at >= %(starts_at)s AND i.closed_at < %(ends_at)s AND i.status <> 'waiting'
UNION ALL
SELECT 'decision', {_ABOUT}, i.kind, d.verdict,
       {_HANDLED_MS} / 1000.0::float8, d.reviewer_id, {_HANDLED_MS}
  FROM orchestrator_decision d JOIN orchestrator_reviewitem i ON i.id = d.item_id {_OF_ITEM}
 WHERE d.id >= %(dec_from)s AND d.id < %(dec_to)s AND d.undone_at IS NULL
"""

# Runs with a plan first: those of outside proposals are many, and call nobody.
GATHER_CALLS: LiteralString = """
WITH planned AS MATERIALIZED (
    SELECT r.id, w.slug
      FROM orchestrator_run r
      JOIN orchestrator_workflowversion v ON v.id = r.workflow_version_id
      JOIN orchestrator_workflow w ON w.id = v.workflow_id
     WHERE r.id >= %(run_from)s AND r.id < %(run_to)s AND r.ended_at IS NOT NULL
       AND v.definition <> %(direct)s
)
INSERT INTO day_call
SELECT r.slug, coalesce(e.body #>> '{agent,name}', ''), coalesce(e.body #>> '{agent,version}', ''),
       coalesce(e.body #>> '{agent,model}', ''), NULL, e.kind = 'work_failed',
       coalesce((e.body ->> 'tokens_in')::bigint, 0), coalesce((e.body ->> 'tokens_out')::bigint, 0),
       coalesce((e.body ->> 'money_micros')::bigint, 0),
       coalesce((e.body ->> 'unpriced')::boolean, false), coalesce((e.body ->> 'took_ms')::bigint, 0)
  FROM planned r
 CROSS JOIN LATERAL (SELECT e.kind, e.payload::jsonb AS body FROM orchestrator_event e
                      WHERE e.run_id = r.id
                        AND e.kind IN ('work_finished', 'work_failed', 'work_asked')) AS e
"""

# Each gets the segment it is in, which is made where it is new. `first_at` only ever moves back.
NEW_SEGMENTS: LiteralString = """
INSERT INTO orchestrator_segment AS known (workflow, agent, agent_version, model, action, tier, currency,
                                           first_at)
SELECT workflow, agent, agent_version, model, action, tier, currency, at
  FROM (SELECT workflow, agent, agent_version, model, action, tier, currency, min(at) AS at
  FROM (SELECT workflow, agent, agent_version, model, action, tier, currency, at FROM day_proposal
        UNION ALL
        SELECT workflow, agent, agent_version, model, action, tier, '', NULL FROM day_work
        UNION ALL
        SELECT workflow, agent, agent_version, model, '', '', '', NULL FROM day_call
        UNION ALL
        SELECT '', '', '', '', '', '', currency, NULL FROM day_proposal
        UNION ALL
        SELECT '', '', '', '', '', '', '', NULL FROM day_work) AS named
 GROUP BY workflow, agent, agent_version, model, action, tier, currency) AS seen
 -- A conflict uses up a number of the sequence as well, and each day is counted thousands of times.
 WHERE NOT EXISTS (
       SELECT FROM orchestrator_segment k
        WHERE (k.agent, k.agent_version, k.action, k.workflow, k.model, k.tier, k.currency)
            = (seen.agent, seen.agent_version, seen.action, seen.workflow, seen.model, seen.tier,
               seen.currency)
          AND (seen.at IS NULL OR k.first_at <= seen.at))
 ORDER BY agent, agent_version, action, workflow, model, tier, currency
ON CONFLICT (agent, agent_version, action, workflow, model, tier, currency)
DO UPDATE SET first_at = least(known.first_at, excluded.first_at)
        WHERE known.first_at IS NULL AND excluded.first_at IS NOT NULL
           OR known.first_at > excluded.first_at
"""
_ALIKE: LiteralString = """
    (s.agent, s.agent_version, s.workflow, s.model) = (d.agent, d.agent_version, d.workflow, d.model)
"""
_TOGETHER: LiteralString = """
    (t.workflow, t.agent, t.agent_version, t.model, t.action, t.tier) = ('', '', '', '', '', '')
"""
PLACE: tuple[LiteralString, ...] = (
    f"""UPDATE day_proposal d SET segment_id = s.id, total_id = t.id
          FROM orchestrator_segment s, orchestrator_segment t
         WHERE {_ALIKE} AND (s.action, s.tier, s.currency) = (d.action, d.tier, d.currency)
           AND {_TOGETHER} AND t.currency = d.currency""",
    f"""UPDATE day_work d SET segment_id = s.id, total_id = t.id
          FROM orchestrator_segment s, orchestrator_segment t
         WHERE {_ALIKE} AND (s.action, s.tier, s.currency) = (d.action, d.tier, '')
           AND {_TOGETHER} AND t.currency = ''""",
    f"""UPDATE day_call d SET segment_id = s.id FROM orchestrator_segment s
         WHERE {_ALIKE} AND (s.action, s.tier, s.currency) = ('', '', '')""",
)
KNOW_AGAIN: LiteralString = "ANALYZE day_proposal"

# Each line counts where it belongs, and once more in everything together.
_TWICE: LiteralString = (
    "CROSS JOIN LATERAL (VALUES (d.segment_id), (d.total_id)) AS counted_in(segment)"
)
_BUCKET: LiteralString = f"""
    CASE WHEN seconds IS NULL THEN {buckets.NONE}
         ELSE floor(ln(greatest(seconds, 1)) / ln(2::float8) * {buckets.A_DOUBLING}) END
"""

# As `audit_queries.truths_of`: of each source the last verdict, and of the sources the strongest. One
# whose verdict is in dispute says nothing, and keeps the weaker ones from saying anything.
LABELS: LiteralString = """
SELECT proposal_id, segment_id, disposition, confidence, should_run,
       CASE WHEN disposition IN ('hold', 'escalate') OR said_by = 'review' THEN 1
            WHEN is_drawn THEN greatest(chance, 0) ELSE 0 END, said_by
  FROM (SELECT DISTINCT ON (p.id) p.id AS proposal_id, p.segment_id, p.disposition, p.confidence, p.chance,
               d.verdict = 'approve' AS should_run, i.closed_because = %(overturned)s AS is_disputed,
               source.name AS said_by,
               EXISTS (SELECT 1 FROM orchestrator_reviewitem b
                        WHERE b.proposal_id = p.id AND b.kind = ANY(%(sampled)s)
                          AND b.opened_because = %(drawn)s::jsonb) AS is_drawn
          FROM day_proposal p
          JOIN orchestrator_reviewitem i ON i.proposal_id = p.id AND i.status = 'decided'
          JOIN orchestrator_decision d ON d.item_id = i.id AND d.undone_at IS NULL
           AND d.verdict IN ('approve', 'reject')
          JOIN (VALUES ('adjudication', %(disputes)s::text[], 1), ('audit', %(sampled)s::text[], 2),
                       ('second review', %(second)s::text[], 3), ('review', %(openly)s::text[], 4))
                AS source(name, kinds, place)
            ON i.kind = ANY(source.kinds)
         ORDER BY p.id, source.place, d.id DESC) AS strongest
 WHERE NOT is_disputed
"""

COUNTERS: tuple[Counter, ...] = (
    Counter(
        "orchestrator_proposalday",
        ("segment_id", "disposition", "status", "edited", "chance"),
        ("proposals", "amount"),
        f"""
        SELECT segment, disposition, status, edited, chance, count(*), sum(amount)
          FROM day_proposal d {_TWICE} GROUP BY segment, disposition, status, edited, chance
        """,
    ),
    # Before those that count labels.
    Counter(
        "orchestrator_label",
        ("proposal_id",),
        ("segment_id", "disposition", "confidence", "should_run", "chance", "said_by"),
        LABELS,
    ),
    Counter(
        "orchestrator_scoreday",
        ("segment_id", "disposition", "bin"),
        ("proposals", '"right"', "wrong"),
        f"""
        SELECT segment, disposition, bin, count(*), count(*) FILTER (WHERE should_run),
               count(*) FILTER (WHERE NOT should_run)
          FROM (SELECT p.segment_id, p.total_id, p.disposition, said.should_run,
                       CASE WHEN p.score >= 0 AND p.score <= 1
                            -- A product of floats may lie just over a bound that the score is not over.
                            THEN greatest(ceil(p.score * 100)
                                          - (p.score <= (ceil(p.score * 100) - 1) / 100)::integer, 1) - 1
                            ELSE -1 END AS bin
                  FROM day_proposal p LEFT JOIN orchestrator_label said ON said.proposal_id = p.id) AS d
          {_TWICE}
         GROUP BY segment, disposition, bin
        """,
    ),
    Counter(
        "orchestrator_ruleday",
        (
            *("segment_id", "rule_version_id", "enforced", "result", "disposition", "status"),
            *("edited", "said"),
        ),
        ("proposals", "amount", "decisions", "measured", "handled_ms"),
        f"""
        SELECT p.segment_id, k.rule_version_id, k.enforced, k.result, p.disposition, p.status, p.edited,
               coalesce(d.said, ''), count(*), sum(p.amount), coalesce(sum(d.decisions), 0),
               coalesce(sum(d.measured), 0), coalesce(sum(d.handled_ms), 0)
          FROM day_proposal p
          JOIN LATERAL (SELECT DISTINCT ON (k.rule_version_id) k.rule_version_id, k.enforced, k.result
                          FROM orchestrator_policycheck k WHERE k.proposal_id = p.id
                         ORDER BY k.rule_version_id, k.id DESC) AS k ON k.result <> 'pass'
          LEFT JOIN LATERAL (
               SELECT (array_agg(d.verdict ORDER BY d.id DESC))[1] AS said, count(*) AS decisions,
                      count(d.handled_ms) AS measured,
                      sum({_HANDLED_MS}) AS handled_ms
                 FROM orchestrator_reviewitem i JOIN orchestrator_decision d ON d.item_id = i.id
                WHERE i.proposal_id = p.id AND i.kind = ANY(%(openly)s) AND d.undone_at IS NULL
               ) AS d ON true
         GROUP BY p.segment_id, k.rule_version_id, k.enforced, k.result, p.disposition, p.status, p.edited,
                  d.said
        """,
    ),
    Counter(
        "orchestrator_auditday",
        ("segment_id", "disposition", "chance", "outcome"),
        ("items",),
        """
        SELECT p.segment_id, p.disposition, p.chance,
               CASE WHEN i.status = 'waiting' THEN 'open'
                    WHEN i.status <> 'decided' THEN 'expired'
                    WHEN i.closed_because = %(confirmed)s THEN 'right'
                    WHEN dispute.closed_because = %(for_the_auditor)s THEN 'wrong'
                    WHEN dispute.closed_because = %(for_the_first)s THEN 'right'
                    WHEN dispute.status = 'waiting' THEN 'disputed'
                    ELSE 'unsettled' END AS outcome, count(*)
          FROM day_proposal p
          JOIN orchestrator_reviewitem i ON i.proposal_id = p.id AND i.kind = ANY(%(sampled)s)
           AND i.opened_because = %(drawn)s::jsonb
          LEFT JOIN LATERAL (SELECT b.status, b.closed_because FROM orchestrator_reviewitem b
                              WHERE b.about_id = i.id AND b.kind = ANY(%(disputes)s)
                              ORDER BY b.id DESC LIMIT 1) AS dispute ON true
         GROUP BY p.segment_id, p.disposition, p.chance, outcome
        """,
    ),
    Counter(
        "orchestrator_itemday",
        ("segment_id", "kind", "happened", "bucket"),
        ("items",),
        f"""
        SELECT segment, kind, word, {_BUCKET} AS bucket, count(*)
          FROM day_work d {_TWICE} WHERE what = 'item'
         GROUP BY segment, kind, word, bucket
        """,
    ),
    Counter(
        "orchestrator_reviewerday",
        ("segment_id", "reviewer_id", "kind", "verdict", "bucket"),
        ("decisions", "handled_ms"),
        f"""
        SELECT segment, reviewer_id, kind, word, {_BUCKET} AS bucket, count(*),
               coalesce(sum(handled_ms), 0)
          FROM day_work d {_TWICE} WHERE what = 'decision'
         GROUP BY segment, reviewer_id, kind, word, bucket
        """,
    ),
    Counter(
        "orchestrator_callday",
        ("segment_id",),
        (
            *("calls", "failed", "unknown", "tokens_in", "tokens_out", "money_micros", "unpriced"),
            *("took_ms", "within_1s", "within_5s", "within_15s", "within_60s"),
        ),
        """
        SELECT segment_id, count(*), count(*) FILTER (WHERE has_failed),
               count(*) FILTER (WHERE (tokens_in, tokens_out, money_micros) = (0, 0, 0)),
               sum(tokens_in), sum(tokens_out), sum(money_micros),
               count(*) FILTER (WHERE unpriced OR (tokens_in, tokens_out, money_micros) = (0, 0, 0)),
               sum(took_ms), count(*) FILTER (WHERE took_ms <= 1000),
               count(*) FILTER (WHERE took_ms <= 5000), count(*) FILTER (WHERE took_ms <= 15000),
               count(*) FILTER (WHERE took_ms <= 60000)
          FROM day_call GROUP BY segment_id
        """,
    ),
)


def gathering() -> Iterator[str]:
    """Everything that fills the temporary tables, in this order."""
    yield GATHER_PROPOSALS
    yield GATHER_WORK
    yield GATHER_CALLS
    yield NEW_SEGMENTS
    yield from PLACE
    yield KNOW_AGAIN


def values_of(day: date) -> dict[str, Any]:
    """What the statements of one day are filled with."""
    starts_at = datetime.combine(day, time(), UTC)
    ends_at = starts_at + timedelta(days=1)
    return {
        "day": day,
        "starts_at": starts_at,
        "ends_at": ends_at,
        **{f"{prefix}_from": _first_key(prefix, starts_at) for prefix in _KEYS},
        **{f"{prefix}_to": _first_key(prefix, ends_at) for prefix in _KEYS},
        "reserved": RESERVED,
        "direct": DIRECT,
        "handled_ms_max": settings.HANDLING_MINUTES_MAX * 60_000,
        "drawn": _DRAWN,
        "confirmed": auditing.CONFIRMED,
        "overturned": auditing.OVERTURNED,
        "for_the_auditor": auditing.FOR_THE_AUDITOR,
        "for_the_first": auditing.FOR_THE_FIRST,
        "sampled": [kind.value for kind in SAMPLED],
        "disputes": [kind.value for kind in DISPUTES],
        "second": [ReviewItem.Kind.SECOND_REVIEW.value],
        "openly": [kind.value for kind in JUDGED_OPENLY],
    }


_KEYS = ("prp", "rev", "dec", "run")
_DRAWN = f'["{auditing.DRAWN}"]'


def _first_key(prefix: str, moment: datetime) -> str:
    return typeid.make(prefix, at_ms=int(moment.timestamp() * 1_000), entropy=0)
