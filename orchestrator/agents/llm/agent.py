"""An agent that is a language model: its conversation, from the task to an answer or to asks.

Tools that read are used on the way. Tools that write end the turn: what the model asks of them becomes a
proposal each, and the next turn goes on where this one stopped. Nothing is ever carried out in here.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.conf import settings
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model

from orchestrator.agents.base import (
    AgentAnswer,
    AgentCall,
    Ask,
    Usage,
    accountable,
    shorten,
)
from orchestrator.agents.behind import Behind
from orchestrator.agents.context import BYTES_PER_TOKEN, estimate, fit, hand
from orchestrator.agents.llm import memory, requests, version
from orchestrator.agents.llm.failures import explain
from orchestrator.agents.llm.ledger import Ledger
from orchestrator.agents.llm.memory import Out
from orchestrator.agents.llm.outputs import FINAL, Expected, arguments_of
from orchestrator.agents.llm.prices import usage_of
from orchestrator.agents.llm.providers import model_of
from orchestrator.agents.llm.version import Version
from orchestrator.agents.offered import Offered, UseTool, offered_in, use_tool, wrong_with
from orchestrator.agents.untrusted import delimited
from orchestrator.core.codec import Json, canonical
from orchestrator.core.errors import (
    AgentError,
    AgentRefused,
    AgentTimedOut,
    OutputInvalid,
    ToolError,
)
from orchestrator.tools.base import ToolSpec

ASKED = "It was asked for, and you hear what became of it when all that you asked for is settled."
TOO_MANY = "It was not used: this call has used as many tools as it may. Answer with what you have."
NO_MONEY = "It was not used: an agent is behind it, and this call has spent what it may."


class Wish(NamedTuple):
    """A tool as the model called it, with what is wrong about that."""

    part: ToolCallPart
    spec: ToolSpec | None
    args: Json
    problem: str = ""

    @property
    def is_ask(self) -> bool:
        return self.spec is not None and self.spec.kind == "write" and not self.problem

    @property
    def tool(self) -> str:
        return self.spec.name if self.spec else self.part.tool_name

    @property
    def arguments(self) -> dict[str, Json]:
        return self.args if isinstance(self.args, dict) else {}


class Llm:
    def __init__(self, use: UseTool = use_tool) -> None:
        self._use = use

    def call(self, call: AgentCall) -> AgentAnswer:
        with accountable(call.config):
            known = version.read(call.config)
            talk = Talk(call, known, model_of(known.endpoint, known.model), self._use)
            try:
                return talk.hold()
            except Exception as error:  # noqa: BLE001 - whatever it was is explained
                raise talk.fail(error) from None


@dataclass
class Talk:
    """One turn of a conversation."""

    call: AgentCall
    version: Version
    model: Model[Any]
    use: UseTool
    ledger: Ledger = field(default_factory=Ledger)
    notes: tuple[str, ...] = ()
    # With the prompt and the task; what came after them is kept between turns.
    messages: list[ModelMessage] = field(default_factory=list)
    tokens: int = 0
    mistakes: int = 0
    uses: int = 0
    # What its pieces have not the whole of, and who was asked behind its tools.
    untrusted: list[Json] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.offered: Offered = offered_in(self.call, taken=[FINAL])
        self.expected = Expected(self.call.output, self.version.endpoint.output == "native")
        self.parameters = self.expected.parameters(self.offered)
        self.deadline = self.ledger.began + self.call.timeout_s

    def hold(self) -> AgentAnswer:
        self._begin()
        for _ in range(self.version.limits.requests):
            answer = self._take(self._ask_model())
            if answer is not None:
                return answer
        raise OutputInvalid(
            f"it had no answer after {self.version.limits.requests} requests, as many as it may make."
        )

    def fail(self, error: Exception) -> AgentError:
        """With what was spent until then."""
        found = explain(error, key=self.version.endpoint.api_key, timeout_s=self.call.timeout_s)
        found.usage, found.pieces = self.ledger.usage, tuple(self.ledger.pieces)
        found.notes = self.notes
        return found

    # What it is told ---------------------------------------------------------------------------

    def _begin(self) -> None:
        """The task, and in a later turn what was said and what became of what it asked for."""
        told = canonical([self.version.prompt, *map(_told_of, self.parameters.function_tools)])
        fixed = estimate(told) + estimate(canonical(self.call.output or {}))
        kept = canonical(self.call.memory) if self.call.turn > 1 else ""
        room = self.version.limits.tokens_in - fixed - estimate(kept)
        handed = hand(self.call, tokens_max=room)
        self.notes = handed.notes
        self.tokens = fixed + estimate(handed.text)
        parts: list[ModelRequestPart] = [UserPromptPart(handed.text)]
        if self.version.prompt:
            parts.insert(0, SystemPromptPart(self.version.prompt))
        self.messages = [ModelRequest(parts)]
        if self.call.turn > 1:
            self._go_on()

    def _go_on(self) -> None:
        said, out = memory.read(self.call.memory)
        answers = {str(answer.get("key")): answer for answer in self.call.answers}
        returns = [
            ToolReturnPart(one.tool, self._settled(answers.get(one.key)), one.call_id)
            for one in out
        ]
        *before, last = said
        if not isinstance(last, ModelRequest):
            raise AgentError(
                "what it kept of its last turn is not whole; its work has to begin anew."
            )
        self.tokens += estimate(canonical(self.call.memory)) + sum(
            estimate(str(part.content)) for part in returns
        )
        self.messages += [*before, ModelRequest([*last.parts, *returns])]

    def _settled(self, answer: dict[str, Json] | None) -> str:
        text = delimited("What became of it", answer or {"status": "unknown"})
        return fit(text, settings.MODEL_RESULT_BYTES_MAX)

    def _tell(self, parts: Sequence[ModelRequestPart]) -> None:
        self.messages.append(ModelRequest(parts))
        self.tokens += sum(estimate(_text_of(part)) for part in parts)

    # What it says ------------------------------------------------------------------------------

    def _ask_model(self) -> ModelResponse:
        limit = self.version.limits.tokens_in
        if self.tokens > limit:
            raise AgentRefused(
                f"the conversation grew to about {self.tokens:,} tokens, and tokens_in is {limit:,}."
            )
        self._check_money()
        began, model = time.monotonic(), self.version.model
        # What was cut is said of the first request, which is the one that lacks it.
        about: dict[str, Any] = {
            "given": _given(self.messages),
            "notes": () if self.ledger.pieces else self.notes,
        }
        try:
            answer = requests.ask(
                self.model,
                self.messages,
                self.version.wishes,
                self.parameters,
                deadline=self.deadline,
                is_streamed=self.version.endpoint.is_streamed,
            )
        except Exception as error:  # noqa: BLE001 - whatever it was is explained
            found = self.fail(error)
            self.ledger.enter("model", model, began, _lost(found), error=str(found), **about)
            raise found from None
        # Whoever echoes its key does not have it stored.
        response = requests.without_secret(answer, self.version.endpoint.api_key)
        usage, said = usage_of(response, self.version.endpoint), _said(response)
        self.ledger.enter("model", model, began, usage, said=said, **about)
        self.messages.append(response)
        self.tokens += estimate(said)
        return response

    def _check_money(self) -> None:
        """What is spent is spent, and its answer taken. Nothing more is asked, even where nobody knows a price."""
        limit, spent = self.version.limits.money_micros, self.ledger.usage.money_micros
        if limit and spent is None:
            raise AgentRefused(
                "what it spent so far has no known price, and money_micros bounds what it may spend. Give its "
                "endpoint a price."
            )
        if limit and spent is not None and spent >= limit:
            raise AgentRefused(f"it spent {spent:,} millionths, and money_micros is {limit:,}.")

    def _money_left(self) -> int | None:
        """None is without end; nothing is left where nobody knows what was spent."""
        limit, spent = self.version.limits.money_micros, self.ledger.usage.money_micros
        if not limit:
            return None
        return 0 if spent is None else max(0, limit - spent)

    def _take(self, response: ModelResponse) -> AgentAnswer | None:
        """An answer, asks, or nothing yet."""
        if response.finish_reason == "content_filter":
            raise AgentRefused("the provider's content filter stopped the answer.")
        if response.finish_reason == "length":
            raise OutputInvalid(
                f"its answer was cut: it had {self.version.limits.tokens_out:,} tokens (tokens_out)."
            )
        calls = [part for part in response.parts if isinstance(part, ToolCallPart)]
        if not calls:
            return self._take_text(response)
        final = next((part for part in calls if part.tool_name == FINAL), None)
        wishes = [self._read(part) for part in calls if part is not final]
        asks = [wish for wish in wishes if wish.is_ask]
        if final is not None and not asks:
            return self._take_final(final, wishes)
        returns = [self._return(wish) for wish in wishes if wish not in asks]
        if final is not None:
            returns.append(_refusal(final, "Answer when what you asked for is settled."))
        if asks:
            return self._end_turn(asks, returns)
        self._tell(returns)
        return None

    def _take_text(self, response: ModelResponse) -> AgentAnswer | None:
        text = "".join(part.content for part in response.parts if isinstance(part, TextPart))
        try:
            return self._finish(self.expected.read_text(text))
        except OutputInvalid as error:
            self._count_mistake(error)
            self._tell([UserPromptPart(f"Your answer was not taken. {error}")])
            return None

    def _take_final(self, final: ToolCallPart, wishes: Sequence[Wish]) -> AgentAnswer | None:
        try:
            return self._finish(self.expected.read_call(final))
        except OutputInvalid as error:
            self._count_mistake(error)
            returns = [self._return(wish) for wish in wishes]
            self._tell([*returns, _refusal(final, f"Your answer was not taken. {error}")])
            return None

    def _count_mistake(self, error: OutputInvalid) -> None:
        self.mistakes += 1
        if self.mistakes > settings.MODEL_CORRECTIONS_MAX:
            raise error

    # Tools -------------------------------------------------------------------------------------

    def _read(self, part: ToolCallPart) -> Wish:
        spec = self.offered.find(part.tool_name)
        if spec is None:
            return Wish(part, None, None, f"there is no tool {shorten(part.tool_name, 100)!r}.")
        try:
            args = arguments_of(part)
        except OutputInvalid as error:
            return Wish(
                part, spec, None, f"the arguments of {spec.name} are not JSON: {error.reason}"
            )
        return Wish(part, spec, args, wrong_with(spec, args))

    def _return(self, wish: Wish) -> ToolReturnPart:
        """What the model hears of one that it called and that is not asked for."""
        if wish.problem or wish.spec is None:
            self._count_mistake(OutputInvalid(wish.problem))
            return _refusal(wish.part, f"It was not used: {wish.problem}")
        self.uses += 1
        if self.uses > settings.MODEL_TOOL_USES_MAX:
            return _refusal(wish.part, TOO_MANY)
        # One answer may ask many agents, each of which costs.
        if wish.spec.backend.get("kind") == "agent" and self._money_left() == 0:
            return _refusal(wish.part, NO_MONEY)
        return ToolReturnPart(
            wish.part.tool_name, self._run_tool(wish.spec, wish.args), wish.part.tool_call_id
        )

    def _run_tool(self, spec: ToolSpec, args: Any) -> str:
        began, given = time.monotonic(), canonical(args)
        left_s = self.deadline - began
        if left_s <= 0:
            raise TimeoutError
        behind = Behind(self.call, self._money_left())
        try:
            result = self.use(spec, args, min(spec.timeout_s, left_s), behind.use)
        except ToolError as error:
            self._enter_tool(spec, began, behind, given=given, error=str(error))
            return delimited(f"The tool {spec.name} failed", {"error": shorten(str(error))})
        text, notes = self._cap(result.value)
        notes = (*result.notes, *notes)
        said: dict[str, Json] = {"result": text, **({"notes": list(notes)} if notes else {})}
        whole = canonical(said)
        if len(whole) > settings.TRACE_TEXT_MAX:
            self.untrusted.append(text)
        self._enter_tool(spec, began, behind, given=given, said=whole, notes=notes)
        return delimited(f"What the tool {spec.name} said", said)

    def _enter_tool(self, spec: ToolSpec, began: float, behind: Behind, **about: Any) -> None:
        """With what an agent behind it cost, which is ours to pay, and what that one was told."""
        notes = about.pop("notes", ())
        if behind.asked:
            notes = (f"asked {behind.asked}", *notes)
            self.asked.append(behind.asked)
        self.untrusted += behind.untrusted
        self.ledger.enter(
            "tool", spec.name, began, behind.usage, notes=notes, inside=behind.pieces, **about
        )

    def _cap(self, value: Json) -> tuple[Json, tuple[str, ...]]:
        """As large as a result may be and as there is room for."""
        text = canonical(value)
        room = (self.version.limits.tokens_in - self.tokens) * BYTES_PER_TOKEN // 2
        most = min(settings.MODEL_RESULT_BYTES_MAX, max(0, room))
        size = len(text.encode(errors="replace"))
        if size <= most:
            return value, ()
        return fit(text, most), (f"cut from {size:,} to {most:,} bytes",)

    # How it ends -------------------------------------------------------------------------------

    def _end_turn(self, asks: Sequence[Wish], returns: Sequence[ToolReturnPart]) -> AgentAnswer:
        out, made = [], []
        for place, wish in enumerate(asks, start=1):
            key = f"{self.call.turn}.{place}"
            out.append(Out(key, wish.part.tool_call_id, wish.part.tool_name))
            made.append(Ask(key, wish.tool, wish.arguments))
        said = [*self.messages[1:], ModelRequest(returns)]
        return self._answer(None, asks=tuple(made), kept=memory.write(said, out))

    def _finish(self, output: Json) -> AgentAnswer:
        return self._answer(output)

    def _answer(
        self, output: Json, *, asks: tuple[Ask, ...] = (), kept: Json = None
    ) -> AgentAnswer:
        return AgentAnswer(
            output,
            self.ledger.usage,
            self._told(),
            tuple(self.ledger.pieces),
            asks,
            kept,
            untrusted=tuple(self.untrusted),
            notes=self.notes,
        )

    def _told(self) -> dict[str, str]:
        """With whom it asked itself: the log keeps that when the pieces are long forgotten."""
        asked = "; ".join(dict.fromkeys(self.asked))
        return {**self.version.told, **({"asked": shorten(asked)} if asked else {})}


def _lost(error: AgentError) -> Usage:
    """What was refused costs nothing. What broke under way may have, and nobody says how much."""
    is_unknown = isinstance(error, OutputInvalid | AgentTimedOut)
    return Usage(money_micros=None if is_unknown else 0)


def _refusal(part: ToolCallPart, reason: str) -> ToolReturnPart:
    return ToolReturnPart(part.tool_name, reason, part.tool_call_id)


def _told_of(tool: Any) -> Json:
    return {"name": tool.name, "about": tool.description, "args": tool.parameters_json_schema}


def _given(messages: Sequence[ModelMessage]) -> str:
    """What was new in the last request; what came before stands in the pieces before it."""
    last = messages[-1]
    return (
        "\n\n".join(_text_of(part) for part in last.parts) if isinstance(last, ModelRequest) else ""
    )


def _text_of(part: ModelRequestPart) -> str:
    return str(getattr(part, "content", ""))


def _said(response: ModelResponse) -> str:
    said = [part.content for part in response.parts if isinstance(part, TextPart)]
    calls = [part for part in response.parts if isinstance(part, ToolCallPart)]
    return "\n\n".join([*said, *(f"{part.tool_name} {part.args_as_json_str()}" for part in calls)])
