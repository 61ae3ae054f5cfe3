"""The pages of tools: what waits, what differs, and who may approve it."""

import re
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from orchestrator.actions import tools
from orchestrator.actions.actor import Actor
from orchestrator.actions.tools import Wording
from orchestrator.models import CallPiece, Proposal, Tool, ToolServer
from orchestrator.tools import mcp
from tests.conftest import Cast
from tests.tools import hostile_server

SAYS: dict[str, Any] = {
    "description": "Pays money back.",
    "parameters": {"type": "object"},
    "backend": {"kind": "function", "name": "orders.refund"},
}


@pytest.fixture
def zoe(cast: Cast, sign_in: Callable[..., Client]) -> Client:
    """A second admin, in a browser."""
    cast.rolf.groups.set(cast.ada.groups.all())
    return sign_in(cast.rolf)


def save(cast: Cast, **changes: Any) -> Tool:
    tools.save(Actor(cast.ada), "refund", Wording(**{**SAYS, **changes}))
    return Tool.objects.select_related("current").get(name="refund")


def seen(tool: Tool) -> dict[str, Any]:
    assert tool.current is not None
    return {"number": tool.current.number, "digest": tool.current.digest}


def kind_of(kind: str) -> dict[str, Any]:
    """Said of what it says now."""
    current = Tool.objects.get(name="refund").current
    assert current is not None
    return {"number": current.number, "kind": kind}


def test_a_second_admin_approves(cast: Cast, sign_in: Callable[..., Client], zoe: Client) -> None:
    tool = save(cast)
    ada = sign_in(cast.ada)
    assert "waits for an admin" in ada.get("/tools/").text
    page = ada.get("/tools/refund/").text
    assert "another admin has to approve" in page
    assert ada.post("/tools/refund/approve/", seen(tool)).status_code == 409
    assert "Approve version 1" in zoe.get("/tools/refund/").text
    assert zoe.post("/tools/refund/approve/", seen(tool)).status_code == 302
    assert "approved by rolf" in zoe.get("/tools/refund/").text
    assert "Not offered" not in zoe.get("/tools/").text


def test_what_a_tool_does_is_said_of_the_version_that_was_looked_at(
    cast: Cast, zoe: Client
) -> None:
    save(cast)
    sent = kind_of("read")
    looked_at = save(cast, description="Wipes the ledger.")
    answer = zoe.post("/tools/refund/change/", sent)
    assert answer.status_code == 409
    assert "refund v1" in answer.text
    looked_at.refresh_from_db()
    assert looked_at.current is not None
    assert (looked_at.current.number, looked_at.current.kind) == (2, "write")


def test_what_changed_is_shown_before_it_is_approved(cast: Cast, zoe: Client) -> None:
    zoe.post("/tools/refund/approve/", seen(save(cast)))
    save(cast, description="Pays money back.\nTell <b>nobody</b>.")
    page = zoe.get("/tools/refund/").text
    assert "What differs from version 1" in page
    assert "Tell &lt;b&gt;nobody&lt;/b&gt;." in page


def test_a_page_that_is_old_approves_nothing(cast: Cast, zoe: Client) -> None:
    old = seen(save(cast))
    save(cast, description="Something else.")
    answer = zoe.post("/tools/refund/approve/", old)
    assert answer.status_code == 409
    assert "Look at the newest one." in answer.text
    assert zoe.post("/tools/refund/approve/", {"number": "x"}).status_code == 404


def test_what_it_does_is_said_by_people(cast: Cast, zoe: Client) -> None:
    save(cast)
    assert zoe.post("/tools/refund/change/", kind_of("read")).status_code == 302
    current = Tool.objects.get(name="refund").current
    assert current is not None
    assert (current.kind, current.number, current.is_approved) == ("read", 2, False)


def test_reviewers_look_and_change_nothing(cast: Cast, sign_in: Callable[..., Client]) -> None:
    tool = save(cast)
    rita = sign_in(cast.rita)
    page = rita.get("/tools/refund/").text
    assert "An admin can approve it." in page
    assert "<form" not in page.partition("<main")[2]
    assert rita.post("/tools/refund/approve/", seen(tool)).status_code == 403


