import pytest
from django.db import OperationalError
from django.test import Client

from orchestrator.actions import proposals
from orchestrator.models import Run
from tests.api.conftest import REFUND, Call


def test_a_failure_of_ours_is_a_problem_with_an_id_that_is_in_the_log(
    call: Call, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: object) -> None:
        raise OperationalError("the database went away")

    monkeypatch.setattr(proposals, "submit", away)
    response = call("POST", "/proposals", REFUND)
    assert response.status_code == 500
    problem = response.json()
    assert problem["type"] == "urn:countersign:problem:server-error"
    error_id = problem["title"].split("(error ")[1][:8]
    assert error_id in caplog.text
    assert "the database went away" in caplog.text
    assert not Run.objects.exists()


def test_an_unknown_address_below_api_is_a_problem_for_every_method(client: Client) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        response = Client(enforce_csrf_checks=True).generic(method, "/api/v1/nope")
        assert response.status_code == 404
        assert response["Content-Type"] == "application/problem+json"
