"""Who wants the report of each week by mail, and which week they were sent last."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('orchestrator', '0017_rollups'),
    ]

    operations = [
        migrations.CreateModel(
            name='WeeklyReport',
            fields=[
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='weekly_report', serialize=False, to=settings.AUTH_USER_MODEL)),
                ('is_wanted', models.BooleanField()),
                ('sent_for', models.DateField(null=True)),
            ],
        ),
    ]
