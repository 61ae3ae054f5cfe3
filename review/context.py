"""What every page needs: navigation of the role, theme, counts. Nothing is asked before it is shown."""

from functools import cached_property
from typing import NamedTuple

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from review import reads
from review.access import may, role_names

THEMES = ("light", "dark", "system")


class Entry(NamedTuple):
    name: str
    label: str
    icon: str
    keys: str
    capability: str


NAVIGATION = (
    Entry("queue", "Queue", "inbox", "g q", "queue.view"),
    Entry("proposals", "Proposals", "layers", "g p", "proposals.view"),
    Entry("runs", "Runs", "activity", "g r", "runs.view"),
    Entry("workflows", "Workflows", "workflow", "g w", "runs.view"),
    Entry("rules", "Rules", "list-checks", "g u", "rules.view"),
    Entry("contracts", "Contracts", "braces", "g c", "contracts.view"),
    Entry("routing", "Routing", "route", "g o", "routing.view"),
    Entry("audit_log", "Audit log", "scroll-text", "g l", "audit.view"),
)


class Link(NamedTuple):
    entry: Entry
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

    @property
    def is_demo(self) -> bool:
        return settings.DEMO

    @property
    def links(self) -> list[Link]:
        entries = [entry for entry in NAVIGATION if may(self.request.user, entry.capability)]
        return [Link(entry, reverse(entry.name)) for entry in entries]

    @property
    def section(self) -> str:
        """The entry that the address lies under; a view may say another one."""
        path = self.request.path
        found = (entry.name for entry in NAVIGATION if path.startswith(reverse(entry.name)))
        return next(found, "")

    @cached_property
    def pulse(self) -> reads.Pulse:
        return reads.pulse()


def page(request: HttpRequest) -> dict[str, Page]:
    return {"page": Page(request)}
