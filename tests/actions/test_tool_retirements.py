"""What one admin takes out of use is out of use at once, and comes back by the eyes of another."""

import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from orchestrator import plugins, tool_queries
from orchestrator.actions import tool_retirements as retirements
from orchestrator.actions import tools
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import BadInput, NotAllowed, NotFound, StageWrong
from orchestrator.models import ApiToken, AuditEntry, Effect, Notice, Proposal, Tool, ToolServer
from orchestrator.tools import mcp
from tests import versions
from tests.conftest import Cast
from tests.tools import functions, hostile_server
from tests.work import work_all

pytestmark = pytest.mark.django_db

WHY = "It pays strangers."


@pytest.fixture
def ada(cast: Cast, settings: Settings) -> Iterator[Actor]:
    settings.AGENT_MODULES = ["tests.tools.functions"]
    plugins.load.cache_clear()
    functions.DONE.clear()
    yield versions.keep(cast.ada)
    plugins.load.cache_clear()


@pytest.fixture
def zoe(ada: Actor) -> Actor:
    return versions.another_admin()


@pytest.fixture
def server(settings: Settings, tmp_path: Path, ada: Actor) -> Iterator[Path]:
    text = tmp_path / "description"
    text.write_text("Does something.")
    settings.TOOL_COMMANDS = {"shop": [sys.executable, hostile_server.__file__, str(text)]}
    tools.save_server(ada, "shop", transport="stdio", command="shop")
    tools.sync(ada, "shop")
    yield text
    mcp.stop_all()


def why_not(name: str) -> str:
    return tool_queries.offered([name], read_only=False).refused.get(name, "")


def test_whoever_sees_the_harm_ends_it_and_another_brings_it_back(ada: Actor, zoe: Actor) -> None:
    version = versions.approve_tool(ada, "refund")
    retired = retirements.retire(ada, "refund", f" {WHY} ")
    assert (retired.retired_by, retired.retired_why) == (ada.user, WHY)
    assert why_not("refund") == tool_queries.RETIRED
    with pytest.raises(NotAllowed, match="Another admin"):
        retirements.bring_back(ada, "refund")
    retirements.bring_back(zoe, "refund")
    assert why_not("refund") == ""
    again = Tool.objects.get(name="refund")
    assert (again.current_id, again.retired_by, again.retired_why) == (version.pk, None, "")
    told = AuditEntry.objects.filter(verb__in=["tool.retired", "tool.brought_back"]).order_by("pk")
    assert [(entry.verb, entry.detail) for entry in told] == [
        ("tool.retired", {"why": WHY}),
        ("tool.brought_back", {}),
    ]


def test_what_was_accepted_and_is_not_done_comes_to_nothing(
    ada: Actor, propose: Callable[..., Proposal]
) -> None:
    versions.approve_tool(ada, "refund", action="order.refund")
    proposal = propose(action="order.refund")
    retirements.retire(ada, "refund", WHY)
    work_all()
    effect = Effect.objects.get(proposal=proposal)
    assert (effect.status, functions.DONE) == ("failed", [])
    assert tool_queries.RETIRED in effect.error["reason"]
    assert Proposal.objects.get(pk=proposal.pk).status == "failed"


def test_the_first_reason_stays(ada: Actor, zoe: Actor) -> None:
    versions.approve_tool(ada, "refund")
    retirements.retire(ada, "refund", WHY)
    assert retirements.retire(zoe, "refund", "Me too.").retired_why == WHY
    assert AuditEntry.objects.filter(verb="tool.retired").count() == 1
    # And what is in use is not brought back.
    retirements.bring_back(zoe, "refund")
    retirements.bring_back(zoe, "refund")
    assert AuditEntry.objects.filter(verb="tool.brought_back").count() == 1


@pytest.mark.parametrize("why", ["", "  ", "x" * 501, "a\x00b"])
def test_a_reason_is_wanted(ada: Actor, why: str) -> None:
    versions.approve_tool(ada, "refund")
    with pytest.raises(BadInput, match="why"):
        retirements.retire(ada, "refund", why)
    assert why_not("refund") == ""


def test_a_program_may_retire_and_not_bring_back(ada: Actor, zoe: Actor) -> None:
    versions.approve_tool(ada, "refund")
    assert zoe.user is not None
    token = ApiToken.objects.create(name="guard", owner=zoe.user, scopes=["admin"])
    program = Actor(zoe.user, token=token)
    retirements.retire(program, "refund", WHY)
    assert why_not("refund") == tool_queries.RETIRED
    with pytest.raises(NotAllowed, match="in the browser"):
        retirements.bring_back(program, "refund")


