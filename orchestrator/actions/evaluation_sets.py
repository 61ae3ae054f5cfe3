"""Evaluation sets handed out: who took which is written down before the first line leaves."""

from collections.abc import Iterator

from django.db import transaction
from django.utils import timezone

from orchestrator.actions.actor import Actor, audit, require
from orchestrator.audit_queries import veiled_proposals
from orchestrator.core import evaluation_sets
from orchestrator.core.codec import Json
from orchestrator.core.errors import BadInput
from orchestrator.evaluation_set_queries import Wanted, examples

WORD_LENGTH_MAX = 100
CONTENT_TYPE = "application/jsonl"


@transaction.atomic
def export(actor: Actor, wanted: Wanted) -> Iterator[str]:
    """Its lines, read as they are asked for. What contracts mask is masked.

    What this person is judging blind just now is left out: the set would tell what others said of it.
    """
    require(actor, "evaluation_sets.export", "export evaluation sets")
    asked: dict[str, Json] = {name: getattr(wanted, name) for name in Wanted.__slots__}
    for name, word in asked.items():
        if len(str(word)) > WORD_LENGTH_MAX or "\x00" in str(word):
            raise BadInput(name, f"it is a name of at most {WORD_LENGTH_MAX} characters.")
    audit(actor, "evaluation_set.exported", "evaluation-set", **asked)
    made = timezone.now().isoformat(timespec="seconds")
    found = examples(wanted, masked=True, without=veiled_proposals(actor.user))
    return evaluation_sets.lines(found, {"made_at": made, **asked})


def file_name() -> str:
    return f"evaluation-set-{timezone.now():%Y-%m-%d}.jsonl"
