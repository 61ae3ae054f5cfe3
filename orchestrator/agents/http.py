"""Agents of your own in any language: a call is a POST of JSON, its answer is JSON. docs/agents.md has the format.

The request goes out through the guard for outside addresses, once, and is never redirected; its key says
which calls are for the same work. What comes back is outside data.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from django.conf import settings

from orchestrator.agents.base import AgentAnswer, AgentCall, Usage, accountable, describe
from orchestrator.agents.context import estimate, fit_inputs
from orchestrator.agents.keys import key_of
from orchestrator.agents.offered import offered_in
from orchestrator.agents.wire import failure_in, read_answer
from orchestrator.core.codec import Json, JsonLimits, safe_json
from orchestrator.core.errors import (
    AgentError,
    AgentRefused,
    AgentTimedOut,
    AgentUnavailable,
    BadJson,
    OutputInvalid,
)
from orchestrator.core.hidden import without, without_in
from orchestrator.outside import Answer, Refused, Sent, Unreachable, ask

AUTHS = ("bearer", "hmac", "none")
# What of a call is told; its config holds the key.
_TOLD = [one.name for one in fields(AgentCall) if one.name not in {"config", "tools"}]
_OPTIONS = ("options", "settings")


class Http:
    def call(self, call: AgentCall) -> AgentAnswer:
        with accountable(call.config):
            endpoint = call.config.get("endpoint")
            if not isinstance(endpoint, Mapping):
                raise AgentError("it has no endpoint, so nobody knows where to ask it.")
            url = str(endpoint.get("base_url", ""))
            key = "" if endpoint.get("auth") == "none" else key_of(endpoint, url)
            began = time.monotonic()
            notes: tuple[str, ...] = ()
            try:
                call, notes = _fit(call)
                answer = _post(call, endpoint, key)
                return replace(_read(call, answer, endpoint, key), notes=notes)
            except AgentError as error:
                error.notes = notes
                error.reason = without([key], error.reason)
                if isinstance(error, AgentUnavailable) and _is_late(began, call):
                    error = AgentTimedOut(error.reason, timeout_s=call.timeout_s)
                if error.usage is None and isinstance(error, OutputInvalid | AgentTimedOut):
                    # It was at work, and does not say for how much.
                    error.usage = Usage(money_micros=None)
                raise error from None


def write_call(call: AgentCall) -> bytes:
    """All of the call but what is ours alone."""
    told: dict[str, Any] = {name: getattr(call, name) for name in _TOLD}
    # What is behind a tool is not for whoever uses it.
    told["tools"] = [
        {name: tool.get(name) for name in ("name", "description", "parameters", "kind")}
        for tool in call.tools
    ]
    told["agent"] = _known(call.config)
    told["options"] = next((call.config[name] for name in _OPTIONS if name in call.config), {})
    return json.dumps({"call": told}, ensure_ascii=False).encode()


def sign(key: str, message_id: str, timestamp: int, body: bytes) -> str:
    """As https://www.standardwebhooks.com has it, over the id, the time and the body."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key.encode(), signed, hashlib.sha256)).decode()


def _fit(call: AgentCall) -> tuple[AgentCall, tuple[str, ...]]:
    """Within the budget of its version, where that has one; and what was cut for it, in words."""
    limit = call.config.get("limits", {}).get("tokens_in")
    if not limit:
        return call, ()
    beside = estimate(write_call(replace(call, intent=None, inputs={}, item=None)).decode())
    inputs, notes = fit_inputs(call, tokens_max=limit - beside)
    return replace(call, inputs=inputs), notes


