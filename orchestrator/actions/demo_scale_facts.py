"""What a large demo is made of, drawn by hashing: the same seed tells the same story.

All of it is temporary: these tables and functions end with the connection. A fact is one proposal
with everything that will become of it; it stays until the load has come to the moment of its end.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from typing import Any, LiteralString

from django.conf import settings
from django.db.backends.utils import CursorWrapper

from orchestrator.actions import thresholds
from orchestrator.actions.demo_scale_cast import (
    ACTS,
    AGENTS,
    GUARDS,
    REVIEWERS,
    TEAMS,
    WORKFLOW,
    Cast,
    Guard,
)
from orchestrator.actions.demo_scale_rows import SHAPES
from orchestrator.core.codec import canonical
from orchestrator.core.policy import priority
from orchestrator.core.policy.guardrails import check_all
from orchestrator.core.policy.terms import Scope
from orchestrator.models import ReviewItem

SPAN = timedelta(days=180)

# Stands for the value in a rule's words about it, until SQL puts the real one there.
SENTINEL = 987_654_321
# Nobody decides later than this; what is open longer expires.
DUE_MS = 5 * 86_400_000
LAG_MAX_MS = 3 * 86_400_000

TOOLS: LiteralString = """
CREATE FUNCTION pg_temp.chance(n bigint, salt bigint) RETURNS float8
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT (hashint8extended(n, salt) & 2147483647) / 2147483648.0::float8
$$;

-- STABLE, as their parts are: PostgreSQL writes such a function into the query that calls it.
-- A readable id: ten letters of time, four that say UUIDv7, twelve that are ours.
CREATE FUNCTION pg_temp.id_at(prefix text, ms bigint, number bigint) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT prefix || '_'
        || substr('0123456789abcdefghjkmnpqrstvwxyz', (ms >> 45 & 31)::integer + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', (ms >> 40 & 31)::integer + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', (ms >> 35 & 31)::integer + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', (ms >> 30 & 31)::integer + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', (ms >> 25 & 31)::integer + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', (ms >> 20 & 31)::integer + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', (ms >> 15 & 31)::integer + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', (ms >> 10 & 31)::integer + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', (ms >> 5 & 31)::integer + 1, 1)
        || substr('0123456789abcdefghjkmnpqrstvwxyz', (ms & 31)::integer + 1, 1)
        || 'e008' || lpad(to_hex(number), 12, '0')
$$;

CREATE FUNCTION pg_temp.moment(ms bigint) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT timestamptz '1970-01-01 00:00:00+00' + ms * interval '1 millisecond'
$$;

