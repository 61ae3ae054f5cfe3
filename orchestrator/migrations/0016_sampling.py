"""Chances are stored with what they drew; second reviews and gold items are blind items too."""

from importlib import import_module

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

append_only = import_module("orchestrator.migrations.0002_invariants").append_only

# What people settled stays as it was settled; a gold item is taken back and never deleted.
GOLD = """
CREATE TRIGGER immutable BEFORE UPDATE ON orchestrator_golditem
    FOR EACH ROW EXECUTE FUNCTION refuse_change_but_for('retired_by_id', 'retired_at', 'retired_why');
CREATE TRIGGER no_delete BEFORE DELETE ON orchestrator_golditem
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON orchestrator_golditem
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""
UNDO_GOLD = """
DROP TRIGGER no_truncate ON orchestrator_golditem;
DROP TRIGGER no_delete ON orchestrator_golditem;
DROP TRIGGER immutable ON orchestrator_golditem;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('orchestrator', '0015_policies'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='GoldItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('should_run', models.BooleanField()),
                ('said_by', models.CharField(max_length=20)),
                ('why', models.TextField()),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('retired_at', models.DateTimeField(null=True)),
                ('retired_why', models.TextField(blank=True, default='')),
            ],
        ),
        migrations.CreateModel(
            name='GoldLook',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name='reviewitem',
            name='review_item_one_open_per_kind',
        ),
        migrations.RemoveConstraint(
            model_name='reviewitem',
            name='review_item_is_about_something',
        ),
        migrations.AddField(
            model_name='disposition',
            name='draw_chance',
            field=models.FloatField(null=True),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='chance',
            field=models.FloatField(null=True),
        ),
        migrations.AlterField(
            model_name='reviewitem',
            name='kind',
            field=models.CharField(choices=[('guardrail_failure', 'Guardrail failure'), ('escalation', 'Escalation'), ('approval', 'Approval'), ('unknown_effect', 'Outcome unknown'), ('stuck_command', 'Stuck work'), ('rule_change', 'Rule change'), ('failed_compensation', 'Rollback failed'), ('audit', 'Sampled audit'), ('blind_label', 'Blind label'), ('adjudication', 'Adjudication'), ('second_review', 'Second review'), ('gold', 'Gold item')], max_length=30),
        ),
        migrations.AddIndex(
            model_name='proposal',
            index=models.Index(fields=['agent', 'agent_version', 'action', 'disposition', 'id'], name='proposal_by_stratum'),
        ),
        migrations.AddIndex(
            model_name='reviewitem',
            index=models.Index(condition=models.Q(('kind__in', ['second_review', 'blind_label']), ('status', 'decided')), fields=['closed_at'], name='review_item_judged_twice'),
        ),
        migrations.AddConstraint(
            model_name='reviewitem',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'waiting'), models.Q(('kind', 'gold'), _negated=True)), fields=('proposal', 'kind'), name='review_item_one_open_per_kind'),
        ),
        migrations.AddConstraint(
            model_name='reviewitem',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind__in', ['guardrail_failure', 'escalation', 'unknown_effect', 'rule_change', 'failed_compensation', 'audit', 'blind_label', 'adjudication', 'second_review', 'gold']), ('proposal__isnull', False)), models.Q(('command__isnull', False), ('kind', 'stuck_command')), models.Q(('kind', 'approval'), models.Q(('work', ''), _negated=True)), _connector='OR'), name='review_item_is_about_something'),
        ),
        migrations.AddField(
            model_name='golditem',
            name='added_by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='gold_items_added', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='golditem',
            name='proposal',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='gold_items', to='orchestrator.proposal'),
        ),
        migrations.AddField(
            model_name='golditem',
            name='retired_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='gold_items_retired', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='goldlook',
            name='gold',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='looks', to='orchestrator.golditem'),
        ),
        migrations.AddField(
            model_name='goldlook',
            name='item',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='gold_look', to='orchestrator.reviewitem'),
        ),
        migrations.AddField(
            model_name='goldlook',
            name='reviewer',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='gold_looks', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='golditem',
            index=models.Index(condition=models.Q(('retired_at', None)), fields=['id'], name='gold_item_in_use'),
        ),
        migrations.AddConstraint(
            model_name='golditem',
            constraint=models.UniqueConstraint(condition=models.Q(('retired_at', None)), fields=('proposal',), name='gold_item_one_per_proposal'),
        ),
        migrations.AddConstraint(
            model_name='goldlook',
            constraint=models.UniqueConstraint(fields=('gold', 'reviewer'), name='gold_look_once'),
        ),
        migrations.RunSQL(GOLD, UNDO_GOLD),
        append_only("goldlook"),
    ]
