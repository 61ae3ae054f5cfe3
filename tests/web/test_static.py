"""Static files come as whole bytes, hashed, compressed, and small."""

import gzip

import pytest
from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse
from django.templatetags.static import static
from django.test import Client, RequestFactory

from orchestrator.static_files import StaticFilesMiddleware

CSS_BYTES_MAX = 10_000
JS_BYTES_MAX = 5_000
PAGE_BYTES_MAX = 60_000


@pytest.fixture
def serve(_collected_static: None) -> StaticFilesMiddleware:
    """Built after the files were collected: the middleware lists them when the server starts."""

    def elsewhere(request: HttpRequest) -> HttpResponse:
        return HttpResponse("not static", status=418)

    return StaticFilesMiddleware(elsewhere)


def test_it_serves_bytes_not_a_stream(serve: StaticFilesMiddleware, rf: RequestFactory) -> None:
    response = serve(rf.get(static("app.css")))
    assert response.status_code == 200
    assert not response.streaming
    assert not isinstance(response, FileResponse)
    assert response["Content-Type"].startswith("text/css")
    assert "immutable" in response["Cache-Control"]
    assert len(response.content) == int(response["Content-Length"])


def test_it_serves_the_compressed_file(serve: StaticFilesMiddleware, rf: RequestFactory) -> None:
    response = serve(rf.get(static("app.css"), headers={"Accept-Encoding": "gzip"}))
    assert response["Content-Encoding"] == "gzip"
    assert b"@layer" in gzip.decompress(response.content)


def test_it_answers_head_range_and_conditional_requests(
    serve: StaticFilesMiddleware, rf: RequestFactory
) -> None:
    path = static("app.css")
    head = serve(rf.head(path))
    assert (head.status_code, head.content) == (200, b"")
    assert int(head["Content-Length"]) > 0
    part = serve(rf.get(path, headers={"Range": "bytes=0-9"}))
    assert (part.status_code, len(part.content)) == (206, 10)
    beyond = serve(rf.get(path, headers={"Range": "bytes=99999999-"}))
    assert beyond.status_code == 416
    same = serve(rf.get(path, headers={"If-None-Match": head["ETag"]}))
    assert (same.status_code, same.content) == (304, b"")
    assert serve(rf.post(path)).status_code == 405


def test_everything_else_goes_on(serve: StaticFilesMiddleware, rf: RequestFactory) -> None:
    assert serve(rf.get("/queue/")).status_code == 418


def packed(name: str) -> int:
    return len(gzip.compress((settings.BASE_DIR / "static" / name).read_bytes(), 9))


def test_ours_stays_small() -> None:
    assert packed("app.css") < CSS_BYTES_MAX
    assert packed("app.js") < JS_BYTES_MAX


def test_a_page_with_everything_it_loads_stays_small(rita: Client) -> None:
    page = len(gzip.compress(rita.get("/queue/").content))
    names = ["app.css", "app.js", "vendor/htmx.min.js", "vendor/hx-ptag.min.js", "vendor/icons.svg"]
    assert page + sum(packed(name) for name in names) < PAGE_BYTES_MAX
