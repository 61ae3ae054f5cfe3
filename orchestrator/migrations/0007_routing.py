"""Indexes of the router's page: figures and dead letters cost the same at a million events."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orchestrator', '0006_rules_and_contracts'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='inboundevent',
            name='inbound_event_by_time',
        ),
        migrations.AddIndex(
            model_name='inboundevent',
            index=models.Index(condition=models.Q(('replaces__isnull', True)), fields=['created_at'], include=('type', 'source', 'status', 'run'), name='inbound_event_counted'),
        ),
        migrations.AddIndex(
            model_name='inboundevent',
            index=models.Index(condition=models.Q(('status', 'dead')), fields=['reason', '-id'], name='dead_letter_by_reason'),
        ),
        migrations.AddIndex(
            model_name='inboundevent',
            index=models.Index(condition=models.Q(('status', 'dead')), fields=['type', '-id'], name='dead_letter_by_type'),
        ),
        migrations.AddIndex(
            model_name='inboundevent',
            index=models.Index(condition=models.Q(('status', 'dead')), fields=['type', 'reason', '-id'], name='dead_letter_by_both'),
        ),
        migrations.AddIndex(
            model_name='inboundevent',
            index=models.Index(condition=models.Q(('status', 'dead')), fields=['token'], name='dead_letter_by_token'),
        ),
    ]
