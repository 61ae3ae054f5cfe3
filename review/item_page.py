"""What a reader sees of an item that is not about a proposal: a question of a run, or stuck work."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone

from orchestrator.core.codec import read
from orchestrator.models import Decision, ReviewItem
from review import item_reads, reads
from review.deciding import decision_facts
from review.htmx import tag_of
from review.once import once
from review.presentation.chips import Look
from review.presentation.items import item_sentence, work_of
from review.presentation.stages import Stage, stages
from review.run_reads import RunCase, run_case
from review.talk import talk

POLL_S = 10


@dataclass(frozen=True, slots=True)
class Matter(reads.Decidable):
    """One item, the run it belongs to, and what people said about it."""

    item: ReviewItem
    decisions: Sequence[Decision]
    about: RunCase


def matter(pk: str, reader: Any) -> Matter:
    related = ("command", "run")
    item = get_object_or_404(ReviewItem.objects.select_related(*related), pk=pk, proposal=None)
    decisions = item_reads.with_reasons(Decision.objects.filter(item=item))
    return Matter(item, list(decisions), run_case(item.run_id, reader))


def matter_page(request: HttpRequest, matter: Matter) -> dict[str, Any]:
    item, run = matter.item, matter.about.run
    facts = decision_facts(request, matter, page=("item", item.pk))
    return facts | {
        "section": "queue",
        "talk": once(talk, "item", item.pk),
        "run": run,
        "tag": tag_of(item.status, item.version, facts["hold"], item.holder_id, item.is_asleep),
        "ending": _ending(matter),
        "is_live": matter.is_waiting,
        "poll_s": POLL_S,
        "about": matter.about,
        "sentence": item_sentence(item),
        "intent": matter.about.started.get("intent"),
        "before": once(_stages_before, matter),
        "command": item.command,
        "command_work": work_of(item.command),
        "command_facts": read(item.command.payload) if item.command else None,
        "shows_verdicts": matter.is_open_to(request.user),
    }


ENDINGS = {
    Decision.Verdict.APPROVE: Look("Approved", "ok", "circle-check"),
    Decision.Verdict.REJECT: Look("Rejected", "bad", "circle-x"),
    Decision.Verdict.RETRY: Look("Sent to run again", "info", "rotate-cw"),
    Decision.Verdict.GIVE_UP: Look("Given up", "bad", "ban"),
}
EXPIRED = Look("Expired", "quiet", "clock")
WITHDRAWN = Look("No longer asked", "quiet", "undo-2")


def _ending(matter: Matter) -> Look:
    """How the question closed; one that is open looks like one that nobody asks any more."""
    if matter.item.status == ReviewItem.Status.EXPIRED:
        return EXPIRED
    if matter.item.status == ReviewItem.Status.DECIDED and matter.decisions:
        return ENDINGS[Decision.Verdict(matter.decisions[-1].verdict)]
    return WITHDRAWN


def _stages_before(matter: Matter) -> list[Stage]:
    """What the reader can judge by: everything that has come to an end so far."""
    found = stages(matter.about, timezone.now())
    return [stage for stage in found if stage.has_begun and stage.name != matter.item.work]
