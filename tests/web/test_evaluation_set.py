"""Evaluation sets by download and over the API: whole, masked, written down, and not for everybody."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.test import Client, RequestFactory

from orchestrator.actions import audits
from orchestrator.actions.actor import Actor
from orchestrator.core import evaluation_sets
from orchestrator.core.codec import read
from orchestrator.models import AuditEntry, Proposal
from orchestrator.streaming import LINES_AT_ONCE, streamed
from tests.actions.test_audits import HARMLESS
from tests.conftest import Cast
from tests.suggestions import ACTION, declare, judge

PATH, API = "/rules/evaluation-set/", "/api/v1/evaluation-sets"
Propose = Callable[..., Proposal]
EVERYTHING = {"action": "", "agent": "", "agent_version": ""}
CARD = "4111111111111111"


@pytest.fixture
def judged(cast: Cast, propose: Propose) -> list[Proposal]:
    declare(cast, masked=["/card"])
    args = {"grams": 5, "country": "NL"}
    secret = args | {"card": CARD, "note": f"paid with {CARD}"}
    return [
        judge(cast, propose, args, rejected=False),
        judge(cast, propose, secret, rejected=True),
    ]


def lines_of(response: Any) -> list[str]:
    text = b"".join(response.streaming_content).decode()
    return text.splitlines(keepends=True)


def examples_in(found: list[str]) -> list[dict[str, Any]]:
    evaluation_sets.check(found)
    return [data for line in found[1:-1] if isinstance(data := read(line), dict)]


def test_an_admin_downloads_what_people_judged(ada: Client, judged: list[Proposal]) -> None:
    assert "Download" in ada.get(PATH).text
    assert not AuditEntry.objects.filter(verb="evaluation_set.exported").exists()
    answer = ada.post(PATH, EVERYTHING | {"action": ACTION})
    assert answer["Content-Type"] == "application/jsonl"
    assert answer["Content-Disposition"].startswith('attachment; filename="evaluation-set-2')
    assert "no-store" in answer["Cache-Control"]
    plain, hidden = examples_in(lines_of(answer))
    assert [plain["proposal"], hidden["proposal"]] == [one.pk for one in judged]
    assert (plain["should_run"], hidden["should_run"]) == (True, False)
    assert "masked" not in plain
    assert hidden["masked"] == ["/card"]
    assert hidden["args"]["card"] == "(masked)"
    assert hidden["args"]["note"] == "paid with (masked)"
    entry = AuditEntry.objects.get(verb="evaluation_set.exported")
    assert entry.detail == EVERYTHING | {"action": ACTION}
    assert (entry.user and entry.user.username) == "ada"


def test_filters_choose(ada: Client, judged: list[Proposal]) -> None:
    for name in EVERYTHING:
        assert examples_in(lines_of(ada.post(PATH, EVERYTHING | {name: "no.such"}))) == []
    assert len(examples_in(lines_of(ada.post(PATH, {"agent": judged[0].agent})))) == 2


def test_what_is_no_name_is_refused(ada: Client) -> None:
    for word in ("x" * 101, "a\x00b"):
        answer = ada.post(PATH, {"agent": word})
        assert answer.status_code == 422
        assert "<title>Error:" in answer.text
    assert not AuditEntry.objects.filter(verb="evaluation_set.exported").exists()


def test_what_somebody_judges_blind_is_left_out_for_them(
    ada: Client, cast: Cast, propose: Propose, judged: list[Proposal], settings: Any
) -> None:
    """An auditor must not find the verdict of others in a file."""
    settings.AUDIT_SHARE = 1.0
    drawn = propose(args=HARMLESS)
    run = judged[0].run_id
    assert len(examples_in(lines_of(ada.post(PATH, EVERYTHING)))) == 2
    held = audits.take_next(Actor(cast.ada))
    assert held is not None
    assert held.proposal_id == drawn.pk
    type(held).objects.filter(pk=held.pk).update(run=run)
    (left,) = examples_in(lines_of(ada.post(PATH, EVERYTHING)))
    assert left["proposal"] == judged[1].pk


def test_programs_get_the_same_with_a_token_of_an_admin(
    client: Client, cast: Cast, token: Callable[..., str], judged: list[Proposal]
) -> None:
    def ask(bearer: str, **words: str) -> Any:
        return client.get(API, words, headers={"Authorization": f"Bearer {bearer}"})

    of_admin = token("admin", owner=cast.ada)
    answer = ask(of_admin, action=ACTION)
    assert answer["Content-Type"] == "application/jsonl"
    found = examples_in(lines_of(answer))
    assert [one["proposal"] for one in found] == [one.pk for one in judged]
    assert CARD not in str(found)
    entry = AuditEntry.objects.get(verb="evaluation_set.exported")
    assert entry.token is not None
    assert ask(token("read", owner=cast.ada)).status_code == 403
    assert ask(token("admin")).status_code == 403
    assert ask(of_admin, actoin=ACTION).status_code == 422
    assert ask(of_admin, action="x" * 101).status_code == 422


def test_a_long_answer_is_sent_as_it_is_made() -> None:
    """Under ASGI as well, where Django would otherwise collect all of it first."""
    made = 0

    def lines() -> Any:
        nonlocal made
        for made in range(1, 1_001):
            yield f"{made}\n"

    async def first_and_all() -> tuple[int, list[bytes]]:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        request = ASGIRequest(scope, None)
        response = streamed(request, lines(), content_type="text/plain", name="x")
        assert response.is_async
        stream = aiter(response)
        chunks = [await anext(stream)]
        made_by_then = made
        async for chunk in stream:
            chunks.append(chunk)
        return made_by_then, chunks

    made_by_then, chunks = asyncio.run(first_and_all())
    assert made_by_then == LINES_AT_ONCE
    assert b"".join(chunks).decode().split() == [str(n) for n in range(1, 1_001)]
    plain = streamed(RequestFactory().get("/"), lines(), content_type="text/plain", name="x")
    assert len(list(plain)) == 1_000 / LINES_AT_ONCE