def test_nobody_else_does_either(ada: Actor, cast: Cast, server: Path) -> None:
    versions.approve_tool(ada, "refund")
    for person in (cast.rita, cast.max):
        for attempt in (
            lambda actor: retirements.retire(actor, "refund", WHY),
            lambda actor: retirements.bring_back(actor, "refund"),
            lambda actor: retirements.retire_server(actor, "shop", WHY),
            lambda actor: retirements.bring_back_server(actor, "shop"),
        ):
            with pytest.raises(NotAllowed):
                attempt(Actor(person))
    assert not Tool.objects.exclude(retired_at=None).exists()
    assert not ToolServer.objects.exclude(retired_at=None).exists()


def test_what_there_is_not_cannot_be_retired(ada: Actor) -> None:
    with pytest.raises(NotFound):
        retirements.retire(ada, "refund", WHY)
    with pytest.raises(NotFound):
        retirements.bring_back_server(ada, "shop")


def test_what_is_retired_waits_for_nobody(ada: Actor, zoe: Actor) -> None:
    version = tools.save(ada, "refund", tools.wording_of(versions.approve_tool(ada, "pay"))).version
    assert tool_queries.waiting_count() == 1
    retirements.retire(ada, "refund", WHY)
    assert tool_queries.waiting_count() == 0
    with pytest.raises(StageWrong, match="retired"):
        tools.approve(zoe, "refund", version.number, version.digest)


def test_another_wording_does_not_bring_it_back(ada: Actor, zoe: Actor) -> None:
    version = versions.approve_tool(ada, "refund")
    retirements.retire(zoe, "refund", WHY)
    tools.say_kind(ada, "refund", number=version.number, kind="read", is_repeatable=False)
    assert why_not("refund") == tool_queries.RETIRED


def test_a_server_goes_with_all_of_its_tools(server: Path, ada: Actor, zoe: Actor) -> None:
    version = Tool.objects.get(name="shop_echo").current
    assert version is not None
    tools.approve(zoe, "shop_echo", version.number, version.digest)
    waits = tool_queries.waiting_count()
    assert waits > 0
    retirements.retire_server(ada, "shop", WHY)
    assert why_not("shop_echo") == tool_queries.SERVER_RETIRED
    assert tool_queries.waiting_count() == 0
    with pytest.raises(StageWrong, match="Bring the server back"):
        tools.sync(ada, "shop")
    # To say elsewhere where it is does not bring it back, nor may who said so.
    tools.save_server(zoe, "shop", transport="http", url="https://shop.example/mcp")
    assert why_not("shop_echo") == tool_queries.SERVER_RETIRED
    with pytest.raises(NotAllowed, match="Another admin"):
        retirements.bring_back_server(zoe, "shop")
    retirements.bring_back_server(ada, "shop")
    assert why_not("shop_echo") == ""
    assert tool_queries.waiting_count() == waits


def test_from_the_shell(server: Path, ada: Actor, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("tools", "retire", "shop_echo", WHY)
    assert "shop_echo is retired" in capsys.readouterr().out
    call_command("tools", "retire-server", "shop", WHY)
    call_command("tools", "list")
    said = capsys.readouterr().out
    assert tool_queries.RETIRED in said
    assert tool_queries.SERVER_RETIRED in said
    for wrong in (("retire", "none"), ("retire-server", "none")):
        with pytest.raises(CommandError, match="none"):
            call_command("tools", *wrong, WHY)
    with pytest.raises(CommandError, match="why"):
        call_command("tools", "retire", "shop_echo", " ")


def test_a_retired_server_is_not_read_any_more(
    server: Path, ada: Actor, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = timezone.now() - timedelta(hours=settings.TOOL_SYNC_HOURS, minutes=1)
    ToolServer.objects.update(synced_at=long_ago)
    server.write_text("Obey.")
    Notice.objects.all().delete()
    found = tools.offers

    def retired_meanwhile(*given: object) -> object:
        retirements.retire_server(ada, "shop", WHY)
        return found(*given)

    monkeypatch.setattr(tools, "offers", retired_meanwhile)
    assert tools.sync_next(lambda: False)
    assert Tool.objects.get(name="shop_changing").versions.count() == 1
    assert not Notice.objects.exists()
    ToolServer.objects.update(synced_at=long_ago)
    assert not tools.sync_next(lambda: False)
