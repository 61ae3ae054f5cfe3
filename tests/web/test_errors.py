"""Refusals have a page, and a fragment never gets a whole one."""

import logging

import pytest
from django.test import Client, RequestFactory

from review.views import errors
from tests.web.conftest import HTMX


def test_not_found_is_a_page_of_ours(rita: Client) -> None:
    response = rita.get("/nothing/here/")
    assert response.status_code == 404
    assert "There is nothing here." in response.text


def test_not_found_is_one_line_for_a_fragment(rita: Client) -> None:
    response = rita.get("/nothing/here/", headers=HTMX)
    assert response.status_code == 404
    assert response["HX-Retarget"] == "#notice"
    assert b"<html" not in response.content


def test_a_crash_says_what_is_recorded_and_needs_no_database(rf: RequestFactory) -> None:
    response = errors.server_error(rf.get("/"))
    assert response.status_code == 500
    assert b"recorded whole or not at all" in response.content
    assert b"<script" not in response.content


def test_a_crash_is_answered_with_that_page(
    rita: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*filters: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr("review.queue_reads.fitting", fail)
    rita.raise_request_exception = False
    with caplog.at_level(logging.CRITICAL):
        response = rita.get("/queue/")
    assert response.status_code == 500
    assert "The server failed while answering." in response.text
    assert "broken on purpose" not in response.text


@pytest.mark.parametrize("template", ["forbidden", "bad_request"])
def test_the_other_refusals_render(rf: RequestFactory, template: str) -> None:
    request = rf.get("/")
    assert getattr(errors, template)(request, None).status_code in {400, 403}
