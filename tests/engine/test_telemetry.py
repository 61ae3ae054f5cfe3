"""Runs that ended, told to a collector: a real one of OTLP over HTTP, or none at all."""

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pytest_django import Settings

from orchestrator import trace_queries
from orchestrator.actions import endpoints, workflows
from orchestrator.actions import runs as actions
from orchestrator.actions.agents import Wish
from orchestrator.actions.endpoints import Whereabouts
from orchestrator.engine import background, telemetry
from orchestrator.models import Run, TelemetryMark
from orchestrator.telemetry import names
from orchestrator.telemetry.spans import Above, above, read_traceparent, told
from tests import runs, versions
from tests.agents.chat_server import Says, chat_server
from tests.conftest import SYSTEM, Cast
from tests.work import work_all

pytestmark = pytest.mark.django_db

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Collector(HTTPServer):
    """Takes what it is sent, or says that it is not well."""

    bodies: list[bytes]
    answer = 200


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.server.answer == 200 and self.path == "/v1/traces":
            self.server.bodies.append(body)
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def collector(settings: Settings) -> Iterator[Collector]:
    server = Collector(("127.0.0.1", 0), _Handler)
    server.bodies = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has just ended is told at once; the mark stands before all of it."""
    monkeypatch.setattr(telemetry, "SETTLED_AFTER_S", -3_600)
    TelemetryMark.objects.create(pk=1, ended_at=timezone.now() - timedelta(days=1))


def work() -> bool:
    return telemetry.work_one(lambda: False)


def spans_at(collector: Collector) -> list[Any]:
    found: list[Any] = []
    for body in collector.bodies:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                found += scope.spans
    return found


def attributes_of(span: Any) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value or 0 for one in span.attributes}


def test_a_collector_hears_of_every_span(collector: Collector) -> None:
    run = runs.start("invoices")
    work()
    spans = spans_at(collector)
    trace = trace_queries.trace_of(run).trace
    assert len(spans) == len(trace.spans)
    assert len({span.trace_id for span in spans}) == 1
    ids = {span.span_id for span in spans}
    assert [span for span in spans if not span.parent_span_id]
    assert all(span.parent_span_id in ids for span in spans if span.parent_span_id)
    calls = [
        found
        for span in spans
        if (found := attributes_of(span)).get(names.OPERATION) == "invoke_agent"
    ]
    assert len(calls) == 5
    assert calls[0][names.AGENT_NAME] == "list-agent"
    assert (calls[0][names.INPUT_TOKENS], calls[0][names.OUTPUT_TOKENS]) == (1_200, 80)
    assert {found[names.RUN] for found in map(attributes_of, spans)} == {run.pk}


def test_a_failure_is_an_error_and_nothing_that_was_said_is_told(collector: Collector) -> None:
    runs.start("failing", intent={"card": "4111-1111"})
    work()
    failed = [span for span in spans_at(collector) if span.status.code == 2]
    assert {attributes_of(span).get(names.ERROR_TYPE) for span in failed} >= {"agent-refused"}
    assert all(b"4111-1111" not in body for body in collector.bodies)


def test_an_agent_over_http_is_told_the_span_that_its_call_becomes(cast: Cast) -> None:
    """Also in a run below, which belongs to the trace of whoever started the one at the top."""
    ada = versions.keep(cast.ada)
    with chat_server() as own:
        own.says(Says(body=b'{"output": 1}'))
        where = Whereabouts(
            provider="http", base_url=own.url, is_local=True, data_classes=["internal"]
        )
        endpoints.make(ada, "own", where)
        versions.write(
            ada, "clerk", Wish(adapter="http", endpoints=["own"], data_classes=["internal"])
        )
        versions.deploy(ada, "clerk", stable=1)
        workflows.save(SYSTEM, "below", versions.pipeline(versions.stage("ask")))
        workflows.save(SYSTEM, "top", versions.pipeline({"name": "go", "workflow": "below"}))
        top = actions.start(SYSTEM, workflow="top", intent=None, traceparent=TRACEPARENT)
        work_all()
        (header,) = [headers["traceparent"] for headers in own.headers]
    below = Run.objects.select_related("workflow_version__workflow").get(parent=top)
    hangs = above(top.pk, TRACEPARENT, top.pk, below.pk)
    (call,) = [
        one
        for one in told(trace_queries.trace_of(below), hangs)
        if one.attributes.get(names.OPERATION) == "invoke_agent"
    ]
    assert read_traceparent(header) == Above(call.trace_id, call.span_id)
    assert header.split("-")[1] == TRACEPARENT.split("-")[1]
    # No collector is told of it.
    assert header.endswith("-00")


def test_each_run_is_told_once(collector: Collector) -> None:
    runs.start("invoices")
    work()
    work()
    assert len(collector.bodies) == 1
    runs.start("invoices")
    work()
    assert len(collector.bodies) == 2


def test_one_that_is_not_well_hears_of_it_later(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector.answer = 400
    runs.start("invoices")
    assert not work()
    collector.answer = 200
    assert not work()
    assert collector.bodies == []
    TelemetryMark.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    work()
    assert len(collector.bodies) == 1


def test_a_run_inside_hangs_below_the_one_that_started_it(collector: Collector) -> None:
    runs.save("failing")
    runs.start("parent")
    work()
    spans = spans_at(collector)
    assert len({span.trace_id for span in spans}) == 1
    ids = {span.span_id for span in spans}
    assert len([span for span in spans if span.parent_span_id not in ids]) == 1


def test_a_caller_finds_the_run_in_a_trace_of_their_own(collector: Collector) -> None:
    runs.save("invoices")
    actions.start(runs.SYSTEM, workflow="invoices", intent=None, traceparent=TRACEPARENT)
    work_all()
    work()
    spans = spans_at(collector)
    assert {span.trace_id.hex() for span in spans} == {TRACEPARENT[3:35]}
    assert TRACEPARENT[36:52] in {span.parent_span_id.hex() for span in spans}


def test_without_a_collector_nothing_is_done(settings: Settings) -> None:
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = ""
    TelemetryMark.objects.all().delete()
    assert not work()
    assert not TelemetryMark.objects.exists()
    assert telemetry.work_one in background.JOBS


def test_what_sends_is_imported_only_when_there_is_somewhere_to_send_it() -> None:
    """Others may use OpenTelemetry's interfaces, as the client of Redis does where they are installed."""
    program = (
        "import django; django.setup(); import orchestrator.asgi, orchestrator.urls, sys;"
        "from orchestrator.engine import background, telemetry;"
        "from orchestrator.management.commands import worker;"
        "assert not telemetry.work_one(lambda: False);"
        "assert not {'orchestrator.telemetry.otlp', 'opentelemetry.exporter'} & sys.modules.keys()"
    )
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "orchestrator.settings",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "",
    }
    root = str(django_settings.BASE_DIR)
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root, env=environment)


