"""The review queue: holds, teams, revisions, reasons as rows, decisions that can be taken back."""

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import orchestrator.models.ids
from django.conf import settings
from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations, models


REASONS = (
    ("wrong_target", "Wrong target", False),
    ("wrong_value", "Wrong value", False),
    ("wrong_action", "Wrong action", False),
    ("missing_evidence", "Missing evidence", False),
    ("policy_breach", "Breaks a policy", False),
    ("wording", "Wording", False),
    ("duplicate_or_stale", "Duplicate or out of date", False),
    ("bad_source_data", "Bad source data", False),
    ("suspected_injection", "Suspected injection", False),
    ("other", "Other (say what)", True),
)


def add_reasons(apps, schema_editor):
    reason = apps.get_model("orchestrator", "Reason")
    reason.objects.using(schema_editor.connection.alias).bulk_create(
        reason(code=code, label=label, needs_note=needs_note, position=position)
        for position, (code, label, needs_note) in enumerate(REASONS, start=1)
    )


# A decision stays as it was written, but for the moment at which it was taken back.
DECISIONS = """
DROP TRIGGER append_only ON orchestrator_decision;
CREATE TRIGGER immutable BEFORE UPDATE ON orchestrator_decision
    FOR EACH ROW EXECUTE FUNCTION refuse_change_but_for('undone_at');
CREATE TRIGGER no_delete BEFORE DELETE ON orchestrator_decision
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE FUNCTION refuse_redoing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'decision % was taken back, and stays so', OLD.id
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER undone_once BEFORE UPDATE ON orchestrator_decision
    FOR EACH ROW WHEN (OLD.undone_at IS NOT NULL AND NEW.undone_at IS DISTINCT FROM OLD.undone_at)
    EXECUTE FUNCTION refuse_redoing();
"""
UNDO_DECISIONS = """
DROP TRIGGER undone_once ON orchestrator_decision;
DROP FUNCTION refuse_redoing();
DROP TRIGGER no_delete ON orchestrator_decision;
DROP TRIGGER immutable ON orchestrator_decision;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON orchestrator_decision
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""

CERTIFICATES = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON orchestrator_certificate
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON orchestrator_certificate
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

# As before, and the decision that allows an effect is one that was not taken back.
_ALLOWED = """
CREATE OR REPLACE FUNCTION refuse_effect_without_permission() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.decision_id IS NOT NULL THEN
        PERFORM 1 FROM orchestrator_decision d JOIN orchestrator_reviewitem i ON i.id = d.item_id
          WHERE d.id = NEW.decision_id AND d.verdict = 'approve' {}
            AND d.payload_digest = NEW.payload_digest AND i.proposal_id = NEW.proposal_id;
    ELSE
        PERFORM 1 FROM orchestrator_disposition
          WHERE id = NEW.disposition_id AND verdict = 'accept' AND proposal_id = NEW.proposal_id;
    END IF;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'effect % is not allowed by what it names', NEW.id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
"""
ALLOWED = _ALLOWED.format("AND d.undone_at IS NULL")
UNDO_ALLOWED = _ALLOWED.format("")

COPIED = """
UPDATE orchestrator_reviewitem i
   SET action = p.action, agent = p.agent, target = p.target,
       tier = COALESCE(c.tier, 'normal'), allows = '{approve,edit,respond,reject}',
       asked_by_id = COALESCE(t.owner_id, r.started_by_id)
  FROM orchestrator_proposal p
  LEFT JOIN orchestrator_contractversion c ON c.id = p.contract_version_id
  LEFT JOIN orchestrator_apitoken t ON t.id = p.token_id
  JOIN orchestrator_run r ON r.id = p.run_id
 WHERE p.id = i.proposal_id;
UPDATE orchestrator_reviewitem i
   SET asked_by_id = COALESCE(t.owner_id, r.started_by_id)
  FROM orchestrator_run r LEFT JOIN orchestrator_apitoken t ON t.id = r.token_id
 WHERE i.proposal_id IS NULL AND r.id = i.run_id;
UPDATE orchestrator_reviewitem i
   SET fired = found.slugs
  FROM (SELECT k.proposal_id, array_agg(DISTINCT u.slug ORDER BY u.slug) AS slugs
          FROM orchestrator_policycheck k
          JOIN orchestrator_ruleversion v ON v.id = k.rule_version_id
          JOIN orchestrator_rule u ON u.id = v.rule_id
         WHERE k.enforced AND k.result <> 'pass' GROUP BY k.proposal_id) AS found
 WHERE found.proposal_id = i.proposal_id;
