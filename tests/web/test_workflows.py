"""The pages of workflows: what a version says, as a drawing, as a table and as it is stored."""

import json
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from django.test import Client
from pytest_django import Settings

from orchestrator.actions import workflows
from orchestrator.actions.actor import Actor
from orchestrator.core.codec import canonical
from orchestrator.core.definitions import complete
from orchestrator.models import Proposal, Run, WorkflowVersion
from review.presentation import graph
from review.presentation.layers import Box, Link, arrange
from tests.conftest import Cast

Save = Callable[..., WorkflowVersion]


def agent(who: str, **fields: Any) -> dict[str, Any]:
    return {"agent": {"kind": "scripted", "name": who}, **fields}


PIPELINE: dict[str, Any] = {
    "pattern": "pipeline",
    "title": "A <b>refund</b>",
    "intent": {"type": "object", "required": ["order"]},
    "stages": [
        agent("reader", name="read", output={"type": "object"}, timeout_seconds=90, attempts=1),
        agent("checker", name="check", for_each="/lines", at_most=5, optional=True),
        {"name": "agree", "approval": {"question": "Pay <it>?", "approvals": 2}},
        {"name": "paid", "signal": {"name": "bank.said", "due_seconds": 3600}},
        {"name": "file", "workflow": "archive"},
        agent("payer", name="pay", proposes=True, needs=["read"]),
    ],
    "budget": {"steps": 12, "money_micros": 2_500_000},
}
MACHINE: dict[str, Any] = {
    "pattern": "machine",
    "initial": "open",
    "states": {
        "open": {
            "run": agent("sorter"),
            "on": {
                "done": [{"if": "event.score < 3", "to": "open"}, {"to": "idle"}],
                "failed": [{"to": "lost"}],
            },
        },
        "idle": {
            "on": {"customer.wrote": [{"to": "open"}], "closed": [{"to": "won"}]},
            "after": {"seconds": 86_400, "to": "lost"},
        },
        "won": {"end": "completed"},
        "lost": {"end": "failed"},
    },
}


@pytest.fixture
def save(cast: Cast) -> Save:
    def as_ada(slug: str = "refunds", raw: Any = None) -> WorkflowVersion:
        return workflows.save(Actor(cast.ada), slug, raw or PIPELINE).version

    return as_ada


def svg_of(page: str) -> ElementTree.Element:
    """Also a check: what stands in the page is well-formed XML."""
    found = re.search(r'<svg class="graph".*?</svg>\s*</div>', page, re.DOTALL)
    assert found
    return ElementTree.fromstring(found.group().removesuffix("</div>"))  # noqa: S314  (our own page)


def words_of(page: str) -> list[str]:
    return [text.text or "" for text in svg_of(page).iter("text")]


def test_an_empty_house_says_how_to_begin(rita: Client) -> None:
    page = rita.get("/workflows/").text
    assert "No workflow yet" in page
    assert "manage.py workflow save NAME FILE" in page


def test_the_list_has_the_version_that_counts(
    rita: Client, save: Save, propose: Callable[..., Proposal]
) -> None:
    for title in ("old", "new & shiny"):
        save(raw={**PIPELINE, "title": title})
    propose(workflow="refunds")
    propose(workflow="support")
    page = rita.get("/workflows/").text
    assert "new &amp; shiny" in page
    assert "carries proposals from outside" in page
    rows = rita.get("/workflows/").context["rows"]
    assert [(version.workflow.slug, version.number) for version, _ in rows] == [
        ("refunds", 2),
        ("support", 1),
    ]


def test_the_list_pages_by_name(rita: Client, save: Save, settings: Settings) -> None:
    settings.PAGE_SIZE = 5
    for number in range(7):
        save(f"w{number}")
    first = rita.get("/workflows/")
    assert first.context["following"] == "w4"
    second = rita.get("/workflows/?after=w4").context["rows"]
    assert [version.workflow.slug for version, _ in second] == ["w5", "w6"]
    assert rita.get("/workflows/?after=%00'").status_code == 200


def test_a_pipeline_is_drawn_and_told(rita: Client, save: Save) -> None:
    save()
    page = rita.get("/workflows/refunds/").text
    words = words_of(page)
    for name in ("read", "check", "agree", "paid", "file", "pay", "Pay <it>?"):
        assert name in words
    assert {"proposes an action", "2 people must agree", "for each, at most 5"} <= set(words)
    assert "A &lt;b&gt;refund&lt;/b&gt;" in page
    for said in (
        "optional: when it fails, the run goes on without it",
        "is handed the output of read",
        "90 s a call",
        "1 attempt",
        "within 1 h",
        "2 people",
        "2.50",
        "All of it as JSON",
    ):
        assert said in page


def test_a_machine_is_drawn_and_told(rita: Client, save: Save) -> None:
    save("cases", MACHINE)
    page = rita.get("/workflows/cases/").text
    words = words_of(page)
    assert {"done", "failed", "customer.wrote", "closed", "after 1 d"} <= set(words)
    assert "event.score < 3" in words
    told = re.sub(r"(<[^>]+>|\s)+", " ", page)
    assert re.search(r"done if event\.score &lt; 3\s+leads to\s+open", told)
    assert re.search(r"signal\s+customer\.wrote\s+leads to\s+open", told)
    assert "begins here" in page


