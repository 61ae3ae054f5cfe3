"""Pages of routers: where a run went and why, what people say about it, and how good the choices are."""

from collections.abc import Callable
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from orchestrator.actions import route_corrections
from orchestrator.actions.actor import Actor
from orchestrator.core.advice import Thrashing, Unending
from orchestrator.core.errors import BadInput, NotAllowed, NotFound
from orchestrator.models import AuditEntry, Proposal, RouteCorrection, RouteDecision, Run
from review import advice_page
from tests import runs as told
from tests.conftest import Cast
from tests.runs import scripted
from tests.web.test_audits import begin

pytestmark = pytest.mark.django_db


def worker(about: str, says: Any = None, **more: Any) -> dict[str, Any]:
    return {"description": about, "agent": scripted("worker", says, **more)}


MODEL = {"worker": "letters", "confidence": 0.84, "features": {"tone": "<i>calm</i>"}, "why": "ink"}
DESK: dict[str, Any] = {
    "pattern": "router",
    "title": "Who does it",
    "rules": [
        {"name": "money", "if": "intent.amount > 100", "to": "refunds"},
        {"name": "mail", "if": "intent.kind == 'letter'", "to": ["letters", "general"]},
    ],
    "model": {"agent": scripted("chooser", MODEL)},
    "workers": {
        "refunds": worker("pays money back"),
        "letters": worker("writes"),
        "general": worker("the rest"),
    },
    "fallback": "general",
}


def start(intent: Any = None, *, work: bool = True) -> Run:
    return told.start("desk", intent=intent or {"amount": 500}, definition=DESK, work=work)


def file_of(client: Client, asked: str) -> str:
    answer = client.get(f"/workflows/desk/routing/?format=csv&{asked}")
    return b"".join(answer.streaming_content).decode()  # type: ignore[arg-type]


def page_of(client: Client, run: Run) -> str:
    return client.get(f"/runs/{run.pk}/").content.decode()


def test_a_run_says_where_it_went_and_why(rita: Client) -> None:
    page = page_of(rita, start())
    assert "By a rule" in page
    assert "money" in page
    assert "intent.amount" in page


def test_a_run_that_waits_for_its_worker_and_one_whose_worker_failed(rita: Client) -> None:
    asks = {"description": "asks", "approval": {"question": "Is it done?"}}
    refuses = scripted(
        "refunds", fails=[{"attempt": 1, "code": "agent-refused", "reason": "closed"}]
    )
    workers = {"refunds": {"description": "pays", "agent": refuses}, "general": asks}
    rules = [{"to": ["refunds", "general"]}]
    desk = {**DESK, "workers": workers, "rules": rules}
    del desk["model"]
    page = page_of(rita, told.start("desk", intent={}, definition=desk))
    assert "so the fallback worker took over" in page
    assert "Is it done?" in page
    assert "rule-1" in page


def test_what_a_model_says_is_inert(rita: Client) -> None:
    page = page_of(rita, start({"kind": "x"}))
    assert "By the model" in page
    assert "0.84" in page
    assert "<i>calm</i>" not in page
    assert "The rule <b>" in page
    assert "could not be evaluated" in page


def test_a_correction_is_kept_with_who_and_why(rita: Client, cast: Cast) -> None:
    run = start()
    sent = {"worker": "letters", "note": "It is about a letter."}
    answer = rita.post(f"/runs/{run.pk}/route/", sent)
    assert answer.status_code == 302
    said = RouteCorrection.objects.get()
    assert (said.worker, said.by, said.note) == ("letters", cast.rita, "It is about a letter.")
    assert RouteDecision.objects.get().should_be == "letters"
    entry = AuditEntry.objects.get(verb="route.corrected")
    assert entry.object_id == run.pk
    assert entry.detail["chosen"] == "refunds"
    page = page_of(rita, run)
    assert "It is about a letter." in page
    # Somebody else looks again, and the newest word counts.
    route_corrections.correct(Actor(cast.rolf), run.pk, worker="refunds", note="")
    assert RouteDecision.objects.get().should_be == "refunds"
    assert "it was right" in page_of(rita, run)


def test_what_is_refused_is_kept(rita: Client) -> None:
    run = start()
    answer = rita.post(f"/runs/{run.pk}/route/", {"worker": "nobody", "note": "I wrote this."})
    assert answer.status_code == 422
    assert "I wrote this." in answer.content.decode()
    assert "Not noted." in answer.content.decode()
    assert not RouteCorrection.objects.exists()


def test_a_correction_has_a_reason_and_somebody_who_may(cast: Cast) -> None:
    run = start()
    with pytest.raises(BadInput, match="say why"):
        route_corrections.correct(Actor(cast.rita), run.pk, worker="letters", note=" ")
    with pytest.raises(NotAllowed):
        route_corrections.correct(Actor(cast.max), run.pk, worker="letters", note="x")
    other = told.start("invoices")
    with pytest.raises(NotFound):
        route_corrections.correct(Actor(cast.rita), other.pk, worker="letters", note="x")


def test_who_may_not_correct_is_not_asked(max_: Client) -> None:
    assert "Was that the right worker?" not in page_of(max_, start())


def test_the_choices_of_a_router(rita: Client, cast: Cast) -> None:
    run = start()
    start({"kind": "letter"})
    start({"kind": "x"})
    route_corrections.correct(Actor(cast.rita), run.pk, worker="letters", note="a letter")
    page = rita.get("/workflows/desk/routing/").content.decode()
    assert "How good the choices were" in page
    assert "money" in page
    assert "What people said" in page
    assert "should have gone to" in page
    wrong = rita.get("/workflows/desk/routing/?verdict=wrong").content.decode()
    assert wrong.count("data-row") == 1
    model = rita.get("/workflows/desk/routing/?by=model").content.decode()
    assert model.count("data-row") == 1
    assert rita.get("/workflows/desk/routing/?by=x&version=y&worker=z").status_code == 200