-- What still waits to be checked would keep the indexes below from being made.
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('orchestrator', '0008_history'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        TrigramExtension(),
        migrations.CreateModel(
            name='Assignment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('rule', 'Rule'), ('action', 'Action'), ('workflow', 'Workflow')], max_length=10)),
                ('name', models.CharField(max_length=100)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name='Batch',
            fields=[
                ('id', orchestrator.models.ids.IdField('bat')),
                ('verdict', models.CharField(max_length=20)),
                ('reason', models.CharField(blank=True, default='', max_length=40)),
                ('note', models.TextField(blank=True, default='')),
                ('outcomes', models.JSONField(default=list)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'verbose_name_plural': 'batches',
            },
        ),
        migrations.CreateModel(
            name='Certificate',
            fields=[
                ('decision', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='certificate', serialize=False, to='orchestrator.decision')),
                ('text', models.TextField()),
                ('digest', models.CharField(max_length=71, unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name='Comment',
            fields=[
                ('id', orchestrator.models.ids.IdField('cmt')),
                ('text', models.TextField()),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name='Reason',
            fields=[
                ('code', models.SlugField(max_length=40, primary_key=True, serialize=False)),
                ('label', models.CharField(max_length=80)),
                ('needs_note', models.BooleanField(default=False)),
                ('position', models.PositiveSmallIntegerField(default=0)),
                ('retired_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name='SavedView',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=60)),
                ('query', models.CharField(max_length=1000)),
                ('is_shared', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name='Team',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.SlugField(max_length=60, unique=True)),
                ('name', models.CharField(max_length=100)),
                ('retired_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name='decision',
            name='decision_one_per_reviewer_and_item',
        ),
        migrations.RemoveConstraint(
            model_name='reviewitem',
            name='review_item_is_about_something',
        ),
        migrations.AddField(
            model_name='contractversion',
            name='review',
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AddField(
            model_name='decision',
            name='target_digest',
            field=models.CharField(blank=True, default='', max_length=71),
        ),
        migrations.AddField(
            model_name='decision',
            name='undo_until',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='decision',
            name='undone_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='target',
            field=models.CharField(blank=True, default='', max_length=500),
        ),
        migrations.AddField(
            model_name='proposal',
            name='edited_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='edited_proposals', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='proposal',
            name='revises',
            field=models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='revised_by', to='orchestrator.proposal'),
        ),
        migrations.AddField(
            model_name='proposal',
            name='revision',
            field=models.PositiveSmallIntegerField(db_default=1, default=1),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='about',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='disputes', to='orchestrator.reviewitem'),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='action',
            field=models.CharField(blank=True, default='', max_length=100),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='agent',
            field=models.CharField(blank=True, default='', max_length=100),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='allows',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=20), blank=True, default=list),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='asked_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='asked_items', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='escalated_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='fired',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=100), blank=True, default=list),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='lease',
            field=models.CharField(blank=True, default='', max_length=40),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='priority_because',
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='snoozed_at_seq',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='snoozed_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='snoozed_items', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='snoozed_until',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='target',
            field=models.CharField(blank=True, default='', max_length=500),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='tier',
            field=models.CharField(default='normal', max_length=10),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='undo_s',
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='wakes_on',
            field=models.CharField(blank=True, choices=[('', 'Only the time'), ('comment', 'A comment'), ('run', 'News of the run')], default='', max_length=10),
        ),
        migrations.AlterField(
            model_name='decision',
            name='reason',
            field=models.CharField(blank=True, default='', max_length=40),
        ),
        migrations.AlterField(
            model_name='decision',
            name='verdict',
            field=models.CharField(choices=[('approve', 'Approved'), ('reject', 'Rejected'), ('happened', 'It happened'), ('not_happened', 'It did not happen'), ('retry', 'Run it again'), ('give_up', 'Given up'), ('edit', 'Edited'), ('respond', 'Sent back')], max_length=20),
        ),
        migrations.AlterField(
            model_name='effect',
            name='status',
            field=models.CharField(choices=[('pending', 'Waiting to run'), ('calling', 'Running'), ('done', 'Done'), ('failed', 'Failed'), ('unknown', 'Outcome unknown'), ('withdrawn', 'Taken back')], default='pending', max_length=20),
        ),
        migrations.AlterField(
            model_name='proposal',
            name='status',
            field=models.CharField(choices=[('received', 'Received'), ('in_review', 'In Review'), ('revision_requested', 'Revision Requested'), ('accepted', 'Accepted'), ('rejected', 'Rejected'), ('blocked', 'Blocked'), ('expired', 'Expired'), ('withdrawn', 'Withdrawn'), ('executing', 'Executing'), ('executed', 'Executed'), ('failed', 'Failed'), ('unknown', 'Unknown'), ('rolled_back', 'Rolled Back'), ('superseded', 'Superseded')], default='received', max_length=20),
        ),
        migrations.AlterField(
            model_name='reviewitem',
            name='kind',
            field=models.CharField(choices=[('guardrail_failure', 'Guardrail failure'), ('escalation', 'Escalation'), ('approval', 'Approval'), ('unknown_effect', 'Outcome unknown'), ('stuck_command', 'Stuck work'), ('rule_change', 'Rule change'), ('failed_compensation', 'Undoing failed'), ('audit', 'Sampled audit'), ('blind_label', 'Blind label'), ('adjudication', 'Adjudication')], max_length=30),
        ),
        migrations.AddIndex(
            model_name='ledgerentry',
            index=models.Index(fields=['target', '-id'], name='ledger_by_target'),
        ),
        migrations.AddField(
            model_name='batch',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='batches', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='decision',
            name='batch',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='decisions', to='orchestrator.batch'),
        ),
        migrations.AddConstraint(
            model_name='decision',
            constraint=models.UniqueConstraint(condition=models.Q(('undone_at', None)), fields=('item', 'reviewer'), name='decision_one_per_reviewer_and_item'),
        ),
        migrations.AddField(
            model_name='comment',
            name='author',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='comments', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='comment',
            name='item',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='comments', to='orchestrator.reviewitem'),
        ),
        migrations.AddField(
            model_name='savedview',
            name='owner',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='saved_views', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='team',
            name='escalates_to',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='orchestrator.team'),
        ),
        migrations.AddField(
            model_name='team',
            name='members',
            field=models.ManyToManyField(blank=True, related_name='teams', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='assignment',
            name='team',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='assignments', to='orchestrator.team'),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='team',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='items', to='orchestrator.team'),
        ),
        migrations.AddIndex(
            model_name='reviewitem',
            index=models.Index(condition=models.Q(('status', 'waiting')), fields=['team', '-priority', 'due_at', 'id'], name='review_item_team_queue'),
        ),
        migrations.AddIndex(
            model_name='reviewitem',
            index=models.Index(condition=models.Q(('status', 'waiting')), fields=['kind', '-priority', 'due_at', 'id'], name='review_item_kind_queue'),
        ),
        migrations.AddIndex(
            model_name='reviewitem',
            index=models.Index(condition=models.Q(('status', 'waiting')), fields=['action', '-priority', 'due_at', 'id'], name='review_item_action_queue'),
        ),
        migrations.AddIndex(
            model_name='reviewitem',
            index=models.Index(condition=models.Q(('holder__isnull', False), ('status', 'waiting')), fields=['holder', 'lease_until'], name='review_item_held'),
        ),
        migrations.AddIndex(
            model_name='reviewitem',
            index=models.Index(condition=models.Q(('snoozed_until__isnull', False), ('status', 'waiting')), fields=['snoozed_until'], name='review_item_snoozed'),
        ),
        migrations.AddIndex(
            model_name='reviewitem',
            index=models.Index(condition=models.Q(('status', 'decided')), fields=['action', 'fired', '-closed_at'], name='review_item_alike'),
        ),
        migrations.AddIndex(
            model_name='reviewitem',
            index=models.Index(condition=models.Q(('status', 'decided')), fields=['action', '-closed_at'], name='review_item_same_action'),
        ),
        migrations.AddIndex(
            model_name='reviewitem',
            index=django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.indexes.OpClass(models.F('target'), name='gin_trgm_ops'), django.contrib.postgres.indexes.OpClass(models.F('agent'), name='gin_trgm_ops'), django.contrib.postgres.indexes.OpClass(models.F('action'), name='gin_trgm_ops'), condition=models.Q(('status', 'waiting')), name='review_item_search'),
        ),
        migrations.AddConstraint(
            model_name='reviewitem',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind__in', ['guardrail_failure', 'escalation', 'unknown_effect', 'rule_change', 'failed_compensation', 'audit', 'blind_label', 'adjudication']), ('proposal__isnull', False)), models.Q(('command__isnull', False), ('kind', 'stuck_command')), models.Q(('kind', 'approval'), models.Q(('work', ''), _negated=True)), _connector='OR'), name='review_item_is_about_something'),
        ),
        migrations.AddConstraint(
            model_name='savedview',
            constraint=models.UniqueConstraint(fields=('owner', 'name'), name='saved_view_name_unique'),
        ),
        migrations.AddConstraint(
            model_name='assignment',
            constraint=models.UniqueConstraint(fields=('kind', 'name'), name='assignment_one_team'),
        ),
        migrations.RunPython(add_reasons, migrations.RunPython.noop),
        migrations.RunSQL(DECISIONS, UNDO_DECISIONS),
        migrations.RunSQL(CERTIFICATES, migrations.RunSQL.noop),
        migrations.RunSQL(ALLOWED, UNDO_ALLOWED),
        migrations.RunSQL(COPIED, migrations.RunSQL.noop),
    ]
