"""What a browser says about a passkey is outside data: whatever it is, it opens nothing and breaks nothing."""

import json
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from tests.conftest import Cast

ANSWER = {
    "id": "AAAA",
    "rawId": "AAAA",
    "type": "public-key",
    "clientExtensionResults": {},
    "response": {
        "clientDataJSON": "e30",
        "authenticatorData": "AAAA",
        "signature": "AAAA",
        "userHandle": "MQ",
        "attestationObject": "oA",
    },
}
JUNK: list[Any] = [
    {},
    [],
    0,
    "x",
    {"id": 1},
    ANSWER,
    ANSWER | {"rawId": "BBBB"},
    ANSWER | {"response": None},
    ANSWER | {"response": []},
    ANSWER | {"response": ANSWER["response"] | {"userHandle": None}},  # type: ignore[operator]
    ANSWER | {"response": ANSWER["response"] | {"userHandle": "/w"}},  # type: ignore[operator]
    ANSWER | {"response": {"clientDataJSON": "x" * 100_000}},
]


@pytest.mark.parametrize("answer", JUNK, ids=range(len(JUNK)))
def test_junk_signs_nobody_in(cast: Cast, client: Client, answer: Any) -> None:
    client.post("/login/passkey/")
    response = client.post("/login/passkey/", {"credential": json.dumps(answer)})
    assert response.status_code == 200
    assert client.get("/queue/").status_code == 302


@pytest.mark.parametrize("answer", JUNK, ids=range(len(JUNK)))
def test_junk_adds_no_passkey_and_proves_nothing(rita: Client, answer: Any) -> None:
    rita.post("/me/factors/passkey/")
    sent = {"credential": json.dumps(answer), "name": "x", "passkey": "1"}
    assert rita.post("/me/factors/passkey/", sent).status_code in {200, 422}
    assert rita.post("/me/prove/", sent).status_code in {200, 422}
    assert not Authenticator.objects.exists()


@pytest.mark.parametrize("text", ["", "{", "null", '"', "[" * 5_000])
def test_what_is_no_json_is_answered_with_a_challenge(
    cast: Cast, client: Client, text: str
) -> None:
    response = client.post("/login/passkey/", {"credential": text})
    assert response.status_code == 200
    assert response.json()["publicKey"]["challenge"]


def test_a_challenge_names_nobody(cast: Cast, client: Client) -> None:
    asked = client.post("/login/passkey/").json()["publicKey"]
    assert asked["userVerification"] == "required"
    assert not asked.get("allowCredentials")


def test_a_new_passkey_has_to_know_its_person(rita: Client) -> None:
    asked = rita.post("/me/factors/passkey/").json()["publicKey"]
    assert asked["authenticatorSelection"]["residentKey"] == "required"
    assert asked["authenticatorSelection"]["userVerification"] == "required"
    assert asked["rp"] == {"id": "testserver", "name": "Countersign"}


@pytest.mark.parametrize(
    ("host", "possible"), [("127.0.0.1:8000", False), ("[::1]", False), ("localhost", True)]
)
def test_addresses_of_numbers_have_none(
    cast: Cast, client: Client, host: str, possible: bool
) -> None:
    page = client.get("/login/", headers={"Host": host}).text
    assert ("Sign in with a passkey" in page) is possible
