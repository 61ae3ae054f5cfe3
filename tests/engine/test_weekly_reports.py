"""The weekly report: what it says is what the reports say, and it comes once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from orchestrator.actions import demo_scale, users
from orchestrator.actions import notices as choices
from orchestrator.actions.actor import Actor
from orchestrator.actions.demo_scale_cast import AGENTS
from orchestrator.core.errors import BadInput, NotAllowed
from orchestrator.engine import deliveries, outbox, rollups, weekly_reports
from orchestrator.engine.weekly_letter import RULES_MAX, letter_of
from orchestrator.engine.weekly_reports import send_due
from orchestrator.models import ChangedDay, Delivery, Proposal, WeeklyReport
from orchestrator.report_queries.scope import Scope
from orchestrator.report_queries.weekly import Week, week, week_over_at
from tests.conftest import PASSWORD, SYSTEM, Cast
from tests.engine.mail_server import MailServer

Owner = Callable[[], AbstractContextManager[CursorWrapper]]
WEEK = timedelta(days=7)
MONDAY = date(2026, 11, 16)


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "EMAIL_URL", "smtp://mail.test")


def want(person: User, *, wants: bool = True) -> None:
    address = f"{person.username}@example.com"
    choices.choose(Actor(person), {}, address=address, weekly_report=wants)
    Delivery.objects.filter(kind=Delivery.TEST).delete()


def last_week() -> Scope:
    return week_over_at(timezone.now(), settings.WEEKLY_REPORT_HOUR)


def addresses() -> list[str]:
    reports = Delivery.objects.filter(kind=Delivery.WEEKLY_REPORT)
    return sorted(reports.values_list("address", flat=True))


# When -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "hour", "since"),
    [
        (23, 6, MONDAY),
        (23, 5, MONDAY - WEEK),
        (22, 23, MONDAY - WEEK),
        (24, 0, MONDAY),
        (29, 23, MONDAY),
        (30, 5, MONDAY),
        (30, 6, MONDAY + WEEK),
    ],
)
def test_a_week_is_over_on_monday_morning(day: int, hour: int, since: date) -> None:
    scope = week_over_at(datetime(2026, 11, day, hour, 59, tzinfo=UTC), 6)
    assert (scope.since, scope.until) == (since, since + WEEK)
    at_midnight = week_over_at(datetime(2026, 11, 23, tzinfo=UTC), 0)
    assert (at_midnight.since, at_midnight.until) == (MONDAY, MONDAY + WEEK)


# To whom, and how often -------------------------------------------------------------------------


def test_it_comes_once_a_week_to_whoever_wants_it(mail: None, cast: Cast) -> None:
    want(cast.max)
    want(cast.ada)
    now = timezone.now()
    for weeks in (2, 1, 0):
        assert send_due(now - weeks * WEEK) == 2
        assert send_due(now - weeks * WEEK) == 0
    assert send_due(now - WEEK) == 0
    assert addresses() == ["ada@example.com"] * 3 + ["max@example.com"] * 3
    assert set(WeeklyReport.objects.values_list("sent_for", flat=True)) == {last_week().since}


def test_what_was_missed_is_not_made_up_for(mail: None, cast: Cast) -> None:
    want(cast.max)
    send_due(timezone.now() - 5 * WEEK)
    assert send_due(timezone.now()) == 1
    assert len(addresses()) == 2


def test_whoever_changes_their_mind_gets_no_second_one(mail: None, cast: Cast) -> None:
    want(cast.max)
    assert send_due(timezone.now()) == 1
    want(cast.max, wants=False)
    assert send_due(timezone.now()) == 0
    want(cast.max)
    assert send_due(timezone.now()) == 0


def test_nobody_gets_it_who_may_not_see_it(mail: None, cast: Cast) -> None:
    with pytest.raises(NotAllowed):
        want(cast.rita)
    assert not WeeklyReport.objects.exists()
    for person in (cast.max, cast.ada):
        want(person)
    cast.max.groups.clear()
    User.objects.filter(pk=cast.ada.pk).update(is_active=False)
    assert send_due(timezone.now()) == 0
    users.create(SYSTEM, username="mia", password=PASSWORD, role="manager")
    assert send_due(timezone.now()) == 0
    assert addresses() == []


def test_it_needs_an_address(mail: None, cast: Cast) -> None:
    with pytest.raises(BadInput, match="say where mail for you goes"):
        choices.choose(Actor(cast.max), {}, address="", weekly_report=True)
    want(cast.max)
    choices.choose(Actor(cast.max), {}, address="")
    assert send_due(timezone.now()) == 0
    want(cast.max)
    assert send_due(timezone.now()) == 1


def test_without_a_mail_server_nothing_is_written(cast: Cast) -> None:
    want(cast.max)
    assert send_due(timezone.now()) == 0
    assert WeeklyReport.objects.get().sent_for is None


def test_it_waits_until_the_week_is_counted(mail: None, cast: Cast) -> None:
    want(cast.max)
    scope = last_week()
    mark = ChangedDay.objects.create(day=scope.since, at=scope.ends_at - timedelta(seconds=1))
    assert send_due(timezone.now()) == 0
    mark.delete()
    assert send_due(timezone.now()) == 1


def test_the_letter_and_the_note_that_it_was_written_are_one(mail: None, cast: Cast) -> None:
    """A sweeper that dies in between wrote neither, and the next one writes both."""
    want(cast.max)
    with pytest.raises(RuntimeError), transaction.atomic():
        assert send_due(timezone.now()) == 1
        raise RuntimeError
    assert addresses() == []
    assert send_due(timezone.now()) == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_sweepers_one_writes_it(mail: None, cast: Cast) -> None:
    for person in (cast.max, cast.ada):
        want(person)
    start = threading.Barrier(6)

    def sweep(_: int) -> int:
        start.wait()
        try:
            return send_due(timezone.now())
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(sweep, range(6))) == 2
    assert addresses() == ["ada@example.com", "max@example.com"]


def test_every_sweeper_looks_now_and_then(mail: None, cast: Cast, monkeypatch: Any) -> None:
    want(cast.max)
    monkeypatch.setattr(weekly_reports, "_pace", weekly_reports._Pace())
    assert weekly_reports.follow() == 1
    WeeklyReport.objects.update(sent_for=None)
    assert weekly_reports.follow() == 0


# What it says -----------------------------------------------------------------------------------


@pytest.fixture
def found(db: None, as_owner: Owner) -> Week:
    """Of a demo: some 25 proposals a week."""
    with as_owner():
        demo_scale.load(700)
    for day in rollups.all_days():
        rollups.count_day(day)
    known = week(last_week())
    assert known
    assert known.overview.proposed.proposals > 15
    return known


def test_it_says_what_the_reports_say(found: Week) -> None:
    text = letter_of(found)
    parts = text.split("\n\n")
    scope = found.scope
    assert parts[0].startswith(f"Monday {scope.since.day} {scope.since:%B} to Sunday ")
    sentence = str(found.audits.assurance)
    # What nobody looked at comes first.
    assert parts[1].startswith(f"WHAT RAN BY ITSELF\nOf {found.audits.assurance.accepted:,} auto-")
    assert sentence[1:] in parts[1]
    assert f"Accepted without edit: {found.overview.outcomes.acceptance}, of" in text
    assert f"The week before: {found.before.outcomes.acceptance}." in text
    assert f"Decided in time: {found.overview.in_time}," in text
    shown = [one for one in found.rules.versions if one.held.decided][:RULES_MAX]
    assert shown
    for one in shown:
        assert f"{one.slug} v{one.number}: of what it held, people rejected" in text
        assert str(one.held.precision) in text
    assert found.expected
    assert len(found.expected.loads) == 7
    assert found.expected.loads[0].day == scope.until
    for load in found.expected.loads:
        assert f"{load.items:,.0f} items ({load.items_between[0]:,.0f} to " in text
    last = scope.until - timedelta(days=1)
    for report in ("audits", "overview", "rules"):
        url = f"{settings.BASE_URL}/reports/{report}/?since={scope.since}&until={last}"
        assert f"{url}\n" in text
    # Nothing that an agent wrote.
    for name in AGENTS:
        assert name not in text
    for target in Proposal.objects.exclude(target="").values_list("target", flat=True).distinct():
        assert target not in text
    assert max(map(len, text.splitlines())) < 200


def test_of_an_empty_week_it_says_so(db: None) -> None:
    known = week(last_week())
    assert known
    text = letter_of(known)
    assert "Of 0 auto-accepts 0 were examined, 0 were wrong; too few to say more." in text
    assert "Proposed: 0 (the week before: 0)." in text
    assert "There are too few days to say what to expect." in text
    assert "RULES" not in text


def test_it_arrives_alone_and_as_it_was_written(post: MailServer, cast: Cast) -> None:
    want(cast.max)
    notice = {"kind": "decided", "item": None, "sentence": "Something.", "link": "http://x/"}
    outbox.send_later([outbox.mail_to("max@example.com", notice) for _ in range(2)])
    assert send_due(timezone.now()) == 1
    outbox.send_later([outbox.mail_to("max@example.com", notice)])
    while deliveries.work_one(lambda: False):
        pass
    letters = {letter["Subject"]: letter for letter in post.letters}
    scope = last_week()
    subject = f"Countersign: the week of {scope.since.day} {scope.since:%B} {scope.since.year}"
    assert set(letters) == {"3 notices from Countersign", subject}
    known = week(scope)
    assert known
    body = letters[subject].get_payload(decode=True).decode()  # type: ignore[union-attr]
    assert "WHAT RAN BY ITSELF" in body
    assert "/me/notices/" in body
    assert body.count("\n") > 20
    assert set(Delivery.objects.values_list("status", flat=True)) == {"done"}
