"""The page of people: who may come in, with which roles, and what nobody may do to themselves."""

import contextlib
import re
import threading
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from orchestrator.actions import tokens, users
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import BadInput, NotAllowed
from orchestrator.models import AuditEntry
from tests.conftest import PASSWORD, SYSTEM, Cast


def roles_of(user: User) -> set[str]:
    return set(user.groups.values_list("name", flat=True))


def link_in(page: str) -> str:
    found = re.search(r"https?://[^/]+(/welcome/[^<\s]+)", page)
    assert found
    return found.group(1)


def test_it_lists_people_with_roles_and_factors(cast: Cast, ada: Client) -> None:
    page = ada.get("/settings/people/").text
    for name in ("rita", "rolf", "ada", "max", "agents"):
        assert f">{name}</a>" in page


def test_it_tells_programs_from_people(cast: Cast, ada: Client, token: Callable[..., str]) -> None:
    token("propose")
    assert "owns 1 token, nobody signs in" in ada.get("/settings/people/").text


def test_it_finds_by_name(cast: Cast, ada: Client) -> None:
    page = ada.get("/settings/people/?name=RI").text
    assert ">rita</a>" in page
    assert ">rolf</a>" not in page
    assert "Nobody has this name" in ada.get("/settings/people/?name=zoe").text


@pytest.mark.django_db
def test_the_list_takes_as_many_questions_for_many_as_for_few(
    cast: Cast, ada: Client, django_assert_max_num_queries: Callable[..., object]
) -> None:
    for number in range(30):
        users.create(SYSTEM, username=f"p{number}", password=None, role="reviewer")
    with django_assert_max_num_queries(25):  # type: ignore[attr-defined]
        ada.get("/settings/people/")


def test_a_person_is_added_by_a_link_and_chooses_a_password(cast: Cast, ada: Client) -> None:
    shown = ada.post("/settings/people/new/", {"username": "nora", "roles": ["reviewer"]}).text
    link = link_in(shown)
    nora = Client()
    assert "You are <b>nora</b> here." in nora.get(link).text
    form = {"password": PASSWORD, "password_again": PASSWORD}
    assert nora.post(link, form)["Location"] == "/"
    assert nora.get("/queue/").status_code == 200
    assert roles_of(User.objects.get(username="nora")) == {"reviewer"}
    verbs = AuditEntry.objects.filter(object_id="user/nora").order_by("pk")
    assert list(verbs.values_list("verb", "user__username")) == [
        ("user.created", "ada"),
        ("user.link_made", "ada"),
        ("user.password_set", "nora"),
    ]


def test_a_link_works_once(cast: Cast, ada: Client) -> None:
    link = link_in(ada.post(f"/settings/people/{cast.rita.pk}/link/").text)
    form = {"password": "a new battery staple", "password_again": "a new battery staple"}
    Client().post(link, form)
    assert Client().get(link).status_code == 410
    assert Client().post(link, form).status_code == 410


def test_the_old_password_works_until_the_link_is_used(cast: Cast, ada: Client) -> None:
    ada.post(f"/settings/people/{cast.rita.pk}/link/")
    form = {"username": "rita", "password": PASSWORD}
    assert Client().post("/login/", form)["Location"] == "/"


@pytest.mark.parametrize(
    "secret", ["x", "1", "1-", "-1-x", "99999999999-x-y", "1-c0ffee-00", "１-x"]
)
def test_a_link_that_nobody_made_opens_nothing(cast: Cast, client: Client, secret: str) -> None:
    assert client.get(f"/welcome/{secret}/").status_code == 410


def test_a_weak_password_is_refused_and_the_link_stays(cast: Cast, ada: Client) -> None:
    link = link_in(ada.post(f"/settings/people/{cast.rita.pk}/link/").text)
    answer = Client().post(link, {"password": "12345678", "password_again": "12345678"})
    assert answer.status_code == 422
    assert "entirely numeric" in answer.text
    assert Client().get(link).status_code == 200


@pytest.mark.parametrize(
    ("username", "says"),
    [
        ("RITA", "Somebody has this name already."),
        ("no name!", "Enter a valid username."),
        ("", "required"),
    ],
)
def test_a_name_that_cannot_be_is_refused(
    cast: Cast, ada: Client, username: str, says: str
) -> None:
    answer = ada.post("/settings/people/new/", {"username": username})
    assert answer.status_code == 422
    assert says in answer.text


def test_roles_are_given_and_taken(cast: Cast, ada: Client) -> None:
    page = ada.post(
        f"/settings/people/{cast.rita.pk}/roles/", {"roles": ["manager", "reviewer"]}, follow=True
    )
    assert "The roles of rita are changed." in page.text
    assert roles_of(cast.rita) == {"manager", "reviewer"}
    entry = AuditEntry.objects.get(verb="user.roles_changed")
    assert entry.detail == {"before": ["reviewer"], "after": ["manager", "reviewer"]}
    assert entry.user == cast.ada


@pytest.mark.parametrize("role", ["root", "is_superuser", ""])
def test_there_are_no_other_roles(cast: Cast, ada: Client, role: str) -> None:
    ada.post(f"/settings/people/{cast.rita.pk}/roles/", {"roles": [role]})
    assert roles_of(cast.rita) == {"reviewer"}


