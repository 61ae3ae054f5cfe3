"""What an agent is handed, made to fit its budget of tokens before anything is sent.

A token is taken for three bytes of UTF-8: more than English text or JSON needs, and about right for
scripts whose letters have three bytes each. Counting exactly would need each vendor's own tables.
"""

from dataclasses import dataclass

from orchestrator.agents.base import AgentCall
from orchestrator.agents.untrusted import delimited
from orchestrator.core.codec import Json, canonical
from orchestrator.core.errors import AgentRefused

BYTES_PER_TOKEN = 3
# Less than this of an input says nothing; then it is left out.
WORTH_KEEPING_BYTES = 200
# What stands around a value that was cut.
CUT_BYTES = 60
SENT_BACK = "sent_back"
TASK = "What you are asked to work on"


@dataclass(frozen=True, slots=True)
class Handed:
    text: str
    # What was cut or left out, in words.
    notes: tuple[str, ...] = ()


def estimate(text: str) -> int:
    return -(-len(text.encode(errors="replace")) // BYTES_PER_TOKEN)


def hand(call: AgentCall, *, tokens_max: int) -> Handed:
    inputs, notes = fit_inputs(call, tokens_max=tokens_max)
    return Handed(_text(call, inputs), notes)


def fit_inputs(call: AgentCall, *, tokens_max: int) -> tuple[dict[str, Json], tuple[str, ...]]:
    """With what was cut, in words. The longest input gives way first. The intent and the item are the task
    itself and are never cut."""
    inputs, notes = dict(call.inputs), list[str]()
    over = estimate(_text(call, inputs)) - tokens_max
    for name in sorted(inputs, key=lambda name: (name == SENT_BACK, -_size(inputs[name]))):
        if over <= 0:
            break
        kept = _size(inputs[name]) - over * BYTES_PER_TOKEN - CUT_BYTES
        before = _size(inputs[name])
        inputs[name] = _cut(inputs[name], kept) if kept >= WORTH_KEEPING_BYTES else None
        notes.append(_say(name, before, inputs[name]))
        over = estimate(_text(call, inputs)) - tokens_max
    if over > 0:
        raise AgentRefused(
            f"its task takes about {tokens_max + over:,} tokens without any input, and {max(tokens_max, 0):,} "
            "are left beside its prompt and tools. Nothing was sent. Give its version a higher limit of "
            "tokens_in, or hand it less."
        )
    return inputs, tuple(notes)


def fit(text: str, bytes_max: int) -> str:
    """As much of it as there is room for, in whole letters."""
    return text.encode(errors="replace")[: max(0, bytes_max)].decode(errors="ignore")


def _text(call: AgentCall, inputs: dict[str, Json]) -> str:
    task: dict[str, Json] = {"intent": call.intent, "inputs": inputs}
    if call.item is not None:
        task["item"] = call.item
    return delimited(TASK, task)


def _size(value: Json) -> int:
    return len(canonical(value).encode(errors="replace"))


def _cut(value: Json, bytes_max: int) -> Json:
    """Its beginning as text. Quotes take two bytes there, so it is cut once more where they made it longer."""
    text = canonical(value)
    kept = fit(text, bytes_max)
    longer = _size(kept) - bytes_max
    return {"cut_after": fit(kept, bytes_max - longer) if longer > 0 else kept}


def _say(name: str, before: int, after: Json) -> str:
    if after is None:
        return (
            f"the input {name} of {before:,} bytes was left out: it is more than tokens_in allows"
        )
    return f"the input {name} was cut from {before:,} to {_size(after):,} bytes by tokens_in"