def test_the_first_time_it_begins_with_what_ends_from_now_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = "http://127.0.0.1:9"
    TelemetryMark.objects.all().delete()
    runs.start("invoices")
    sent: list[Any] = []
    monkeypatch.setattr(telemetry, "_send", lambda found: sent.append(found) or True)
    mark = telemetry._claim()
    assert mark is not None
    assert all(run.ended_at > mark.ended_at for run in telemetry._next(mark) if run.ended_at)


def test_ids_can_be_worked_out_again() -> None:
    run = runs.start("invoices")
    found = trace_queries.trace_of(run)
    place = above(run.pk, "", "", run.pk)
    assert list(told(found, place)) == list(told(trace_queries.trace_of(run), place))
    assert len({one.span_id for one in told(found, place)}) == len(found.trace.spans)


@pytest.mark.parametrize(
    "said", ["", "x", TRACEPARENT[:-1], "00-" + "0" * 32 + TRACEPARENT[35:], TRACEPARENT.upper()]
)
def test_what_is_no_traceparent_names_nothing(said: str) -> None:
    assert read_traceparent(said) is None
    assert read_traceparent(TRACEPARENT) is not None


def test_it_reads_along_an_index() -> None:
    runs.start("invoices")
    mark = TelemetryMark.objects.get()
    rows = Run.objects.filter(ended_at__gte=mark.ended_at).order_by("ended_at", "pk")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_sort = off")
    assert "run_ended" in rows[:10].explain()
