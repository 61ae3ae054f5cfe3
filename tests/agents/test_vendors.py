"""Models that speak a language of their own, where the extras that speak it are installed."""

import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple, get_args

import pytest

from orchestrator.agents.base import AgentAnswer
from orchestrator.agents.llm import endpoint
from orchestrator.agents.llm.agent import Llm
from orchestrator.agents.llm.providers import VENDORS, Vendor
from orchestrator.api.agent_schemas import EndpointIn
from orchestrator.core.errors import AgentError, AgentTimedOut, AgentUnavailable, OutputInvalid
from orchestrator.models import Endpoint
from tests.agents.chat_server import ChatServer, Says, chat_server
from tests.agents.conftest import make_call
from tests.agents.model_fixtures import nothing_is_left, stay_here  # noqa: F401  (fixtures)

KEY = "key-of-a-test"


class Speech(NamedTuple):
    path: str
    header: str
    # Around the key.
    letting_in: str
    # One answer: the word "seven", 100 tokens in and 10 out.
    answer: Any


CHAT = {
    "id": "1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "small-1",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "seven"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
}
SPEECHES = {
    "anthropic": Speech(
        "/v1/messages",
        "authorization",
        "Bearer {}",
        {
            "id": "1",
            "type": "message",
            "role": "assistant",
            "model": "small-1",
            "content": [{"type": "text", "text": "seven"}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 100, "output_tokens": 10},
        },
    ),
    "google": Speech(
        "/v1beta/models/small-1:generateContent",
        "x-goog-api-key",
        "{}",
        {
            "candidates": [
                {"content": {"role": "model", "parts": [{"text": "seven"}]}, "finishReason": "STOP"}
            ],
            "usageMetadata": {
                "promptTokenCount": 100,
                "candidatesTokenCount": 10,
                "totalTokenCount": 110,
            },
            "modelVersion": "small-1",
            "responseId": "1",
        },
    ),
    "mistral": Speech("/v1/chat/completions", "authorization", "Bearer {}", CHAT),
    "groq": Speech("/chat/completions", "authorization", "Bearer {}", CHAT),
}


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with chat_server() as server:
        yield server


@pytest.fixture(params=SPEECHES)
def vendor(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if (own := VENDORS.get(name)) is not None:
        pytest.importorskip(
            f"pydantic_ai.models.{own.extra}",
            reason="needs pip install -r requirements-vendors.txt",
            exc_type=ImportError,
        )
    return name


def ask(chat: ChatServer, vendor: str, **call: Any) -> AgentAnswer:
    where = {"slug": "here", "provider": vendor, "base_url": chat.url, "api_key": KEY}
    config = {
        "kind": "llm",
        "name": "clerk",
        "version": 1,
        "model": "small-1",
        "prompt": "You add up invoices.",
        "endpoint": where,
    }
    return Llm().call(make_call(config, **call))


def test_all_that_can_be_chosen_can_be_asked() -> None:
    choices = set(Endpoint.Provider.values)
    assert choices == {*endpoint.VENDORS, endpoint.COMPATIBLE, "http"}
    assert choices == set(get_args(EndpointIn.model_fields["provider"].annotation))


def test_it_answers(chat: ChatServer, vendor: str) -> None:
    speech = SPEECHES[vendor]
    chat.says(Says(body=json.dumps(speech.answer).encode()))
    found = ask(chat, vendor)
    assert found.output == "seven"
    assert (found.usage.tokens_in, found.usage.tokens_out) == (100, 10)
    assert chat.paths == [speech.path]
    assert chat.headers[0][speech.header] == speech.letting_in.format(KEY)
    assert "You add up invoices." in json.dumps(chat.asked[0])


@pytest.mark.parametrize("status", [429, 503])
def test_it_asks_once(chat: ChatServer, vendor: str, status: int) -> None:
    """The stage's attempts are those that try again."""
    chat.says(Says(status=status, body=b'{"error": {"message": "busy"}}'))
    with pytest.raises(AgentUnavailable):
        ask(chat, vendor)
    assert len(chat.paths) == 1


def test_it_asks_once_when_the_line_is_cut(chat: ChatServer, vendor: str) -> None:
    chat.says(Says(body=b"{" * 100, cut_after=10))
    with pytest.raises((AgentUnavailable, OutputInvalid)):
        ask(chat, vendor)
    assert len(chat.paths) == 1


def test_our_deadline_holds(chat: ChatServer, vendor: str) -> None:
    chat.says(Says(body=b"{}", wait_s=30.0))
    began = time.monotonic()
    with pytest.raises(AgentTimedOut):
        ask(chat, vendor, timeout_s=1.0)
    assert time.monotonic() - began < 5
    assert len(chat.paths) == 1


def test_variables_of_the_environment_are_not_used(
    chat: ChatServer, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (vendor.upper(), "GEMINI", "GOOGLE", "GOOGLE_GEMINI", "OPENAI"):
        monkeypatch.setenv(f"{name}_BASE_URL", "http://127.0.0.1:9/")
        monkeypatch.setenv(f"{name}_API_KEY", "of-the-worker")
        monkeypatch.setenv(f"{name}_AUTH_TOKEN", "of-the-worker")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9/")
    chat.says(Says(body=json.dumps(SPEECHES[vendor].answer).encode()))
    assert ask(chat, vendor).output == "seven"
    assert "of-the-worker" not in str(chat.headers)


def test_what_is_not_installed_is_named(chat: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VENDORS, "mistral", Vendor("no_such_extra", "Model", "Provider"))
    with pytest.raises(
        AgentError, match=r"no_such_extra .* pip install -r requirements-vendors\.txt"
    ):
        ask(chat, "mistral")
    assert chat.paths == []
