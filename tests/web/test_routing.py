"""The pages of the router: how events are handled, dead letters and what people do about them, routes."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from orchestrator.actions import dead_letters, routing
from orchestrator.actions.actor import Actor
from orchestrator.models import InboundEvent, RouteTable, Run
from tests import events, runs
from tests.conftest import SYSTEM, Cast
from tests.work import work_all

HOSTILE = "<script>alert(1)</script>\u202e"
QUERIES_MAX = 24


@pytest.fixture
def house(db: None) -> None:
    events.contract()
    events.routes()


@pytest.fixture
def dead(house: None) -> InboundEvent:
    return events.receive(data={})


def words(page: str) -> str:
    return re.sub(r"(<[^>]+>|\s)+", " ", page)


def test_an_id_leads_to_the_run_or_the_dead_letter(dead: InboundEvent, rita: Client) -> None:
    routed = events.receive(id="2")
    assert rita.get("/find/", {"id": routed.pk})["Location"] == f"/runs/{routed.run_id}/"
    assert rita.get("/find/", {"id": dead.pk})["Location"] == f"/routing/dead-letters/{dead.pk}/"


# The overview ---------------------------------------------------------------------------------


def test_an_empty_house_says_so(rita: Client) -> None:
    page = words(rita.get("/routing/").text)
    for said in (
        "Nothing is handled yet",
        "No contract describes any event yet",
        "Every event could be handed on",
        "No event came in the last 24 hours",
        "No routes yet",
    ):
        assert said in page


def test_it_counts_what_handlers_do(house: None, rita: Client) -> None:
    for number in range(3):
        events.receive(id=str(number))
    work_all()
    events.receive(id="open")
    events.receive(id="dead", data={})
    response = rita.get("/routing/")
    handlers = {one.workflow: one for one, _, _ in response.context["handlers"]}
    assert set(handlers) == {"invoices", "support"}
    found = handlers["invoices"]
    assert (found.open, found.waiting, found.pending, found.timed) == (1, 0, 1, 3)
    assert found.p50_s is not None
    assert found.p95_s is not None
    assert 0 <= found.p50_s <= found.p95_s < 60
    assert handlers["support"].timed == 0
    ((budget, gauge),) = response.context["budgets"]
    assert (budget.events, budget.errors, budget.used) == (5, 1, 20.0)
    assert (gauge.used, gauge.limit, gauge.share, gauge.tone) == ("1", "0.05", 100.0, "bad")
    page = words(response.text)
    assert "order.damaged v1, 5 events" in page
    assert "Does not fit its contract 1" in page


def test_a_run_that_fails_uses_up_the_budget(rita: Client) -> None:
    runs.save("failing")
    events.contract(error_budget_bp=10_000)
    routing.save(SYSTEM, [{"name": "all", "when": "true", "workflow": "failing"}])
    for number in range(2):
        events.receive(id=str(number))
    work_all()
    ((budget, gauge),) = rita.get("/routing/").context["budgets"]
    assert (budget.events, budget.errors, gauge.tone) == (2, 2, "warn")


def test_what_was_sent_again_is_counted_once(house: None, cast: Cast, rita: Client) -> None:
    letter = events.receive(data={})
    fixed = dead_letters.amended(letter, {}, ({"order": "A-1"},))
    dead_letters.redrive(Actor(cast.ada), letter.pk, corrected=fixed)
    ((budget, _),) = rita.get("/routing/").context["budgets"]
    assert (budget.events, budget.errors) == (1, 1)


def test_hot_spots_are_types_and_sources(house: None, rita: Client) -> None:
    for number in range(3):
        events.receive(id=str(number), source="/shops/busy")
    events.receive(id="lost", type="order.lost", source="/shops/broken")
    (_, types), (_, sources) = rita.get("/routing/").context["hot"]
    assert [tuple(one) for one in types] == [
        ("order.lost", 1, 1, 1, 1),
        ("order.damaged", 3, 0, 3, 0),
    ]
    assert [one.name for one in sources] == ["/shops/broken", "/shops/busy"]


def test_it_costs_a_bounded_number_of_queries(
    house: None, rita: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(6):
        events.receive(id=str(number), type=f"type.{number}")
    rita.get("/routing/")
    with django_assert_max_num_queries(QUERIES_MAX):
        rita.get("/routing/")
    with django_assert_max_num_queries(QUERIES_MAX):
        rita.get("/routing/dead-letters/")


# Dead letters ---------------------------------------------------------------------------------


def test_they_are_listed_and_filtered(house: None, dead: InboundEvent, rita: Client) -> None:
    lost = events.receive(id="2", type="order.lost")

    def listed(query: str) -> list[str]:
        context = rita.get(f"/routing/dead-letters/?{query}").context
        return [letter.event.pk for letter in context["letters"]]

    assert listed("") == [lost.pk, dead.pk]
    assert listed("reason=invalid") == listed("type=order.damaged") == [dead.pk]
    assert listed("type=order.lost&reason=unknown_type") == [lost.pk]
    assert listed("status=discarded") == listed("type=order.lost&reason=late") == []
    assert "No dead letter fits this filter" in rita.get("/routing/dead-letters/?type=x").text


def test_they_page_by_key(house: None, rita: Client, settings: Settings) -> None:
    settings.PAGE_SIZE = 5
    made = [events.receive(id=str(number), data={}).pk for number in range(7)]
    first = rita.get("/routing/dead-letters/").context["rows"]
    assert [event.pk for event in first.rows] == made[:1:-1]
    second = rita.get(f"/routing/dead-letters/?before={first.older}").context["rows"]
    assert [event.pk for event in second.rows] == made[1::-1]


def test_no_dead_letters_is_good_news(rita: Client) -> None:
    assert "No dead letters" in rita.get("/routing/dead-letters/").text


def test_one_says_why_and_what_to_do(rita: Client, dead: InboundEvent) -> None:
    page = words(rita.get(f"/routing/dead-letters/{dead.pk}/").text)
    assert "Does not fit its contract" in page
    assert "data: “order” is missing" in page
    assert "Correct the data and send it again" in page
    assert "Sending it again needs the role admin" in page
    assert "Send it corrected" not in page


def test_one_shows_what_every_route_said(rita: Client) -> None:
    events.contract()
    events.routes(
        [
            {"name": "first", "when": "event.type == 'x'", "workflow": "support"},
            {"name": "careless", "when": "data.amount > 5", "workflow": "invoices"},
        ]
    )
    page = words(rita.get(f"/routing/dead-letters/{events.receive().pk}/").text)
    assert "first does not want it" in page
    assert "careless cannot be evaluated" in page


def test_what_somebody_sent_is_shown_as_text(house: None, ada: Client) -> None:
    event = events.receive(id=HOSTILE, subject=HOSTILE, data={"order": "", HOSTILE: HOSTILE})
    for path in ("/routing/", "/routing/dead-letters/", f"/routing/dead-letters/{event.pk}/"):
        page = ada.get(path).text
        assert "<script>alert" not in page
        assert "\u202e" not in page.replace("</textarea>", "", 1).split("<textarea")[0]


def test_an_admin_sends_one_again(ada: Client, dead: InboundEvent) -> None:
    events.contract(schema={"type": "object"})
    response = ada.post(f"/routing/dead-letters/{dead.pk}/redrive/", follow=True)
    assert "Sent again: it started a run." in response.text
    attempt = InboundEvent.objects.get(replaces=dead)
    assert response.redirect_chain == [(f"/routing/dead-letters/{attempt.pk}/", 302)]
    page = response.text
    assert f'href="/runs/{attempt.run_id}/"' in page
    assert f'href="/routing/dead-letters/{dead.pk}/"' in page
    was = ada.get(f"/routing/dead-letters/{dead.pk}/").text
    assert f'href="/routing/dead-letters/{attempt.pk}/"' in was
    assert "Send again as it came" not in was


def test_an_admin_corrects_one(ada: Client, dead: InboundEvent) -> None:
    page = ada.get(f"/routing/dead-letters/{dead.pk}/").text
    assert 'name="envelope"' in page
    fixed = json.dumps(events.message(data={"order": "A-1"}), indent=2)
    path = f"/routing/dead-letters/{dead.pk}/redrive/"
    response = ada.post(path, {"envelope": fixed, "note": "empty"}, follow=True)
    assert "it started a run" in response.text
    assert Run.objects.count() == 1


IBAN = "DE89370400440532013000"


def test_what_a_contract_masks_is_shown_to_nobody_and_kept_by_a_correction(
    ada: Client, rita: Client, house: None
) -> None:
    """In whichever version it does; and also where a route's reason would say it."""
    schema = {"type": "object", "required": ["order"], "properties": {"iban": {"type": "string"}}}
    events.contract("paid", schema=schema, masked=["/iban"])
    events.contract("paid", schema=schema, masked=[])
    events.routes([{"name": "all", "when": "true", "workflow": "invoices"}])
    letter = events.receive(type="paid", subject=f"of {IBAN}", data={"iban": IBAN})
    assert letter.status == "dead"
    for client in (ada, rita):
        page = client.get(f"/routing/dead-letters/{letter.pk}/").text
        assert IBAN not in page
        assert "(masked)" in page
    sent = events.message(
        type="paid", subject="of (masked)", data={"iban": "(masked)", "order": "A-1"}
    )
    path = f"/routing/dead-letters/{letter.pk}/redrive/"
    response = ada.post(path, {"envelope": json.dumps(sent)}, follow=True)
    assert "it started a run" in response.text
    attempt = json.loads(InboundEvent.objects.get(replaces=letter).envelope)
    assert attempt["data"] == {"iban": IBAN, "order": "A-1"}
    assert attempt["subject"] == f"of {IBAN}"


