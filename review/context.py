"""What every page needs: navigation of the role, theme, counts. Nothing is asked before it is shown."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from orchestrator import tool_queries
from review import audit_reads, notice_reads, queue_reads
from review.access import may, must_add_factor, role_names
from review.presentation.counts import counted

THEMES = ("light", "dark", "system")


class Entry(NamedTuple):
    name: str
    label: str
    icon: str
    keys: str
    capability: str
    # Stands a little apart from the one above it: something else begins.
    is_apart: bool = False


# What is done every day; what decides about it; what it is made of; looking back.
NAVIGATION = (
    Entry("queue", "Queue", "inbox", "g q", "queue.view"),
    Entry("audits", "Audits", "eye-off", "g a", "queue.view"),
    Entry("proposals", "Proposals", "layers", "g p", "proposals.view"),
    Entry("runs", "Runs", "activity", "g r", "runs.view"),
    Entry("rules", "Rules", "list-checks", "g u", "rules.view", is_apart=True),
    Entry("policies", "Policies", "target", "g i", "policies.view"),
    Entry("calibration", "Calibration", "gauge", "g b", "calibration.view"),
    Entry("workflows", "Workflows", "workflow", "g w", "runs.view", is_apart=True),
    Entry("agents", "Agents", "bot", "g e", "agents.view"),
    Entry("memory", "Memory", "rows-3", "g m", "memory.view"),
    Entry("tools", "Tools", "wrench", "g y", "tools.view"),
    Entry("contracts", "Contracts", "braces", "g c", "contracts.view"),
    Entry("routing", "Routing", "route", "g o", "routing.view"),
    Entry("reports", "Reports", "trending-up", "g t", "reports.view", is_apart=True),
    Entry("audit_log", "Audit log", "scroll-text", "g l", "audit.view"),
)


class Setting(NamedTuple):
    """A page below /settings/."""

    name: str
    label: str
    icon: str
    capability: str


SETTINGS: tuple[Setting, ...] = (
    Setting("people", "People", "user", "people.edit"),
    Setting("teams", "Teams", "users", "teams.edit"),
    Setting("reasons", "Reasons", "tag", "reasons.edit"),
    Setting("webhooks", "Webhooks", "webhook", "webhooks.edit"),
    Setting("endpoints", "Endpoints", "send", "agents.edit"),
    Setting("tokens", "Tokens", "lock", "tokens.issue"),
)
# For whoever may open one of those pages.
SETTINGS_ENTRY = Entry("settings", "Settings", "settings", "g s", "")


class Link(NamedTuple):
    entry: Entry | Setting
    url: str


class Page:
    """Answers are worked out when a template asks, so that a page without a bar costs no query."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request

    @property
    def theme(self) -> str:
        chosen = self.request.COOKIES.get("theme", "")
        return chosen if chosen in THEMES else "system"

    @property
    def csrf_cookie(self) -> str:
        return settings.CSRF_COOKIE_NAME

    @cached_property
    def roles(self) -> list[str]:
        return role_names(self.request.user)

    @cached_property
    def must_add_factor(self) -> bool:
        return must_add_factor(self.request.user)

    @property
    def is_demo(self) -> bool:
        return settings.DEMO

    @property
    def links(self) -> list[Link]:
        entries = [entry for entry in NAVIGATION if may(self.request.user, entry.capability)]
        if self.setting_links:
            entries.append(SETTINGS_ENTRY)
        return [Link(entry, reverse(entry.name)) for entry in entries]

    @property
    def setting_links(self) -> list[Link]:
        return settings_of(self.request.user)

    @property
    def setting(self) -> str:
        """The page of the settings that the address lies under."""
        return _at(self.request.path, SETTINGS)

    @property
    def section(self) -> str:
        """The entry that the address lies under; a view may say another one."""
        return _at(self.request.path, (*NAVIGATION, SETTINGS_ENTRY))

    @cached_property
    def audits_waiting(self) -> str:
        """Of every class, whoever may judge them."""
        count = audit_reads.waiting_count()
        return counted(count) if count else ""

    @property
    def tools_waiting(self) -> str:
        """For those who may approve them."""
        count = tool_queries.waiting_count() if may(self.request.user, "tools.edit") else 0
        return counted(count) if count else ""

    @cached_property
    def unread(self) -> str:
        """Notices of the reader's own, for the bell."""
        count = notice_reads.unread_count(self.request.user)
        return (
            f"{notice_reads.UNREAD_MAX - 1}+"
            if count >= notice_reads.UNREAD_MAX
            else f"{count or ''}"
        )

    @cached_property
    def pulse(self) -> queue_reads.Pulse:
        return queue_reads.pulse()


def settings_of(user: Any) -> list[Link]:
    found = [one for one in SETTINGS if may(user, one.capability)]
    return [Link(one, reverse(one.name)) for one in found]


def _at(path: str, entries: Sequence[Entry | Setting]) -> str:
    found = (entry.name for entry in entries if path.startswith(reverse(entry.name)))
    return next(found, "")


def page(request: HttpRequest) -> dict[str, Page]:
    return {"page": Page(request)}
