"""Runs that follow a plan, commands that may wait for people, and the one way to append to the log."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

# The only way into the log. It runs with the rights of the tables' owner, takes each run's number and
# hash from the run's own row, and moves both together: whoever calls it can say what happened, not when,
# in which place, or instead of what. The caller holds the rows of the runs; events of one run stand together,
# in the order of `moved`.
JOURNAL_APPEND = """
CREATE FUNCTION journal_append(
    runs text[], kinds text[], keys text[], payloads text[], happened_at timestamptz,
    moved text[], states text[], statuses text[], wakes timestamptz[]
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    stamp text := to_char(happened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '+00:00';
    seqs integer[];
    befores text[];
    hashes text[] := '{}';
    last_seqs integer[] := '{}';
    last_hashes text[] := '{}';
    run text := '';
    seq integer;
    head text;
    m integer := 0;
BEGIN
    IF happened_at NOT BETWEEN transaction_timestamp() AND clock_timestamp() THEN
        RAISE EXCEPTION 'an event happens within its transaction, not at %', happened_at
            USING ERRCODE = 'restrict_violation';
    END IF;
    SELECT array_agg(r.seq ORDER BY u.n), array_agg(r.head ORDER BY u.n) INTO seqs, befores
      FROM unnest(runs) WITH ORDINALITY AS u(id, n) JOIN orchestrator_run r ON r.id = u.id;
    FOR i IN 1 .. cardinality(runs) LOOP
        IF runs[i] <> run THEN
            run := runs[i];
            m := m + 1;
            IF moved[m] IS DISTINCT FROM run THEN
                RAISE EXCEPTION 'events of % do not stand together', run USING ERRCODE = 'restrict_violation';
            END IF;
            seq := seqs[i];
            head := coalesce(nullif(befores[i], ''), repeat('0', 64));
        END IF;
        seq := seq + 1;
        seqs[i] := seq;
        befores[i] := head;
        head := encode(sha256(convert_to(
            '["' || head || '","' || run || '",' || seq || ',' || to_json(kinds[i])::text || ','
            || coalesce(to_json(keys[i])::text, 'null') || ',"' || stamp || '"]' || E'\\n' || payloads[i],
            'UTF8')), 'hex');
        hashes[i] := head;
        last_seqs[m] := seq;
        last_hashes[m] := head;
    END LOOP;
    INSERT INTO orchestrator_event (run_id, seq, kind, payload, key, at, prev_hash, hash)
    SELECT t.run, t.seq, t.kind, t.payload, t.key, happened_at, t.before, t.hash
      FROM unnest(runs, seqs, kinds, payloads, keys, befores, hashes)
        AS t(run, seq, kind, payload, key, before, hash);
    UPDATE orchestrator_run AS r
       SET seq = t.seq, head = t.hash, state = t.state, status = t.status, wakes_at = t.wakes,
           updated_at = happened_at,
           ended_at = CASE WHEN t.status IN ('completed', 'failed', 'cancelled')
                           THEN coalesce(r.ended_at, happened_at) END
      FROM unnest(moved, last_seqs, last_hashes, states, statuses, wakes)
        AS t(id, seq, hash, state, status, wakes)
     WHERE r.id = t.id;
END $$;
"""

# A run is born empty; only its log fills it.
BORN_EMPTY = """
CREATE FUNCTION refuse_run_with_a_past() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.seq <> 0 OR NEW.head <> '' OR NEW.state <> '' OR NEW.status <> 'new' THEN
        RAISE EXCEPTION 'run % may not begin with a past', NEW.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER born_empty BEFORE INSERT ON orchestrator_run
    FOR EACH ROW EXECUTE FUNCTION refuse_run_with_a_past();
"""

# Rows that are written several times in quick succession find room beside themselves.
ROOM = """
ALTER TABLE orchestrator_run SET (fillfactor = 70);
ALTER TABLE orchestrator_command SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
"""
NO_ROOM = """
ALTER TABLE orchestrator_run RESET (fillfactor);
ALTER TABLE orchestrator_command RESET (fillfactor, autovacuum_vacuum_scale_factor);
"""

RUNS_OF_ITEMS = """
UPDATE orchestrator_reviewitem i SET run_id = p.run_id
  FROM orchestrator_proposal p WHERE p.id = i.proposal_id;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('orchestrator', '0002_invariants'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='command',
            name='command_status_known',
        ),
        migrations.RemoveConstraint(
            model_name='run',
            name='run_status_known',
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='command',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='review_items', to='orchestrator.command'),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='question',
            field=models.TextField(blank=True, default=''),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='run',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='review_items', to='orchestrator.run'),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='work',
            field=models.CharField(blank=True, default='', max_length=100),
        ),
        migrations.RunSQL(RUNS_OF_ITEMS, migrations.RunSQL.noop),
        migrations.RunSQL("SET CONSTRAINTS ALL IMMEDIATE", migrations.RunSQL.noop),
        migrations.AlterField(
            model_name='reviewitem',
            name='run',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='review_items', to='orchestrator.run'),
        ),
        migrations.AddField(
            model_name='run',
            name='ended_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='run',
            name='external_id',
            field=models.CharField(default='', max_length=200),
        ),
        migrations.AddField(
            model_name='run',
            name='parent',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='children', to='orchestrator.run'),
        ),
        migrations.AddField(
            model_name='run',
            name='started_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='runs', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='run',
            name='token',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='runs', to='orchestrator.apitoken'),
        ),
        migrations.AddField(
            model_name='run',
            name='wakes_at',
            field=models.DateTimeField(help_text='the earliest time it waits for', null=True),
        ),
        migrations.AlterField(
            model_name='command',
            name='key',
            field=models.CharField(max_length=200),
        ),
        migrations.AlterField(
            model_name='command',
            name='run',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='commands', to='orchestrator.run'),
        ),
        migrations.AlterField(
            model_name='command',
            name='status',
            field=models.CharField(choices=[('pending', 'Pending'), ('running', 'Running'), ('done', 'Done'), ('failed', 'Failed'), ('cancelled', 'Cancelled'), ('quarantined', 'Quarantined')], default='pending', max_length=20),
        ),
        migrations.AlterField(
            model_name='decision',
            name='verdict',
            field=models.CharField(choices=[('approve', 'Approved'), ('reject', 'Rejected'), ('happened', 'It happened'), ('not_happened', 'It did not happen'), ('retry', 'Run it again'), ('give_up', 'Given up')], max_length=20),
        ),
        migrations.AlterField(
            model_name='event',
            name='run',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='events', to='orchestrator.run'),
        ),
        migrations.AlterField(
            model_name='reviewitem',
            name='kind',
            field=models.CharField(choices=[('guardrail_failure', 'Guardrail failure'), ('escalation', 'Escalation'), ('approval', 'Approval'), ('unknown_effect', 'Outcome unknown'), ('stuck_command', 'Stuck work')], max_length=30),
        ),
        migrations.AlterField(
            model_name='reviewitem',
            name='proposal',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='review_items', to='orchestrator.proposal'),
        ),
        migrations.AlterField(
            model_name='reviewitem',
            name='status',
            field=models.CharField(choices=[('waiting', 'Waiting'), ('decided', 'Decided'), ('expired', 'Expired'), ('withdrawn', 'Withdrawn')], default='waiting', max_length=20),
        ),
        migrations.AlterField(
            model_name='run',
            name='created_at',
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
        ),
        migrations.AlterField(
            model_name='run',
            name='status',
            field=models.CharField(choices=[('new', 'New'), ('running', 'Running'), ('waiting', 'Waiting'), ('completed', 'Completed'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], default='new', max_length=20),
        ),
        migrations.AlterField(
            model_name='run',
            name='updated_at',
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
        ),
        migrations.AddIndex(
            model_name='run',
            index=models.Index(condition=models.Q(('wakes_at__isnull', False)), fields=['wakes_at'], name='run_wakes'),
        ),
        migrations.AddIndex(
            model_name='command',
            index=models.Index(condition=models.Q(('crashes__gt', 0), ('status', 'pending')), fields=['crashes'], name='command_crashing'),
        ),
        migrations.AddConstraint(
            model_name='command',
            constraint=models.UniqueConstraint(fields=('run', 'key'), name='command_run_key_unique'),
        ),
        migrations.AddConstraint(
            model_name='command',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'running', 'done', 'failed', 'cancelled', 'quarantined'])), name='command_status_known'),
        ),
        migrations.AddConstraint(
            model_name='reviewitem',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'waiting')), fields=('command',), name='review_item_one_open_per_command'),
        ),
        migrations.AddConstraint(
            model_name='reviewitem',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind__in', ['guardrail_failure', 'escalation', 'unknown_effect']), ('proposal__isnull', False)), models.Q(('command__isnull', False), ('kind', 'stuck_command')), models.Q(('kind', 'approval'), models.Q(('work', ''), _negated=True)), _connector='OR'), name='review_item_is_about_something'),
        ),
        migrations.AddConstraint(
            model_name='run',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['new', 'running', 'waiting', 'completed', 'failed', 'cancelled'])), name='run_status_known'),
        ),
        migrations.RunSQL(
            "UPDATE orchestrator_run SET ended_at = updated_at WHERE status = 'completed'",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(JOURNAL_APPEND, "DROP FUNCTION journal_append"),
        migrations.RunSQL(
            BORN_EMPTY,
            "DROP TRIGGER born_empty ON orchestrator_run; DROP FUNCTION refuse_run_with_a_past();",
        ),
        migrations.RunSQL(ROOM, NO_ROOM),
    ]