@pytest.mark.parametrize("name", ["lines", "confusion", "shares", "decisions"])
def test_each_table_is_a_file(rita: Client, name: str) -> None:
    run = start()
    text = file_of(rita, f"table={name}")
    assert text.startswith("workflow,desk")
    if name == "decisions":
        assert f"{run.pk}," in text
        assert ",refunds,rule,money,,right" in text


def test_a_file_that_nobody_knows(rita: Client) -> None:
    start()
    assert rita.get("/workflows/desk/routing/?format=csv&table=x").status_code == 404
    assert rita.get("/workflows/nowhere/routing/").status_code == 404


def test_before_anything_was_decided(rita: Client) -> None:
    told.save("desk", DESK)
    assert "Nothing was decided yet" in rita.get("/workflows/desk/routing/").content.decode()
    assert "No decision fits" in rita.get("/workflows/desk/routing/?by=rule").content.decode()


def test_verdicts_in_the_list_and_in_the_report_agree(rita: Client) -> None:
    """Every combination of what can come after, filtered by the database and counted in Python."""
    made = list(
        product(
            ("open", "completed", "failed", "cancelled"),
            ("", "refunds"),
            (True, False),
            ("", "refunds", "letters"),
        )
    )
    for outcome, failed, refused, should_be in made:
        run = start(work=False)
        RouteDecision.objects.filter(pk=run.pk).update(
            outcome=outcome, failed=failed, is_refused=refused, should_be=should_be
        )
    counts = {}
    for verdict in ("right", "wrong", "unknown"):
        rows = file_of(rita, f"verdict={verdict}&table=decisions")
        counts[verdict] = rows.count("run_")
        assert rows.count(f",{verdict}\r\n") == counts[verdict] + 1
    assert sum(counts.values()) == len(made)


def test_a_page_asks_the_same_however_many_there_are(
    rita: Client, django_assert_max_num_queries: DjangoAssertNumQueries, settings: Settings
) -> None:
    for _ in range(3):
        start()
    settings.ROUTE_DECISIONS_COUNTED_MAX = 2
    with django_assert_max_num_queries(25):
        page = rita.get("/workflows/desk/routing/").content.decode()
    assert "There are more." in page


def test_a_collapse_of_confidence_is_said(rita: Client) -> None:
    now = timezone.now()
    rows = [(0.9 + n % 5 / 100, now - timedelta(days=8 + n % 20)) for n in range(80)]
    rows += [(0.5 + n % 5 / 100, now - timedelta(days=n % 6, hours=1)) for n in range(40)]
    for confidence, at in rows:
        run = start(work=False)
        RouteDecision.objects.filter(pk=run.pk).update(
            by="model", rule="", worker="letters", confidence=confidence, decided_at=at
        )
    page = rita.get("/workflows/desk/routing/").content.decode()
    assert "The model has become unsure." in page
    assert "become unsure where" in rita.get("/workflows/desk/").content.decode()


def test_the_page_of_the_workflow(rita: Client) -> None:
    start()
    page = rita.get("/workflows/desk/").content.decode()
    assert "Router" in page
    assert "intent.amount &gt; 100" in page
    assert "pays money back" in page
    assert "the rules" in page
    assert "1 run of it has ended" in page


def test_advice_is_shown_with_its_evidence(rita: Client) -> None:
    stages = [told.stage("read", 1), told.stage("draft", 2)]
    definition = {"pattern": "pipeline", "stages": stages}
    for _ in range(30):
        told.start("pair", definition=definition)
    page = rita.get("/workflows/pair/").content.decode()
    assert "read and draft are one agent too many" in page
    assert "30 runs" in page


@pytest.mark.parametrize(
    ("found", "sentences"),
    [
        (
            Unending(runs=40, many=30, usual=2.5, rounds=3, parts=120, gaps=40),
            [
                "The supervisor does not find an end",
                "In 30 of 40 runs it had to be told to sum up: all its 3 rounds were used up",
                "Half of all runs took 2.5 rounds or more. 40 of 120 tasks left a gap.",
                "give its workers what they lack",
            ],
        ),
        (
            Thrashing(work="ask", runs=1_200, many=900, usual=5, parts=6_000, gaps=10),
            [
                "ask goes round and round",
                "900 of 1,200 runs came to it 4 times or more; half of all came 5 times or more.",
                "give its agents what they lack",
            ],
        ),
    ],
)
def test_what_goes_on_in_vain_is_told_with_figures(
    rita: Client, monkeypatch: pytest.MonkeyPatch, found: Any, sentences: list[str]
) -> None:
    monkeypatch.setattr(advice_page, "advise", lambda *given: [found])
    told.save("failing")
    page = " ".join(rita.get("/workflows/failing/").text.split())
    for sentence in sentences:
        assert sentence in page
    assert ("left a gap" in page) == found.has_many_gaps


def test_an_auditor_with_an_item_in_hand_is_led_to_it(
    rita: Client, propose: Callable[..., Proposal], settings: Settings
) -> None:
    """What is counted there would tell what became of what they judge."""
    start()
    settings.AUDIT_SHARE = 1.0
    propose(args={"amount_minor": 1_990, "currency": "EUR"})
    begin(rita)
    assert "How good the choices were" not in rita.get("/workflows/desk/routing/").content.decode()
