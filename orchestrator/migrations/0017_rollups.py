"""Daily counters of the reports, and the marks that say which days to count again."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


# The day of a key: its first ten letters are milliseconds since 1970.
DAY_OF = """
CREATE FUNCTION day_of(key text) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    (timestamp '1970-01-01' + interval '1 millisecond' * (
        SELECT sum((strpos('0123456789abcdefghjkmnpqrstvwxyz', substr(key, place, 1)) - 1)
                   * power(32::float8, 14 - place))
          FROM generate_series(5, 14) AS place))::date;
"""
UNDO_DAY_OF = "DROP FUNCTION day_of(text);"

# Rows are only ever added, so that whoever marks waits for nobody. What is written in one statement is
# marked in one; of what changes, only what a report can tell.
MARKS = """
CREATE FUNCTION mark_days(days date[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO orchestrator_changedday (day)
    SELECT DISTINCT day FROM unnest(days) AS day WHERE day IS NOT NULL
$$;

CREATE FUNCTION mark_proposals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mark_days(array_agg(DISTINCT day_of(id))) FROM added;
    RETURN NULL;
END $$;
CREATE TRIGGER mark_days AFTER INSERT ON orchestrator_proposal
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION mark_proposals();

CREATE FUNCTION mark_proposal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mark_days(ARRAY[day_of(NEW.id)]);
    RETURN NULL;
END $$;
CREATE TRIGGER mark_day AFTER UPDATE ON orchestrator_proposal FOR EACH ROW
    WHEN ((OLD.status, OLD.disposition) IS DISTINCT FROM (NEW.status, NEW.disposition))
    EXECUTE FUNCTION mark_proposal();

CREATE FUNCTION mark_items() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mark_days(array_agg(DISTINCT day_of(id)) || array_agg(DISTINCT day_of(proposal_id))
                      || array_agg(DISTINCT (closed_at AT TIME ZONE 'UTC')::date))
       FROM added;
    RETURN NULL;
END $$;
CREATE TRIGGER mark_days AFTER INSERT ON orchestrator_reviewitem
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION mark_items();

CREATE FUNCTION mark_item() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mark_days(ARRAY[day_of(NEW.proposal_id), (OLD.closed_at AT TIME ZONE 'UTC')::date,
                            (NEW.closed_at AT TIME ZONE 'UTC')::date]);
    RETURN NULL;
END $$;
CREATE TRIGGER mark_day AFTER UPDATE ON orchestrator_reviewitem FOR EACH ROW
    WHEN ((OLD.status, OLD.closed_at, OLD.closed_because, OLD.due_at)
          IS DISTINCT FROM (NEW.status, NEW.closed_at, NEW.closed_because, NEW.due_at))
    EXECUTE FUNCTION mark_item();

CREATE FUNCTION mark_decisions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mark_days(array_agg(DISTINCT day_of(added.id))
                      || array_agg(DISTINCT day_of(item.proposal_id)))
       FROM added JOIN orchestrator_reviewitem item ON item.id = added.item_id;
    RETURN NULL;
END $$;
CREATE TRIGGER mark_days AFTER INSERT ON orchestrator_decision
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION mark_decisions();

CREATE FUNCTION mark_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mark_days(ARRAY[day_of(NEW.id), day_of(item.proposal_id)])
       FROM orchestrator_reviewitem item WHERE item.id = NEW.item_id;
    RETURN NULL;
END $$;
CREATE TRIGGER mark_day AFTER UPDATE ON orchestrator_decision FOR EACH ROW
    WHEN (OLD.undone_at IS DISTINCT FROM NEW.undone_at) EXECUTE FUNCTION mark_decision();

-- What its calls cost is counted once a run has ended.
CREATE FUNCTION mark_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mark_days(ARRAY[day_of(NEW.id)]);
    RETURN NULL;
END $$;
CREATE TRIGGER mark_day AFTER UPDATE ON orchestrator_run FOR EACH ROW
    WHEN (OLD.ended_at IS DISTINCT FROM NEW.ended_at) EXECUTE FUNCTION mark_run();
"""
UNDO_MARKS = """
DROP TRIGGER mark_day ON orchestrator_run;
DROP TRIGGER mark_day ON orchestrator_decision;
DROP TRIGGER mark_days ON orchestrator_decision;
DROP TRIGGER mark_day ON orchestrator_reviewitem;
DROP TRIGGER mark_days ON orchestrator_reviewitem;
DROP TRIGGER mark_day ON orchestrator_proposal;
DROP TRIGGER mark_days ON orchestrator_proposal;
DROP FUNCTION mark_run();
DROP FUNCTION mark_decision();
DROP FUNCTION mark_decisions();
DROP FUNCTION mark_item();
DROP FUNCTION mark_items();
DROP FUNCTION mark_proposal();
DROP FUNCTION mark_proposals();
DROP FUNCTION mark_days(date[]);
"""

# What was there before is counted by the sweeper, a day at a time. Runs are as old as anything is. The
# marks are older than everything: until they are gone, the reports cannot say that they know anything.
MARK_ALL = """
INSERT INTO orchestrator_changedday (day, at)
SELECT day::date, to_timestamp(0)
  FROM (SELECT day_of(min(id)) AS first FROM orchestrator_run) AS log,
       generate_series(first, (now() AT TIME ZONE 'UTC')::date, interval '1 day') AS day
"""


class Migration(migrations.Migration):

    dependencies = [
        ('orchestrator', '0014_rollbacks'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ChangedDay',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.AddField(
            model_name='decision',
            name='handled_ms',
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='held_since',
            field=models.DateTimeField(null=True),
        ),
        migrations.CreateModel(
            name='Segment',
            fields=[
                ('id', models.AutoField(primary_key=True, serialize=False)),
                ('workflow', models.CharField(max_length=100)),
                ('agent', models.CharField(max_length=100)),
                ('agent_version', models.CharField(max_length=100)),
                ('model', models.CharField(max_length=200)),
                ('action', models.CharField(max_length=100)),
                ('tier', models.CharField(max_length=10)),
                ('currency', models.CharField(max_length=3)),
                ('first_at', models.DateTimeField(null=True)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('agent', 'agent_version', 'action', 'workflow', 'model', 'tier', 'currency'), name='segment_unique')],
            },
        ),
        migrations.CreateModel(
            name='ScoreDay',
            fields=[
                ('pk', models.CompositePrimaryKey('segment', 'day', 'disposition', 'bin', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('disposition', models.CharField(max_length=20)),
                ('bin', models.SmallIntegerField()),
                ('proposals', models.PositiveIntegerField()),
                ('right', models.PositiveIntegerField()),
                ('wrong', models.PositiveIntegerField()),
                ('segment', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='orchestrator.segment')),
            ],
            options={
                'indexes': [models.Index(fields=['day'], name='score_day_day')],
            },
        ),
        migrations.CreateModel(
            name='RuleDay',
            fields=[
                ('pk', models.CompositePrimaryKey('segment', 'day', 'rule_version', 'enforced', 'result', 'disposition', 'status', 'edited', 'said', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('enforced', models.BooleanField()),
                ('result', models.CharField(max_length=10)),
                ('disposition', models.CharField(max_length=20)),
                ('status', models.CharField(max_length=20)),
                ('edited', models.BooleanField()),
                ('said', models.CharField(max_length=20)),
                ('proposals', models.PositiveIntegerField()),
                ('amount', models.DecimalField(decimal_places=0, default=0, max_digits=38)),
                ('decisions', models.PositiveIntegerField()),
                ('measured', models.PositiveIntegerField()),
                ('handled_ms', models.BigIntegerField()),
                ('rule_version', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='orchestrator.ruleversion')),
                ('segment', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='orchestrator.segment')),
            ],
            options={
                'indexes': [models.Index(fields=['day'], name='rule_day_day')],
            },
        ),
        migrations.CreateModel(
            name='ReviewerDay',
            fields=[
                ('pk', models.CompositePrimaryKey('segment', 'day', 'reviewer', 'kind', 'verdict', 'bucket', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('kind', models.CharField(max_length=30)),
                ('verdict', models.CharField(max_length=20)),
                ('bucket', models.SmallIntegerField()),
                ('decisions', models.PositiveIntegerField()),
                ('handled_ms', models.BigIntegerField()),
                ('reviewer', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('segment', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='orchestrator.segment')),
            ],
            options={
                'indexes': [models.Index(fields=['day'], name='reviewer_day_day')],
            },
        ),
        migrations.CreateModel(
            name='ProposalDay',
            fields=[
                ('pk', models.CompositePrimaryKey('segment', 'day', 'disposition', 'status', 'edited', 'chance', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('disposition', models.CharField(max_length=20)),
                ('status', models.CharField(max_length=20)),
                ('edited', models.BooleanField()),
                ('chance', models.FloatField()),
                ('proposals', models.PositiveIntegerField()),
                ('amount', models.DecimalField(decimal_places=0, default=0, max_digits=38)),
                ('segment', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='orchestrator.segment')),
            ],
            options={
                'indexes': [models.Index(fields=['day'], name='proposal_day_day')],
            },
        ),
        migrations.CreateModel(
            name='Label',
            fields=[
                ('proposal', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='label', serialize=False, to='orchestrator.proposal')),
                ('day', models.DateField()),
                ('disposition', models.CharField(max_length=20)),
                ('score', models.FloatField(null=True)),
                ('should_run', models.BooleanField()),
                ('chance', models.FloatField()),
                ('said_by', models.CharField(max_length=20)),
                ('segment', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='orchestrator.segment')),
            ],
            options={
                'indexes': [models.Index(fields=['day', 'segment'], name='label_by_day'), models.Index(fields=['segment', '-proposal'], name='label_by_segment')],
            },
        ),
        migrations.CreateModel(
            name='ItemDay',
            fields=[
                ('pk', models.CompositePrimaryKey('segment', 'day', 'kind', 'happened', 'bucket', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('kind', models.CharField(max_length=30)),
                ('happened', models.CharField(max_length=20)),
                ('bucket', models.SmallIntegerField()),
                ('items', models.PositiveIntegerField()),
                ('segment', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='orchestrator.segment')),
            ],
            options={
                'indexes': [models.Index(fields=['day'], name='item_day_day')],
            },
        ),
        migrations.CreateModel(
            name='CallDay',
            fields=[
                ('pk', models.CompositePrimaryKey('segment', 'day', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('calls', models.PositiveIntegerField()),
                ('failed', models.PositiveIntegerField()),
                ('unknown', models.PositiveIntegerField()),
                ('tokens_in', models.BigIntegerField()),
                ('tokens_out', models.BigIntegerField()),
                ('money_micros', models.BigIntegerField()),
                ('segment', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='orchestrator.segment')),
            ],
            options={
                'indexes': [models.Index(fields=['day'], name='call_day_day')],
            },
        ),
        migrations.CreateModel(
            name='AuditDay',
            fields=[
                ('pk', models.CompositePrimaryKey('segment', 'day', 'disposition', 'chance', 'outcome', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('disposition', models.CharField(max_length=20)),
                ('chance', models.FloatField()),
                ('outcome', models.CharField(max_length=20)),
                ('items', models.PositiveIntegerField()),
                ('segment', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='orchestrator.segment')),
            ],
            options={
                'indexes': [models.Index(fields=['day'], name='audit_day_day')],
            },
        ),
        migrations.RunSQL(DAY_OF, UNDO_DAY_OF),
        migrations.RunSQL(MARKS, UNDO_MARKS),
        migrations.RunSQL(MARK_ALL, migrations.RunSQL.noop),
    ]
