"""`manage.py evaluation_set`: what people judged, as examples; what is in dispute is none."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import DjangoAssertNumQueries, Settings

from orchestrator import evaluation_set_queries
from orchestrator.actions import reviews
from orchestrator.actions.actor import Actor
from orchestrator.core import evaluation_sets
from orchestrator.core.codec import read
from orchestrator.models import Proposal
from tests.actions.test_audits import HARMLESS, judge
from tests.conftest import Cast
from tests.deciding import decide

Propose = Callable[..., Proposal]
Activate = Callable[..., None]


def export(*words: str) -> list[str]:
    out = StringIO()
    call_command("evaluation_set", "export", *words, stdout=out)
    return out.getvalue().splitlines(keepends=True)


def exported(*words: str) -> list[dict[str, Any]]:
    found = export(*words)
    evaluation_sets.check(found)
    return [data for line in found[1:-1] if isinstance(data := read(line), dict)]


@pytest.fixture
def judged(cast: Cast, propose: Propose, rule: Activate) -> dict[str, Proposal]:
    """Two that a rule held, one of them rejected; one that nobody judged; one that still waits."""
    free = propose(external_id="free", args=HARMLESS)
    rule()
    found = {name: propose(external_id=name) for name in ("yes", "no", "waits")}
    decide(cast.rita, found["yes"].review_items.get())
    decide(cast.rita, found["no"].review_items.get(), "reject", reason="wrong_value")
    return found | {"free": free}


def test_what_people_judged_is_exported(judged: dict[str, Proposal]) -> None:
    said = {one["proposal"]: one for one in exported()}
    assert set(said) == {judged["yes"].pk, judged["no"].pk}
    yes, no = said[judged["yes"].pk], said[judged["no"].pk]
    assert (yes["should_run"], no["should_run"]) == (True, False)
    assert no["said_by"] == "review"
    assert no["drew"] is False
    assert no["args"] == judged["no"].args
    assert no["rules"] == ["refund-limit"]
    assert no["disposition"] == "hold"


def test_one_that_was_taken_back_is_no_example(
    cast: Cast, settings: Settings, propose: Propose, rule: Activate
) -> None:
    settings.UNDO_S = 60
    rule()
    held = propose()
    decision = decide(cast.rita, held.review_items.get(), "reject", reason="wrong_value")
    assert len(exported()) == 1
    reviews.undo(Actor(cast.rita), decision.pk)
    assert exported() == []


def test_a_dispute_is_no_example_until_it_is_settled(
    cast: Cast, settings: Settings, propose: Propose
) -> None:
    settings.AUDIT_SHARE = 1.0
    propose(args=HARMLESS)
    judge(cast.rita, "reject")
    assert exported() == []
    judge(cast.rolf, "reject")
    (one,) = exported()
    assert (one["should_run"], one["said_by"], one["drew"]) == (False, "adjudication", True)


def test_it_can_be_narrowed(judged: dict[str, Proposal]) -> None:
    proposal = judged["yes"]
    assert len(exported("--action", proposal.action)) == 2
    assert len(exported("--agent", proposal.agent, "--action", proposal.action)) == 2
    assert exported("--action", "email.send") == []
    assert exported("--agent-version", "none such") == []
    head = read(export("--action", proposal.action)[0])
    assert isinstance(head, dict)
    assert head["action"] == proposal.action


def test_a_long_set_costs_three_questions_a_batch(
    judged: dict[str, Proposal],
    monkeypatch: pytest.MonkeyPatch,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    monkeypatch.setattr(evaluation_set_queries, "AT_ONCE", 1)
    wanted = evaluation_set_queries.Wanted()
    with django_assert_num_queries(2 * 3 + 1):
        assert len(list(evaluation_set_queries.examples(wanted))) == 2


def test_a_file_is_checked(judged: dict[str, Proposal], tmp_path: Path) -> None:
    path, out = tmp_path / "set.jsonl", StringIO()
    path.write_text("".join(export()), encoding="utf-8", newline="")
    call_command("evaluation_set", "check", str(path), stdout=out)
    assert out.getvalue().startswith("2 examples, as they were written (sha256:")
    path.write_bytes(path.read_bytes().replace(b"review", b"audit!"))
    with pytest.raises(CommandError, match="export it again"):
        call_command("evaluation_set", "check", str(path))
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("evaluation_set", "check", str(tmp_path / "nothing"))
