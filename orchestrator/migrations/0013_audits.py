"""What chance drew is found by its time, however much else waits or is closed."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orchestrator', '0012_queue_views'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='reviewitem',
            index=models.Index(
                condition=models.Q(('kind__in', ['audit', 'blind_label'])),
                fields=['created_at'],
                name='review_item_sampled',
            ),
        ),
    ]
