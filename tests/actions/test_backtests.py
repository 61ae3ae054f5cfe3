"""Asking for a backtest and cancelling it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from datetime import timezone as zone
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from orchestrator import queue
from orchestrator.actions import backtests, rules
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import BadInput, NotAllowed
from orchestrator.engine import backtest as engine
from orchestrator.engine.backtest_claims import claim
from orchestrator.models import AuditEntry, Backtest, RuleVersion
from tests.conftest import Cast

NOW = timezone.now()
WEST, EAST = zone(-timedelta(hours=12)), zone(timedelta(hours=12))


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    heard: list[str] = []
    monkeypatch.setattr(queue, "ring", lambda name, ids: heard.append(name))
    return heard


@pytest.fixture
def version(cast: Cast, rung: list[str]) -> RuleVersion:
    return rules.draft(
        Actor(cast.ada), slug="limit", title="A limit", effect="hold", condition="1 < 2"
    )


def test_the_last_thirty_days_unless_told_otherwise(
    cast: Cast, version: RuleVersion, settings: Settings
) -> None:
    settings.BACKTEST_PROPOSALS_MAX = 500
    asked = backtests.request(Actor(cast.ada), version)
    assert asked.until - asked.since == timedelta(days=30)
    assert timedelta(seconds=-10) < asked.until - timezone.now() <= timedelta(minutes=1)
    assert asked.proposals_max == 500
    assert (asked.status, asked.against, asked.requested_by) == ("waiting", None, cast.ada)
    assert asked.content_hash == version.content_hash
    entry = AuditEntry.objects.get(verb="backtest.requested")
    assert (entry.user, entry.object_id) == (cast.ada, "rule/limit")
    assert entry.detail["backtest"] == asked.pk


def test_it_is_compared_with_what_is_active_now(
    cast: Cast, version: RuleVersion, rule: Callable[..., None]
) -> None:
    rule(slug="limit")
    active = RuleVersion.objects.get(stage="active")
    assert backtests.request(Actor(cast.ada), version).against == active


def test_the_bell_is_rung_after_the_commit(
    cast: Cast,
    version: RuleVersion,
    rung: list[str],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        backtests.request(Actor(cast.ada), version)
        assert rung == []
    assert rung == ["background"]


def test_asking_again_gives_the_one_that_is_open(cast: Cast, version: RuleVersion) -> None:
    first = backtests.request(Actor(cast.ada), version)
    again = backtests.request(Actor(cast.ada), version, proposals_max=7)
    assert again == first
    assert AuditEntry.objects.filter(verb="backtest.requested").count() == 1
    while engine.work_one(lambda: False):
        pass
    assert backtests.request(Actor(cast.ada), version) != first


@pytest.mark.parametrize("who", ["rita", "max", "agents"])
def test_only_admins_may(cast: Cast, version: RuleVersion, who: str) -> None:
    actor = Actor(getattr(cast, who))
    with pytest.raises(NotAllowed, match="may not backtest a rule"):
        backtests.request(actor, version)
    asked = backtests.request(Actor(cast.ada), version)
    with pytest.raises(NotAllowed, match="may not cancel backtests"):
        backtests.cancel(actor, asked)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"proposals_max": 0}, "from 1 to 1,000,000"),
        ({"proposals_max": 1_000_001}, "from 1 to 1,000,000"),
        ({"since": NOW, "until": NOW}, "earlier than `until`"),
        ({"since": NOW, "until": NOW - timedelta(days=1)}, "earlier than `until`"),
        ({"since": datetime(2026, 1, 1)}, "with a time zone"),  # noqa: DTZ001
        ({"until": datetime(2026, 1, 1)}, "with a time zone"),  # noqa: DTZ001
        ({"until": datetime(9999, 12, 31, 20, tzinfo=WEST)}, "outside of the years 1 to 9999"),
        ({"until": datetime(1, 1, 1, tzinfo=EAST)}, "outside of the years 1 to 9999"),
        ({"since": datetime(1, 1, 1, tzinfo=EAST)}, "outside of the years 1 to 9999"),
        ({"until": datetime(1, 1, 5, tzinfo=UTC)}, "after 1970"),
        ({"until": NOW + timedelta(days=1)}, "lies in the future"),
    ],
)
def test_what_cannot_be_is_refused(
    cast: Cast, version: RuleVersion, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence):
        backtests.request(Actor(cast.ada), version, **options)
    assert not Backtest.objects.exists()


def test_a_window_begins_no_earlier_than_anything_could_be_recorded(
    cast: Cast, version: RuleVersion
) -> None:
    asked = backtests.request(Actor(cast.ada), version, since=datetime(1, 1, 2, tzinfo=UTC))
    assert asked.since == backtests.OLDEST
    assert [one.pk for one in claim()] == [asked.pk]


def test_those_asked_for_within_a_minute_share_one_reading(
    cast: Cast, version: RuleVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = rules.draft(
        Actor(cast.ada), slug="other", title="Another", effect="hold", condition="1 < 2"
    )
    minute = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    times = [minute, minute + timedelta(seconds=59)]
    for moment, one in zip(times, (version, other), strict=True):
        monkeypatch.setattr(timezone, "now", lambda moment=moment: moment)
        # What was proposed a moment ago is looked at.
        assert backtests.request(Actor(cast.ada), one).until == minute + timedelta(minutes=1)
    assert len(claim()) == 2


def test_one_that_waits_is_cancelled_at_once(cast: Cast, version: RuleVersion) -> None:
    asked = backtests.cancel(Actor(cast.ada), backtests.request(Actor(cast.ada), version))
    assert asked.status == "cancelled"
    assert asked.ended_at is not None
    assert not engine.work_one(lambda: False)
    version.refresh_from_db()
    assert version.stage == "draft"
    assert AuditEntry.objects.get(verb="backtest.cancelled").detail["backtest"] == asked.pk


def test_one_whose_worker_died_is_cancelled_at_once(cast: Cast, version: RuleVersion) -> None:
    asked = backtests.request(Actor(cast.ada), version)
    claim()
    Backtest.objects.update(lease_until=NOW - timedelta(days=1))
    assert backtests.cancel(Actor(cast.ada), asked).status == "cancelled"


def test_what_has_ended_stays_as_it_is(cast: Cast, version: RuleVersion) -> None:
    asked = backtests.request(Actor(cast.ada), version)
    engine.work_one(lambda: False)
    assert backtests.cancel(Actor(cast.ada), asked).status == "done"
    assert not AuditEntry.objects.filter(verb="backtest.cancelled").exists()
