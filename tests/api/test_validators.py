"""What an outside agent is told while its proposal is validated, and after."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from orchestrator import plugins
from orchestrator.models import Proposal
from tests.api.test_revisions import BODY
from tests.conftest import Cast
from tests.judges import put_in_force
from tests.work import work_all, work_shift

type Send = Callable[..., Any]


@pytest.fixture(autouse=True)
def _judges(settings: Settings, cast: Cast) -> Iterator[None]:
    settings.AGENT_MODULES = ["tests.judges"]
    plugins.load.cache_clear()
    yield
    plugins.load.cache_clear()


@pytest.fixture
def send(client: Client, token: Callable[..., str]) -> Send:
    headers = {"Authorization": f"Bearer {token('propose')}"}

    def ask(path: str = "", body: dict[str, Any] | None = None) -> Any:
        address = f"/api/v1/proposals{path}"
        if body is None:
            return client.get(address, headers=headers).json()
        return client.post(address, body, content_type="application/json", headers=headers).json()

    return ask


def test_it_says_whom_it_waits_for_and_then_what_they_said(send: Send) -> None:
    put_in_force("calm", "lukewarm")
    told = send("", BODY)
    assert (told["status"], told["evaluation"], told["requires_human"]) == (
        "evaluating",
        None,
        False,
    )
    names = [{"name": "calm", "heard": False}, {"name": "lukewarm", "heard": False}]
    assert told["validators"] == names
    work_shift("agents", at_most=1)
    assert [one["heard"] for one in send(f"/{told['id']}")["validators"]] == [True, False]
    work_all()
    told = send(f"/{told['id']}")
    assert (told["status"], told["validators"]) == ("revision_requested", [])
    calm = next(part for part in told["evaluation"]["parts"] if part["name"] == "calm")
    assert (calm["evaluator"], calm["version"], calm["score"]) == ("validator", "7", 0.95)
    assert calm["validation"]["verdict"] == "pass"
    assert calm["validation"]["reasons"] == ["It is polite."]
    assert calm["validation"]["money_micros"] == 1_300
    assert calm["validation"]["policy"] == 2


def test_what_is_sent_back_says_who_objects(send: Send) -> None:
    put_in_force("lukewarm")
    pk = send("", BODY)["id"]
    work_all()
    wanted = send(f"/{pk}?wait=5")["revision_wanted"]
    nobody = {"rule": None, "validator": None, "band": None}
    assert wanted["reasons"] == [
        nobody | {"code": "validator", "validator": "lukewarm", "text": "The tone is curt."},
        nobody | {"code": "validator", "validator": "lukewarm", "text": "<b>Greet them.</b>"},
        nobody
        | {"code": "band", "band": "revise", "text": "score 0.7 is over 0.6 but not over 0.9"},
    ]
    assert (wanted["asked"], wanted["round"], wanted["rounds_left"]) == ("", 1, 5)


@pytest.mark.django_db(transaction=True)
def test_the_long_poll_waits_until_it_is_settled(send: Send) -> None:
    put_in_force("calm")
    pk = send("", BODY)["id"]
    worker = threading.Timer(0.6, _work_by_oneself)
    began = time.monotonic()
    worker.start()
    told = send(f"/{pk}?wait=10")
    worker.join()
    assert told["status"] == "executed"
    assert time.monotonic() - began > 0.5


def _work_by_oneself() -> None:
    work_all()
    connection.close()


def test_while_it_is_validated_no_revision_is_wanted(send: Send) -> None:
    put_in_force("calm")
    pk = send("", BODY)["id"]
    assert send(f"/{pk}/revisions", BODY)["status"] == 409
    assert Proposal.objects.count() == 1
