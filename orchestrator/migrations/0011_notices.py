"""What people and other systems are told, and what is on its way to them."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import orchestrator.models.ids
import orchestrator.models.notices
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('orchestrator', '0010_sign_in'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='NoticeAddress',
            fields=[
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='notice_address', serialize=False, to=settings.AUTH_USER_MODEL)),
                ('address', models.EmailField(max_length=254)),
            ],
        ),
        migrations.CreateModel(
            name='WebhookEndpoint',
            fields=[
                ('id', orchestrator.models.ids.IdField('whk')),
                ('name', models.CharField(max_length=100)),
                ('url', models.CharField(max_length=2000)),
                ('salt', models.CharField(default=orchestrator.models.notices.new_salt, max_length=64)),
                ('kinds', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('item_opened', 'Something waits for a decision'), ('item_expired', 'Nobody decided in time'), ('item_escalated', 'Something is escalated'), ('item_assigned', 'Something is assigned'), ('mentioned', 'Somebody is mentioned'), ('decided', 'Something is decided'), ('snooze_over', 'A snooze is over'), ('adjudication', 'Two verdicts disagree')], max_length=20))),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('disabled_at', models.DateTimeField(null=True)),
                ('last_error', models.CharField(blank=True, default='', max_length=500)),
                ('failures', models.PositiveIntegerField(default=0)),
                ('rests_until', models.DateTimeField(null=True)),
                ('created_by', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('team', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='orchestrator.team')),
            ],
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('item_opened', 'Something waits for a decision'), ('item_expired', 'Nobody decided in time'), ('item_escalated', 'Something is escalated'), ('item_assigned', 'Something is assigned'), ('mentioned', 'Somebody is mentioned'), ('decided', 'Something is decided'), ('snooze_over', 'A snooze is over'), ('adjudication', 'Two verdicts disagree')], max_length=20)),
                ('text', models.CharField(max_length=500)),
                ('read_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('item', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='orchestrator.reviewitem')),
                ('user', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='notices', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'indexes': [models.Index(fields=['user', '-id'], name='notice_by_user'), models.Index(condition=models.Q(('read_at__isnull', True)), fields=['user'], name='notice_unread'), models.Index(fields=['created_at'], name='notice_by_age')],
            },
        ),
        migrations.CreateModel(
            name='NoticeChoice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('item_opened', 'Something waits for a decision'), ('item_expired', 'Nobody decided in time'), ('item_escalated', 'Something is escalated'), ('item_assigned', 'Something is assigned'), ('mentioned', 'Somebody is mentioned'), ('decided', 'Something is decided'), ('snooze_over', 'A snooze is over'), ('adjudication', 'Two verdicts disagree')], max_length=20)),
                ('in_app', models.BooleanField()),
                ('email', models.BooleanField()),
                ('user', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='notice_choices', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'indexes': [models.Index(fields=['kind'], name='notice_choice_by_kind')],
                'constraints': [models.UniqueConstraint(fields=('user', 'kind'), name='notice_choice_unique')],
            },
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', orchestrator.models.ids.IdField('dlv')),
                ('channel', models.CharField(choices=[('email', 'Email'), ('webhook', 'Webhook')], max_length=10)),
                ('kind', models.CharField(max_length=20)),
                ('address', models.CharField(max_length=320)),
                ('body', models.TextField()),
                ('status', models.CharField(choices=[('pending', 'Pending'), ('done', 'Done'), ('failed', 'Failed')], default='pending', max_length=10)),
                ('tries', models.PositiveIntegerField(default=0)),
                ('not_before', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('ends_at', models.DateTimeField()),
                ('token', models.PositiveIntegerField(default=0)),
                ('lease_until', models.DateTimeField(null=True)),
                ('error', models.CharField(blank=True, default='', max_length=500)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('finished_at', models.DateTimeField(null=True)),
                ('endpoint', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='deliveries', to='orchestrator.webhookendpoint')),
            ],
            options={
                'verbose_name_plural': 'deliveries',
                'indexes': [models.Index(condition=models.Q(('status', 'pending')), fields=['not_before', 'id'], name='delivery_next'), models.Index(condition=models.Q(('status', 'pending')), fields=['channel', 'address', 'id'], name='delivery_to_same'), models.Index(fields=['endpoint', '-id'], name='delivery_by_endpoint'), models.Index(condition=models.Q(('finished_at__isnull', False)), fields=['finished_at'], name='delivery_by_age')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('channel', 'email'), ('endpoint__isnull', True)), models.Q(('channel', 'webhook'), ('endpoint__isnull', False)), _connector='OR'), name='delivery_has_a_way')],
            },
        ),
    ]
