from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orchestrator", "0027_call_pieces"),
    ]

    operations = [
        migrations.AddField(
            model_name="endpoint",
            name="auth",
            field=models.CharField(
                choices=[
                    ("bearer", "Sent, as a bearer token"),
                    ("hmac", "Each call is signed with it"),
                    ("none", "Not at all"),
                ],
                db_default="bearer",
                default="bearer",
                max_length=10,
            ),
        ),
        # Agents behind tools: how deep within the pieces of a call.
        migrations.AddField(
            model_name="callpiece",
            name="depth",
            field=models.PositiveIntegerField(db_default=0),
        ),
    ]
