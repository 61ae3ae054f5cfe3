"""Track records over the API."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from orchestrator.engine import track_records
from orchestrator.models import EvaluationPolicy, Proposal, TrackRecord
from tests.conftest import Cast
from tests.labelled import Told, store


@pytest.fixture
def get(client: Client, token: Callable[..., str]) -> Callable[[str], Any]:
    headers = {"Authorization": f"Bearer {token('read')}"}
    return lambda path: client.get(f"/api/v1/calibration{path}", headers=headers)


@pytest.fixture
def known(cast: Cast, propose: Callable[..., Proposal]) -> TrackRecord:
    beside = propose(agent="another", confidence=0.3)
    EvaluationPolicy.objects.create(
        number=2,
        agent="refund-agent",
        stage="active",
        accept_above=0.9,
        escalate_at_or_below=0.6,
        target_error=0.2,
    )
    told = [Told(0.96, right=True) for _ in range(120)]
    store(told, beside=beside, reviewer=cast.rita, until=timezone.now())
    while track_records.work_one(lambda: False):
        pass
    return TrackRecord.objects.get(agent="refund-agent")


def test_one(known: TrackRecord, get: Callable[[str], Any]) -> None:
    found = get(f"/{known.pk}").json()
    assert (found["agent"], found["labels"], found["stands_down"]) == ("refund-agent", 120, False)
    assert found["bins"][9]["labels"] == 120
    assert found["threshold"]["accept_above"] == 0.5
    assert found["threshold"]["stale"] == []
    assert "error at most" in found["threshold"]["sentence"]
    assert known.calibrator is not None
    assert found["calibrator"] == known.calibrator.name


def test_by_pages(db: None, get: Callable[[str], Any]) -> None:
    for number in range(3):
        TrackRecord.objects.create(agent=f"agent-{number}", action="do")
    # By their ids: of those made within a millisecond, any may be the oldest.
    names = list(TrackRecord.objects.order_by("pk").values_list("agent", flat=True))
    first = get("?limit=2").json()
    assert [one["agent"] for one in first["records"]] == names[:2]
    second = get(f"?limit=2&after={first['next']}").json()
    assert ([one["agent"] for one in second["records"]], second["next"]) == (names[2:], None)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/trk_none", 404),
        ("/trk_01jd3v80000000000000000000", 404),
        ("?after=x", 422),
        ("?no=1", 422),
    ],
)
def test_refused(db: None, get: Callable[[str], Any], path: str, status: int) -> None:
    assert get(path).status_code == status
