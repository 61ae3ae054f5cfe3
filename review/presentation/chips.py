"""How each state looks: words first, then an icon, then a colour."""

from datetime import timedelta
from functools import lru_cache
from typing import NamedTuple

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from orchestrator.models import ApiToken, ReviewItem
from review.presentation.icons import icon
from review.presentation.times import due, left

LATE_SHARE = 0.75


class Look(NamedTuple):
    label: str
    tone: str
    icon: str
    is_final: bool = False


STATUSES = {
    "received": Look("Received", "quiet", "circle-dashed"),
    "evaluating": Look("Being evaluated", "info", "flask-conical"),
    "in_review": Look("Waiting for a person", "info", "eye"),
    "revision_requested": Look("Back with the agent", "warn", "undo-2"),
    "accepted": Look("Accepted, about to run", "info", "loader"),
    "rejected": Look("Rejected", "bad", "circle-x", is_final=True),
    "blocked": Look("Blocked by a rule", "bad", "ban", is_final=True),
    "expired": Look("Expired", "quiet", "clock", is_final=True),
    "withdrawn": Look("Withdrawn", "quiet", "undo-2", is_final=True),
    "executing": Look("Running", "info", "loader"),
    "executed": Look("Done", "ok", "circle-check", is_final=True),
    "failed": Look("Failed", "bad", "circle-alert", is_final=True),
    "unknown": Look("Outcome unknown", "warn", "circle-alert"),
    "superseded": Look("Replaced by a revision", "quiet", "git-compare", is_final=True),
    "rolling_back": Look("Being rolled back", "warn", "loader"),
    "rolled_back": Look("Rolled back", "quiet", "undo-2", is_final=True),
}
STAGES = {
    "draft": Look("Draft", "quiet", "pencil"),
    "backtested": Look("Backtested", "info", "flask-conical"),
    "shadow": Look("Shadow", "info", "eye-off"),
    "active": Look("Active", "ok", "shield-check"),
    "retired": Look("Retired", "quiet", "archive", is_final=True),
}
BACKTESTS = {
    "waiting": Look("Waits", "quiet", "clock"),
    "running": Look("Running", "info", "loader"),
    "done": Look("Done", "ok", "circle-check", is_final=True),
    "cancelled": Look("Cancelled", "quiet", "ban", is_final=True),
    "failed": Look("Failed", "bad", "circle-alert", is_final=True),
}
TOKENS = {
    "good": Look("Good", "ok", "circle-check"),
    "revoked": Look("Revoked", "bad", "ban", is_final=True),
    "expired": Look("Expired", "quiet", "clock", is_final=True),
    "owner switched off": Look("Its owner is switched off", "warn", "ban"),
}
TOKEN_ENDS_SOON = timedelta(days=7)
RESULTS = {
    "pass": Look("passes", "ok", "circle-check"),
    "fail": Look("does not hold", "bad", "circle-x"),
    "error": Look("cannot be evaluated, so it holds", "bad", "triangle-alert"),
    "out": Look("is not asked", "quiet", "circle-dashed"),
    "unseen": Look("cannot be known", "quiet", "eye-off"),
}
# What a policy makes of a proposal.
VERDICTS = {
    "accept": Look("accepted", "ok", "circle-check"),
    "revise": Look("sent back", "warn", "undo-2"),
    "escalate": Look("before a person", "info", "eye"),
    "hold": Look("held", "warn", "shield-alert"),
    "block": Look("blocked", "bad", "ban"),
}
CONTRACTS = {
    "event": Look("Event", "quiet", "zap"),
    "action": Look("Action", "quiet", "play"),
    "output": Look("Agent output", "quiet", "bot"),
}
TIERS = {
    "low": Look("Low risk", "quiet", "trending-down"),
    "normal": Look("Normal risk", "quiet", "gauge"),
    "high": Look("High risk", "warn", "triangle-alert"),
}
EFFECTS = {
    "block": Look("blocks", "bad", "ban"),
    "hold": Look("needs a person", "warn", "eye"),
    "two_person": Look("needs two people", "warn", "users"),
    "flag": Look("recorded only", "quiet", "flag"),
}
KINDS = {
    "guardrail_failure": Look("Guardrail", "warn", "shield-alert"),
    "escalation": Look("Low score", "info", "gauge"),
    "rule_change": Look("Change of Countersign", "info", "git-compare"),
    "approval": Look("A run asks", "info", "circle-question-mark"),
    "unknown_effect": Look("Outcome unknown", "warn", "circle-alert"),
    "stuck_command": Look("Stuck work", "bad", "wrench"),
    "failed_compensation": Look("Rollback failed", "bad", "undo-2"),
}
BANDS = {
    "accept": Look("Accept", "ok", "circle-check"),
    "revise": Look("Revise", "warn", "undo-2"),
    "escalate": Look("Escalate", "bad", "triangle-alert"),
}
RUNS = {
    "new": Look("New", "quiet", "circle-dashed"),
    "running": Look("Running", "info", "loader"),
    "waiting": Look("Waiting", "warn", "hourglass"),
    "completed": Look("Completed", "ok", "circle-check", is_final=True),
    "failed": Look("Failed", "bad", "circle-alert", is_final=True),
    "cancelled": Look("Cancelled", "quiet", "ban", is_final=True),
}
WORKS = {
    "planned": Look("Not begun", "quiet", "circle-dashed"),
    "running": Look("At work", "info", "loader"),
    "waiting": Look("Waiting", "warn", "hourglass"),
    "deciding": Look("Being decided", "warn", "eye"),
    "done": Look("Done", "ok", "circle-check", is_final=True),
    "skipped": Look("Left out", "quiet", "undo-2", is_final=True),
    "failed": Look("Failed", "bad", "circle-alert", is_final=True),
    "stopped": Look("Stopped", "quiet", "ban", is_final=True),
}
COMMANDS = {
    "pending": Look("Waits", "quiet", "clock"),
    "running": Look("Running", "info", "loader"),
    "done": Look("Done", "ok", "circle-check", is_final=True),
    "failed": Look("Failed", "bad", "circle-alert", is_final=True),
    "cancelled": Look("Cancelled", "quiet", "ban", is_final=True),
    "quarantined": Look("Kept for a person", "warn", "wrench"),
}


