"""A review item of any kind as one sentence."""

from django.utils.html import format_html
from django.utils.safestring import SafeString

from orchestrator.core.codec import read
from orchestrator.models import Command, ReviewItem
from review.presentation.sentences import plain_sentence, sentence
from review.presentation.values import reveal_plainly, said

# What the commands of the engine do, for people who have never read its code.
WORK_OF_COMMANDS = {
    "run_agent": "The call of an agent",
    "run_effect": "The effect of a proposal",
    "propose": "The check of a proposal",
    "ask_person": "The question to a person",
    "start_child": "The start of another run",
    "cancel_run": "The end of a run that nobody waits for any more",
    "tell_parent": "The answer to the run that waits",
}


def item_sentence(item: ReviewItem) -> SafeString:
    if item.kind == ReviewItem.Kind.STUCK_COMMAND:
        return format_html(
            "{} stops its workers: {}", _work(item.command), said(work_of(item.command))
        )
    if item.kind == ReviewItem.Kind.UNKNOWN_EFFECT and item.proposal:
        return format_html("Did this happen? {}", sentence(item.proposal))
    return sentence(item.proposal) if item.proposal else said(item.question)


def plain_item_sentence(item: ReviewItem) -> str:
    """For the title of the window, where there is no markup."""
    if item.kind == ReviewItem.Kind.STUCK_COMMAND:
        return reveal_plainly(f"{_work(item.command)} stops its workers: {work_of(item.command)}")
    return plain_sentence(item.proposal) if item.proposal else reveal_plainly(item.question)


def item_subject(item: ReviewItem) -> str:
    """What it is about, in the words of a program: an action, a stage."""
    if item.proposal:
        return item.proposal.action
    return item.command.kind if item.command else item.work


def work_of(command: Command | None) -> str:
    """The stage that a command is part of, as far as it says."""
    payload = read(command.payload) if command else None
    facts = payload if isinstance(payload, dict) else {}
    return str(facts.get("work") or facts.get("effect") or "")


def _work(command: Command | None) -> str:
    return WORK_OF_COMMANDS.get(command.kind, command.kind) if command else "Work"
