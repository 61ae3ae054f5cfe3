"""Tools behind one HTTP request: a method, a template of the URL, and the other arguments as the body.

    {"kind": "http", "method": "POST", "url": "https://shop.example/orders/{order}/refunds",
     "secret": "TOOL_SECRET_SHOP"}

Arguments that the template names are put there, as one part of the path or query each. All others go as a
JSON object, or as the query where a method has no body. Where it may call says `outside.py`.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from django.conf import settings

from orchestrator.core.codec import Json, JsonLimits, canonical, safe_json
from orchestrator.core.errors import (
    BadJson,
    ToolError,
    ToolRefused,
    ToolTimedOut,
    ToolUnavailable,
)
from orchestrator.core.hidden import without
from orchestrator.outside import Answer, NotReached, Refused, Sent, Unreachable, ask
from orchestrator.tools.base import ALONE, ToolResult, ToolSpec, Use
from orchestrator.tools.secrets import handed_to, secret_for

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
WITHOUT_BODY = frozenset({"GET", "DELETE"})
SHOWN_MAX = 300
_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Http:
    def call(
        self, spec: ToolSpec, args: Mapping[str, Any], *, timeout_s: float, use: Use = ALONE
    ) -> ToolResult:
        sent = request(spec, args, use.key)
        most = settings.TOOL_ANSWER_BYTES_MAX
        try:
            answer = ask(
                sent,
                trusted=settings.TOOL_HOSTS_TRUSTED,
                listed_in="TOOL_HOSTS_TRUSTED",
                timeout_s=timeout_s,
                bytes_max=most + 1,
            )
        except Refused as error:
            raise ToolRefused(spec.name, f"its address may not be called: {error}") from error
        except NotReached as error:
            raise ToolUnavailable(spec.name, str(error)) from error
        except Unreachable as error:
            # Nobody knows whether the request arrived.
            raise ToolTimedOut(spec.name, str(error)) from error
        _check_status(spec, answer)
        if len(answer.text.encode()) > most:
            raise ToolError(spec.name, f"its answer has more than {most:,} bytes.")
        return ToolResult(_value(answer.text, most))


TOOL = Http()


def problem_of(config: Mapping[str, Any]) -> str:
    """Why this cannot be called; empty when it can. No argument may say which host is asked."""
    method, url = config.get("method", "GET"), str(config.get("url", ""))
    if method not in METHODS:
        return f"its method has to be one of {', '.join(METHODS)}."
    parts = urlsplit(_PLACE.sub("x", url))
    if not parts.scheme or not parts.hostname:
        return "its URL has to be a whole one, such as https://shop.example/orders/{order}."
    if _PLACE.search(url.partition("://")[2].partition("/")[0]) or not url.startswith("http"):
        return "its host has to be named; arguments only stand in the path and the query."
    return ""


def request(spec: ToolSpec, args: Mapping[str, Any], key: str) -> Sent:
    config = spec.backend
    if problem := problem_of(config):
        raise ToolRefused(spec.name, problem)
    method, url = str(config.get("method", "GET")), str(config["url"])
    named = set(_PLACE.findall(url))
    url = _PLACE.sub(lambda found: _part(spec, found.group(1), args), url)
    rest = {name: value for name, value in args.items() if name not in named}
    headers = _headers(spec, url, key)
    if method in WITHOUT_BODY:
        return Sent(method, _with_query(spec, url, rest), None, headers)
    return Sent(method, url, canonical(rest).encode(), headers)


def _part(spec: ToolSpec, name: str, args: Mapping[str, Any]) -> str:
    """One part of the path: what is in it can neither end it nor climb out of it."""
    text = _plain(spec, name, args.get(name))
    if text in {"", ".", ".."}:
        raise ToolRefused(spec.name, f"{name} stands in the URL and cannot be {text!r}.")
    return quote(text, safe="")


def _with_query(spec: ToolSpec, url: str, rest: Mapping[str, Any]) -> str:
    if not rest:
        return url
    pairs = urlencode({name: _plain(spec, name, value) for name, value in rest.items()})
    return f"{url}{'&' if '?' in url else '?'}{pairs}"


def _plain(spec: ToolSpec, name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return canonical(value)
    raise ToolRefused(spec.name, f"{name} stands in the URL and has to be a text or a number.")


def _headers(spec: ToolSpec, url: str, key: str) -> dict[str, str]:
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    if key:
        headers["Idempotency-Key"] = key
    if name := spec.backend.get("secret"):
        headers["Authorization"] = f"Bearer {secret_for(spec.name, str(name), url)}"
    return headers


def _check_status(spec: ToolSpec, answer: Answer) -> None:
    if 200 <= answer.status < 300:
        return
    # Before it is cut: part of a secret would not be known for one.
    said = without(handed_to(spec.backend), answer.text)
    reason = f"it answered {answer.status}: {said[:SHOWN_MAX]}"
    if _was_too_busy(spec, answer.status):
        raise ToolUnavailable(spec.name, reason)
    if 300 <= answer.status < 500:
        raise ToolRefused(spec.name, reason)
    raise ToolError(spec.name, reason, retryable=True)


def _was_too_busy(spec: ToolSpec, status: int) -> bool:
    """Nothing was done, and later it may be. A 503 may be a proxy's, which does not know what was."""
    return status == 429 or (status == 503 and spec.kind == "read")


def _value(text: str, most: int) -> Json:
    """What is no JSON is a text, and as such as good."""
    try:
        return safe_json(text.encode(), JsonLimits(most, settings.JSON_DEPTH_MAX))
    except BadJson:
        return text.replace("\x00", "\ufffd")
