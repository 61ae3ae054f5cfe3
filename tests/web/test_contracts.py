"""The pages of contracts: what they say, what changed, and what is said when a version is refused."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from orchestrator.actions import contracts
from orchestrator.actions.actor import Actor
from orchestrator.actions.demo_contracts import DEMO_CONTRACTS
from orchestrator.models import ContractVersion
from review.presentation.contract_changes import Change, changes, lines
from review.presentation.json_lines import lines_of
from review.presentation.schema_places import places_of
from tests.conftest import SYSTEM, Cast

Save = Callable[..., ContractVersion]
PAGE = "/contracts/action/refund.create/"


def refund(most: int = 100_000, **fields: Any) -> dict[str, Any]:
    amount = {"type": "integer", "maximum": most, "description": "in cents"}
    reason = {"enum": ["damaged_item", "late_delivery"]}
    return {
        "type": "object",
        "required": ["amount_minor"],
        "properties": {"amount_minor": amount, "reason": reason, **fields},
        "additionalProperties": False,
    }


@pytest.fixture
def save(cast: Cast) -> Save:
    def as_ada(schema: Any = None, **wording: Any) -> ContractVersion:
        named = {"kind": "action", "name": "refund.create", "timeout_s": 60} | wording
        return contracts.save(Actor(cast.ada), schema=schema or refund(), **named)

    return as_ada


def form(schema: Any = None, **changes: Any) -> dict[str, Any]:
    """What the form of a new version sends."""
    text = schema if isinstance(schema, str) else json.dumps(schema or refund(), indent=2)
    return {
        "schema": text,
        "description": "Pays a customer back.",
        "owner": "payments",
        "tier": "high",
        "timeout_s": "90",
        "idempotency": "required",
        "budget": "0.5",
        "masked": "",
        "note": "because",
        "based_on": "1",
    } | changes


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


# Looking ------------------------------------------------------------------------------------------


def test_the_list_is_empty_in_words(rita: Client, ada: Client) -> None:
    assert "No contract yet" in rita.get("/contracts/").text
    assert "Write the first contract" not in rita.get("/contracts/").text
    assert "Write the first contract" in ada.get("/contracts/").text


def test_the_list_shows_what_is_in_force(rita: Client, save: Save) -> None:
    save()
    save(owner="payments", tier="high", timeout_s=7_200, description="Pays back.")
    save(kind="event", name="order.damaged", error_budget_bp=50)
    page = words(rita.get("/contracts/").text)
    for said in ("refund.create Pays back.", "v2", "High risk", "payments", "2 h", "0.5 %", "ada,"):
        assert said in page
    events = words(rita.get("/contracts/?kind=event").text)
    assert "order.damaged" in events
    assert "refund.create" not in events
    assert "No contract fits this filter" in rita.get("/contracts/?kind=output").text
    assert rita.get("/contracts/?kind=thing&after=%00").status_code == 200


def test_the_list_pages_by_kind_and_name(rita: Client, save: Save, settings: Settings) -> None:
    settings.PAGE_SIZE = 2
    for kind, name in (("event", "b"), ("action", "c"), ("event", "a")):
        save(kind=kind, name=name)
    first = rita.get("/contracts/").text
    assert re.findall(r'class="lead" href="([^"]+)"', first) == [
        "/contracts/action/c/",
        "/contracts/event/a/",
    ]
    (more,) = re.findall(r'href="(\?[^"]+)" rel="next"', first)
    assert 'href="/contracts/event/b/"' in rita.get(f"/contracts/{more}").text


def test_a_page_says_what_fits(rita: Client, save: Save) -> None:
    card = {"type": "string", "pattern": "^[0-9]{12,19}$"}
    save(refund(card_number=card), masked=["/card_number"], note="the first")
    page = words(rita.get(PAGE).text)
    for said in (
        "amount_minor required whole number at most 100,000 in cents",
        "reason one of damaged_item late_delivery",
        "card_number text fits ^[0-9]{12,19}$ Masked in what is stored",
        "object, no other field",
        "Target answers within 1 min",
        "saved by ada",
        "the first",
    ):
        assert said in page
    assert "New version" not in page


def test_an_older_version_says_so_and_can_be_begun_with(ada: Client, save: Save) -> None:
    save()
    save(refund(200_000))
    page = ada.get(f"{PAGE}1/").text
    assert "This is not the newest version" in page
    assert 'href="/contracts/action/refund.create/edit/?from=1"' in page
    begun = ada.get(f"{PAGE}edit/?from=1").text
    assert "100000" in begun
    assert 'name="based_on" value="2"' in begun
    assert "This is not the newest" not in ada.get(f"{PAGE}2/").text


def test_a_page_says_what_changed_meaning_first(rita: Client, save: Save) -> None:
    save()
    save(refund(200_000, note={"type": "string"}), tier="high", note="more at once")
    page = words(rita.get(PAGE).text)
    assert "What version 2 changed since version 1 more at once" in page
    assert "amount_minor: maximum 100,000 becomes 200,000" in page
    assert "note new: text, may be left out" in page
    assert "Risk Normal risk becomes High risk" in page
    assert "− &quot;maximum&quot;: 100000" in page


def test_any_two_versions_can_be_compared(rita: Client, save: Save) -> None:
    for most in (1_000, 2_000, 3_000):
        save(refund(most))
    page = words(rita.get(f"{PAGE}?against=1").text)
    assert "amount_minor: maximum 1,000 becomes 3,000" in page
    assert "maximum 2,000 becomes 3,000" in words(rita.get(PAGE).text)
    assert "maximum 2,000 becomes 1,000" in words(rita.get(f"{PAGE}1/").text)
    for against in ("", "9", "x", "3", "1" * 40):
        assert rita.get(f"{PAGE}?against={against}").status_code == 200


def test_what_does_not_exist_is_not_found(rita: Client, save: Save) -> None:
    save()
    for path in ("action/none/", "event/refund.create/", "thing/refund.create/", "action/a%00b/"):
        assert rita.get(f"/contracts/{path}").status_code == 404
    for number in ("2", "0", "9" * 30):
        assert rita.get(f"{PAGE}{number}/").status_code == 404


def test_only_admins_get_the_form(rita: Client, max_: Client, ada: Client, save: Save) -> None:
    save()
    for path in ("/contracts/new/", f"{PAGE}edit/"):
        for client in (rita, max_):
            assert client.get(path).status_code == 403
            assert client.post(path, form()).status_code == 403
        assert ada.get(path).status_code == 200
    assert ContractVersion.objects.count() == 1


# Saving -------------------------------------------------------------------------------------------


def test_a_first_version_is_saved(ada: Client) -> None:
    sent = form(kind="event", name="order.damaged", based_on="0", masked="/reason\n\n")
    response = ada.post("/contracts/new/", sent, follow=True)
    assert response.redirect_chain == [("/contracts/event/order.damaged/", 302)]
    assert "Version 1 is saved and in force." in response.text
    version = ContractVersion.objects.get()
    assert (version.parsed, version.masked) == (refund(), ["/reason"])
    assert (version.error_budget_bp, version.timeout_s) == (50, 90)
    assert (version.tier, version.note) == ("high", "because")


def test_a_new_version_begins_with_the_one_in_force(ada: Client, save: Save) -> None:
    save(masked=["/reason"], error_budget_bp=25)
    page = ada.get(f"{PAGE}edit/").text
    assert "&quot;maximum&quot;: 100000" in page
    assert "/reason</textarea>" in page
    assert 'value="0.25"' in page
    assert "Save version 2" in page
    response = ada.post(f"{PAGE}edit/", form(refund(200_000)), follow=True)
    assert "Version 2 is saved and in force." in response.text
    same = ada.post(f"{PAGE}edit/", form(refund(200_000), based_on="2"), follow=True)
    assert "Version 2 says the same already." in same.text


def test_a_broken_promise_is_refused_with_a_value_and_keeps_what_was_typed(
    ada: Client, save: Save
) -> None:
    save()
    response = ada.post(f"{PAGE}edit/", form(refund(50_000), note="too much <b>"))
    assert response.status_code == 409
    page = words(response.text)
    assert "It would refuse a value that version 1 accepts." in page
    assert "{ &quot;amount_minor&quot;: 100000 }" in page
    assert "/amount_minor must be at most 50,000; it is 100000" in page
    assert "refund.create.v2" in page
    assert "too much &lt;b&gt;</textarea>" in response.text
    assert ContractVersion.objects.count() == 1


def test_what_is_not_proven_is_refused_with_the_reason(ada: Client, save: Save) -> None:
    save({"type": "string", "pattern": "^(aa)*$"}, kind="event", name="e")
    sent = form({"type": "string", "pattern": "^(a{2})*$"})
    response = ada.post("/contracts/event/e/edit/", sent)
    assert response.status_code == 409
    assert "it could neither be proven nor refuted" in words(response.text)


def test_mistakes_are_shown_at_their_lines(ada: Client, save: Save) -> None:
    save()
    wrong = refund()
    wrong["properties"]["reason"] = {"type": "money", "minLength": -1}
    text = json.dumps(wrong, indent=2)
    response = ada.post(f"{PAGE}edit/", form(text, masked="/card"))
    assert response.status_code == 422
    line = next(at for at, one in enumerate(text.splitlines(), 1) if '"money"' in one)
    page = words(response.text)
    assert f"Line {line}, /properties/reason/type: must be" in page
    assert f"Line {line + 1}, /properties/reason/minLength: must be at least 0" in page
    assert f"{line} &quot;type&quot;: &quot;money&quot;" in page
    masked = words(ada.post(f"{PAGE}edit/", form(masked="/card")).text)
    assert "Masked values : the schema has no “card” here" in masked


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n  "type": "object",\n  oops\n}', "line 3, column 3"),
        ("[]", "must be an object"),
        ('{"type": "array"}', "/type: must be “object”"),
        ('{"$ref": "http://127.0.0.1:9/"}', "/$ref: points outside"),
        ('{"a": 1, "a": 2}', "appears twice"),
        ('{"items":' * 3_000 + "{}" + "}" * 3_000, "nested deeper than 64 levels"),
        ('{"description": "' + "x" * 150_000 + '"}', "CONTRACT_BYTES_MAX"),
        ('{"description": "' + "x" * 900_000 + '"}', "it has 900,019 bytes"),
        ("", "This field is required"),
    ],
)
def test_a_schema_that_cannot_be_is_refused_and_kept(
    ada: Client, save: Save, text: str, said: str
) -> None:
    save()
    response = ada.post(f"{PAGE}edit/", form(text))
    assert response.status_code == 422
    assert said in words(response.text)
    assert "because</textarea>" in response.text
    assert ContractVersion.objects.count() == 1


@pytest.mark.parametrize(
    "change",
    [
        {"timeout_s": "0"},
        {"tier": "top"},
        {"budget": "101"},
        {"note": ""},
        {"based_on": "x"},
        {"masked": "/a\n" * 51},
        {"owner": "x" * 101},
        {"description": "\x00"},
    ],
)
def test_terms_that_cannot_be_are_refused(ada: Client, save: Save, change: dict[str, str]) -> None:
    save()
    assert ada.post(f"{PAGE}edit/", form(**change)).status_code == 422
    assert ContractVersion.objects.count() == 1


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "x" * 101])
def test_a_name_that_is_none_is_refused(ada: Client, name: str) -> None:
    sent = form(kind="event", name=name, based_on="0")
    assert ada.post("/contracts/new/", sent).status_code == 422


def test_who_was_second_sees_who_was_first_and_may_go_on(ada: Client, save: Save) -> None:
    save()
    save(owner="rolf")
    response = ada.post(f"{PAGE}edit/", form(based_on="1"))
    assert response.status_code == 409
    assert "Somebody saved version 2 while you wrote yours." in words(response.text)
    assert 'href="/contracts/action/refund.create/2/"' in response.text
    assert 'name="based_on" value="2"' in response.text
    again = ada.post(f"{PAGE}edit/", form(based_on="2"), follow=True)
    assert "Version 3 is saved" in again.text


def test_a_name_that_exists_is_not_overwritten(ada: Client, save: Save) -> None:
    save()
    sent = form(kind="action", name="refund.create", based_on="0")
    response = ada.post("/contracts/new/", sent)
    assert response.status_code == 409
    assert "Somebody saved version 1" in words(response.text)
    assert 'href="/contracts/action/refund.create/1/"' in response.text


# In words -----------------------------------------------------------------------------------------


def test_every_change_has_its_words() -> None:
    old = ContractVersion(schema=json.dumps(refund(100_000, a={"type": "string"})), timeout_s=60)
    new_schema = refund(50_000, b={"type": ["string", "null"], "minLength": 1})
    new_schema["required"].append("reason")
    new_schema["properties"]["reason"]["enum"] = ["damaged_item", "wrong_item"]
    new_schema["properties"]["amount_minor"]["description"] = "in the smallest unit"
    del new_schema["additionalProperties"]
    new = ContractVersion(schema=json.dumps(new_schema), timeout_s=120, owner="payments")
    for version in (old, new):
        version.contract = contracts.Contract(kind="event", name="e")
    assert set(changes(old, new)) == {
        Change("other fields", "not allowed", ""),
        Change("a", "text, may be left out", ""),
        Change("b", "", "new: text or null, not empty, may be left out"),
        Change("amount_minor: maximum", "100,000", "50,000"),
        Change("amount_minor: description", "", "reworded"),
        Change("reason: became", "", "required"),
        Change("reason: choices", "late_delivery", "also wrong_item"),
        Change("Owner", "none", "payments"),
        Change("Handled within", "1 min", "2 min"),
    }
    assert any(line.sign == "-" and "100000" in line.text for line in lines(old, new))
    assert changes(old, old) == lines(old, old) == []


def test_every_place_of_a_schema_has_a_name() -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "required": ["lines"],
        "properties": {
            "lines": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/line"}},
            "pair": {"prefixItems": [{"const": 1}], "items": False},
            "how": {"oneOf": [{"type": "string"}, {"type": "null"}]},
            "rest": {"additionalProperties": {"type": "number", "exclusiveMinimum": 0}},
        },
        "patternProperties": {"^x-": {}},
        "if": {"required": ["how"]},
        "then": {"properties": {"why": {}}},
        "$defs": {"line": {"properties": {"sku": {"type": "string", "maxLength": 9}}}},
    }
    said = {place.path: [place.kind, *place.limits] for place in places_of(schema)}
    assert said == {
        "": ["object"],
        "lines": ["list", "at least 1 elements"],
        "lines[]": ["“line”"],
        "pair": ["anything"],
        "pair[0]": ["always the same"],
        "how": ["anything"],
        "how (one 1)": ["text"],
        "how (one 2)": ["null"],
        "rest": ["anything"],
        "rest.*": ["number", "more than 0"],
        "{^x-}": ["anything"],
        "(if)": ["anything"],
        "(then)": ["anything"],
        "(then).why": ["anything"],
        "“line”": ["anything"],
        "“line”.sku": ["text", "at most 9 characters"],
    }
    assert [place.path for place in places_of(schema) if place.is_required] == ["lines"]


def test_lines_are_found_for_every_value() -> None:
    text = '{\n "a": {"b": [1,\n  "x:{,"]},\n "c/d": "\\"",\n "e":\n 2\n}'
    assert lines_of(text) == {
        "": 1, "/a": 2, "/a/b": 2, "/a/b/0": 2, "/a/b/1": 3, "/c~1d": 4, "/e": 5,
    }  # fmt: skip


def test_words_that_somebody_wrote_are_inert(rita: Client, save: Save) -> None:
    hostile = "<script>alert(1)</script>\u202e"
    schema = {
        "type": "object",
        "properties": {hostile: {"description": hostile, "enum": [hostile], "examples": [hostile]}},
    }
    save(schema, owner=hostile[:100], description=hostile, note=hostile)
    save(schema, owner="x", note=hostile)
    for path in ("/contracts/", PAGE):
        page = rita.get(path).text
        assert "<script>alert" not in page
        assert "\u202e" not in page


def test_the_pages_of_the_demo_show_all_they_have(ada: Client) -> None:
    for wording in DEMO_CONTRACTS:
        contracts.save(SYSTEM, **wording)
    for version in ContractVersion.objects.select_related("contract"):
        path = f"/contracts/{version.contract.kind}/{version.contract.name}/"
        assert ada.get(f"{path}{version.number}/").status_code == 200
        assert ada.get(f"{path}edit/").status_code == 200
