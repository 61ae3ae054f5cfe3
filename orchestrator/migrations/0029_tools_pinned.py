import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# Until now nobody but who made a server is known to have said where it is.
SAVED_BY = "UPDATE orchestrator_toolserver SET changed_by_id = created_by_id"


class Migration(migrations.Migration):
    dependencies = [
        ("orchestrator", "0028_endpoint_auth"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="toolserver",
            name="changed_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="effect",
            name="tool_version",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="orchestrator.toolversion",
            ),
        ),
        migrations.RunSQL(SAVED_BY, migrations.RunSQL.noop),
    ]
