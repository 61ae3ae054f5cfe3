"""Invariants that Django cannot say: what was written stays written, and what runs is what was allowed."""

from django.db import migrations

# Written once. TRUNCATE is refused as well: row triggers do not see it.
WRITTEN_ONCE = (
    "event",
    "auditentry",
    "decision",
    "snapshot",
    "policycheck",
    "evaluation",
    "disposition",
    "evaluationpolicy",
    "ledgerentry",
)
# Written once but for these columns, which follow the run or the life of a rule.
MOVING = {
    "proposal": ("status", "disposition", "due_at"),
    "ruleversion": ("stage", "activated_at"),
    "workflowversion": (),
}

REFUSE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% never changes: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;

-- The arguments are the columns that may move; everything else must be as it was.
CREATE FUNCTION refuse_change_but_for() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(OLD) - TG_ARGV::text[] IS DISTINCT FROM to_jsonb(NEW) - TG_ARGV::text[] THEN
        RAISE EXCEPTION '% never changes: % refused', TG_TABLE_NAME, TG_OP
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
"""
UNDO_REFUSE = "DROP FUNCTION refuse_change_but_for(); DROP FUNCTION refuse_change();"


def append_only(table: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON orchestrator_{table}"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change();"
        f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON orchestrator_{table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();",
        f"DROP TRIGGER no_truncate ON orchestrator_{table};"
        f"DROP TRIGGER append_only ON orchestrator_{table};",
    )


def immutable(table: str, moving: tuple[str, ...]) -> migrations.RunSQL:
    columns = ", ".join(f"'{column}'" for column in moving)
    return migrations.RunSQL(
        f"CREATE TRIGGER immutable BEFORE UPDATE ON orchestrator_{table}"
        f" FOR EACH ROW EXECUTE FUNCTION refuse_change_but_for({columns});",
        f"DROP TRIGGER immutable ON orchestrator_{table};",
    )


SAME_PAYLOAD = """
ALTER TABLE orchestrator_effect ADD CONSTRAINT effect_same_payload
    FOREIGN KEY (proposal_id, payload_digest) REFERENCES orchestrator_proposal (id, digest);
"""
UNDO_SAME_PAYLOAD = "ALTER TABLE orchestrator_effect DROP CONSTRAINT effect_same_payload;"

ALLOWED = """
CREATE FUNCTION refuse_effect_without_permission() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.decision_id IS NOT NULL THEN
        PERFORM 1 FROM orchestrator_decision d JOIN orchestrator_reviewitem i ON i.id = d.item_id
          WHERE d.id = NEW.decision_id AND d.verdict = 'approve'
            AND d.payload_digest = NEW.payload_digest AND i.proposal_id = NEW.proposal_id;
    ELSE
        PERFORM 1 FROM orchestrator_disposition
          WHERE id = NEW.disposition_id AND verdict = 'accept' AND proposal_id = NEW.proposal_id;
    END IF;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'effect % is not allowed by what it names', NEW.id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER allowed
    BEFORE INSERT OR UPDATE OF proposal_id, payload_digest, disposition_id, decision_id
    ON orchestrator_effect FOR EACH ROW EXECUTE FUNCTION refuse_effect_without_permission();
"""
UNDO_ALLOWED = """
DROP TRIGGER allowed ON orchestrator_effect;
DROP FUNCTION refuse_effect_without_permission();
"""


class Migration(migrations.Migration):
    dependencies = [("orchestrator", "0001_initial")]

    operations = [
        migrations.RunSQL(REFUSE, UNDO_REFUSE),
        *(append_only(table) for table in WRITTEN_ONCE),
        *(immutable(table, moving) for table, moving in MOVING.items()),
        migrations.RunSQL(SAME_PAYLOAD, UNDO_SAME_PAYLOAD),
        migrations.RunSQL(ALLOWED, UNDO_ALLOWED),
    ]
