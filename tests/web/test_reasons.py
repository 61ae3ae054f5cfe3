"""The pages of reasons."""

import re

import pytest
from django.test import Client

from orchestrator.actions import reasons
from orchestrator.actions.actor import Actor
from orchestrator.models import AuditEntry, Reason
from tests.conftest import Cast

LIST, PAGE = "/settings/reasons/", "/settings/reasons/wording/"


def words(page: str) -> str:
    return re.sub(r"(<[^>]+>|\s)+", " ", page)


def codes(client: Client, part: str = "offered") -> list[str]:
    return [reason.code for reason, _ in client.get(LIST).context[part]]


@pytest.mark.parametrize("path", [LIST, PAGE])
def test_only_admins_open_them(ada: Client, rita: Client, max_: Client, path: str) -> None:
    assert ada.get(path).status_code == 200
    assert rita.get(path).status_code == max_.get(path).status_code == 403


@pytest.mark.parametrize("path", [LIST, PAGE, f"{PAGE}move/", f"{PAGE}retire/"])
def test_only_admins_change_them(max_: Client, path: str) -> None:
    assert max_.post(path, {"label": "x", "direction": "up"}).status_code == 403


def test_they_are_listed_in_their_order_with_keys(ada: Client) -> None:
    page = ada.get(LIST)
    assert [reason.code for reason, _ in page.context["offered"]][:2] == [
        "wrong_target",
        "wrong_value",
    ]
    assert page.text.count("<kbd aria-hidden") - ada.get(PAGE).text.count("<kbd aria-hidden") == 9
    assert "Other (say what) other needs a note 0 times" in words(page.text)
    assert "Retired" not in words(page.text)


def test_one_is_added(ada: Client) -> None:
    response = ada.post(LIST, {"label": "Not today", "needs_note": "on"}, follow=True)
    assert "“Not today” is offered from now on." in words(response.text)
    reason = Reason.objects.get(code="not_today")
    assert (reason.needs_note, codes(ada)[-1]) == (True, "not_today")


@pytest.mark.parametrize(
    ("label", "problem"),
    [
        ("", "This field is required"),
        ("wording", "another reason is called that"),
        ("x" * 81, "at most 80 characters"),
    ],
)
def test_what_cannot_be_added_is_told_beside_the_field(
    ada: Client, label: str, problem: str
) -> None:
    response = ada.post(LIST, {"label": label})
    assert response.status_code == 422
    assert response.text.count(problem) == 2
    assert "<title>Error: " in response.text
    assert 'href="#id_label"' in response.text


def test_words_are_changed(ada: Client) -> None:
    page = ada.post(PAGE, {"label": "Tone", "needs_note": "on"}, follow=True)
    assert "Tone wording needs a note" in re.sub(r" \d ", " ", words(page.text))
    assert ada.post(PAGE, {"label": "Wrong value"}).status_code == 422
    assert ada.post(PAGE, {}).status_code == 422
    assert Reason.objects.get(code="wording").label == "Tone"


def test_they_move(ada: Client) -> None:
    first, second, *_ = codes(ada)
    ada.post(f"{LIST}{second}/move/", {"direction": "up"})
    assert codes(ada)[:2] == [second, first]
    ada.post(f"{LIST}{second}/move/", {"direction": "down"})
    assert codes(ada)[:2] == [first, second]
    assert ada.post(f"{LIST}{first}/move/", {"direction": "sideways"}).status_code == 404


def test_one_that_somebody_retired_meanwhile_does_not_move(ada: Client, cast: Cast) -> None:
    reasons.retire(Actor(cast.ada), "wording")
    response = ada.post(f"{PAGE}move/", {"direction": "up"}, follow=True)
    assert "There is no reason in use wording" in words(response.text)


def test_they_are_retired_and_brought_back(ada: Client) -> None:
    response = ada.post(f"{PAGE}retire/", follow=True)
    assert "“Wording” is retired. Decisions that name it keep it." in words(response.text)
    assert (codes(ada, "retired"), "wording" in codes(ada)) == (["wording"], False)
    assert "Bring it back" in ada.get(PAGE).text
    response = ada.post(f"{PAGE}bring-back/", follow=True)
    assert "“Wording” is offered again." in words(response.text)
    assert codes(ada)[-1] == "wording"
    assert AuditEntry.objects.filter(verb__startswith="reason.").count() == 2


def test_refusals_are_told_on_the_page(ada: Client, cast: Cast) -> None:
    actor = Actor(cast.ada)
    for code in codes(ada)[1:]:
        reasons.retire(actor, code)
    response = ada.post(f"{LIST}{codes(ada)[0]}/retire/")
    assert response.status_code == 422
    assert "it is the last one there is" in response.text
    reasons.change(actor, codes(ada)[0], label="Wording", needs_note=False)
    response = ada.post(f"{PAGE}bring-back/")
    assert (response.status_code, "another reason is called that" in response.text) == (422, True)


def test_others_are_not_found(ada: Client) -> None:
    assert ada.get(f"{LIST}nope/").status_code == 404
    for step in ("", "move/", "retire/", "bring-back/"):
        sent = {"label": "x", "direction": "up"}
        expected = 302 if step == "move/" else 404
        assert ada.post(f"{LIST}nope/{step}", sent).status_code == expected


def test_a_hostile_label_is_only_text(ada: Client) -> None:
    label = "<script>alert(1)</script>\u202e"
    ada.post(LIST, {"label": label})
    for path in (LIST, f"{LIST}{codes(ada)[-1]}/"):
        assert "<script>alert" not in ada.get(path).text
