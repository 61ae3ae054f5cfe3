"""Results cut to size, with a note that says so: a tool must not fill what an agent can read."""

from dataclasses import dataclass

from orchestrator.core.codec import Json, canonical

# What a value costs beside its letters: quotes, commas, and the mark that something was cut.
_AROUND = 8
CUT = "…"
# The note and half-used budgets; what is told is never more than was allowed.
_ROOM = 0.9


@dataclass(slots=True)
class _Budget:
    left: int
    texts: int = 0
    values: int = 0


def trimmed(value: Json, bytes_max: int) -> tuple[Json, str]:
    """The value from its beginning on, as far as it fits, and what was left out, in words."""
    size = _size(value)
    if size <= bytes_max:
        return value, ""
    budget = _Budget(int(bytes_max * _ROOM))
    kept = _kept(value, budget)
    if _size(kept) > bytes_max:  # letters that JSON writes longer than they are
        kept = canonical(value)[: bytes_max // 8] + CUT
    parts = [f"{budget.texts} texts were shortened"] if budget.texts else []
    parts += [f"{budget.values} values were left out"] if budget.values else []
    told = ", ".join(parts) or "its end was left out"
    return kept, f"cut from {size:,} to at most {bytes_max:,} bytes: {told}"


def _size(value: Json) -> int:
    try:
        return len(canonical(value).encode())
    except UnicodeEncodeError:
        return len(canonical(value)) * 4


def _kept(value: Json, budget: _Budget) -> Json:
    budget.left -= _AROUND
    if isinstance(value, str):
        return _text(value, budget)
    if isinstance(value, list):
        return _list(value, budget)
    if isinstance(value, dict):
        return _object(value, budget)
    budget.left -= len(str(value))
    return value


def _text(text: str, budget: _Budget) -> str:
    raw = text.encode(errors="replace")
    if len(raw) <= budget.left:
        budget.left -= len(raw)
        return text
    budget.texts += 1
    kept = raw[: max(budget.left, 0)].decode(errors="ignore")
    budget.left = 0
    return kept + CUT


def _list(items: list[Json], budget: _Budget) -> list[Json]:
    kept: list[Json] = []
    for number, item in enumerate(items):
        if budget.left <= _AROUND:
            budget.values += len(items) - number
            break
        kept.append(_kept(item, budget))
    return kept


def _object(found: dict[str, Json], budget: _Budget) -> dict[str, Json]:
    kept: dict[str, Json] = {}
    for number, (name, item) in enumerate(found.items()):
        cost = len(name.encode(errors="replace")) + _AROUND
        if budget.left <= cost:
            budget.values += len(found) - number
            break
        budget.left -= cost
        kept[name] = _kept(item, budget)
    return kept
