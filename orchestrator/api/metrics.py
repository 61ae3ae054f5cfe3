"""GET /metrics, for Prometheus: shut unless METRICS_TOKEN is set, and for nobody else."""

import threading
import time
from collections.abc import Iterable, Iterator

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe

from orchestrator import metric_queries
from orchestrator.metric_queries import Metric, Sample

# The text format 0.0.4, which every version of Prometheus reads.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The same for everybody who asks within METRICS_CACHE_S."""
    if not settings.METRICS_TOKEN:
        raise Http404
    shown = request.headers.get("Authorization", "")
    if not constant_time_compare(shown, f"Bearer {settings.METRICS_TOKEN}"):
        refused = HttpResponse("Show METRICS_TOKEN as a bearer token.\n", "text/plain", status=401)
        refused["WWW-Authenticate"] = "Bearer"
        return refused
    return HttpResponse(_PAGE.text(), CONTENT_TYPE)


class _Page:
    """The last answer of this process. Whoever asks while it is made waits for it, and asks nothing twice."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._text = ""
        self._until = 0.0

    def text(self) -> str:
        with self._lock:
            if time.monotonic() >= self._until:
                self._text = expose(metric_queries.metrics())
                self._until = time.monotonic() + settings.METRICS_CACHE_S
            return self._text


_PAGE = _Page()


def expose(found: Iterable[Metric]) -> str:
    return "".join(line for metric in found for line in _lines(metric))


def _lines(metric: Metric) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.about}\n# TYPE {metric.name} {metric.kind}\n"
    for sample in metric.samples:
        yield f"{metric.name}{sample.ending}{_labels(sample)} {sample.value:.15g}\n"


def _labels(sample: Sample) -> str:
    named = ",".join(f'{name}="{_escaped(text)}"' for name, text in sample.labels.items())
    return f"{{{named}}}" if named else ""


def _escaped(text: str) -> str:
    """Agents name themselves, and must not write lines of their own."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
