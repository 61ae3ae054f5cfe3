"""Agents behind an address: against a real server on this machine."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from orchestrator.agents.base import AgentAnswer, Ask, Piece, Usage
from orchestrator.agents.registry import find
from orchestrator.core.errors import (
    AgentCrashed,
    AgentError,
    AgentRefused,
    AgentTimedOut,
    AgentUnavailable,
    OutputInvalid,
)
from tests.agents.chat_server import ChatServer, Says, chat_server
from tests.agents.conftest import make_call
from tests.agents.test_llm import LOOK_UP, REFUND

KEY = "do-not-tell-4711"


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as found:
        yield found


def says(whole: Any, **changes: Any) -> Says:
    return Says(body=json.dumps(whole).encode(), **changes)


def ask(
    server: ChatServer,
    endpoint: dict[str, Any] | None = None,
    *,
    limits: dict[str, int] | None = None,
    **changes: Any,
) -> AgentAnswer:
    address = {"base_url": f"{server.url}/agent", "slug": "here", "api_key": KEY} | (endpoint or {})
    config = {"kind": "http", "name": "clerk", "version": 2, "endpoint": address}
    config |= {"limits": limits or {}}
    return find(config).call(make_call(config, **changes))


def test_it_is_told_the_call_and_says_its_answer(server: ChatServer) -> None:
    server.says(
        says(
            {
                "output": {"total": 7},
                "usage": {"tokens_in": 10, "tokens_out": 2, "money_micros": 30},
                "agent": {"model": "own-1", "name": "somebody else", "version": "99"},
                "pieces": [{"kind": "tool", "name": "search", "began_ms": 1, "took_ms": 2}],
            }
        )
    )
    answer = ask(server, item="page 2", output={"type": "object"}, tools=[REFUND])
    assert answer.output == {"total": 7}
    assert answer.usage == Usage(10, 2, 30)
    # Who was asked is known here, whatever it claims.
    known = {"kind": "http", "name": "clerk", "version": "2", "endpoint": "here"}
    assert answer.agent == {"model": "own-1", **known}
    assert answer.pieces == (Piece("tool", "search", 1, 2, Usage(money_micros=None)),)
    call = server.asked[0]["call"]
    assert call["key"] == "run_1:read:0"
    assert (call["intent"], call["item"]) == ({"invoice": "A-1"}, "page 2")
    assert call["agent"] == {"kind": "http", "name": "clerk", "version": "2"}
    assert call["tools"] == [REFUND]
    assert KEY not in json.dumps(server.asked)
    assert server.paths == ["/agent"]


def test_every_attempt_has_the_same_key_and_every_turn_another(server: ChatServer) -> None:
    server.says(says({"output": 1}))
    for changes in ({"attempt": 1}, {"attempt": 2}, {"turn": 2}):
        ask(server, **changes)
    keys = [headers["idempotency-key"] for headers in server.headers]
    assert keys == ["run_1:read:0/1", "run_1:read:0/1", "run_1:read:0/2"]


def test_it_is_signed_as_webhooks_are(server: ChatServer) -> None:
    server.says(says({"output": 1}))
    ask(server, {"auth": "hmac"})
    headers = server.headers[0]
    body = json.dumps(server.asked[0], ensure_ascii=False).encode()
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    code = base64.b64encode(hmac.digest(KEY.encode(), signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{code}"
    assert "authorization" not in headers
    assert abs(time.time() - int(headers["webhook-timestamp"])) < 60


def test_a_key_is_a_bearer_token_unless_it_says_otherwise(server: ChatServer) -> None:
    server.says(says({"output": 1}))
    ask(server)
    ask(server, {"auth": "none"})
    ask(server, {"api_key": ""})
    ask(server, {"auth": "bearer", "api_key": ""})
    bearer = [headers.get("authorization") for headers in server.headers]
    assert bearer == [f"Bearer {KEY}", None, None, None]
    with pytest.raises(AgentError, match="has no key"):
        ask(server, {"auth": "hmac", "api_key": ""})


def test_an_echo_of_its_key_is_kept_nowhere(server: ChatServer) -> None:
    args = {"order": f"Bearer {KEY}", "amount_minor": 900}
    asks = [{"tool": "refund.create", "args": args, "rationale": KEY}]
    server.says(says({"output": {"key": [KEY]}, "asks": asks, "memory": KEY, "notes": [KEY]}))
    answer = ask(server, tools=[REFUND])
    assert KEY not in repr(answer)
    server.says(says({"output": {KEY: f"it is {KEY}"}}))
    assert ask(server).output == {"•••": "it is •••"}
    server.says(says({"error": {"code": "failed", "reason": f"Bearer {KEY}?"}}))
    with pytest.raises(AgentError) as caught:
        ask(server)
    assert KEY not in str(caught.value)


def test_nor_is_the_beginning_of_a_key_that_a_long_reason_ends_in(server: ChatServer) -> None:
    key = "-".join([KEY] * 6)
    for status in (200, 403, 503):
        for before in (420, 470, 490):
            reason = f"{'x' * before}{key} is not mine"
            server.says(says({"error": {"code": "agent-refused", "reason": reason}}, status=status))
            with pytest.raises(AgentError) as caught:
                ask(server, {"api_key": key})
            assert KEY[:6] not in str(caught.value)


@pytest.mark.parametrize("auth", ["bearer", "hmac"])
def test_a_key_of_the_worker_is_for_its_host_alone(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch, auth: str
) -> None:
    monkeypatch.setenv("HOUSE_API_KEY", KEY)
    endpoint = {"api_key": "", "api_key_env": "HOUSE_API_KEY", "auth": auth}
    with pytest.raises(AgentError, match="HOUSE_API_KEY may not be used for 127"):
        ask(server, endpoint)
    assert not server.asked
    monkeypatch.setenv("HOUSE_API_KEY_HOST", "127.0.0.1")
    server.says(says({"output": 1}))
    assert ask(server, endpoint).output == 1
    monkeypatch.delenv("HOUSE_API_KEY")
    with pytest.raises(AgentError, match="not set in the environment"):
        ask(server, endpoint)


def test_it_may_ask_for_the_tools_that_it_was_given(server: ChatServer) -> None:
    args = {"order": "A-1", "amount_minor": 900}
    server.says(says({"asks": [{"tool": "refund.create", "args": args}], "memory": {"seen": 1}}))
    answer = ask(server, tools=[REFUND])
    assert answer.asks == (Ask("1.1", "refund.create", args),)
    assert answer.memory == {"seen": 1}
    server.says(says({"output": "done"}))
    heard = [{"key": "1.1", "status": "executed"}]
    ask(server, tools=[REFUND], turn=2, memory={"seen": 1}, answers=heard)
    call = server.asked[-1]["call"]
    assert (call["turn"], call["memory"], call["answers"]) == (2, {"seen": 1}, heard)


@pytest.mark.parametrize(
    "asked",
    [
        {"tool": "orders.look_up", "args": {"order": "A-1"}},
        {"tool": "delete_everything", "args": {}},
        {"tool": "refund.create", "args": {"order": 7}},
        {"tool": "refund.create"},
        "refund.create",
    ],
)
def test_it_may_ask_for_nothing_else(server: ChatServer, asked: Any) -> None:
    server.says(says({"asks": [asked]}))
    with pytest.raises(OutputInvalid):
        ask(server, tools=[LOOK_UP, REFUND])


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (Says(body=b"{not json"), OutputInvalid, "not JSON"),
        (Says(body=b"[]"), OutputInvalid, "not an answer"),
        (says({"usage": {}}), OutputInvalid, "not an answer"),
        (says({"output": 1, "usage": {"tokens_in": -1}}), OutputInvalid, "tokens_in is -1"),
        (says({"output": 1, "usage": {"tokens_in": True}}), OutputInvalid, "tokens_in is True"),
        (says({"output": 1, "pieces": [{"kind": "x"}]}), OutputInvalid, "model or tool"),
        (says({"output": 1, "pieces": [{}] * 300}), OutputInvalid, "at most 200"),
        (Says(body=b'{"output": "\\u0000"}'), OutputInvalid, "NUL"),
        (Says(status=503, body=b"busy"), AgentUnavailable, "503"),
        (Says(status=429, body=b""), AgentUnavailable, "429"),
        (Says(status=403, body=b'{"error": {"reason": "not you"}}'), AgentRefused, "403: not you"),
        (Says(status=302, headers={"Location": "http://127.0.0.1:9/"}), AgentRefused, "redirect"),
        (says({"error": {"code": "agent-refused", "reason": "no"}}), AgentRefused, "no"),
        (says({"error": {"code": "agent-crashed", "reason": "ouch"}}), AgentCrashed, "ouch"),
        (says({"error": {"code": "forged"}}), AgentError, "does not say why"),
        (Says(body=b'{"output": "long"}', cut_after=5), OutputInvalid, "not JSON"),
    ],
)
def test_faults_say_what_they_are(
    server: ChatServer, answer: Says, kind: type[AgentError], reason: str
) -> None:
    server.says(answer)
    with pytest.raises(kind, match=reason) as failure:
        ask(server)
    assert type(failure.value) is kind
    assert failure.value.who == "http clerk"


def test_who_is_too_busy_says_when_to_come_again(server: ChatServer) -> None:
    server.says(Says(status=429, headers={"Retry-After": "9"}, body=b""))
    with pytest.raises(AgentUnavailable) as failure:
        ask(server)
    assert failure.value.retry_after_s == 9


def test_a_failure_says_what_it_cost(server: ChatServer) -> None:
    error = {"code": "agent-unavailable", "usage": {"tokens_in": 5}, "retry_after_s": 10**9}
    server.says(says({"error": error}))
    with pytest.raises(AgentUnavailable) as failure:
        ask(server)
    assert failure.value.usage == Usage(5, 0, None)
    assert failure.value.retry_after_s == 86_400


def test_without_a_word_on_it_nobody_knows_what_it_cost(server: ChatServer) -> None:
    server.says(says({"output": 1}))
    assert ask(server).usage == Usage(money_micros=None)


def test_a_slow_one_is_given_up_on_in_time(server: ChatServer) -> None:
    server.says(says({"output": 1}, wait_s=3))
    began = time.monotonic()
    with pytest.raises(AgentTimedOut, match=r"within 0\.4 s") as failure:
        ask(server, timeout_s=0.4)
    assert time.monotonic() - began < 2
    assert failure.value.usage == Usage(money_micros=None), "it may have spent something"


def test_a_huge_answer_is_not_taken(server: ChatServer, settings: Settings) -> None:
    settings.JSON_BYTES_MAX = 10_000
    server.says(says({"output": "x" * 20_000}))
    with pytest.raises(OutputInvalid, match="more than 10,000 bytes"):
        ask(server)


def test_what_it_is_handed_is_cut_to_its_budget_and_that_is_said(server: ChatServer) -> None:
    server.says(says({"output": 1}))
    inputs = {"long": "x" * 60_000, "short": "kept as it is"}
    answer = ask(server, inputs=inputs, limits={"tokens_in": 2_000})
    handed = server.asked[0]
    assert len(json.dumps(handed)) <= 2_000 * 3
    assert handed["call"]["inputs"]["short"] == "kept as it is"
    assert set(handed["call"]["inputs"]["long"]) == {"cut_after"}
    (note,) = answer.notes
    assert note.startswith("the input long was cut from 60,002 to ")


def test_what_was_cut_is_said_of_a_call_that_failed_too(server: ChatServer) -> None:
    server.says(says({"output": "y" * 400}))
    with pytest.raises(OutputInvalid, match="tokens_out is 100") as failure:
        ask(server, inputs={"long": "x" * 9_000}, limits={"tokens_in": 900, "tokens_out": 100})
    assert "the input long was cut" in failure.value.notes[0]


def test_a_task_that_does_not_fit_is_not_sent(server: ChatServer) -> None:
    with pytest.raises(AgentRefused, match="Nothing was sent"):
        ask(server, item="x" * 9_000, limits={"tokens_in": 500})
    assert server.asked == []


def test_the_key_is_told_to_nobody_else(server: ChatServer) -> None:
    server.says(says({"error": {"reason": f"{KEY} is wrong"}}, status=401))
    with pytest.raises(AgentRefused) as failure:
        ask(server)
    assert KEY not in str(failure.value)


def test_a_private_address_is_not_asked_unless_it_is_meant(
    server: ChatServer, settings: Settings
) -> None:
    settings.ENDPOINT_HOSTS_TRUSTED = []
    with pytest.raises(AgentRefused, match="ENDPOINT_HOSTS_TRUSTED"):
        ask(server, {"base_url": server.url.replace("http:", "https:")})
    assert server.asked == []


def test_it_is_told_which_trace_its_call_belongs_to(server: ChatServer) -> None:
    server.says(says({"output": 1}))
    told = f"00-{'a' * 32}-{'b' * 16}-01"
    config = {"kind": "http", "name": "clerk", "endpoint": {"base_url": f"{server.url}/agent"}}
    find(config).call(make_call(config))
    find(config).call(make_call(config | {"traceparent": told}))
    assert [headers.get("traceparent") for headers in server.headers] == [None, told]


@pytest.mark.parametrize("most", [0, 20_000])
def test_what_its_tools_said_is_followed_beyond_what_the_trace_keeps(
    server: ChatServer, settings: Settings, most: int
) -> None:
    settings.TRACE_TEXT_MAX = most
    said, error = "x" * 25_000 + " DE89370400440532013000", "y" * 600 + " DE89370400440532013000"
    piece = {"kind": "tool", "name": "read_email", "said": said, "error": error}
    thought = {"kind": "model", "name": "own-1", "said": said}
    server.says(says({"output": 1, "pieces": [piece, thought]}))
    answer = ask(server)
    assert answer.untrusted == (said, error)
    assert [len(one.said) for one in answer.pieces] == [max(most, 1)] * 2


def test_what_the_trace_keeps_whole_is_not_told_twice(server: ChatServer) -> None:
    piece = {"kind": "tool", "name": "read_email", "said": "Pay to DE89.", "error": "away"}
    server.says(says({"output": 1, "pieces": [piece]}))
    answer = ask(server)
    assert (answer.untrusted, answer.pieces[0].said) == ((), "Pay to DE89.")
