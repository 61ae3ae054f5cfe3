"""Sends spans by OTLP over HTTP. The one module that knows OpenTelemetry, imported when it is wanted."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from orchestrator.telemetry import names
from orchestrator.telemetry.spans import Told

TIMEOUT_S = 10
# Of one post.
SPANS_MAX = 500


def send(spans: Iterable[Told]) -> bool:
    """Whether the collector took them all. One that is away is waited for TIMEOUT_S and no longer."""
    endpoint = f"{settings.OTEL_EXPORTER_OTLP_ENDPOINT.rstrip('/')}/v1/traces"
    # Its `shutdown` says nothing of types.
    exporter: Any = OTLPSpanExporter(endpoint=endpoint, timeout=TIMEOUT_S)
    resource = Resource({names.SERVICE_NAME: settings.OTEL_SERVICE_NAME})
    ready = [_span(told, resource) for told in spans]
    try:
        posts = (ready[n : n + SPANS_MAX] for n in range(0, len(ready), SPANS_MAX))
        return all(exporter.export(post) is SpanExportResult.SUCCESS for post in posts)
    finally:
        exporter.shutdown()


def _span(told: Told, resource: Resource) -> ReadableSpan:
    parent = _context(told.trace_id, told.parent_id) if told.parent_id else None
    status = Status(StatusCode.ERROR, told.error) if told.has_failed else Status(StatusCode.UNSET)
    return ReadableSpan(
        told.name,
        context=_context(told.trace_id, told.span_id),
        parent=parent,
        resource=resource,
        attributes=told.attributes,
        kind=SpanKind.CLIENT if told.is_client else SpanKind.INTERNAL,
        status=status,
        start_time=told.began_ns,
        end_time=told.ended_ns,
        instrumentation_scope=InstrumentationScope(names.SCOPE),
    )


def _context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(1))