def test_more_than_roles_cannot_be_sent(cast: Cast, ada: Client) -> None:
    sent = {"roles": ["reviewer"], "is_superuser": "1", "is_staff": "1", "username": "root"}
    ada.post(f"/settings/people/{cast.rita.pk}/roles/", sent)
    rita = User.objects.get(pk=cast.rita.pk)
    assert (rita.username, rita.is_superuser, rita.is_staff) == ("rita", False, False)


def test_nobody_changes_their_own_roles_or_switches_themselves_off(cast: Cast, ada: Client) -> None:
    assert "Nobody changes their own roles." in ada.get(f"/settings/people/{cast.ada.pk}/").text
    page = ada.post(f"/settings/people/{cast.ada.pk}/roles/", {"roles": ["manager"]}, follow=True)
    assert "You may not change your own roles. Ask another admin." in page.text
    page = ada.post(f"/settings/people/{cast.ada.pk}/switch/", {"to": "off"}, follow=True)
    assert "You may not switch your own account off." in page.text
    cast.ada.refresh_from_db()
    assert roles_of(cast.ada) == {"admin"}
    assert cast.ada.is_active


def test_the_last_active_admin_stays(cast: Cast) -> None:
    bea = users.create(SYSTEM, username="bea", password=None, role="admin")
    users.set_roles(Actor(cast.ada), bea.pk, [])
    with pytest.raises(NotAllowed, match="change somebody's roles"):
        users.set_roles(Actor(bea), cast.ada.pk, [])
    users.set_roles(Actor(cast.ada), bea.pk, ["admin"])
    users.deactivate(Actor(bea), cast.ada.pk)
    with pytest.raises(NotAllowed):
        users.set_roles(Actor(cast.ada), bea.pk, [])
    assert roles_of(bea) == {"admin"}


@pytest.mark.django_db(transaction=True)
def test_two_admins_cannot_take_each_others_role_at_once(cast: Cast) -> None:
    bea = users.create(SYSTEM, username="bea", password=None, role="admin")

    def take(actor: User, other: User) -> None:
        with contextlib.suppress(NotAllowed):
            users.set_roles(Actor(actor), other.pk, [])
        connection.close()

    threads = [
        threading.Thread(target=take, args=pair) for pair in ((cast.ada, bea), (bea, cast.ada))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert User.objects.filter(groups__name="admin").count() == 1


def test_an_account_is_switched_off_with_its_tokens_and_on_again(
    cast: Cast, ada: Client, token: Callable[..., str]
) -> None:
    text = token("read", owner=cast.rita)
    ada.post(f"/settings/people/{cast.rita.pk}/switch/", {"to": "off"})
    assert tokens.find(text) is None
    form = {"username": "rita", "password": PASSWORD}
    assert "do not go together" in Client().post("/login/", form).text
    assert "switched off" in ada.get("/settings/people/").text
    ada.post(f"/settings/people/{cast.rita.pk}/switch/", {"to": "on"})
    assert tokens.find(text) is not None
    assert Client().post("/login/", form)["Location"] == "/"
    verbs = AuditEntry.objects.filter(object_id="user/rita").values_list("verb", flat=True)
    assert {"user.deactivated", "user.activated"} <= set(verbs)


def test_no_link_for_an_account_that_is_switched_off(cast: Cast) -> None:
    users.deactivate(Actor(cast.ada), cast.rita.pk)
    with pytest.raises(NotAllowed, match="switch it on first"):
        users.invite(Actor(cast.ada), cast.rita.pk)


def test_a_link_dies_when_the_account_is_switched_off(cast: Cast) -> None:
    _, secret = users.invite(Actor(cast.ada), cast.rita.pk)
    users.deactivate(Actor(cast.ada), cast.rita.pk)
    assert users.find_invited(secret) is None


@pytest.mark.parametrize("who", ["rita", "max"])
def test_only_admins_act_on_people(cast: Cast, who: str) -> None:
    actor = Actor(getattr(cast, who))
    for act in (
        lambda: users.add(actor, username="eve", wanted=["admin"]),
        lambda: users.set_roles(actor, cast.rolf.pk, ["admin"]),
        lambda: users.deactivate(actor, cast.ada.pk),
        lambda: users.invite(actor, cast.ada.pk),
    ):
        with pytest.raises(NotAllowed):
            act()


def test_it_says_that_somebody_is_guessing(cast: Cast, ada: Client) -> None:
    for _ in range(10):
        Client().post("/login/", {"username": "rita", "password": "guess"})
    assert "Somebody is guessing the password." in ada.get(f"/settings/people/{cast.rita.pk}/").text


def test_unknown_people_are_not_found(cast: Cast, ada: Client) -> None:
    assert ada.get("/settings/people/999999/").status_code == 404
    for what in ("roles", "switch", "factors", "link"):
        assert ada.post(f"/settings/people/999999/{what}/").status_code == 404


def test_an_unknown_role_is_refused_by_the_action_too(cast: Cast) -> None:
    with pytest.raises(BadInput):
        users.set_roles(Actor(cast.ada), cast.rita.pk, ["root"])
