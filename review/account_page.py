"""What the page of one's own account shows."""

import re
from dataclasses import dataclass
from datetime import datetime

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from orchestrator.actions.sign_in import place_of
from orchestrator.browser_sessions import BEGUN_AT, SessionStore
from orchestrator.models import BrowserSession
from review.account_adapters import FROM_ADDRESS, FROM_AGENT

# The first that is in it counts: each browser also names those it wants to be taken for.
BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
PROGRAM = re.compile(r"[A-Za-z][\w.-]{0,30}")


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere a person is signed in."""

    name: str
    browser: str
    address: str
    since: datetime
    seen_at: datetime
    is_here: bool


def places_of(user: User, here: str) -> list[Place]:
    """This browser first, then whichever was used last."""
    live = BrowserSession.objects.filter(user=user, expire_date__gt=timezone.now())
    found = [_place(row, here) for row in live.order_by("-seen_at")]
    return sorted(found, key=lambda place: not place.is_here)


def _place(row: BrowserSession, here: str) -> Place:
    data = SessionStore().decode(row.session_data)
    return Place(
        name=place_of(row.pk),
        browser=describe_agent(data.get(FROM_AGENT, "")),
        address=data.get(FROM_ADDRESS, ""),
        since=datetime.fromtimestamp(data.get(BEGUN_AT, 0), timezone.get_current_timezone()),
        seen_at=row.seen_at,
        is_here=row.pk == here,
    )


def describe_agent(agent: str) -> str:
    """Enough to know one's own browsers; what an agent string says is not to be trusted anyway."""
    browser = next((name for mark, name in BROWSERS if mark in agent), "")
    system = next((name for mark, name in SYSTEMS if mark in agent), "")
    if browser and system:
        return f"{browser} on {system}"
    first = PROGRAM.match(agent)
    return browser or system or (first.group() if first else "A browser that does not say which")


def comes_from_provider(user: User) -> bool:
    return bool(settings.OIDC_ISSUER) and SocialAccount.objects.filter(user=user).exists()
