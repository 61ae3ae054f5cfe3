"""Signed statements about the log, and the one moment in which nobody appends to it."""

from importlib import import_module

from django.db import migrations, models

append_only = import_module("orchestrator.migrations.0002_invariants").append_only

# To lock the table takes more rights than the application has, so its owner lends it this much.
# A vacuum holds a lock that ours would wait for, with everybody who appends behind it: then not now.
HORIZON = """
CREATE FUNCTION log_horizon(patience_ms integer, OUT newest bigint, OUT at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '1s' AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_locks
                WHERE relation = 'public.orchestrator_event'::regclass AND locktype = 'relation'
                  AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
                  AND mode = 'ShareUpdateExclusiveLock' AND granted) THEN
        RAISE EXCEPTION 'a vacuum works on the log' USING ERRCODE = 'lock_not_available';
    END IF;
    PERFORM pg_catalog.set_config('lock_timeout', patience_ms || 'ms', true);
    LOCK TABLE public.orchestrator_event IN SHARE MODE;
    SELECT max(id), clock_timestamp() INTO newest, at FROM public.orchestrator_event;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("orchestrator", "0003_engine")]

    operations = [
        migrations.CreateModel(
            name="Checkpoint",
            fields=[
                ("number", models.PositiveBigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("up_to_event", models.BigIntegerField()),
                ("events", models.PositiveIntegerField()),
                ("root", models.CharField(max_length=64)),
                ("previous", models.CharField(help_text="hash of the line before", max_length=64)),
                ("line", models.TextField(help_text="the text that is signed")),
                ("signature", models.CharField(max_length=128)),
            ],
        ),
        append_only("checkpoint"),
        migrations.RunSQL(HORIZON, "DROP FUNCTION log_horizon"),
    ]
