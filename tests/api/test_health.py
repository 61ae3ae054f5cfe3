import pytest
from django.conf import settings
from django.test import Client


def test_alive_needs_nobody(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


def test_ready_asks_the_database_and_the_doorbell(client: Client, db: None) -> None:
    response = client.get("/readyz")
    assert (response.status_code, response.json()["database"]) == (200, "ok")
    assert response.json()["doorbell"] == "ok"


def test_a_silent_doorbell_is_told_but_stops_nothing(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:1/0")
    response = client.get("/readyz")
    assert (response.status_code, response.json()["doorbell"]) == (200, "not answering")


def test_they_change_nothing(client: Client, db: None) -> None:
    for path in ("/healthz", "/readyz"):
        assert client.post(path).status_code == 405