def _post(call: AgentCall, endpoint: Mapping[str, Any], key: str) -> Answer:
    body = write_call(call)
    sent = Sent(
        "POST", str(endpoint.get("base_url", "")), body, _headers(call, endpoint, key, body)
    )
    try:
        return ask(
            sent,
            trusted=settings.ENDPOINT_HOSTS_TRUSTED,
            listed_in="ENDPOINT_HOSTS_TRUSTED",
            timeout_s=call.timeout_s,
            # One more than is taken, so that what was cut is not taken for the whole.
            bytes_max=settings.JSON_BYTES_MAX + 1,
        )
    except Refused as error:
        raise AgentRefused(f"its endpoint was not called: {error}") from error
    except Unreachable as error:
        raise AgentUnavailable(str(error)) from error


def _headers(call: AgentCall, endpoint: Mapping[str, Any], key: str, body: bytes) -> dict[str, str]:
    # The same for every attempt at the same turn of the same work.
    message_id = f"{call.key}/{call.turn}"
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "User-Agent": "Countersign",
        "Idempotency-Key": message_id,
    }
    auth = endpoint.get("auth") or AUTHS[0]
    if auth not in AUTHS:
        raise AgentError(
            f"its endpoint asks for the sign-in {auth!r}; known are {', '.join(AUTHS)}."
        )
    if auth == "hmac" and not key:
        raise AgentError(f"its endpoint asks for the sign-in {auth!r} and has no key.")
    if auth == "bearer" and key:
        headers["Authorization"] = f"Bearer {key}"
    if call.config.get("traceparent"):
        headers["traceparent"] = str(call.config["traceparent"])
    if auth == "hmac":
        now = int(time.time())
        headers |= {
            "Webhook-Id": message_id,
            "Webhook-Timestamp": str(now),
            "Webhook-Signature": sign(key, message_id, now, body),
        }
    return headers


def _read(call: AgentCall, answer: Answer, endpoint: Mapping[str, Any], key: str) -> AgentAnswer:
    if answer.status != 200:
        raise _failure(answer, key)
    if len(answer.text.encode()) > settings.JSON_BYTES_MAX:
        raise OutputInvalid(f"its answer has more than {settings.JSON_BYTES_MAX:,} bytes.")
    _check_length(call, answer.text)
    # Whoever echoes its key does not have it stored.
    whole = without_in([key], _parse(answer.text))
    error = failure_in(whole)
    if error is not None:
        raise error
    known = _known(call.config)
    if endpoint.get("slug"):
        known["endpoint"] = str(endpoint["slug"])
    return read_answer(whole, offered=offered_in(call), known=known, turn=call.turn)


def _check_length(call: AgentCall, text: str) -> None:
    limit, tokens = call.config.get("limits", {}).get("tokens_out"), estimate(text)
    if limit and tokens > limit:
        raise OutputInvalid(f"its answer has about {tokens:,} tokens, and tokens_out is {limit:,}.")


def _failure(answer: Answer, key: str) -> AgentError:
    """An answer with another number. One that says in JSON what is wrong is quoted."""
    reason = f"it answered {answer.status}"
    try:
        # Before it is cut: part of a key would not be known for one.
        told = failure_in(without_in([key], _parse(answer.text)))
    except OutputInvalid:
        told = None
    if told is not None:
        reason += f": {told.reason}"
    if answer.status in {408, 409, 425, 429} or answer.status >= 500:
        after = answer.retry_after_s
        return AgentUnavailable(reason, retry_after_s=None if after is None else float(after))
    if 300 <= answer.status < 400:
        reason += ", a redirect, which is not followed: the data may only go to its endpoint"
    return AgentRefused(reason)


def _parse(text: str) -> Json:
    limits = JsonLimits(settings.JSON_BYTES_MAX, settings.JSON_DEPTH_MAX, settings.JSON_NODES_MAX)
    try:
        return safe_json(text.encode(), limits)
    except BadJson as error:
        raise OutputInvalid(error.reason) from error


def _known(config: dict[str, Any]) -> dict[str, str]:
    version = {"version": str(config["version"])} if "version" in config else {}
    return describe(config) | version


def _is_late(began: float, call: AgentCall) -> bool:
    return time.monotonic() - began >= call.timeout_s
