"""Labelled evaluation sets: what agents proposed and what people said of it, for testing the next version.

One canonical JSON document a line. The first says what was asked for. The last is a seal over every byte
before it, each line hashed together with what the lines before it came to, so that a set that was cut,
changed or added to is known for one.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import NamedTuple

from orchestrator.core.codec import Json, JsonLimits, canonical, digest, safe_json
from orchestrator.core.errors import BadJson, EvaluationSetBroken

FORMAT = 1
HEAD, SEAL, MASKED = "evaluation_set", "seal", "masked"
LIMITS = JsonLimits(bytes_max=4_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """`should_run` is what the last person who judged it said; `said_by` whether that was a review, an
    audit or an adjudication. Only audits that chance `drew` stand for what nobody looked at. Where
    something is `masked`, by these pointers, the digest is still that of what was proposed."""

    proposal: str
    at: str
    should_run: bool
    said_by: str
    drew: bool
    agent: str
    agent_version: str
    model: str
    action: str
    contract: str | None
    target: str
    args: dict[str, Json]
    payload_digest: str
    confidence: float | None
    disposition: str
    rules: list[str]
    masked: list[str] = field(default_factory=list)


class Checked(NamedTuple):
    examples: int
    digest: str


def lines(examples: Iterable[Example], asked: dict[str, Json]) -> Iterator[str]:
    """With their line ends, each as soon as its example is there."""
    seal, count = "", -1
    for document in _documents(examples, asked):
        line = f"{canonical(document)}\n"
        seal, count = _sealed(seal, line), count + 1
        yield line
    yield canonical({SEAL: seal, "examples": count}) + "\n"


def check(found: Iterable[str]) -> Checked:
    """Whether it is whole, and its examples are what their digests say."""
    seal, count, last = "", 0, ""
    for count, line in enumerate(found, start=1):
        if last:
            seal = _sealed(seal, last)
            _check_line(last, count - 1)
        last = line
    end = _read(last, count) if last else {}
    if SEAL not in end:
        raise EvaluationSetBroken(count, "it does not end with its seal, so the end is missing.")
    if end != {SEAL: seal, "examples": count - 2}:
        raise EvaluationSetBroken(count, "the seal is not of these lines: some were changed.")
    return Checked(count - 2, str(end[SEAL]))


def _documents(examples: Iterable[Example], asked: dict[str, Json]) -> Iterator[dict[str, Json]]:
    yield {HEAD: FORMAT, **asked}
    for example in examples:
        document = asdict(example)
        if not example.masked:
            # Not named in sets of old, and only where there is something to say.
            del document[MASKED]
        yield document


def _check_line(line: str, number: int) -> None:
    data = _read(line, number)
    if number == 1:
        if data.get(HEAD) != FORMAT:
            raise EvaluationSetBroken(1, f"it is not an evaluation set of format {FORMAT}.")
        return
    if set(data) | {MASKED} != _NAMES:
        raise EvaluationSetBroken(number, "it is not an example, or lacks some of it.")
    if data.get(MASKED):
        # What its digest is of cannot be told from what is left.
        return
    payload = canonical({name: data[name] for name in ("action", "args", "target")})
    if digest(payload) != data["payload_digest"]:
        raise EvaluationSetBroken(number, "its arguments are not those of its digest.")


def _read(line: str, number: int) -> dict[str, Json]:
    try:
        data = safe_json(line.encode(), LIMITS)
    except BadJson as error:
        raise EvaluationSetBroken(number, str(error)) from error
    if not isinstance(data, dict):
        raise EvaluationSetBroken(number, "it is not a JSON object.")
    return data


def _sealed(seal: str, line: str) -> str:
    return f"sha256:{hashlib.sha256(f'{seal}{line}'.encode()).hexdigest()}"


_NAMES = {one.name for one in fields(Example)}