def test_kinds_differ_by_shape_and_sign(rita: Client, save: Save) -> None:
    """Whoever sees no colours has to see what is what."""
    save()
    svg = svg_of(rita.get("/workflows/refunds/").text)
    shapes = {
        path.get("class", "").split()[1]: re.sub(r"[\d.\- ]+", "", path.get("d", ""))
        for path in svg.iter("path")
        if path.get("class", "").startswith("shape")
    }
    assert len({shapes[kind] for kind in ("agent", "approval", "signal")}) == 3
    signs = {use.get("href", "").partition("#")[2] for use in svg.iter("use")}
    assert {"bot", "users", "inbox", "workflow", "shield-check"} <= signs


def test_the_drawing_says_what_it_is(rita: Client, save: Save) -> None:
    save()
    svg = svg_of(rita.get("/workflows/refunds/").text)
    assert svg.get("role") == "img"
    ids = (svg.get("aria-labelledby") or "").split()
    assert [element.get("id") for element in svg if element.tag in {"title", "desc"}] == ids


def test_the_drawing_keeps_to_the_policy(rita: Client, save: Save) -> None:
    save("cases", MACHINE)
    page = rita.get("/workflows/cases/").text
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=", page)


def test_an_older_version_says_so(rita: Client, save: Save) -> None:
    save()
    save(raw={**PIPELINE, "title": "Newer"})
    page = rita.get("/workflows/refunds/1/").text
    assert "This is not the newest version" in page
    assert 'href="/workflows/refunds/2/"' in page
    assert "This is not" not in rita.get("/workflows/refunds/2/").text


def test_a_version_of_proposals_from_outside_has_no_drawing(
    rita: Client, propose: Callable[..., Proposal]
) -> None:
    propose(workflow="support")
    page = rita.get("/workflows/support/").text
    assert "only carries proposals" in page
    assert '<svg class="graph"' not in page


def test_runs_are_counted_by_status(rita: Client, propose: Callable[..., Proposal]) -> None:
    for _ in range(3):
        propose(workflow="support")
    page = rita.get("/workflows/support/").text
    (status,) = set(Run.objects.values_list("status", flat=True))
    assert f'href="/runs/?workflow=support&amp;status={status}">3' in page


def test_what_does_not_exist_is_not_found(rita: Client, save: Save) -> None:
    save()
    for path in ("none/", "refunds/2/", f"refunds/{10**30}/", "a.b/"):
        assert rita.get(f"/workflows/{path}").status_code == 404


@pytest.mark.parametrize("path", ["/workflows/", "/workflows/refunds/", "/workflows/refunds/1/"])
def test_only_people_with_a_role_look(
    client: Client, cast: Cast, save: Save, sign_in: Callable[..., Client], path: str
) -> None:
    save()
    assert client.get(path).status_code == 302
    assert sign_in(cast.agents).get(path).status_code == 403
    for user in (cast.rita, cast.ada, cast.max):
        assert sign_in(user).get(path).status_code == 200
    assert sign_in(cast.ada).post(path).status_code == 405


def test_what_is_too_large_is_told_and_not_drawn(rita: Client, save: Save) -> None:
    stages = [agent("one", name=f"s{number}") for number in range(graph.BOXES_MAX + 1)]
    save(raw={"pattern": "pipeline", "stages": stages})
    page = rita.get("/workflows/refunds/").text
    assert "It is too large to be drawn" in page
    assert f"s{graph.BOXES_MAX}" in page


def test_words_are_cut_and_hidden_characters_shown(rita: Client, save: Save) -> None:
    question = "is\u202eit?" + " really" * 50
    save(raw={"pattern": "pipeline", "stages": [{"name": "a", "approval": {"question": question}}]})
    page = rita.get("/workflows/refunds/").text
    drawn = next(words for words in words_of(page) if words.startswith("is"))
    assert drawn.startswith("is\N{REPLACEMENT CHARACTER}it?")
    assert drawn.endswith("…")
    assert "\u202e" not in page


# The layout -----------------------------------------------------------------------------------


def test_no_two_boxes_or_labels_touch() -> None:
    names = [f"s{number}" for number in range(12)]
    boxes = [Box(name, 150, 50) for name in names]
    links = [
        Link(one, other, 60, 20)
        for at, one in enumerate(names)
        for other in (names[(at + 1) % 12], names[(at * 5) % 12], names[at // 2])
        if one != other
    ]
    layout = arrange(boxes, links, "s0")
    taken = [(point.x - 75, point.y, 150, 50) for point in layout.boxes.values()]
    taken += [(route.label.x - 30, route.label.y - 10, 60, 20) for route in layout.routes]
    for at, (left, top, width, height) in enumerate(taken):
        for other_left, other_top, other_width, other_height in taken[:at]:
            aside = left >= other_left + other_width or other_left >= left + width
            apart = top >= other_top + other_height or other_top >= top + height
            assert aside or apart
    assert all(0 <= left <= layout.width - width for left, _, width, _ in taken)


def test_ways_lead_down_unless_they_lead_back() -> None:
    boxes = [Box(name, 100, 50) for name in "abc"]
    links = [Link("a", "b", 0, 0), Link("b", "c", 0, 0), Link("c", "a", 30, 20)]
    layout = arrange(boxes, links, "a")
    assert layout.boxes["a"].y < layout.boxes["b"].y < layout.boxes["c"].y
    assert [route.leads_up for route in layout.routes] == [False, False, True]


def test_the_same_definition_is_drawn_the_same_way() -> None:
    limits = workflows.limits()
    text = canonical(complete(MACHINE, limits))
    again = canonical(json.loads(text))
    first = graph.draw(text)
    graph.draw.cache_clear()
    assert graph.draw(again) == first
