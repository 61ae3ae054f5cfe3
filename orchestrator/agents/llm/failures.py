"""What goes wrong between us and a model, as errors that say whether asking again may help."""

import logging
import traceback
from collections.abc import Iterator
from typing import Any

import httpx2
from openai import APIStatusError
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    ModelRequestTimeout,
    ModelTimeoutError,
    UnexpectedModelBehavior,
    UserError,
)

from orchestrator.agents.base import shorten
from orchestrator.agents.llm.transport import AnswerTooLarge
from orchestrator.core.errors import (
    AgentError,
    AgentRefused,
    AgentTimedOut,
    AgentUnavailable,
    OutputInvalid,
)
from orchestrator.core.hidden import without
from orchestrator.outside import Refused, Unreachable

logger = logging.getLogger(__name__)

# Refusals by their number that a moment may change.
PASSING = frozenset({408, 409, 425, 429})
WORDS = {
    401: "its key was not accepted",
    403: "its key may not do this",
    404: "there is no such model or address",
}
DETAIL_LENGTH_MAX = 300
RETRY_AFTER_MAX_S = 86_400.0
BROKE_OFF = (httpx2.RemoteProtocolError, httpx2.ReadError)


def explain(error: Exception, *, key: str, timeout_s: float) -> AgentError:
    """Never with a key in it, whatever the other side echoes."""
    found = _own(error) or _timed_out(error, timeout_s) or _answered(error, key) or _broken(error)
    if found is None:
        text = "".join(traceback.format_exception(error))
        logger.error("a model could not be asked\n%s", without([key], text))
        found = AgentError(f"{type(error).__name__}: {error}")
    found.reason = shorten(without([key], found.reason))
    return found


def _own(error: Exception) -> AgentError | None:
    """What our own transport refused, which its clients wrap in errors of theirs."""
    for cause in _causes(error):
        if isinstance(cause, AgentError):
            return cause
        if isinstance(cause, Refused):
            return AgentRefused(f"its endpoint was not called: {cause}")
        if isinstance(cause, Unreachable):
            return AgentUnavailable(str(cause))
        if isinstance(cause, AnswerTooLarge):
            return OutputInvalid(str(cause))
    return None


def _timed_out(error: Exception, timeout_s: float) -> AgentError | None:
    if isinstance(error, TimeoutError | ModelTimeoutError | ModelRequestTimeout):
        return AgentTimedOut("the model was still at it", timeout_s=timeout_s)
    return None


def _answered(error: Exception, key: str) -> AgentError | None:
    """With a number that is not 200."""
    if isinstance(error, ModelHTTPError):
        said = _detail(error.body, key)
        if error.status_code in PASSING or error.status_code >= 500:
            return AgentUnavailable(
                f"it answered {error.status_code}{said}", retry_after_s=_wait_s(error)
            )
        return AgentRefused(
            f"{WORDS.get(error.status_code, 'it answered')} ({error.status_code}){said}"
        )
    for cause in _causes(error):
        if isinstance(cause, APIStatusError) and 300 <= cause.status_code < 400:
            return AgentRefused(
                f"it redirects ({cause.status_code}), which is not followed: the data may only go to its endpoint"
            )
    return None


def _wait_s(error: ModelHTTPError) -> float | None:
    """As it asks, within reason."""
    wanted = error.retry_after
    return None if wanted is None else min(max(float(wanted), 0.0), RETRY_AFTER_MAX_S)


def _broken(error: Exception) -> AgentError | None:
    """Without a number: no connection, half an answer, or one that makes no sense."""
    if isinstance(error, ModelConnectionError | httpx2.TransportError):
        if _was_answering(error):
            return OutputInvalid("its answer broke off before it was complete.")
        return AgentUnavailable(_innermost(error))
    if isinstance(error, UserError):
        return AgentError(f"the model cannot be asked like this: {error}")
    if isinstance(error, ModelAPIError | UnexpectedModelBehavior | ValueError):
        return OutputInvalid(f"its answer is not what the protocol asks for: {error}")
    return None


def _was_answering(error: Exception) -> bool:
    """It had begun to answer; a peer that closes without a word was not there."""
    if isinstance(error, ModelConnectionError) and error.in_stream:
        return True
    broke = [cause for cause in _causes(error) if isinstance(cause, BROKE_OFF)]
    return bool(broke) and "without sending a response" not in str(broke[0])


def _innermost(error: Exception) -> str:
    """What the system said; its clients only say that there was an error."""
    said = [str(cause) for cause in _causes(error)]
    return next((text for text in reversed(said) if text), type(error).__name__)


def _detail(body: Any, key: str) -> str:
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    said = body.get("message") if isinstance(body, dict) else body
    if not isinstance(said, str) or not said:
        return ""
    # Before it is cut: part of a key would not be known for one.
    return f": {shorten(without([key], said), DETAIL_LENGTH_MAX)}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__
