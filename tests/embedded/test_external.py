"""Servers that run elsewhere and do not answer: one sentence, without a password in it."""

import pytest
from django.db import connection
from pytest_django import Settings

from orchestrator.embedded import external
from orchestrator.embedded.errors import CannotStart


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "ANSWER_WITHIN_S", 0)


def test_a_database_that_is_away_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATABASE_URL = "postgres://shop:secret@127.0.0.1:9/shop"
    for name, value in {"HOST": "127.0.0.1", "PORT": "9", "OPTIONS": {}}.items():
        monkeypatch.setitem(connection.settings_dict, name, value)
    with pytest.raises(CannotStart) as refusal:
        external.wait_for_database()
    assert "PostgreSQL at 127.0.0.1:9/shop did not let us in" in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_a_redis_that_is_away_is_named(settings: Settings) -> None:
    settings.REDIS_URL = "redis://:secret@127.0.0.1:9/2"
    with pytest.raises(CannotStart) as refusal:
        external.wait_for_redis()
    assert "Redis at 127.0.0.1:9/2 did not let us in" in str(refusal.value)
    assert "secret" not in str(refusal.value)
