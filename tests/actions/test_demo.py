import json
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command
from pytest_django import Settings

from orchestrator.actions import tokens, users
from orchestrator.actions.demo_teamwork import TOGETHER
from orchestrator.core.definitions import DIRECT
from orchestrator.models import InboundEvent, Observation, Proposal, ReviewItem, Run
from tests.conftest import SYSTEM
from tests.work import work_all


@pytest.fixture
def credentials(reasons: None, settings: Settings, tmp_path: Path) -> Path:
    settings.VAR_DIR = tmp_path
    return tmp_path / "demo-credentials.json"


def demo() -> str:
    out = StringIO()
    call_command("demo", stdout=out)
    return out.getvalue()


def test_it_loads_people_tokens_and_a_queue(db: None, credentials: Path) -> None:
    assert "is loaded" in demo()
    kept = json.loads(credentials.read_text())
    assert set(kept) == {"base_url", "users", "tokens"}
    assert set(kept["users"]) == {"reviewer", "reviewer2", "admin", "admin2", "manager"}
    assert set(kept["tokens"]) == {"propose", "runs", "events", "read", "review", "admin"}
    for name, password in kept["users"].items():
        assert authenticate(username=name, password=password)
    for scope, text in kept["tokens"].items():
        found = tokens.find(text)
        assert found is not None
        assert found.scopes == [scope]
    assert credentials.stat().st_mode & 0o077 == 0
    found_statuses = set(Proposal.objects.values_list("status", flat=True))
    assert found_statuses >= {"accepted", "in_review", "revision_requested", "rejected", "blocked"}


@pytest.mark.usefixtures("hurried")
def test_its_runs_wait_for_a_person_and_for_a_customer(db: None, credentials: Path) -> None:
    demo()
    work_all()
    planned = Run.objects.exclude(workflow_version__definition=DIRECT)
    desk = planned.filter(workflow_version__workflow__slug="front-desk")
    assert set(desk.values_list("status", "route__by")) == {
        ("completed", "rule"),
        ("completed", "model"),
    }
    together = planned.filter(workflow_version__workflow__slug__in=TOGETHER)
    assert dict(together.values_list("workflow_version__workflow__slug", "status")) == {
        "goodwill": "waiting",
        "order-history": "completed",
        "account-closing": "completed",
        "failed-payment": "completed",
    }
    assert set(Observation.objects.values_list("key", flat=True)) >= {"why/A-20931"}
    waiting = planned.exclude(pk__in=desk).exclude(pk__in=together)
    assert set(waiting.values_list("status", flat=True)) == {"waiting"}
    # One that was started, and one by an event.
    assert ReviewItem.objects.filter(kind="approval").count() == 2


def test_its_events_start_runs_or_are_dead_letters(db: None, credentials: Path) -> None:
    demo()
    assert sorted(InboundEvent.objects.values_list("status", "reason")) == [
        ("dead", "invalid"),
        ("dead", "late"),
        ("dead", "route_error"),
        ("dead", "unknown_type"),
        ("routed", ""),
        ("routed", ""),
    ]


def test_loading_again_changes_nothing_but_the_address(
    db: None, credentials: Path, settings: Settings
) -> None:
    demo()
    before = json.loads(credentials.read_text())
    count = Proposal.objects.count()
    settings.BASE_URL = "http://127.0.0.1:8123"
    assert "already" in demo()
    assert json.loads(credentials.read_text()) == {**before, "base_url": settings.BASE_URL}
    assert Proposal.objects.count() == count


def test_it_leaves_an_instance_with_users_alone(db: None, credentials: Path) -> None:
    users.create(SYSTEM, username="ada", password="x", role="admin")
    assert "users of its own" in demo()
    assert not credentials.exists()
    assert not Proposal.objects.exists()