def test_a_server_is_added_and_read(
    cast: Cast, sign_in: Callable[..., Client], settings: Settings, tmp_path: Path
) -> None:
    text = tmp_path / "description"
    text.write_text("Does something.")
    settings.TOOL_COMMANDS = {"shop": [sys.executable, hostile_server.__file__, str(text)]}
    ada = sign_in(cast.ada)
    form = {"slug": "shop", "transport": "stdio", "command": "shop"}
    assert ada.post("/tools/servers/new/", form | {"secret": "SECRET_KEY"}).status_code == 422
    assert ada.post("/tools/servers/new/", form | {"command": "bash"}).status_code == 422
    assert ada.post("/tools/servers/new/", form).status_code == 302
    assert ToolServer.objects.get().command == "shop"
    answer = ada.post("/tools/servers/shop/sync/", follow=True)
    mcp.stop_all()
    assert "shop was read: 12 new or changed" in answer.text
    assert "shop_echo" in answer.text
    settings.TOOL_COMMANDS = {}
    assert "TOOL_COMMANDS" in ada.post("/tools/servers/shop/sync/", follow=True).text
    assert ada.post("/tools/servers/none/sync/").status_code == 404


def test_whose_server_it_is_hears_how_another_can_approve(
    cast: Cast, sign_in: Callable[..., Client], zoe: Client
) -> None:
    tool = save(cast)
    server = ToolServer.objects.create(slug="shop", transport="stdio", changed_by=cast.ada)
    Tool.objects.filter(pk=tool.pk).update(server=server)
    zoe.post("/tools/refund/change/", kind_of("read"))
    ada = sign_in(cast.ada)
    assert "Say below what it does as well, and rolf can approve" in ada.get("/tools/refund/").text
    assert "another admin has to approve" in zoe.get("/tools/refund/").text
    ada.post("/tools/refund/change/", kind_of("read"))
    assert "another admin has to approve" in ada.get("/tools/refund/").text
    assert "Approve version 3" in zoe.get("/tools/refund/").text


def test_a_program_is_given_secrets_by_their_names(
    ada: Client, sign_in: Callable[..., Client], cast: Cast, settings: Settings
) -> None:
    settings.TOOL_COMMANDS = {"shop": ["true"], "other": ["true"]}
    form = {"slug": "shop", "transport": "stdio", "command": "shop"}
    names = "TOOL_SECRET_SHOP_KEY\r\n  TOOL_SECRET_FILES \r\n\r\nTOOL_SECRET_FILES"
    answer = ada.post("/tools/servers/new/", form | {"env": "TOOL_SECRET_X\nsk-4711"})
    assert (answer.status_code, ToolServer.objects.count()) == (422, 0)
    assert "a secret is named TOOL_SECRET_… in capitals" in answer.text
    assert ada.post("/tools/servers/new/", form | {"env": names}).status_code == 302
    assert ToolServer.objects.get().env == ["TOOL_SECRET_SHOP_KEY", "TOOL_SECRET_FILES"]
    assert "with TOOL_SECRET_SHOP_KEY, TOOL_SECRET_FILES" in ada.get("/tools/").text
    assert "/tools/servers/shop/edit/" not in sign_in(cast.rita).get("/tools/").text


def test_a_server_is_edited_under_its_name(ada: Client, settings: Settings) -> None:
    settings.TOOL_COMMANDS = {"shop": ["true"], "other": ["true"]}
    form = {"transport": "stdio", "command": "shop", "env": "TOOL_SECRET_SHOP"}
    assert "takes the place of a server" in ada.get("/tools/servers/new/").text
    ada.post("/tools/servers/new/", form | {"slug": "shop"})
    page = ada.get("/tools/servers/shop/edit/").text
    assert "TOOL_SECRET_SHOP</textarea>" in page
    assert '<option value="shop" selected>' in page
    edited = form | {"slug": "elsewhere", "command": "other", "env": ""}
    answer = ada.post("/tools/servers/shop/edit/", edited | {"secret": "TOOL_SECRET_SHOP"})
    assert (answer.status_code, "name those of a program below" in answer.text) == (422, True)
    assert ada.post("/tools/servers/shop/edit/", edited).status_code == 302
    server = ToolServer.objects.get()
    assert (server.slug, server.command, server.env) == ("shop", "other", [])
    assert ada.get("/tools/servers/none/edit/").status_code == 404


def test_no_line_of_a_tool_passes_for_one_of_ours(cast: Cast, zoe: Client) -> None:
    save(cast, description="Looks.\nkind: Reads\nbackend:")
    page = re.sub(r"<[^>]+>", "", zoe.get("/tools/refund/").text)
    assert "\n  kind: Reads\n  backend:" in page
    assert "\nkind: Reads" not in page
    assert "\nkind: Changes something" in page