def test_a_mask_is_not_sent_on_as_a_value(ada: Client, house: None) -> None:
    schema: dict[str, Any] = {"type": "object", "required": ["order"]}
    schema["properties"] = {"ibans": {"type": "array", "items": {"type": "string"}}}
    events.contract("paid", schema=schema, masked=["/ibans/*"])
    letter = events.receive(type="paid", data={"ibans": [IBAN, "other one"]})
    sent = events.message(type="paid", data={"ibans": ["(masked)"], "order": "A-1"})
    path = f"/routing/dead-letters/{letter.pk}/redrive/"
    response = ada.post(path, {"envelope": json.dumps(sent)})
    assert response.status_code == 422
    assert "write what belongs there" in response.text
    letter.refresh_from_db()
    assert letter.status == "dead"


def test_one_may_die_again(ada: Client, dead: InboundEvent) -> None:
    response = ada.post(f"/routing/dead-letters/{dead.pk}/redrive/", follow=True)
    assert "it is a dead letter again" in response.text


@pytest.mark.parametrize(
    ("envelope", "said"),
    [
        ("{", "not JSON"),
        ('{"a":1,"a":2}', "appears twice"),
        ("[" * 3_000 + "]" * 3_000, "nested deeper"),
        (json.dumps(events.message(id="2", data={})), "it says which delivery this is"),
        (json.dumps(events.message(time="soon")), "time:"),
    ],
)
def test_a_wrong_correction_is_refused_and_kept(
    ada: Client, dead: InboundEvent, envelope: str, said: str
) -> None:
    path = f"/routing/dead-letters/{dead.pk}/redrive/"
    response = ada.post(path, {"envelope": envelope, "note": "my note"})
    assert response.status_code == 422
    assert said in response.text
    assert "my note" in response.text
    assert InboundEvent.objects.get().status == "dead"


