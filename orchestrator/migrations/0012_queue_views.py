"""Views of the queue that few of many waiting items fit."""

from django.db import migrations, models

LATE_AT = models.ExpressionWrapper(
    models.Func(models.Value('UTC'), models.F('created_at'), function='timezone')
    + models.ExpressionWrapper(
        (models.F('due_at') - models.F('created_at')) * models.Value(0.75), models.DurationField()
    ),
    models.DateTimeField(),
)


class Migration(migrations.Migration):

    dependencies = [
        ('orchestrator', '0011_notices'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='reviewitem',
            index=models.Index(LATE_AT, condition=models.Q(('status', 'waiting')), name='review_item_late'),
        ),
        migrations.AddIndex(
            model_name='reviewitem',
            index=models.Index(condition=models.Q(('escalated_at__isnull', False), ('status', 'waiting')), fields=['-priority', 'due_at', 'id'], name='review_item_escalated'),
        ),
        migrations.AddIndex(
            model_name='reviewitem',
            index=models.Index(condition=models.Q(('approvals_needed__gt', 1), ('status', 'waiting'), ('version__gt', 1)), fields=['-priority', 'due_at', 'id'], name='review_item_half_decided'),
        ),
        migrations.AddIndex(
            model_name='reviewitem',
            index=models.Index(condition=models.Q(('status', 'waiting')), fields=['created_at'], name='review_item_oldest'),
        ),
    ]
