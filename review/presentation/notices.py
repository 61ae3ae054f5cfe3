"""How notices and deliveries look, and who hears of what."""

from orchestrator.models import Delivery, NoticeKind
from review.presentation.chips import Look

ICONS: dict[str, str] = {
    NoticeKind.ITEM_OPENED: "inbox",
    NoticeKind.ITEM_EXPIRED: "hourglass",
    NoticeKind.ITEM_ESCALATED: "arrow-up",
    NoticeKind.ITEM_ASSIGNED: "user",
    NoticeKind.MENTIONED: "at-sign",
    NoticeKind.DECIDED: "circle-check",
    NoticeKind.SNOOZE_OVER: "calendar-clock",
    NoticeKind.ADJUDICATION: "split",
    NoticeKind.STOOD_DOWN: "shield-alert",
}
# Said to one person, about themselves.
WHEN: dict[str, str] = {
    NoticeKind.ITEM_OPENED: "Any item that you may decide, the moment it opens. On a busy day these are many. Admins: also tools that wait for approval.",
    NoticeKind.ITEM_EXPIRED: "You asked for it, held it, or your team was to decide it.",
    NoticeKind.ITEM_ESCALATED: "It went to your team, or to whoever assigns work.",
    NoticeKind.ITEM_ASSIGNED: "To you, or to your team.",
    NoticeKind.MENTIONED: "Somebody names you in a comment.",
    NoticeKind.DECIDED: "You asked for it: a change of Countersign, a run you started.",
    NoticeKind.SNOOZE_OVER: "You snoozed it, and it is back.",
    NoticeKind.ADJUDICATION: "Two people judged blind and differ; a third has to say.",
    NoticeKind.STOOD_DOWN: "An audit overturned what ran by itself, and you may allow it again.",
}
DELIVERIES: dict[str, Look] = {
    Delivery.Status.PENDING: Look("On its way", "info", "clock"),
    Delivery.Status.DONE: Look("Arrived", "ok", "circle-check", is_final=True),
    Delivery.Status.FAILED: Look("Given up", "bad", "circle-x", is_final=True),
}


def look_of(delivery: Delivery) -> Look:
    look = DELIVERIES[delivery.status]
    is_retried = delivery.status == Delivery.Status.PENDING and delivery.error
    return Look("Tried again later", "warn", "rotate-cw") if is_retried else look


def title_of(kind: str) -> str:
    return NoticeKind(kind).label if kind in NoticeKind.values else "A test"