def test_an_admin_discards_one_with_a_reason(ada: Client, dead: InboundEvent) -> None:
    path = f"/routing/dead-letters/{dead.pk}/discard/"
    assert ada.post(path, {"note": " "}).status_code == 422
    response = ada.post(path, {"note": "a test of theirs"}, follow=True)
    assert "ada discarded it" in response.text
    refused = ada.post(path, {"note": "again"})
    assert refused.status_code == 409
    assert "Nothing was done." in refused.text


def test_an_unknown_one_is_not_found(ada: Client) -> None:
    unknown = "evt_01m7y6s13re5jaj1bm3y35bmxv"
    assert ada.get(f"/routing/dead-letters/{unknown}/").status_code == 404
    for what in ("redrive", "discard"):
        path = f"/routing/dead-letters/{unknown}/{what}/"
        assert ada.post(path, {"note": "x"}).status_code == 404


def test_many_are_counted_before_they_are_sent_again(house: None, ada: Client) -> None:
    for number in range(3):
        events.receive(id=str(number), type="order.lost")
    listed = ada.get("/routing/dead-letters/?type=order.lost&reason=unknown_type").text
    path = "/routing/dead-letters/redrive/?type=order.lost&reason=unknown_type"
    assert path.replace("&", "&amp;") in listed
    assert "Send 3 dead letters again" in ada.get(path).text
    assert InboundEvent.objects.filter(status="dead").count() == 3
    events.contract("order.lost")
    routing.save(SYSTEM, [{"name": "all", "when": "true", "workflow": "invoices"}])
    response = ada.post(path, {"note": "the contract was missing"}, follow=True)
    assert "Sent again: 3 started a run, 0 are dead letters again." in response.text
    assert Run.objects.count() == 3