CREATE FUNCTION pg_temp.stamp(at timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '+00:00'
$$;

CREATE FUNCTION pg_temp.sha(words text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT encode(sha256(convert_to(words, 'UTF8')), 'hex')
$$;

-- The same as in journal_append; an event of a run has no key here.
CREATE FUNCTION pg_temp.link(
    head text, run text, seq integer, kind text, at timestamptz, payload text
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT pg_temp.sha('["' || head || '","' || run || '",' || seq || ',"' || kind || '",null,"'
        || pg_temp.stamp(at) || '"]' || E'\\n' || payload)
$$;

CREATE FUNCTION pg_temp.quoted(word text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT coalesce('"' || word || '"', 'null') $$;

-- The state of a run that has one proposal, as the fold of its events gives it.
CREATE FUNCTION pg_temp.state_of(
    proposal text, action text, approvals text, needed integer, digest text, disposition text,
    effect text, item text, status text, run_status text, workflow text, version integer
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT '{"pattern":"direct","proposals":{"' || proposal || '":{"action":"' || action
        || '","approvals":' || approvals || ',"approvals_needed":' || needed || ',"digest":"' || digest
        || '","disposition":"' || disposition || '","effect":' || pg_temp.quoted(effect)
        || ',"item":' || pg_temp.quoted(item) || ',"status":"' || status || '"}},"status":"'
        || run_status || '","version":' || version || ',"workflow":"' || workflow || '"}'
$$;

CREATE TEMP TABLE scale_rule (slug text PRIMARY KEY, version_id bigint, number integer, effect text,
    looks_at text, most bigint, fails float8, reason text, explain text);
CREATE TEMP TABLE scale_act (act integer PRIMARY KEY, name text, tier text, contract_version_id bigint,
    rule text, team_id bigint, first_reviewer integer, reviewers integer);
CREATE TEMP TABLE scale_agent (agent integer PRIMARY KEY, name text, model text);
CREATE TEMP TABLE scale_reviewer (reviewer integer PRIMARY KEY, user_id integer, name text);
CREATE TEMP TABLE scale_priority (kind text, tier text, needed integer, escalated boolean,
    points integer, because jsonb, PRIMARY KEY (kind, tier, needed, escalated));
"""

# Each step builds on the one before: drawn by chance, judged by rules and score, given an end, named.
_FACTS: LiteralString = """
WITH drawn AS MATERIALIZED (
    SELECT g.n, %(start_ms)s + floor((g.n + pg_temp.chance(g.n, s + 1)) * %(step_ms)s)::bigint AS ms,
           floor(12 * power(pg_temp.chance(g.n, s + 2), 1.3))::integer AS act,
           floor(8 * pg_temp.chance(g.n, s + 3))::integer AS agent,
           1 + least(2, floor(3.0 * g.n / %(count)s + 0.3 * pg_temp.chance(g.n, s + 4)))::integer
               AS version,
           pg_temp.chance(g.n, s + 5) AS fails_u, pg_temp.chance(g.n, s + 6) AS score_u,
           pg_temp.chance(g.n, s + 7) AS value_u, pg_temp.chance(g.n, s + 8) AS open_u,
           pg_temp.chance(g.n, s + 9) AS verdict_u, pg_temp.chance(g.n, s + 10) AS lag_u,
           pg_temp.chance(g.n, s + 11) AS person_u, pg_temp.chance(g.n, s + 12) AS fate_u,
           pg_temp.chance(g.n, s + 13) AS drawn_u, pg_temp.chance(g.n, s + 14) AS due_u,
           pg_temp.chance(g.n, s + 15) AS care_u
      FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS g(n),
           (SELECT %(seed)s::bigint * 100 AS s) AS salt
), judged AS MATERIALIZED (
    SELECT d.*, a.name AS action, a.tier, a.contract_version_id, a.team_id, a.first_reviewer,
           a.reviewers, r.slug, r.version_id, r.number, r.effect AS rule_effect, r.reason, r.explain,
           r.looks_at, d.fails_u < r.fails AS fails,
           CASE WHEN r.looks_at <> 'amount_minor' THEN 100 + floor(d.value_u * 90000)::bigint
                WHEN d.fails_u < r.fails THEN r.most + 1 + floor(d.value_u * 4 * r.most)::bigint
                ELSE 100 + floor(d.value_u * (r.most - 100))::bigint END AS amount,
           CASE WHEN r.looks_at <> 'units' THEN 1
                WHEN d.fails_u < r.fails THEN r.most + 1 + floor(d.value_u * 3 * r.most)::bigint
                ELSE 1 + floor(d.value_u * r.most)::bigint END AS units,
           r.looks_at <> 'confirmed' OR d.fails_u >= r.fails AS confirmed,
           CASE WHEN d.score_u < 0.155 THEN 'escalate' WHEN d.score_u < 0.205 THEN 'revise'
                ELSE 'accept' END AS band,
           round((CASE WHEN d.score_u < 0.155 THEN %(low)s * (0.1 + 0.9 * d.score_u / 0.155)
                       WHEN d.score_u < 0.205
                       THEN %(low)s + (%(high)s - %(low)s) * (0.01 + 0.98 * (d.score_u - 0.155) / 0.05)
                       ELSE %(high)s + (1 - %(high)s) * (0.01 + 0.98 * (d.score_u - 0.205) / 0.795)
                  END)::numeric, 5)::float8 AS score
      FROM drawn d JOIN scale_act a USING (act) JOIN scale_rule r ON r.slug = a.rule
), disposed AS MATERIALIZED (
    SELECT j.*,
           CASE WHEN fails AND rule_effect = 'block' THEN 'block'
                WHEN fails AND rule_effect IN ('hold', 'two_person') THEN 'hold'
                ELSE band END AS disposition,
           CASE looks_at WHEN 'amount_minor' THEN amount::text WHEN 'units' THEN units::text
                ELSE confirmed::text END AS value,
           -- How often people agree with it: by its score, and better with each version of the agent.
           CASE WHEN fails AND rule_effect = 'block' THEN 0.12
                ELSE 0.55 + 0.35 * score + 0.03 * (version - 2) - 0.02 * (act %% 3) END AS right_share
      FROM judged j
), fated AS MATERIALIZED (
    SELECT d.*, disposition IN ('hold', 'escalate') AS is_asked,
           CASE WHEN disposition = 'hold' AND rule_effect = 'two_person' THEN 2
                WHEN disposition IN ('hold', 'escalate') THEN 1 ELSE 0 END AS needed,
           -- What is sent back or escalated is labelled nowhere in this story.
           CASE disposition WHEN 'accept' THEN 0.01 WHEN 'block' THEN 0.02 END::float8 AS chance,
           CASE WHEN fate_u < 0.005 AND n >= 0.9 * %(count)s THEN 'unknown'
                WHEN fate_u > 0.99 THEN 'failed' ELSE 'executed' END AS ran
      FROM disposed d
), asked AS MATERIALIZED (
    SELECT f.*,
           CASE WHEN disposition = 'hold' THEN 'guardrail_failure'
                WHEN disposition = 'escalate' THEN 'escalation'
                WHEN disposition = 'accept' AND ran = 'unknown' THEN 'unknown_effect'
                WHEN disposition = 'accept' AND drawn_u < chance THEN 'audit'
                WHEN disposition = 'block' AND drawn_u < chance THEN 'blind_label' END AS kind,
           CASE WHEN is_asked AND n >= 0.63 * %(count)s AND open_u < 0.52 THEN NULL
                WHEN is_asked AND verdict_u > 0.93 THEN 'expired'
                WHEN is_asked AND verdict_u / 0.93 < right_share THEN 'approve'
                WHEN is_asked THEN 'reject'
                WHEN disposition = 'revise' THEN 'expired'
                WHEN n >= 0.97 * %(count)s AND open_u < 0.5 THEN NULL
                WHEN verdict_u < right_share THEN 'approve' ELSE 'reject' END AS wished_end
      FROM fated f
), timed AS MATERIALIZED (
    SELECT a.*,
           CASE WHEN disposition = 'revise' THEN ms + %(revision_ms)s
                WHEN is_asked AND wished_end = 'expired' THEN ms + %(due_ms)s
                WHEN is_asked OR kind IN ('audit', 'blind_label')
                THEN ms + 900000 + least(-ln(1 - lag_u) * 10800000, %(lag_ms)s - 900000)::bigint
           END AS wished_ms
      FROM asked a
), ended AS MATERIALIZED (
    SELECT t.*, CASE WHEN wished_end IS NOT NULL AND wished_ms < %(until_ms)s THEN wished_ms END AS ends_ms,
           CASE WHEN wished_ms < %(until_ms)s THEN wished_end END AS ends,
           pg_temp.moment(ms) AS at, g.name AS agent_name, g.model,
           n + %(seed)s::bigint * 16777216 AS own,
           p.user_id AS person_id, p.name AS person, o.user_id AS other_id, o.name AS other,
           'case/' || upper(substr(action, 1, 1)) || '-' || 20000 + floor(fate_u * %(targets)s)::bigint
               AS target,
           (ARRAY['damaged_item', 'late_delivery', 'wrong_item', 'changed_plans', 'price_match',
                  'duplicate_order', 'new_contract', 'customer_wish'])[1 + floor(care_u * 8)::integer]
               AS cause,
           (ARRAY['wrong_value', 'missing_evidence', 'policy_breach', 'wrong_target',
                  'duplicate_or_stale', 'bad_source_data'])[1 + floor(value_u * value_u * 6)::integer]
               AS fault
      FROM timed t JOIN scale_agent g USING (agent)
      JOIN scale_reviewer p ON p.reviewer = first_reviewer + floor(person_u * reviewers)::integer
      JOIN scale_reviewer o
        ON o.reviewer = first_reviewer + (floor(person_u * reviewers)::integer + 1) %% reviewers
), worded AS MATERIALIZED (
    SELECT e.*,
           format('{"action":"%%s","args":{"amount_minor":%%s,"currency":"EUR","reason":"%%s",'
                  '"units":%%s},"target":"%%s"}', action, amount, cause, units, target) AS payload,
           format('{"confirmed":%%s,"customer":{"age_days":%%s}}', confirmed::text, 5 + floor(value_u * 900))
               AS context,
           'Agent and records agree: ' || replace(cause, '_', ' ') || '.' AS rationale,
           -- Of two people the first, who may have come where the other has not.
           CASE WHEN needed = 2 AND ends IN ('approve', 'reject') THEN ends_ms - 240000
                WHEN needed = 2 AND ends IS NULL AND care_u < 0.3 THEN ms + 420000 END AS first_ms
      FROM ended e
)
SELECT w.*, 'sha256:' || pg_temp.sha(payload) AS digest,
       format('{"context":%%s,"tainted":[],"trace":{}}', context) AS evidence,
       format('{"agent":{"model":"%%s","name":"%%s","version":"%%s"},"context":%%s,"history":{},'
              '"now":"%%s","proposal":{"action":"%%s","args":{"amount_minor":%%s,"currency":"EUR",'
              '"reason":"%%s","units":%%s},"confidence":%%s,"rationale":"%%s","tainted":[],'
              '"target":"%%s","tier":"%%s"},"run":{"id":"%%s","workflow":"%%s"}}',
              model, agent_name, version, context, pg_temp.stamp(at), action, amount, cause, units,
              score, rationale, target, tier, pg_temp.id_at('run', ms, own), %(workflow)s::text)
           AS inputs,
       pg_temp.id_at('run', ms, own) AS run_id,
       pg_temp.id_at('prp', ms, own) AS proposal_id,
       CASE WHEN kind IS NOT NULL THEN pg_temp.id_at('rev', ms, own) END AS item_id,
       CASE WHEN disposition = 'accept' THEN pg_temp.id_at('eff', ms, own)
            WHEN is_asked AND ends = 'approve' THEN pg_temp.id_at('eff', ends_ms, own) END AS effect_id,
       CASE WHEN kind IS NOT NULL AND ends IN ('approve', 'reject')
            THEN pg_temp.id_at('dec', ends_ms, own * 2) END AS decision_id,
       pg_temp.id_at('dec', first_ms, own * 2 + 1) AS first_id,
       pg_temp.moment(first_ms) AS first_at,
       pg_temp.moment(ends_ms) AS ends_at,
       CASE disposition WHEN 'accept' THEN ran WHEN 'revise' THEN 'revision_requested'
            WHEN 'block' THEN 'blocked' ELSE 'in_review' END AS status,
       CASE WHEN NOT is_asked AND disposition <> 'revise' THEN NULL
            WHEN ends = 'approve' THEN replace(ran, 'unknown', 'executed')
            WHEN ends = 'reject' THEN 'rejected' ELSE ends END AS end_status,
       CASE WHEN first_ms IS NOT NULL THEN '["' || other || '"]' ELSE '[]' END AS first_by,
       nextval('orchestrator_snapshot_id_seq') AS snapshot_id,
       nextval('orchestrator_disposition_id_seq') AS disposition_id,
       nextval('orchestrator_ledgerentry_id_seq') AS entry_id,
       jsonb_build_array(
           CASE WHEN fails AND disposition IN ('hold', 'block')
                THEN slug || ': ' || replace(reason, %(sentinel)s, value)
                WHEN disposition = 'accept' THEN 'score ' || score || ' is over ' || %(high)s
                WHEN disposition = 'revise'
                THEN 'score ' || score || ' is over ' || %(low)s || ' but not over ' || %(high)s
                ELSE 'score ' || score || ' is not over ' || %(low)s END) AS reasons,
       replace(reason, %(sentinel)s, value) AS said,
       replace(explain, %(sentinel)s, value)::jsonb AS explained,
       -- So many events the run has before its end is decided.
       3 + CASE WHEN disposition = 'accept' THEN 2 WHEN first_ms < ms + 500000 AND ends IS NULL THEN 1
                ELSE 0 END AS taken
  FROM worded w
"""


@dataclass(frozen=True, slots=True)
class Story:
    """What the whole of it is drawn from."""

    count: int
    seed: int
    until: datetime

    @property
    def start(self) -> datetime:
        return self.until - SPAN

    @property
    def step_ms(self) -> float:
        return SPAN.total_seconds() * 1_000 / self.count

    def moment_of(self, number: int) -> int:
        """Milliseconds since 1970 at which this proposal may come at the earliest."""
        return _ms(self.start) + round(number * self.step_ms)

    def first_at(self, ms: int) -> int:
        """The first proposal that may have come since then."""
        return max(0, math.floor((ms - _ms(self.start)) / self.step_ms) - 1)


def prepare(cursor: CursorWrapper, cast: Cast, story: Story) -> None:
    cursor.execute("DISCARD TEMP")
    cursor.execute(TOOLS)
    cursor.execute(SHAPES)
    _insert(cursor, "scale_rule", _rules(cast))
    _insert(cursor, "scale_act", _acts(cast))
    agents = ((number, name, f"model-{number % 3}") for number, name in enumerate(AGENTS))
    _insert(cursor, "scale_agent", agents)
    people = ((number, user.pk, user.get_username()) for number, user in enumerate(cast.reviewers))
    _insert(cursor, "scale_reviewer", people)
    _insert(cursor, "scale_priority", _priorities())
    none = _values(story, range(0))
    cursor.execute(f"CREATE TEMP TABLE scale_fact AS {_FACTS} WITH NO DATA", none)
    cursor.execute("CREATE TEMP TABLE scale_kept AS SELECT * FROM scale_fact")


def draw(cursor: CursorWrapper, story: Story, numbers: range) -> None:
    cursor.execute(f"INSERT INTO scale_fact {_FACTS}", _values(story, numbers))


def _values(story: Story, numbers: range) -> dict[str, Any]:
    bands = thresholds.policy_for(Scope()).bands
    return {
        "first": numbers.start,
        "last": numbers.stop - 1,
        "count": story.count,
        "seed": story.seed,
        "start_ms": _ms(story.start),
        "step_ms": story.step_ms,
        "until_ms": _ms(story.until),
        "low": bands.escalate_at_or_below,
        "high": bands.accept_above,
        "revision_ms": settings.REVISION_DUE_HOURS * 3_600_000,
        "due_ms": DUE_MS,
        "lag_ms": LAG_MAX_MS,
        "targets": max(10, story.count // 5),
        "workflow": WORKFLOW,
        "sentinel": str(SENTINEL),
    }


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000)


def _rules(cast: Cast) -> Iterator[tuple[Any, ...]]:
    for guard in GUARDS:
        version = cast.rules[guard.slug]
        (check,) = check_all([version.as_rule], _failing(guard))
        explain = canonical(list(check.explain))
        yield (
            *(guard.slug, version.pk, version.number, guard.effect, guard.looks_at, guard.limit),
            *(guard.fails, check.reason, explain),
        )


def _failing(guard: Guard) -> dict[str, Any]:
    """Inputs that the rule does not let pass, so that its own words about them can be taken."""
    args = {"amount_minor": SENTINEL, "units": SENTINEL}
    context = {"confirmed": guard.looks_at != "confirmed"}
    return {"proposal": {"args": args}, "context": context, "agent": {}, "run": {}, "history": {}}


def _acts(cast: Cast) -> Iterator[tuple[Any, ...]]:
    size = len(REVIEWERS) // len(TEAMS)
    for number, act in enumerate(ACTS):
        contract = cast.contracts[act.name].pk
        if act.team:
            members = (TEAMS.index(act.team) * size, size)
            yield (
                number,
                act.name,
                act.tier,
                contract,
                act.guard,
                cast.teams[act.team].pk,
                *members,
            )
        else:
            yield (number, act.name, act.tier, contract, act.guard, None, 0, len(REVIEWERS))


def _priorities() -> Iterator[tuple[Any, ...]]:
    tiers, kinds = sorted({act.tier for act in ACTS}), ReviewItem.Kind.values
    for kind, tier, needed, is_escalated in product(kinds, tiers, (0, 1, 2), (False, True)):
        parts = priority.parts_of(
            kind=kind, tier=tier, approvals_needed=needed, has_error=False, is_tainted=False
        )
        if is_escalated:
            parts = [priority.ESCALATED, *parts]
        because = canonical([list(part) for part in parts])
        yield kind, tier, needed, is_escalated, priority.score(parts), because


def _insert(cursor: CursorWrapper, table: LiteralString, rows: Iterable[tuple[Any, ...]]) -> None:
    for row in rows:
        places = ", ".join(["%s"] * len(row))
        cursor.execute(f"INSERT INTO {table} VALUES ({places})", row)  # noqa: S608  (our own names)
