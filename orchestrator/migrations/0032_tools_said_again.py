from django.db import migrations


class Migration(migrations.Migration):
    """What was said before may be said again by another version, which is approved anew."""

    dependencies = [("orchestrator", "0031_unpriced_calls")]

    operations = [
        migrations.RemoveConstraint(model_name="toolversion", name="tool_version_content_unique"),
    ]
