"""The pages of supervisors and of consensus: before they run, while they run, and after."""

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from orchestrator.models import Run
from tests import runs
from tests.memories import MESH
from tests.work import work_shift

HOSTILE = "<script>alert(1)</script>"


def test_a_run_shows_its_rounds_with_every_gap(rita: Client) -> None:
    run = runs.start("pool")
    page = rita.get(f"/runs/{run.pk}/").text
    assert "A-20931 was paid twice." in page.partition("Round 1")[0]
    assert "Round 1" in page
    assert "2 done, 2 gaps" in page
    assert "Who paid?" in page
    assert "the ledger is closed" in page
    assert "there is no worker “nobody”" in page
    assert "so the supervisor was asked to sum up" in page
    assert "4 gaps" in page


def test_it_shows_who_waits_while_it_runs(rita: Client) -> None:
    run = runs.start("pool", definition=runs.POOL | {"at_once": 1}, work=False)
    assert "has not given out a task" in rita.get(f"/runs/{run.pk}/").text
    work_shift("agents", at_most=2)
    page = rita.get(f"/runs/{run.pk}/").text
    assert "1 done, 1 at work, 1 waiting, 1 gap, " in page
    assert "Waits its turn" in page


def test_a_run_shows_members_rubric_and_verdict(rita: Client) -> None:
    run = runs.start("council")
    page = rita.get(f"/runs/{run.pk}/").text
    assert "2 of 3 members answered" in page
    assert "0.60" in page
    assert "0.90 by the judge" in page
    assert "Which answer rests on facts of the case?" in page
    assert "A names the device." in page
    assert "no access" in page
    assert page.count("the verdict rests on it") == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "Round 1 of at most 5. It ended when the result was posted, in <a"),
        ({"result": {"key": "never"}}, "It ended because a round brought nothing new."),
        (
            {"result": {"key": "never"}, "rounds": 1},
            "Round 1 of at most 1. It ended at a limit, with what there was.",
        ),
    ],
)
def test_a_mesh_says_how_far_it_came_and_why_it_ended(
    rita: Client, changes: dict[str, Any], told: str
) -> None:
    run = runs.start("mesh", definition=MESH | changes)
    page = words(rita, run)
    assert told in page
    known = run.canonical_state.mesh
    if known.result:
        assert f'in <a href="/runs/{run.pk}/events/{known.result[0]}/">event' in page


def test_a_mesh_names_who_waits_and_who_is_next_while_it_is_at_work(rita: Client) -> None:
    run = runs.start("mesh", definition=MESH | {"result": {"key": "never"}}, work=False)
    assert "Round 1 of at most 5; waiting for their turn: late, logs. <" in words(rita, run)
    work_shift("agents", at_most=2)
    assert "Round 1 of at most 5. In the next round: boss." in words(rita, run)


def test_a_note_of_a_mesh_says_what_is_missing(rita: Client) -> None:
    fails = [{"attempt": n, "code": "agent-refused", "reason": "no access"} for n in range(1, 9)]
    logs = MESH["peers"]["logs"] | {"agent": runs.scripted("logs", fails=fails)}
    peers = MESH["peers"] | {"logs": logs}
    run = runs.start(
        "mesh", definition=MESH | {"peers": peers, "failures": 1, "result": {"key": "no"}}
    )
    (note,) = run.canonical_state.mesh.notes
    assert "logs" in note
    assert f"<li>{note}</li>" in words(rita, run)


def words(client: Client, run: Run) -> str:
    """The page without the tags that say who somebody is."""
    text = client.get(f"/runs/{run.pk}/").text
    return " ".join(re.sub(r"</?(bdi|span)[^>]*>", "", text).split())


def test_what_agents_say_is_inert(rita: Client) -> None:
    pool: dict[str, Any] = {**runs.POOL, "title": HOSTILE}
    says = {"tasks": [{"worker": HOSTILE[:60], "task": HOSTILE}], "result": HOSTILE}
    pool["supervisor"] = {"agent": runs.scripted("boss-agent", says)}
    run = runs.start("pool", definition=pool)
    council: dict[str, Any] = {**runs.COUNCIL, "reason": f"because {HOSTILE}"}
    verdict = {
        "verdict": {"x": HOSTILE},
        "rests_on": [],
        "confidence": 1,
        "reasons": {"facts": HOSTILE, "law": HOSTILE},
    }
    council["judge"] = {"agent": runs.scripted("judge-agent", verdict)}
    weighed = runs.start("council", definition=council)
    for url in (f"/runs/{run.pk}/", f"/runs/{weighed.pk}/", "/workflows/council/"):
        page = rita.get(url).text
        assert HOSTILE not in page
        assert "&lt;script&gt;" in page


@pytest.mark.parametrize("slug", ["pool", "council"])
def test_a_version_is_drawn_and_told(rita: Client, slug: str) -> None:
    runs.save(slug)
    page = rita.get(f"/workflows/{slug}/").text
    for name in runs.WORKFLOWS[slug].get("workers", {}) | runs.WORKFLOWS[slug].get("members", {}):
        assert f'id="work-{name}"' in page
    assert '<svg class="graph"' in page
    assert "Agents</h2>" in page
    assert {"pool": "Supervisor", "council": "Consensus"}[slug] in page


def test_the_cost_of_a_consensus_is_shown_before_it_runs(rita: Client) -> None:
    runs.save("council")
    page = rita.get("/workflows/council/").text
    assert "Cost of a run" in page
    assert "its limits" in page
    assert "0.0168" in page
    runs.start("council")
    again = rita.get("/workflows/council/").text
    assert "past calls, their mean" in again
    runs.save("pool")
    assert "Cost of a run" not in rita.get("/workflows/pool/").text


def test_what_nobody_knows_is_said_to_be_unknown(rita: Client) -> None:
    judge = {"judge": {"agent": {"kind": "function", "name": "f"}}}
    runs.save("council", runs.COUNCIL | judge)
    assert "what 1 of 4 calls cost, which nobody knows" in rita.get("/workflows/council/").text


def test_checking_a_file_says_what_a_run_costs(db: None, tmp_path: Path) -> None:
    file, said = tmp_path / "council.json", StringIO()
    file.write_text(json.dumps(runs.COUNCIL))
    call_command("workflow", "check", str(file), stdout=said)
    assert "A run calls 4 agents and costs about 0.0168; at most 100.0000." in said.getvalue()
    said = StringIO()
    call_command("workflow", "save", "council", str(file), stdout=said)
    assert "costs about 0.0168" in said.getvalue()
