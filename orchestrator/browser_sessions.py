"""Sessions in PostgreSQL that know their person, end when nobody uses them, and end for good.

Django names this module in SESSION_ENGINE. What a session ends by is one column, `expire_date`, so
that reading a session is all it takes to know that it has not ended.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends import db
from django.utils import timezone

from orchestrator.models.sign_in import BrowserSession

BEGUN_AT = "begun_at"
BEGUN_FOR = "begun_for"


class SessionStore(db.SessionStore):
    """Django's, with a person and two ends: so long after signing in, so long without a sign of life."""

    # When the person was last here; None until an existing session has been read.
    seen_at: datetime | None = None

    @classmethod
    def get_model_class(cls) -> type[BrowserSession]:
        return BrowserSession

    def load(self) -> dict[str, Any]:
        row = self._get_session_from_db()  # type: ignore[attr-defined]
        if row is None:
            return {}
        self.seen_at = row.seen_at
        found: dict[str, Any] = self.decode(row.session_data)
        return found

    def create_model_instance(self, data: dict[str, Any]) -> BrowserSession:
        now = timezone.now()
        person = data.get(SESSION_KEY)
        # A browser keeps its session when its person signs in, but the clock starts anew.
        if BEGUN_AT not in data or data.get(BEGUN_FOR) != person:
            data[BEGUN_AT], data[BEGUN_FOR] = now.timestamp(), person
        row = cast(BrowserSession, super().create_model_instance(data))
        row.user_id = int(person) if person else None
        row.seen_at = now
        row.expire_date = end_of(data[BEGUN_AT], seen_at=now)
        return row


def end_of(begun_at: float, *, seen_at: datetime) -> datetime:
    last = datetime.fromtimestamp(begun_at, UTC) + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    return min(last, seen_at + timedelta(minutes=settings.SESSION_IDLE_MINUTES))
