"""Rules that are tried before they decide, contracts of what comes in, and where events go."""

from importlib import import_module

import django.db.models.deletion
import django.db.models.functions.datetime
import orchestrator.models.ids
from django.conf import settings
from django.db import migrations, models


_invariants = import_module("orchestrator.migrations.0002_invariants")
append_only, immutable = _invariants.append_only, _invariants.immutable


class Migration(migrations.Migration):

    dependencies = [
        ('orchestrator', '0005_run_lists'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Backtest',
            fields=[
                ('id', orchestrator.models.ids.IdField('bkt')),
                ('since', models.DateTimeField()),
                ('until', models.DateTimeField()),
                ('proposals_max', models.PositiveIntegerField()),
                ('content_hash', models.CharField(help_text='of the rule version it tested', max_length=71)),
                ('status', models.CharField(choices=[('waiting', 'Waiting'), ('running', 'Running'), ('done', 'Done'), ('cancelled', 'Cancelled'), ('failed', 'Failed')], default='waiting', max_length=20)),
                ('done', models.PositiveIntegerField(default=0)),
                ('total', models.PositiveIntegerField(null=True)),
                ('cursor', models.CharField(default='', max_length=30)),
                ('counts', models.JSONField(default=dict)),
                ('error', models.TextField(default='')),
                ('cancel_asked', models.BooleanField(default=False)),
                ('fence', models.PositiveIntegerField(default=0)),
                ('lease_until', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('started_at', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='BacktestFlip',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('before', models.CharField(max_length=10)),
                ('after', models.CharField(max_length=10)),
                ('human', models.CharField(choices=[('approved', 'Approved'), ('rejected', 'Rejected'), ('unknown', 'Unknown')], max_length=10)),
                ('reason', models.TextField(default='')),
            ],
        ),
        migrations.CreateModel(
            name='Contract',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('event', 'Event'), ('action', 'Action'), ('output', 'Agent output')], max_length=10)),
                ('name', models.CharField(max_length=100)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name='ContractVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('description', models.CharField(blank=True, default='', max_length=500)),
                ('owner', models.CharField(blank=True, default='', max_length=100)),
                ('schema', models.TextField()),
                ('timeout_s', models.PositiveIntegerField()),
                ('idempotency', models.CharField(choices=[('required', 'A second call with the same key does no harm'), ('none', 'Every call counts')], default='required', max_length=10)),
                ('tier', models.CharField(choices=[('low', 'Low risk'), ('normal', 'Normal risk'), ('high', 'High risk')], default='normal', max_length=10)),
                ('masked', models.JSONField(blank=True, default=list)),
                ('error_budget_bp', models.PositiveIntegerField(default=100)),
                ('content_hash', models.CharField(max_length=71)),
                ('note', models.TextField(blank=True, default='')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name='InboundEvent',
            fields=[
                ('id', orchestrator.models.ids.IdField('evt')),
                ('source', models.CharField(max_length=300)),
                ('source_id', models.CharField(max_length=200)),
                ('type', models.CharField(max_length=100)),
                ('envelope', models.TextField()),
                ('digest', models.CharField(max_length=71)),
                ('status', models.CharField(choices=[('routed', 'Routed'), ('dead', 'Dead'), ('redriven', 'Redriven'), ('discarded', 'Discarded')], max_length=10)),
                ('reason', models.CharField(blank=True, choices=[('unknown_type', 'Unknown type'), ('unknown_version', 'Unknown version'), ('invalid', 'Does not fit its contract'), ('late', 'Came too late'), ('over_cap', 'Too much is waiting'), ('no_route', 'No route wants it'), ('route_error', 'A route could not be evaluated'), ('handler', 'The handler refused it')], default='', max_length=20)),
                ('detail', models.TextField(blank=True, default='')),
                ('route', models.CharField(blank=True, default='', max_length=100)),
                ('occurred_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name='RouteTable',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField(unique=True)),
                ('routes', models.TextField()),
                ('content_hash', models.CharField(max_length=71)),
                ('note', models.TextField(blank=True, default='')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name='reviewitem',
            name='review_item_is_about_something',
        ),
        migrations.AddField(
            model_name='ruleversion',
            name='shadowed_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name='reviewitem',
            name='kind',
            field=models.CharField(choices=[('guardrail_failure', 'Guardrail failure'), ('escalation', 'Escalation'), ('approval', 'Approval'), ('unknown_effect', 'Outcome unknown'), ('stuck_command', 'Stuck work'), ('rule_change', 'Rule change')], max_length=30),
        ),
        migrations.AddIndex(
            model_name='policycheck',
            index=models.Index(condition=models.Q(('result', 'pass'), _negated=True), fields=['rule_version', '-created_at'], name='policy_check_hits'),
        ),
        migrations.AddIndex(
            model_name='ruleversion',
            index=models.Index(condition=models.Q(('stage__in', ['active', 'shadow'])), fields=['stage'], name='rule_version_asked'),
        ),
        migrations.AddConstraint(
            model_name='reviewitem',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind__in', ['guardrail_failure', 'escalation', 'unknown_effect', 'rule_change']), ('proposal__isnull', False)), models.Q(('command__isnull', False), ('kind', 'stuck_command')), models.Q(('kind', 'approval'), models.Q(('work', ''), _negated=True)), _connector='OR'), name='review_item_is_about_something'),
        ),
        migrations.AddConstraint(
            model_name='ruleversion',
            constraint=models.UniqueConstraint(condition=models.Q(('stage', 'shadow')), fields=('rule',), name='rule_version_one_shadow'),
        ),
        migrations.AddField(
            model_name='backtest',
            name='against',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='orchestrator.ruleversion'),
        ),
        migrations.AddField(
            model_name='backtest',
            name='requested_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='backtest',
            name='version',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='backtests', to='orchestrator.ruleversion'),
        ),
        migrations.AddField(
            model_name='backtestflip',
            name='backtest',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='flips', to='orchestrator.backtest'),
        ),
        migrations.AddField(
            model_name='backtestflip',
            name='proposal',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='orchestrator.proposal'),
        ),
        migrations.AddConstraint(
            model_name='contract',
            constraint=models.UniqueConstraint(fields=('kind', 'name'), name='contract_name_unique'),
        ),
        migrations.AddField(
            model_name='contractversion',
            name='contract',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='versions', to='orchestrator.contract'),
        ),
        migrations.AddField(
            model_name='contractversion',
            name='created_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='proposal',
            name='contract_version',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to='orchestrator.contractversion'),
        ),
        migrations.AddField(
            model_name='inboundevent',
            name='contract_version',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to='orchestrator.contractversion'),
        ),
        migrations.AddField(
            model_name='inboundevent',
            name='handled_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='inboundevent',
            name='replaces',
            field=models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='replaced_by', to='orchestrator.inboundevent'),
        ),
        migrations.AddField(
            model_name='inboundevent',
            name='run',
            field=models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='event', to='orchestrator.run'),
        ),
        migrations.AddField(
            model_name='inboundevent',
            name='token',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to='orchestrator.apitoken'),
        ),
        migrations.AddField(
            model_name='routetable',
            name='created_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='inboundevent',
            name='routes',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to='orchestrator.routetable'),
        ),
        migrations.AddIndex(
            model_name='backtest',
            index=models.Index(fields=['version', '-id'], name='backtest_of_version'),
        ),
        migrations.AddIndex(
            model_name='backtest',
            index=models.Index(condition=models.Q(('status__in', ['waiting', 'running'])), fields=['id'], name='backtest_open'),
        ),
        migrations.AddConstraint(
            model_name='backtestflip',
            constraint=models.UniqueConstraint(fields=('backtest', 'proposal'), name='backtest_flip_once_per_proposal'),
        ),
        migrations.AddConstraint(
            model_name='contractversion',
            constraint=models.UniqueConstraint(fields=('contract', 'number'), name='contract_version_number_unique'),
        ),
        migrations.AddIndex(
            model_name='inboundevent',
            index=models.Index(fields=['status', '-id'], name='inbound_event_by_status'),
        ),
        migrations.AddIndex(
            model_name='inboundevent',
            index=models.Index(fields=['type', '-id'], name='inbound_event_by_type'),
        ),
        migrations.AddIndex(
            model_name='inboundevent',
            index=models.Index(fields=['created_at'], name='inbound_event_by_time'),
        ),
        migrations.AddConstraint(
            model_name='inboundevent',
            constraint=models.UniqueConstraint(condition=models.Q(('replaces__isnull', True)), fields=('source', 'source_id'), name='inbound_event_once'),
        ),
        migrations.AddConstraint(
            model_name='inboundevent',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'routed'), ('run__isnull', False)), models.Q(models.Q(('status', 'routed'), _negated=True), models.Q(('reason', ''), _negated=True)), _connector='OR'), name='inbound_event_has_its_end'),
        ),
        migrations.RunSQL(
            "DROP TRIGGER immutable ON orchestrator_ruleversion",
            immutable("ruleversion", ("stage", "activated_at")).sql,
        ),
        immutable("ruleversion", ("stage", "shadowed_at", "activated_at")),
        append_only("contract"),
        append_only("contractversion"),
        append_only("routetable"),
        immutable("inboundevent", ("status", "handled_by_id")),
    ]