def chip(text: object, tone: str = "quiet", icon_name: str = "") -> SafeString:
    drawn = icon(icon_name) if icon_name else ""
    return format_html('<span class="chip" data-tone="{}">{}{}</span>', tone, drawn, text)


def chip_of(looks: dict[str, Look], name: str) -> SafeString:
    return _drawn(looks.get(name, Look(name.replace("_", " "), "quiet", "circle-dashed")))


@lru_cache(maxsize=512)
def _drawn(look: Look) -> SafeString:
    return chip(look.label, look.tone, look.icon)


def deadline(item: ReviewItem) -> SafeString:
    """Grey, amber when three quarters of the time are gone, red when it is over."""
    return chip(due(item.due_at), deadline_tone(item), "clock")


def deadline_note(item: ReviewItem) -> SafeString:
    """The same for a narrow list: words alone."""
    return format_html('<span class="{}">{}</span>', deadline_tone(item), left(item.due_at))


def deadline_tone(item: ReviewItem) -> str:
    now = timezone.now()
    if item.due_at <= now:
        return "bad"
    whole: timedelta = item.due_at - item.created_at
    return "warn" if now - item.created_at >= LATE_SHARE * whole else "quiet"


def token_look(token: ApiToken) -> Look:
    ends = token.expires_at
    if token.state == "good" and ends and ends - timezone.now() < TOKEN_ENDS_SOON:
        return Look("Ends soon", "warn", "hourglass")
    return TOKENS[token.state]