@pytest.mark.parametrize("query", ["", "?type=a", "?reason=late", "?type=%00&reason=late"])
def test_many_are_named_by_type_and_reason(ada: Client, query: str) -> None:
    path = f"/routing/dead-letters/redrive/{query}"
    for response in (ada.get(path), ada.post(path)):
        assert (response.status_code, response["Location"]) == (302, "/routing/dead-letters/")


# Routes ---------------------------------------------------------------------------------------


def sent(routes: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """What the form of the routes sends."""
    rows = {
        f"form-{number}-{field}": value
        for number, one in enumerate(routes)
        for field, value in ({"ORDER": number + 1} | one).items()
    }
    totals = {"form-TOTAL_FORMS": len(routes), "form-INITIAL_FORMS": 0}
    return {"seen": 1, **totals, **rows, **more}


def test_routes_are_shown_with_what_they_changed(house: None, ada: Client) -> None:
    newer = [{**events.ROUTES[1], "workflow": "support"}, {**events.ROUTES[0], "when": "true"}]
    routing.save(SYSTEM, newer, note="large ones last")
    page = words(ada.get("/routing/routes/").text)
    for said in (
        "Routes, version 2",
        "Decides now",
        "large ones last",
        "“damaged” leads to support; it led to invoices",
        "“large” takes events when true; it was when",
        "the order of routes changed: “damaged”, “large”",
        "+1. damaged",
    ):
        assert said in page
    first = words(ada.get("/routing/routes/1/").text)
    assert "This is not the newest version" in first
    compared = words(ada.get("/routing/routes/1/?against=2").text)
    assert "“damaged” leads to invoices; it led to support" in compared


@pytest.mark.parametrize("path", ["9/", f"{10**30}/", "0/"])
def test_a_version_that_is_not_there_is_not_found(house: None, rita: Client, path: str) -> None:
    assert rita.get(f"/routing/routes/{path}").status_code == 404
    for against in ("x", "9", str(10**30), "-1"):
        assert rita.get(f"/routing/routes/1/?against={against}").status_code == 200


def test_an_admin_edits_routes(house: None, ada: Client) -> None:
    page = ada.get("/routing/routes/edit/").text
    assert 'name="form-0-name" value="large"' in page
    assert 'name="form-3-name"' in page
    assert 'name="seen" value="1"' in page
    rows = [
        {**events.ROUTES[0], "ORDER": "2"},
        {**events.ROUTES[1], "DELETE": "on"},
        {"name": "new", "when": "event.type == 'x'", "workflow": "invoices", "ORDER": "1"},
        {"name": "", "when": "", "workflow": "", "ORDER": ""},
    ]
    response = ada.post(
        "/routing/routes/edit/", sent(rows, save="1", note="new first"), follow=True
    )
    assert "Saved as version 2." in response.text
    newest = RouteTable.objects.get(number=2)
    assert [one["name"] for one in json.loads(newest.routes)] == ["new", "large"]
    assert newest.note == "new first"


def test_checking_tells_where_recent_events_would_go(house: None, ada: Client) -> None:
    events.receive(id="1")
    events.receive(id="2", data={"order": "A-2", "amount": 200_000})
    rows = [{**events.ROUTES[1], "workflow": "support"}]
    response = ada.post("/routing/routes/edit/", sent(rows, check="1"))
    assert response.status_code == 200
    page = words(response.text)
    assert "Of the newest 2 events, 1 would go elsewhere. Nothing was changed." in page
    assert "invoices support" in page
    assert RouteTable.objects.count() == 1
    assert 'value="support"' in response.text
    same = ada.post("/routing/routes/edit/", sent(events.ROUTES, check="1"))
    assert "The newest 2 events would go where they go now." in words(same.text)


def test_mistakes_stand_at_their_fields_and_nothing_is_lost(house: None, ada: Client) -> None:
    rows = [
        {"name": "a", "when": "event.type =", "workflow": "invoices", "ORDER": "2"},
        {"name": "two words", "when": "true", "workflow": "support", "ORDER": "1"},
    ]
    for button in ("save", "check"):
        response = ada.post("/routing/routes/edit/", sent(rows, **{button: "1"}, note="mine"))
        assert response.status_code == 422
        assert "Not saved." in response.text
        assert "two words" in response.text
        assert "mine" in response.text
    formset = response.context["draft"].rows
    assert "letters, digits" in str(formset.forms[1].errors["name"])
    rows[1]["name"] = "b"
    formset = ada.post("/routing/routes/edit/", sent(rows, save="1")).context["draft"].rows
    assert "does not compile" in str(formset.forms[0].errors["when"])
    assert RouteTable.objects.count() == 1


def test_who_saved_in_between_is_not_overwritten_unseen(house: None, ada: Client) -> None:
    routing.save(SYSTEM, [])
    response = ada.post("/routing/routes/edit/", sent(events.ROUTES[:1], save="1"))
    assert response.status_code == 409
    assert "you began with version 1, it is now 2" in response.text
    assert 'name="seen" value="2"' in response.text
    again = sent(events.ROUTES[:1], save="1", seen=2)
    assert ada.post("/routing/routes/edit/", again).status_code == 302


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"save": "1"},
        {"form-TOTAL_FORMS": "x", "form-INITIAL_FORMS": "0", "save": "1"},
        {"form-TOTAL_FORMS": 100_000, "form-INITIAL_FORMS": 0, "save": "1"},
    ],
)
def test_a_form_that_is_not_ours_is_refused(house: None, ada: Client, body: Any) -> None:
    assert ada.post("/routing/routes/edit/", body).status_code == 422
    assert RouteTable.objects.count() == 1


