"""Invariants that Django cannot say: what was written stays written, and what runs is what was proposed."""

from django.db import migrations

APPEND_ONLY = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON orchestrator_event
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON orchestrator_auditentry
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON orchestrator_decision
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""
UNDO_APPEND_ONLY = """
DROP TRIGGER append_only ON orchestrator_decision;
DROP TRIGGER append_only ON orchestrator_auditentry;
DROP TRIGGER append_only ON orchestrator_event;
DROP FUNCTION refuse_change();
"""

SAME_PAYLOAD = """
ALTER TABLE orchestrator_effect ADD CONSTRAINT effect_same_payload
    FOREIGN KEY (proposal_id, payload_digest) REFERENCES orchestrator_proposal (id, digest);
CREATE FUNCTION refuse_new_payload() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was proposed never changes (%)', OLD.id
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER payload_is_immutable BEFORE UPDATE OF payload, digest, action, target
    ON orchestrator_proposal FOR EACH ROW
    WHEN ((OLD.payload, OLD.digest, OLD.action, OLD.target)
          IS DISTINCT FROM (NEW.payload, NEW.digest, NEW.action, NEW.target))
    EXECUTE FUNCTION refuse_new_payload();
"""
UNDO_SAME_PAYLOAD = """
DROP TRIGGER payload_is_immutable ON orchestrator_proposal;
DROP FUNCTION refuse_new_payload();
ALTER TABLE orchestrator_effect DROP CONSTRAINT effect_same_payload;
"""


class Migration(migrations.Migration):
    dependencies = [("orchestrator", "0001_initial")]

    operations = [
        migrations.RunSQL(APPEND_ONLY, UNDO_APPEND_ONLY),
        migrations.RunSQL(SAME_PAYLOAD, UNDO_SAME_PAYLOAD),
    ]
