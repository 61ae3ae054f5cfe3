"""Reasons: added, renamed, put in order and retired; never deleted, and never all gone."""

from collections.abc import Callable

import pytest
from django.utils import timezone
from pytest_django import Settings

from orchestrator import reason_queries
from orchestrator.actions import reasons
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import BadInput, NotAllowed, NotFound, StillNeeded
from orchestrator.models import AuditEntry, Decision, Proposal, Reason
from tests.conftest import SYSTEM, Cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(cast: Cast) -> Actor:
    return Actor(cast.ada)


def offered() -> list[str]:
    return [one.code for one in Reason.objects.offered()]


def last_entry() -> tuple[str, str, dict[str, object]]:
    entry = AuditEntry.objects.latest("pk")
    return entry.verb, entry.object_id, entry.detail


def test_a_reason_is_added_at_the_end(ada: Actor) -> None:
    before = offered()
    reason = reasons.add(ada, "  Not   allowed by law ", needs_note=True)
    assert (reason.code, reason.label) == ("not_allowed_by_law", "Not allowed by law")
    assert offered() == [*before, "not_allowed_by_law"]
    assert last_entry() == (
        "reason.added",
        "reason/not_allowed_by_law",
        {"label": "Not allowed by law", "needs_note": True},
    )


@pytest.mark.parametrize("label", ["", " ", "\x00", "x" * 81, "WRONG target"])
def test_a_label_is_short_and_one_reasons_alone(ada: Actor, label: str) -> None:
    with pytest.raises(BadInput, match=r"^label: "):
        reasons.add(ada, label)
    with pytest.raises(BadInput, match=r"^label: "):
        reasons.change(ada, "wording", label=label, needs_note=False)


def test_a_code_is_never_given_twice(ada: Actor) -> None:
    with pytest.raises(BadInput, match="its code would be wrong_value, which is that of"):
        reasons.add(ada, "Wrong: value!")
    reasons.retire(ada, "wrong_value")
    with pytest.raises(BadInput, match=r"was retired\. Bring it back instead"):
        reasons.add(ada, "Wrong value")
    assert reasons.add(ada, "理由").code == f"reason_{Reason.objects.count()}"
    assert len(reasons.add(ada, "y" * 80).code) == 40


def test_there_is_a_limit(ada: Actor, settings: Settings) -> None:
    settings.REASONS_MAX = len(offered())
    reasons.retire(ada, "wording")
    reasons.add(ada, "One more")
    with pytest.raises(BadInput, match="10 reasons are offered already"):
        reasons.add(ada, "And one more")
    with pytest.raises(BadInput, match="Retire one first"):
        reasons.bring_back(ada, "wording")


def test_other_words_leave_the_code(ada: Actor) -> None:
    reasons.change(ada, "wording", label="Tone", needs_note=True)
    reason = Reason.objects.get(code="wording")
    assert (reason.label, reason.needs_note) == ("Tone", True)
    assert last_entry() == (
        "reason.changed",
        "reason/wording",
        {
            "before": {"label": "Wording", "needs_note": False},
            "after": {"label": "Tone", "needs_note": True},
        },
    )
    reasons.change(ada, "wording", label="Tone", needs_note=True)
    assert AuditEntry.objects.filter(verb="reason.changed").count() == 1


def test_they_move_one_place(ada: Actor) -> None:
    first, second, third, *rest = offered()
    reasons.move(ada, second, "up")
    assert offered() == [second, first, third, *rest]
    assert last_entry() == ("reason.moved", f"reason/{second}", {"place": 1})
    reasons.move(ada, second, "up")
    reasons.move(ada, rest[-1], "down")
    assert offered() == [second, first, third, *rest]
    reasons.move(ada, second, "down")
    reasons.move(ada, first, "down")
    assert offered() == [second, first, third, *rest]
    assert AuditEntry.objects.filter(verb="reason.moved").count() == 3


def test_retired_ones_are_kept_and_come_back_at_the_end(ada: Actor) -> None:
    before = offered()
    reasons.retire(ada, "wording")
    assert offered() == [code for code in before if code != "wording"]
    assert Reason.objects.get(code="wording").retired_at is not None
    assert last_entry() == ("reason.retired", "reason/wording", {})
    with pytest.raises(NotFound, match="no reason in use wording"):
        reasons.move(ada, "wording", "up")
    reasons.bring_back(ada, "wording")
    assert offered()[-1] == "wording"
    assert last_entry() == ("reason.brought_back", "reason/wording", {})
    # Both again say nothing new.
    reasons.bring_back(ada, "wording")
    assert AuditEntry.objects.filter(verb="reason.brought_back").count() == 1


def test_one_whose_words_were_taken_meanwhile_does_not_come_back(ada: Actor) -> None:
    reasons.retire(ada, "wording")
    reasons.change(ada, "other", label="wording", needs_note=True)
    with pytest.raises(BadInput, match="another reason is called that"):
        reasons.bring_back(ada, "wording")


def test_the_last_one_offered_stays(ada: Actor) -> None:
    *others, last = offered()
    for code in others:
        reasons.retire(ada, code)
    with pytest.raises(StillNeeded, match=r"it is the last one there is\. Nothing was changed"):
        reasons.retire(ada, last)
    assert offered() == [last]
    reasons.retire(ada, others[0])


def test_only_admins_change_them(cast: Cast, agent: Actor) -> None:
    for actor in (Actor(cast.rita), Actor(cast.max), agent):
        with pytest.raises(NotAllowed, match="It needs the role admin"):
            reasons.add(actor, "Mine")
        with pytest.raises(NotAllowed, match="change reasons"):
            reasons.retire(actor, "wording")
    assert reasons.add(SYSTEM, "Of nobody in particular").code


def test_what_is_not_there_cannot_be_changed(ada: Actor) -> None:
    for change in (
        lambda: reasons.change(ada, "nope", label="x", needs_note=False),
        lambda: reasons.move(ada, "nope", "up"),
        lambda: reasons.retire(ada, "nope"),
        lambda: reasons.bring_back(ada, "nope"),
    ):
        with pytest.raises(NotFound):
            change()


def test_uses_are_counted(
    cast: Cast, rule: Callable[..., None], propose: Callable[..., Proposal]
) -> None:
    rule()
    for number, reason in enumerate(["wording", "wording", "other", "", "wording"]):
        item = propose(target=f"order/{number}").review_items.get()
        decision = Decision.objects.create(
            item=item,
            reviewer=cast.rita,
            verdict="reject" if reason else "approve",
            reason=reason,
            payload_digest="sha256:0",
            item_version=1,
            idempotency_key=str(number),
        )
    Decision.objects.filter(pk=decision.pk).update(undone_at=timezone.now())
    assert reason_queries.used(timezone.now()) == {"wording": 2, "other": 1}
    later = timezone.now() + reason_queries.USED_WINDOW
    assert reason_queries.used(later) == {}
