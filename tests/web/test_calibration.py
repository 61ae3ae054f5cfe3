"""The pages of track records: figures with their n, what stands down, and nothing for whoever judges blindly."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from orchestrator.actions import audits, confirmations, users
from orchestrator.actions.actor import Actor
from orchestrator.engine import track_records
from orchestrator.engine.labels import record_for
from orchestrator.models import (
    Calibrator,
    EvaluationPolicy,
    Notice,
    Proposal,
    StandDown,
    TrackRecord,
)
from tests.conftest import SYSTEM, Cast
from tests.labelled import Told, store

Propose = Callable[..., Proposal]
SignIn = Callable[..., Client]
HARMLESS = {"amount_minor": 1_990, "currency": "EUR"}


@pytest.fixture(autouse=True)
def _everything_is_drawn(settings: Settings) -> None:
    settings.AUDIT_SHARE = settings.LABEL_SHARE = 1.0


@pytest.fixture
def known(cast: Cast, propose: Propose) -> TrackRecord:
    """200 labels of one agent version, of which those at 0.96 are all right."""
    beside = propose(args=HARMLESS, agent="another", confidence=0.3)
    EvaluationPolicy.objects.create(
        number=2,
        agent="refund-agent",
        stage="active",
        accept_above=0.9,
        escalate_at_or_below=0.6,
        target_error=0.2,
    )
    told = [Told(0.96 if n % 2 else 0.4, right=bool(n % 2) or n % 4 == 0) for n in range(200)]
    store(told, beside=beside, reviewer=cast.rita, until=timezone.now())
    work()
    return TrackRecord.objects.get(agent="refund-agent")


@pytest.fixture
def standing(cast: Cast, propose: Propose) -> StandDown:
    propose(args=HARMLESS, agent_version="4")
    judge(cast.rita)
    work()
    return StandDown.objects.get()


def work() -> None:
    while track_records.work_one(lambda: False):
        pass


def judge(person: User) -> None:
    item = audits.take_next(Actor(person))
    assert item is not None
    audits.judge(
        Actor(person),
        item.pk,
        verdict="reject",
        reason="wrong_value",
        seen=confirmations.seen(Actor(person), item),
        idempotency_key=item.pk,
    )


def address(record: TrackRecord | str, *more: str) -> str:
    pk = record if isinstance(record, str) else record.pk
    return "/".join(["/calibration", pk, *more, ""])


def test_an_empty_list_says_what_it_is_for(cast: Cast, sign_in: SignIn) -> None:
    assert "Nothing is known yet" in sign_in(cast.rita).get("/calibration/").text


def test_the_list_says_what_is_known(cast: Cast, sign_in: SignIn, known: TrackRecord) -> None:
    page = sign_in(cast.max).get("/calibration/").text
    for said in ("refund-agent", "refund.create", "200", "version 1", "certified", "above 0.5"):
        assert said in page


def test_a_page_has_bins_with_n_and_the_sentence(
    cast: Cast, sign_in: SignIn, known: TrackRecord
) -> None:
    page = sign_in(cast.rita).get(address(known)).text
    assert "100 of 100" in page
    assert "50 of 100" in page
    assert "error at most" in page
    assert "<svg" in page
    assert 'name="use"' not in page


def test_few_labels_have_no_share(
    cast: Cast, sign_in: SignIn, propose: Propose, known: TrackRecord
) -> None:
    told = [Told(0.96, right=True, agent_version="9") for _ in range(29)]
    beside = Proposal.objects.get(agent="another")
    store(told, beside=beside, reviewer=cast.rita, until=timezone.now())
    work()
    page = sign_in(cast.rita).get(address(TrackRecord.objects.get(agent_version="9"))).text
    assert "29 of 29" in page
    assert "too few labels" in page
    assert "100&nbsp;%" not in page


def test_what_agents_call_themselves_is_inert(
    cast: Cast, sign_in: SignIn, propose: Propose
) -> None:
    mean = "<script>alert(1)</script>"
    made = record_for(propose(agent=mean, action="<b>x</b>", args={}).scope)
    for path in ("/calibration/", address(made)):
        page = sign_in(cast.rita).get(path).text
        assert mean not in page
        assert "<b>x</b>" not in page


def test_as_many_queries_for_many(
    cast: Cast,
    sign_in: SignIn,
    known: TrackRecord,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(20):
        TrackRecord.objects.create(agent=f"agent-{number}", action=f"do.{number}")
    client = sign_in(cast.rita)
    with django_assert_max_num_queries(16):
        client.get("/calibration/")
    with django_assert_max_num_queries(20):
        client.get(address(known))


def test_pages_by_key(cast: Cast, sign_in: SignIn, settings: Settings, db: None) -> None:
    settings.PAGE_SIZE = 5
    for number in range(7):
        TrackRecord.objects.create(agent=f"agent-{number}", action="do")
    client = sign_in(cast.rita)
    first = client.get("/calibration/").text
    newest_first = TrackRecord.objects.order_by("-pk")
    second = client.get(f"/calibration/?before={newest_first[4].pk}").text
    # By their ids: of those made within a millisecond, any may be the newest.
    names = [record.agent for record in newest_first]
    assert [name for name in names if name in first] == names[:5]
    assert [name for name in names if name in second] == names[5:]
    assert client.get("/calibration/?before=nonsense").status_code == 200


# Standing down ------------------------------------------------------------------------------------


def test_a_stand_down_shows_and_an_admin_lifts_it(
    cast: Cast, sign_in: SignIn, standing: StandDown
) -> None:
    path = address(standing.record)
    assert "stands down" in sign_in(cast.rita).get("/calibration/").text
    assert "An admin can allow" in sign_in(cast.rita).get(path).text
    ada = sign_in(cast.ada)
    assert "Allow automatic accepting again" in ada.get(path).text
    fields = {"stand_down": standing.pk, "overturned": 1, "reason": ""}
    refused = ada.post(address(standing.record, "lift"), fields)
    assert refused.status_code == 422
    old = ada.post(
        address(standing.record, "lift"), fields | {"overturned": 0, "reason": "Mended."}
    )
    assert old.status_code == 409
    assert 'name="overturned" value="1"' in old.text
    assert "Mended.</textarea>" in old.text
    lifted = ada.post(address(standing.record, "lift"), fields | {"reason": "Mended."})
    assert lifted.status_code == 302
    standing.refresh_from_db()
    assert standing.lifted_by == cast.ada
    assert "ada let it accept again" in sign_in(cast.rita).get(path).text


def test_a_second_admin_hears_who_was_first(
    cast: Cast, sign_in: SignIn, standing: StandDown
) -> None:
    other = users.create(SYSTEM, username="otto", password="x", role="admin")
    fields = {"stand_down": standing.pk, "overturned": 1, "reason": "Mended."}
    sign_in(other).post(address(standing.record, "lift"), fields)
    late = sign_in(cast.ada).post(address(standing.record, "lift"), fields)
    assert late.status_code == 409
    assert "otto allowed" in late.text


@pytest.mark.parametrize("path", [("lift",), ("fit",), ("use",)])
def test_reviewers_and_managers_change_nothing(
    cast: Cast, sign_in: SignIn, known: TrackRecord, path: tuple[str, ...]
) -> None:
    for person in (cast.rita, cast.max):
        answer = sign_in(person).post(address(known, *path), {"use": "off", "reason": "x"})
        assert answer.status_code == 403


def test_whoever_judges_it_blindly_sees_nothing_of_it(
    cast: Cast, sign_in: SignIn, standing: StandDown
) -> None:
    """The third person must not read that something of this action was overturned."""
    held = audits.take_next(Actor(cast.rolf), kinds=["adjudication"])
    assert held is not None
    client = sign_in(cast.rolf)
    page = client.get("/calibration/").text
    assert "stands down" not in page
    assert address(standing.record) not in page
    answer = client.get(address(standing.record))
    assert (answer.status_code, answer["Location"]) == (302, f"/audits/{held.pk}/")


def test_an_admin_who_settles_it_does_not_read_it_in_the_log(
    cast: Cast, sign_in: SignIn, standing: StandDown
) -> None:
    client = sign_in(cast.ada)
    assert standing.record_id in client.get("/audit-log/").text
    assert audits.take_next(Actor(cast.ada), kinds=["adjudication"]) is not None
    page = client.get("/audit-log/").text
    assert standing.record_id not in page
    assert "is left out until you have judged it" in page


def test_nothing_names_the_audit(cast: Cast, sign_in: SignIn, standing: StandDown) -> None:
    cause = standing.causes.get()
    for path in ("/calibration/", address(standing.record)):
        page = sign_in(cast.ada).get(path).text
        assert cause.proposal_id not in page
        assert cause.item_id not in page
        assert "rita" not in page


def test_the_notice_leads_to_the_pages(cast: Cast, sign_in: SignIn, standing: StandDown) -> None:
    notice = Notice.objects.get(kind="stood_down")
    client = sign_in(cast.ada)
    assert "stands down" in client.get("/notices/").text
    assert client.post(f"/notices/{notice.pk}/open/")["Location"] == "/calibration/"
    assert 'href="/calibration/"' in client.get("/notices/").text


# Calibrators --------------------------------------------------------------------------------------


def test_an_admin_fits_pins_and_turns_off(cast: Cast, sign_in: SignIn, known: TrackRecord) -> None:
    client = sign_in(cast.ada)

    def choose(use: str) -> Any:
        return client.post(address(known, "use"), {"use": use})

    assert client.post(address(known, "fit")).status_code == 302
    assert Calibrator.objects.get(number=2).fitted_by == cast.ada
    choose("1")
    known.refresh_from_db()
    assert (known.use, known.calibrator) == ("pinned", Calibrator.objects.get(number=1))
    choose("off")
    known.refresh_from_db()
    assert (known.use, known.calibrator) == ("off", None)
    assert "turned off" in client.get("/calibration/").text
    choose("newest")
    known.refresh_from_db()
    assert known.calibrator == Calibrator.objects.get(number=2)
    assert choose("9").status_code == 404
    assert choose("nonsense").status_code == 404


def test_too_few_labels_are_no_calibrator(cast: Cast, sign_in: SignIn, standing: StandDown) -> None:
    answer = sign_in(cast.ada).post(address(standing.record, "fit"))
    assert answer.status_code == 422
    assert "at least 30 labels" in answer.text


def test_no_such_record(cast: Cast, sign_in: SignIn) -> None:
    assert sign_in(cast.ada).get(address("trk_01jd3v80000000000000000000")).status_code == 404
