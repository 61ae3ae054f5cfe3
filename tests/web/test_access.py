"""Every permission is enforced on the server, and every refusal says what to do."""

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from orchestrator.models import Proposal
from review.context import NAVIGATION
from tests.conftest import Cast
from tests.web.conftest import HTMX, form_for

PAGES = [
    "/queue/",
    "/proposals/",
    "/audit-log/",
    "/pulse/",
    "/find/?id=x",
    "/runs/",
    "/routing/",
    "/routing/dead-letters/",
    "/routing/routes/",
    "/routing/routes/edit/",
    "/contracts/",
    "/contracts/new/",
    "/rules/",
    "/rules/new/",
]
EVERYBODYS = {"Queue", "Proposals", "Runs", "Workflows", "Rules", "Contracts", "Routing"}


@pytest.mark.parametrize("path", PAGES)
def test_it_asks_strangers_to_sign_in_and_brings_them_back(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 302
    assert response["Location"].startswith("/login/?next=/")


@pytest.mark.parametrize("path", PAGES)
def test_it_gives_strangers_a_line_instead_of_a_fragment(client: Client, path: str) -> None:
    response = client.get(path, headers=HTMX)
    assert response.status_code == 401
    assert response["HX-Retarget"] == "#notice"
    assert b"You are signed out." in response.content
    assert b"<html" not in response.content


def test_it_names_the_roles_that_may(rita: Client) -> None:
    response = rita.get("/audit-log/")
    assert response.status_code == 403
    assert "It needs the role admin or manager; you are reviewer." in response.text


def test_it_refuses_in_one_line_for_fragments(rita: Client) -> None:
    response = rita.get("/audit-log/", headers=HTMX)
    assert response.status_code == 403
    assert response["HX-Retarget"] == "#notice"
    assert b"<html" not in response.content


@pytest.mark.parametrize(
    ("who", "entries"),
    [
        ("rita", EVERYBODYS),
        ("ada", EVERYBODYS | {"Audit log"}),
        ("max", EVERYBODYS | {"Audit log"}),
    ],
)
def test_it_shows_only_what_the_role_may_open(
    cast: Cast, sign_in: Callable[..., Client], who: str, entries: set[str]
) -> None:
    page = sign_in(getattr(cast, who)).get("/proposals/").text
    shown = {name for name in EVERYBODYS | {"Audit log"} if f"</svg>{name}" in page}
    assert shown == entries


@pytest.mark.parametrize(
    ("who", "place"), [("rita", "/queue/"), ("ada", "/queue/"), ("max", "/reports/")]
)
def test_it_starts_each_role_on_its_page(
    cast: Cast, sign_in: Callable[..., Client], who: str, place: str
) -> None:
    assert sign_in(getattr(cast, who)).get("/")["Location"] == place


def test_it_tells_somebody_without_a_role(cast: Cast, sign_in: Callable[..., Client]) -> None:
    response = sign_in(cast.agents).get("/", follow=True)
    assert response.status_code == 403
    assert "you are without a role" in response.text


def test_a_role_that_was_taken_away_no_longer_counts(cast: Cast, rita: Client) -> None:
    cast.rita.groups.clear()
    assert rita.get("/queue/").status_code == 403


def test_an_inactive_person_is_signed_out(cast: Cast, rita: Client) -> None:
    User.objects.filter(pk=cast.rita.pk).update(is_active=False)
    assert rita.get("/queue/").status_code == 302


def test_managers_look_but_do_not_decide(max_: Client, held: Proposal) -> None:
    page = max_.get(f"/proposals/{held.pk}/").text
    assert "Deciding needs the role reviewer or admin." in page
    assert "Approve and run" not in page
    response = max_.post(f"/proposals/{held.pk}/decide/", form_for(held))
    assert response.status_code == 403
    held.refresh_from_db()
    assert held.status == "in_review"


@pytest.mark.parametrize(
    "path",
    [
        "/queue/",
        "/proposals/",
        "/runs/",
        "/routing/",
        "/routing/dead-letters/",
        "/routing/routes/",
        "/contracts/",
        "/rules/",
        "/audit-log/",
        "/pulse/",
        "/",
    ],
)
def test_pages_refuse_to_be_posted_to(ada: Client, path: str) -> None:
    assert ada.post(path).status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/logout/",
        "/theme/",
        "/proposals/prp_01m7y6s13re5jaj1bm3y35bmxv/decide/",
        "/items/rev_01m7y6s13re5jaj1bm3y35bmxv/decide/",
        "/runs/run_01m7y6s13re5jaj1bm3y35bmxv/cancel/",
        "/routing/dead-letters/evt_01m7y6s13re5jaj1bm3y35bmxv/redrive/",
        "/routing/dead-letters/evt_01m7y6s13re5jaj1bm3y35bmxv/discard/",
        "/rules/check/",
        "/rules/refund-limit/1/stage/",
        "/rules/refund-limit/1/backtests/",
        "/rules/refund-limit/1/backtests/bkt_01m7y6s13re5jaj1bm3y35bmxv/cancel/",
    ],
)
def test_forms_refuse_to_be_opened(ada: Client, path: str) -> None:
    assert ada.get(path).status_code == 405


def test_pages_of_people_are_never_kept_by_caches(rita: Client) -> None:
    response = rita.get("/queue/")
    assert "private" in response["Cache-Control"]
    assert "HX-Request" in response["Vary"]


def test_every_page_has_the_strict_policy(rita: Client) -> None:
    policy = rita.get("/queue/")["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_every_entry_of_the_navigation_has_a_key_of_its_own(ada: Client) -> None:
    keys = re.findall(r'data-key="(g .)"', ada.get("/queue/").text)
    assert len(keys) == len(set(keys)) > len(NAVIGATION)
