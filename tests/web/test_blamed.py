"""Recorded logs of agents that failed together, of which people said whose step was to blame (Who&When, MIT).

Each log is played back as a pipeline, one stage for each step, by recorded agents.
The step to blame gets a check that its recorded answer does not pass; the run goes on without it, as the
recorded agents did, and gives up at its end, where the answer is not the right one.

What this shows: where a check exists for what went wrong, the page and the API name that step and that
agent, and not the last one, at which the run gave up. That Countersign would find the mistake by itself
is not claimed.
"""

import gzip
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests import runs
from tests.api.conftest import Call, call  # noqa: F401  (a fixture)

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "whowhen.jsonl.gz"
# Every so many of them, as the first ones are of one kind: WHOWHEN_EVERY=1 for all.
EVERY = int(os.environ.get("WHOWHEN_EVERY", "8"))

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(not DATA.exists(), reason="the recorded logs are not here"),
]


def logs() -> Iterator[dict[str, Any]]:
    if not DATA.exists():
        return
    with gzip.open(DATA, "rt") as lines:
        for number, line in enumerate(lines):
            if number % EVERY == 0:
                yield json.loads(line)


def pipeline(log: dict[str, Any]) -> dict[str, Any]:
    last = len(log["steps"]) - 1
    return {
        "pattern": "pipeline",
        "stages": [stage(log, step, is_last=step["n"] == last) for step in log["steps"]],
    }


def stage(log: dict[str, Any], step: dict[str, Any], *, is_last: bool) -> dict[str, Any]:
    said = {"text": step["text"]}
    recorded = {"kind": "recorded", "name": step["agent"], "trajectory": [{"output": said}]}
    made = runs.stage(name_of(step["n"]), agent=recorded, attempts=1)
    if step["n"] == log["mistake_step"]:
        made |= {"output": {"not": {"const": said}}, "optional": not is_last}
    elif is_last:
        made |= {"output": {"properties": {"text": {"const": log["answer"]}}}}
    return made


def name_of(step: int) -> str:
    return f"step-{step}"


@pytest.mark.parametrize("log", list(logs()), ids=lambda log: log["id"])
def test_the_trace_names_the_step_and_the_agent_to_blame(
    rita: Client,
    call: Call,  # noqa: F811
    token: Callable[..., str],
    log: dict[str, Any],
) -> None:
    slug = log["id"].replace("/", "-")
    run = runs.start(slug, definition=pipeline(log), intent={"question": log["question"]})
    assert run.status == "failed"
    blamed = log["steps"][log["mistake_step"]]

    answer = call("GET", f"/runs/{run.pk}/trace", bearer=token("read")).json()
    found = answer["failure"]
    assert (found["run"], found["stage"]) == (run.pk, name_of(log["mistake_step"]))
    assert found["agent"]["name"] == blamed["agent"]
    assert found["error"]["code"] == "output-invalid"
    gave_up = next(span for span in answer["spans"] if span["id"] == found["gave_up_at"])
    assert gave_up["stage"] == name_of(len(log["steps"]) - 1)
    # Everybody ran, in the order in which they are recorded.
    agents = [span["agent"]["name"] for span in answer["spans"] if span["kind"] == "agent"]
    assert agents == [step["agent"] for step in log["steps"]]

    page = rita.get(f"/runs/{run.pk}/").context["trace"]
    assert page["started"].title.startswith(f"stage {name_of(log['mistake_step'])}, attempt 1")
    assert blamed["agent"] in page["started"].title
    assert [line.span.work for line in page["lines"] if line.is_origin] == [
        name_of(log["mistake_step"])
    ]