def test_a_note_that_is_too_long_is_refused(house: None, ada: Client) -> None:
    body = sent(events.ROUTES[:1], save="1", note="x" * 1_001)
    assert ada.post("/routing/routes/edit/", body).status_code == 422


# Who may --------------------------------------------------------------------------------------

LOOKED_AT = ["/routing/", "/routing/dead-letters/", "/routing/routes/", "/routing/routes/1/"]


@pytest.mark.parametrize("path", LOOKED_AT)
def test_everybody_with_a_role_looks(
    house: None, client: Client, cast: Cast, sign_in: Callable[..., Client], path: str
) -> None:
    assert client.get(path).status_code == 302
    assert sign_in(cast.agents).get(path).status_code == 403
    for user in (cast.rita, cast.ada, cast.max):
        page = sign_in(user).get(path)
        assert page.status_code == 200
        assert ("/routing/routes/edit/" in page.text) <= (user == cast.ada)
    assert sign_in(cast.ada).post(path).status_code == 405


def test_only_admins_change_anything(
    cast: Cast, sign_in: Callable[..., Client], dead: InboundEvent
) -> None:
    changes = [
        f"/routing/dead-letters/{dead.pk}/redrive/",
        f"/routing/dead-letters/{dead.pk}/discard/",
        "/routing/dead-letters/redrive/?type=order.damaged&reason=invalid",
        "/routing/routes/edit/",
    ]
    for user in (cast.rita, cast.max):
        for path in changes:
            response = sign_in(user).post(path, sent([], save="1") | {"note": "x"})
            assert response.status_code == 403
    for path in changes[:2]:
        assert sign_in(cast.ada).get(path).status_code == 405
    dead.refresh_from_db()
    assert dead.status == "dead"
    assert RouteTable.objects.count() == 1
