"""The rows that a stretch of a large demo's facts stands for, table by table, each with one statement.

`first` is the first proposal that is new in this stretch, `window` the moment at which it ends: what
has ended before is written as ended, and what was written open earlier is closed.
"""

from typing import LiteralString

# In the order in which they are run: what is referred to comes first.
STATEMENTS: dict[str, LiteralString] = {
    "runs": """
        INSERT INTO orchestrator_run (id, workflow_version_id, token_id, started_by_id, external_id,
            status, state, seq, head, created_at, updated_at)
        SELECT run_id, %(version)s, %(token)s, %(owner)s, '', 'new', '', 0, '', at, at
          FROM scale_fact WHERE n >= %(first)s ORDER BY n
    """,
    "proposals": """
        INSERT INTO orchestrator_proposal (id, run_id, token_id, external_id, revision, agent,
            agent_version, model, action, contract_version_id, target, payload, digest, confidence,
            rationale, evidence, status, disposition, due_at, created_at)
        SELECT proposal_id, run_id, %(token)s, '', 1, agent_name, version::text, model, action,
               contract_version_id, target, payload, digest, score, rationale, evidence,
               CASE WHEN ends_ms < %(window)s THEN coalesce(end_status, status) ELSE status END,
               disposition, CASE WHEN disposition = 'revise' THEN pg_temp.moment(wished_ms) END, at
          FROM scale_fact WHERE n >= %(first)s ORDER BY n
    """,
    "proposals that ended": """
        UPDATE orchestrator_proposal p SET status = f.end_status FROM scale_fact f
         WHERE p.id = f.proposal_id AND f.n < %(first)s AND f.ends_ms < %(window)s
           AND f.end_status IS NOT NULL
    """,
    "snapshots": """
        INSERT INTO orchestrator_snapshot (id, proposal_id, inputs, digest, created_at)
        SELECT snapshot_id, proposal_id, inputs, 'sha256:' || pg_temp.sha(inputs), at
          FROM scale_fact WHERE n >= %(first)s ORDER BY n
    """,
    "policy checks": """
        INSERT INTO orchestrator_policycheck (proposal_id, rule_version_id, snapshot_id, effect,
            enforced, result, reason, explain, created_at)
        SELECT proposal_id, version_id, snapshot_id, rule_effect, true,
               CASE WHEN fails THEN 'fail' ELSE 'pass' END, CASE WHEN fails THEN said ELSE '' END,
               CASE WHEN fails THEN explained ELSE '[]' END, at
          FROM scale_fact WHERE n >= %(first)s ORDER BY n
    """,
    "evaluations": """
        INSERT INTO orchestrator_evaluation (proposal_id, snapshot_id, evaluator, version, score, raw,
            created_at)
        SELECT proposal_id, snapshot_id, 'confidence', version::text, score, to_jsonb(score), at
          FROM scale_fact WHERE n >= %(first)s ORDER BY n
    """,
    "dispositions": """
        INSERT INTO orchestrator_disposition (id, proposal_id, snapshot_id, policy_id, verdict, band,
            score, reasons, draw_chance, created_at)
        SELECT disposition_id, proposal_id, snapshot_id, %(policy)s, disposition, band, score, reasons,
               chance, at
          FROM scale_fact WHERE n >= %(first)s ORDER BY n
    """,
    "review items": """
        INSERT INTO orchestrator_reviewitem (id, run_id, proposal_id, work, question, kind, status,
            opened_because, closed_because, version, priority, priority_because, approvals_needed,
            action, agent, target, tier, fired, allows, undo_s, asked_by_id, team_id, escalated_at,
            holder_id, lease, lease_until, snoozed_until, snoozed_by_id, wakes_on, snoozed_at_seq,
            chance, due_at, created_at, closed_at)
        SELECT item_id, run_id, proposal_id, '', '', f.kind,
               CASE WHEN NOT has_ended THEN 'waiting' WHEN ends = 'expired' THEN 'expired'
                    ELSE 'decided' END,
               CASE f.kind WHEN 'unknown_effect' THEN '["no answer came in time"]'
                           WHEN 'audit' THEN %(drawn)s::jsonb WHEN 'blind_label' THEN %(drawn)s::jsonb
                           ELSE reasons END,
               CASE WHEN has_ended THEN closed_because ELSE '' END,
               1 + has_ended::integer + (first_ms IS NOT NULL AND (has_ended OR is_open))::integer,
               points, p.because, greatest(f.needed, 1), action, agent_name, target, f.tier,
               CASE WHEN fails AND rule_effect <> 'flag' THEN ARRAY[slug] ELSE '{}' END,
               CASE WHEN is_asked THEN ARRAY['approve', 'edit', 'respond', 'reject']
                    ELSE ARRAY['approve', 'reject'] END,
               CASE WHEN ends IS NULL AND is_asked THEN %(undo_s)s ELSE 0 END, %(owner)s, team_id,
               CASE WHEN p.escalated THEN at + interval '1 hour' END,
               CASE WHEN is_open AND lag_u < 0.002 THEN person_id END,
               CASE WHEN is_open AND lag_u < 0.002 THEN 'demo-' || n ELSE '' END,
               CASE WHEN is_open AND lag_u < 0.002 THEN %(hold)s END,
               CASE WHEN is_open AND lag_u > 0.97
                    THEN pg_temp.moment(%(until_ms)s + (due_u * 432000000)::bigint) END,
               CASE WHEN is_open AND lag_u > 0.97 THEN person_id END,
               CASE WHEN is_open AND lag_u > 0.985 THEN 'comment' ELSE '' END, 0,
               CASE WHEN f.kind IN ('audit', 'blind_label') THEN chance END,
               CASE WHEN NOT is_open THEN at + interval '5 days'
                    -- What no sweeper may close stays overdue; the rest has hours, or weeks.
                    WHEN f.kind = 'unknown_effect'
                    THEN pg_temp.moment(%(until_ms)s + ((due_u - 0.5) * 259200000)::bigint)
                    WHEN due_u < 0.2 THEN pg_temp.moment(%(until_ms)s + 7200000 + (due_u * 3024000000)::bigint)
                    ELSE pg_temp.moment(%(until_ms)s + 604800000 + (due_u * 5184000000)::bigint) END,
               at, CASE WHEN has_ended THEN ends_at END
          FROM (SELECT *, coalesce(ends_ms < %(window)s, false) AS has_ended, ends IS NULL AS is_open,
                       CASE WHEN ends = 'expired' THEN 'deadline'
                            WHEN is_asked AND ends = 'approve' THEN 'approved'
                            WHEN is_asked THEN 'rejected'
                            WHEN (kind = 'audit') = (ends = 'approve') THEN 'confirmed'
                            ELSE 'overturned' END AS closed_because
                  FROM scale_fact WHERE n >= %(first)s AND item_id IS NOT NULL) AS f
          JOIN scale_priority p ON (p.kind, p.tier, p.needed) = (f.kind, f.tier, f.needed)
           AND p.escalated = (is_open AND is_asked AND care_u > 0.97)
         ORDER BY n
    """,
    "review items that ended": """
        UPDATE orchestrator_reviewitem i
           SET status = CASE WHEN f.ends = 'expired' THEN 'expired' ELSE 'decided' END,
               closed_because = CASE WHEN f.ends = 'expired' THEN 'deadline'
                                     WHEN f.is_asked AND f.ends = 'approve' THEN 'approved'
                                     WHEN f.is_asked THEN 'rejected'
                                     WHEN (f.kind = 'audit') = (f.ends = 'approve') THEN 'confirmed'
                                     ELSE 'overturned' END,
               version = 2 + (f.first_ms IS NOT NULL)::integer, closed_at = f.ends_at
          FROM scale_fact f
         WHERE i.id = f.item_id AND f.n < %(first)s AND f.ends_ms < %(window)s
    """,
    "decisions": """
        INSERT INTO orchestrator_decision (id, item_id, reviewer_id, verdict, reason, note,
            payload_digest, item_version, target_digest, idempotency_key, created_at)
        SELECT d.id, item_id, d.reviewer, d.verdict,
               CASE WHEN d.verdict = 'reject' THEN fault ELSE '' END,
               '', digest, d.seen, '', d.id, d.at
          FROM scale_fact, LATERAL (VALUES
                   (first_id, other_id, 'approve', 1, first_at),
                   (decision_id, person_id, ends, 1 + (first_ms IS NOT NULL)::integer, ends_at)
               ) AS d (id, reviewer, verdict, seen, at)
         WHERE d.id IS NOT NULL AND (ends IS NULL OR ends_ms < %(window)s)
         ORDER BY d.at
    """,
    "evaluations by people": """
        INSERT INTO orchestrator_evaluation (proposal_id, snapshot_id, evaluator, version, score, raw,
            created_at)
        SELECT proposal_id, snapshot_id, 'person', '', (ends = 'approve')::integer,
               to_jsonb(decision_id), ends_at
          FROM scale_fact
         WHERE kind IN ('audit', 'blind_label') AND ends_ms < %(window)s ORDER BY ends_ms
    """,
    "comments": """
        INSERT INTO orchestrator_comment (id, item_id, author_id, text, created_at)
        SELECT pg_temp.id_at('cmt', ms + 300000, own), item_id, other_id,
               'I asked the team about ' || target || '; they look into it.',
               at + interval '5 minutes'
          FROM scale_fact WHERE n >= %(first)s AND is_asked AND value_u < 0.04 ORDER BY n
    """,
    "what runs": """
        INSERT INTO scale_effect
        SELECT e.*,
               CASE became
                    WHEN 'failed' THEN '{"code":"effect-refused","reason":"The target refused the '
                        'effect: the account is closed","retryable":false,"where":"demo","who":"ledger"}'
                    WHEN 'unknown' THEN '{"code":"effect-interrupted","reason":"no answer came in '
                        'time","retryable":false,"where":"demo","who":"ledger"}' END AS error,
               CASE became WHEN 'executed' THEN format(
                   '{"entry":%%s,"payload":"%%s","recorded_at":"%%s","target":"ledger"}',
                   entry_id, digest, pg_temp.stamp(at + interval '1.4 seconds')) END AS receipt
          FROM (SELECT n, effect_id, proposal_id, run_id, digest, payload, target, entry_id,
                       CASE WHEN is_asked THEN end_status ELSE status END AS became,
                       CASE WHEN NOT is_asked THEN disposition_id END AS disposition_id,
                       CASE WHEN is_asked THEN decision_id END AS decision_id,
                       CASE WHEN is_asked THEN ends_at ELSE at END AS at,
                       CASE WHEN is_asked THEN taken + needed ELSE 3 END AS seq
                  FROM scale_fact
                 WHERE effect_id IS NOT NULL
                   AND CASE WHEN is_asked THEN ends_ms < %(window)s ELSE n >= %(first)s END) AS e
    """,
    "ledger entries": """
        INSERT INTO orchestrator_ledgerentry (id, key, target, payload, at)
        SELECT entry_id, effect_id, target, payload, at + interval '1.4 seconds'
          FROM scale_effect WHERE became = 'executed' ORDER BY at
    """,
    "effects": """
        INSERT INTO orchestrator_effect (id, proposal_id, payload_digest, disposition_id, decision_id,
            executor, idempotency_key, status, may_have_happened, receipt, error, created_at,
            called_at, finished_at)
        SELECT effect_id, proposal_id, digest, disposition_id, decision_id, 'ledger', effect_id,
               CASE became WHEN 'executed' THEN 'done' ELSE became END, became = 'unknown',
               receipt::jsonb, error::jsonb, at, at + interval '1 second', at + interval '1.4 seconds'
          FROM scale_effect ORDER BY at
    """,
    "commands": """
        INSERT INTO orchestrator_command (run_id, seq, kind, queue, payload, key, status, not_before,
            rung_at, token, tries, crashes, worker, error, created_at, finished_at)
        SELECT run_id, seq, 'run_effect', 'effects',
               format('{"digest":"%%s","effect":"%%s","proposal":"%%s"}', digest, effect_id, proposal_id),
               'run_effect:' || effect_id, CASE became WHEN 'executed' THEN 'done' ELSE 'failed' END,
               at, at, 1, 1, 0, 'demo', error::jsonb, at, at + interval '1.4 seconds'
          FROM scale_effect ORDER BY at
    """,
    "what happened": """
        INSERT INTO scale_event
        SELECT run_id, 1, 'run_started', %(started)s, at FROM scale_fact WHERE n >= %(first)s
        UNION ALL
        SELECT run_id, 2, 'proposal_received',
               format('{"action":"%%s","agent":"%%s","agent_version":"%%s","digest":"%%s","model":"%%s",'
                      '"proposal":"%%s"}', action, agent_name, version, digest, model, proposal_id), at
          FROM scale_fact WHERE n >= %(first)s
        UNION ALL
        SELECT run_id, 3, 'proposal_disposed',
               '{' || CASE WHEN needed > 0 THEN '"approvals_needed":' || needed || ',' ELSE '' END
                   || '"disposition":"' || disposition || '",'
                   || CASE WHEN disposition = 'accept' THEN '"effect":"' || effect_id || '",' ELSE '' END
                   || CASE WHEN is_asked THEN '"item":"' || item_id || '",' ELSE '' END
                   || format('"policy_version":%%s,"proposal":"%%s","rules":[{"result":"%%s","rule":"%%s",'
                             '"version":%%s}],"score":%%s}', %(policy_number)s, proposal_id,
                             CASE WHEN fails THEN 'fail' ELSE 'pass' END, slug, number, score), at
          FROM scale_fact WHERE n >= %(first)s
        UNION ALL
        SELECT run_id, taken + (ends IS NOT NULL)::integer, 'approval_given',
               format('{"by":"%%s","decision":"%%s","digest":"%%s","item":"%%s","proposal":"%%s"}',
                      other, first_id, digest, item_id, proposal_id), first_at
          FROM scale_fact WHERE first_id IS NOT NULL AND (ends IS NULL OR ends_ms < %(window)s)
        UNION ALL
        SELECT run_id, taken + needed, 'proposal_approved',
               format('{"by":"%%s","decision":"%%s","digest":"%%s","effect":"%%s","item":"%%s","proposal":"%%s"}',
                      person, decision_id, digest, effect_id, item_id, proposal_id), ends_at
          FROM scale_fact WHERE is_asked AND ends = 'approve' AND ends_ms < %(window)s
        UNION ALL
        SELECT run_id, taken + needed, 'proposal_rejected',
               format('{"by":"%%s","decision":"%%s","item":"%%s","proposal":"%%s","reason":"%%s"}',
                      person, decision_id, item_id, proposal_id, fault), ends_at
          FROM scale_fact
         WHERE is_asked AND ends = 'reject' AND ends_ms < %(window)s
        UNION ALL
        SELECT run_id, taken + 1, 'proposal_expired',
               '{' || CASE WHEN is_asked THEN '"item":"' || item_id || '",' ELSE '' END
                   || '"proposal":"' || proposal_id || '"}', ends_at
          FROM scale_fact WHERE ends = 'expired' AND ends_ms < %(window)s
        UNION ALL
        SELECT run_id, seq + 1, 'effect_started',
               format('{"digest":"%%s","effect":"%%s","executor":"ledger","proposal":"%%s"}',
                      digest, effect_id, proposal_id), at + interval '1 second'
          FROM scale_effect
        UNION ALL
        SELECT run_id, seq + 2,
               CASE became WHEN 'executed' THEN 'effect_succeeded' WHEN 'failed' THEN 'effect_failed'
                    ELSE 'effect_lost' END,
               CASE became WHEN 'executed'
                    THEN '{"effect":"' || effect_id || '","proposal":"' || proposal_id || '","receipt":' || receipt || '}'
                    ELSE '{"effect":"' || effect_id || '","error":' || error || ',"proposal":"' || proposal_id || '"}'
                    END, at + interval '1.4 seconds'
          FROM scale_effect
    """,
    # As journal_append chains them: each hash covers the one before.
    "chains": """
        INSERT INTO scale_link
        WITH RECURSIVE happened AS MATERIALIZED (
            SELECT *, seq = min(seq) OVER (PARTITION BY run_id) AS is_next FROM scale_event
        ), known AS MATERIALIZED (
            SELECT *, coalesce(nullif((SELECT head FROM orchestrator_run WHERE id = run_id), ''),
                               repeat('0', 64)) AS head
              FROM happened WHERE is_next
        ), chain AS (
            SELECT run_id, seq, kind, payload, at, head AS prev_hash,
                   pg_temp.link(head, run_id, seq, kind, at, payload) AS hash
              FROM known
             UNION ALL
            SELECT h.run_id, h.seq, h.kind, h.payload, h.at, c.hash,
                   pg_temp.link(c.hash, h.run_id, h.seq, h.kind, h.at, h.payload)
              FROM chain c JOIN happened h ON h.run_id = c.run_id AND h.seq = c.seq + 1
        )
        SELECT * FROM chain
    """,
    # In the order of time, because the order of their ids is part of the proof.
    "events": """
        INSERT INTO orchestrator_event (run_id, seq, kind, payload, key, at, prev_hash, hash)
        SELECT run_id, seq, kind, payload, NULL, at, prev_hash, hash
          FROM scale_link ORDER BY at, run_id, seq
    """,
    "ends of runs": """
        UPDATE orchestrator_run r
           SET seq = l.seq, head = l.hash, updated_at = l.at, status = f.run_status,
               ended_at = CASE f.run_status WHEN 'completed' THEN l.at END,
               state = pg_temp.state_of(proposal_id, action, approvals, needed, digest, disposition,
                   effect, CASE WHEN is_asked THEN item_id END, became, run_status, %(workflow)s,
                   %(workflow_number)s)
          FROM (SELECT *, CASE WHEN became IN ('in_review', 'revision_requested', 'unknown')
                               THEN 'running' ELSE 'completed' END AS run_status
                  FROM (SELECT *, CASE WHEN has_ended THEN coalesce(end_status, status)
                                       ELSE status END AS became,
                               CASE WHEN NOT is_asked OR has_ended THEN effect_id END AS effect,
                               CASE WHEN NOT has_ended AND NOT is_open THEN '[]'
                                    WHEN NOT (has_ended AND is_asked AND ends = 'approve') THEN first_by
                                    WHEN needed = 2 THEN '["' || other || '","' || person || '"]'
                                    ELSE '["' || person || '"]' END AS approvals
                          FROM (SELECT *, coalesce(ends_ms < %(window)s, false) AS has_ended,
                                       ends IS NULL AS is_open FROM scale_fact) AS f) AS f) AS f
          JOIN (SELECT DISTINCT ON (run_id) * FROM scale_link ORDER BY run_id, seq DESC) AS l
            ON l.run_id = f.run_id
         WHERE r.id = f.run_id
    """,
}
# After each stretch nothing is left but what will still end. Written anew, because nobody vacuums
# temporary tables, and every statement reads the whole of this one.
CLEAN: LiteralString = """
    TRUNCATE scale_event, scale_link, scale_effect;
    INSERT INTO scale_kept SELECT * FROM scale_fact WHERE ends_ms >= %(window)s;
    TRUNCATE scale_fact;
    INSERT INTO scale_fact SELECT * FROM scale_kept;
    TRUNCATE scale_kept
"""
SHAPES: LiteralString = """
    CREATE TEMP TABLE scale_event (run_id text, seq integer, kind text, payload text, at timestamptz);
    CREATE TEMP TABLE scale_link (run_id text, seq integer, kind text, payload text, at timestamptz,
        prev_hash text, hash text);
    CREATE TEMP TABLE scale_effect (n bigint, effect_id text, proposal_id text, run_id text, digest text,
        payload text, target text, entry_id bigint, became text, disposition_id bigint,
        decision_id text, at timestamptz, seq integer, error text, receipt text);
"""
