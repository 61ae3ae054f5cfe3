"""Who is signed in where, and how often somebody tried."""

from django.conf import settings
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models.functions import Now


class BrowserSession(AbstractBaseSession):
    """A signed-in browser, known by its person, so that all of somebody's can be ended at once."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="browser_sessions"
    )
    seen_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.user}, {self.seen_at:%Y-%m-%d %H:%M}"


class SignInTry(models.Model):
    """A guess that was let through to be checked. Guesses that are refused leave no row behind."""

    # What is counted: guesses at one account, from one address, by one known browser.
    bucket = models.CharField(max_length=80)
    at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        indexes = [models.Index(fields=["bucket", "at"], name="sign_in_try_by_bucket")]

    def __str__(self) -> str:
        return self.bucket