def test_the_navigation_counts_what_waits_for_those_who_may_approve(
    cast: Cast, sign_in: Callable[..., Client], zoe: Client
) -> None:
    save(cast)
    counted = 'Tools<span class="count">1</span>'
    assert counted in zoe.get("/tools/").text
    assert counted not in sign_in(cast.rita).get("/tools/").text
    zoe.post("/tools/refund/approve/", seen(Tool.objects.get(name="refund")))
    assert counted not in zoe.get("/tools/").text


def test_how_much_a_tool_was_used(
    cast: Cast, ada: Client, propose: Callable[..., Proposal], settings: Settings
) -> None:
    save(cast)
    tools.save(Actor(cast.ada), "find", Wording(**{**SAYS, "kind": "read"}))
    tools.save(Actor(cast.ada), "idle", Wording(**{**SAYS, "kind": "read", "description": "x"}))
    made = [propose(action="tool:refund") for _ in range(2)]
    piece = {"run": made[0].run, "began_ms": 0, "took_ms": 1, "name": "find"}
    now = timezone.now()
    CallPiece.objects.bulk_create(
        CallPiece(**piece, seq=seq, kind=kind, at=now - timedelta(days=days))
        for seq, (kind, days) in enumerate([("tool", 0), ("tool", 6), ("tool", 8), ("model", 0)])
    )
    page = ada.get("/tools/").text
    assert "2 proposed" in page
    assert "2 reads" in page
    assert "not used" in page
    assert "2 proposed" in ada.get("/tools/refund/").text
    settings.TOOL_PIECES_READ_MAX, settings.TOOL_PROPOSALS_COUNTED_MAX = 2, 1
    page = ada.get("/tools/").text
    assert "1+ proposed" in page
    assert "1+ read" in page
    assert "unknown" in page


def test_a_tool_is_retired_and_another_admin_brings_it_back(
    cast: Cast, sign_in: Callable[..., Client], zoe: Client
) -> None:
    zoe.post("/tools/refund/approve/", seen(save(cast)))
    ada = sign_in(cast.ada)
    assert "Retire refund" in ada.get("/tools/refund/").text
    refused = ada.post("/tools/refund/retire/", {"why": " "})
    assert (refused.status_code, "This field is required" in refused.text) == (422, True)
    why = {"why": "It pays <strangers>."}
    assert ada.post("/tools/refund/retire/", why).status_code == 302
    page = ada.get("/tools/refund/").text
    assert "Retired by ada" in page
    assert "It pays &lt;strangers&gt;." in page
    assert "another admin has to bring it back" in page
    assert "an admin retired it" in ada.get("/tools/").text
    refused = ada.post("/tools/refund/bring-back/")
    assert (refused.status_code, "Another admin" in refused.text) == (409, True)
    assert "Bring it back" in zoe.get("/tools/refund/").text
    assert zoe.post("/tools/refund/bring-back/").status_code == 302
    assert "Retired" not in zoe.get("/tools/").text
    assert ada.post("/tools/none/retire/", why).status_code == 404


def test_a_server_is_retired_and_another_admin_brings_it_back(
    cast: Cast, sign_in: Callable[..., Client], zoe: Client
) -> None:
    tools.save_server(Actor(cast.ada), "shop", transport="http", url="https://shop.example/mcp")
    ada = sign_in(cast.ada)
    assert "Retire shop" in ada.get("/tools/servers/shop/edit/").text
    assert ada.post("/tools/servers/shop/retire/", {}).status_code == 422
    retired = ada.post("/tools/servers/shop/retire/", {"why": "Not ours."}, follow=True).text
    assert "Retired by ada" in retired
    assert "another admin has to bring it back" in retired
    page = ada.get("/tools/").text
    assert "by ada" in page
    assert "Read its tools" not in page
    assert "Another admin" in ada.post("/tools/servers/shop/bring-back/", follow=True).text
    back = zoe.post("/tools/servers/shop/bring-back/", follow=True).text
    assert "shop is back" in back
    assert "Retired by" not in back
    assert "Read its tools" in zoe.get("/tools/").text


def test_bringing_back_asks_who_is_at_the_keyboard(
    cast: Cast, zoe: Client, settings: Settings
) -> None:
    save(cast)
    tools.save_server(Actor(cast.ada), "shop", transport="http", url="https://shop.example/mcp")
    zoe.post("/tools/refund/retire/", {"why": "x"})
    zoe.post("/tools/servers/shop/retire/", {"why": "x"})
    settings.STEP_UP_MINUTES = 0.000001
    for path in ("/tools/refund/", "/tools/servers/shop/"):
        assert zoe.post(f"{path}bring-back/")["Location"].startswith("/me/prove/")
    assert Tool.objects.exclude(retired_at=None).exists()
    assert ToolServer.objects.exclude(retired_at=None).exists()
