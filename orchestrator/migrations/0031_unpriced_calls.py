"""Days with calls that told nothing of their cost are counted again: those count as unpriced, too."""

from django.db import migrations

MARK = """
INSERT INTO orchestrator_changedday (day)
SELECT DISTINCT day FROM orchestrator_callday WHERE unknown > 0
"""


class Migration(migrations.Migration):
    dependencies = [("orchestrator", "0030_classes")]

    operations = [migrations.RunSQL(MARK, migrations.RunSQL.noop)]
