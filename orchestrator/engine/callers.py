"""What an agent behind HTTP is told of the trace that its call belongs to, worked out before the call."""

from collections.abc import Sequence

from django.conf import settings

from orchestrator.engine import sql
from orchestrator.engine.claim import Claimed
from orchestrator.telemetry import spans

# The run at the top, and the trace that its caller named. An intent may be long, and is not read for it.
_ROOTS = """
    WITH RECURSIVE up AS (
        SELECT id AS run, id, parent_id FROM orchestrator_run WHERE id = ANY(%(runs)s::text[])
        UNION ALL
        SELECT up.run, p.id, p.parent_id FROM up JOIN orchestrator_run p ON p.id = up.parent_id
    )
    SELECT up.run, up.id,
           CASE WHEN position('"traceparent"' IN e.payload) > 0
                THEN e.payload::jsonb ->> 'traceparent' END
      FROM up JOIN orchestrator_event e ON e.run_id = up.id AND e.seq = 1
     WHERE up.parent_id IS NULL
"""


def traceparents(claims: Sequence[Claimed]) -> dict[int, str]:
    """By claim; the same whenever the same command is tried."""
    if not claims:
        return {}
    runs = sorted({claimed.run for claimed in claims})
    traces = {
        run: spans.above(root, told or "", "", root).trace_id
        for run, root, told in sql.execute(_ROOTS, {"runs": runs})
    }
    is_exported = bool(settings.OTEL_EXPORTER_OTLP_ENDPOINT)
    return {
        claimed.id: spans.traceparent(
            traces[claimed.run], spans.call_number(claimed.run, claimed.id), is_exported=is_exported
        )
        for claimed in claims
        if claimed.run in traces
    }
