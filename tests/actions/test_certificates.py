"""Certificates: what an approval rests on can be checked again, and each lie about it is found."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client

from orchestrator import certificate_queries
from orchestrator.actions import reviews
from orchestrator.actions.actor import Actor
from orchestrator.models import Certificate, Effect, Event, Proposal
from tests.conftest import Cast
from tests.deciding import decide

Propose = Callable[..., Proposal]
Activate = Callable[..., None]


@pytest.fixture
def issued(cast: Cast, propose: Propose, rule: Activate) -> Certificate:
    rule(effect="two_person")
    item = propose().review_items.get()
    decide(cast.rita, item)
    return decide(cast.rolf, item).certificate


def bad(text: str) -> list[str]:
    return [finding.what for finding in certificate_queries.check(text) if not finding.ok]


def test_it_says_what_the_approval_rests_on(issued: Certificate) -> None:
    said = json.loads(issued.text)
    proposal, event = Proposal.objects.get(), Event.objects.get(kind="proposal_approved")
    assert said["payload_digest"] == proposal.digest
    assert said["rules"][0] | {"content_hash": ""} == {
        "rule": "refund-limit",
        "version": 1,
        "content_hash": "",
        "result": "fail",
    }
    assert [one["by"] for one in said["approvals"]] == ["rita", "rolf"]
    assert said["event"] == {"run": proposal.run_id, "seq": event.seq, "hash": event.hash}
    assert said["effect"] == Effect.objects.get().pk
    assert bad(issued.text) == []


def test_one_of_two_approvals_has_none(cast: Cast, propose: Propose, rule: Activate) -> None:
    rule(effect="two_person")
    decide(cast.rita, propose().review_items.get())
    assert not Certificate.objects.exists()


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"payload_digest": "sha256:0"}, "the payload that is stored has the digest"),
        ({"effect": "eff_x"}, "it allowed one effect"),
        ({"approvals": []}, "rolf approved it"),
        ({"event": {"run": "run_x", "seq": 1, "hash": ""}}, "the log says so"),
        ({"rules": [{"rule": "refund-limit", "version": 9}]}, "the rule refund-limit v9"),
        ({"agent": {"name": "another"}}, "byte for byte"),
    ],
)
def test_a_changed_certificate_does_not_stand(
    issued: Certificate, changes: dict[str, Any], found: str
) -> None:
    text = json.dumps(json.loads(issued.text) | changes)
    assert any(found in what for what in bad(text))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"certificate": 2}', "not JSON"])
def test_what_is_no_certificate(db: None, text: str) -> None:
    assert bad(text) == ["this is no certificate that this version can read"]


def test_one_that_was_taken_back_does_not_stand(
    cast: Cast, propose: Propose, rule: Activate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "UNDO_S", 8)
    rule()
    decision = decide(cast.rita, propose().review_items.get())
    text = decision.certificate.text
    assert bad(text) == []
    reviews.undo(Actor(cast.rita), decision.pk)
    assert any("did not take it back" in what for what in bad(text))


def test_the_command_checks_a_file_or_an_id(issued: Certificate, tmp_path: Path) -> None:
    file = tmp_path / "approval.json"
    file.write_text(issued.text)
    for named in (str(file), issued.pk):
        said = StringIO()
        call_command("verify", "--certificate", named, stdout=said)
        assert "The certificate stands." in said.getvalue()
        assert "NO " not in said.getvalue()
    file.write_text(issued.text.replace("rolf", "max"))
    with pytest.raises(CommandError, match="does not stand"):
        call_command("verify", "--certificate", str(file), stdout=StringIO())
    for missing in ("dec_01m7x1mws9e008000000000000", str(tmp_path / "no")):
        with pytest.raises(CommandError):
            call_command("verify", "--certificate", missing, stdout=StringIO())


def test_the_api_gives_it_and_checks_it(
    issued: Certificate, client: Client, token: Callable[..., str]
) -> None:
    bearer = {"Authorization": f"Bearer {token('read')}"}
    path = f"/api/v1/certificates/{issued.pk}"
    given = client.get(path, headers=bearer).json()
    assert given["digest"] == issued.digest
    verify = "/api/v1/certificates/verify"
    sent = {"certificate": given["certificate"]}
    answer = client.post(verify, sent, content_type="application/json", headers=bearer).json()
    assert answer["valid"] is True
    sent["certificate"]["target"] = "order/other"
    answer = client.post(verify, sent, content_type="application/json", headers=bearer).json()
    assert answer["valid"] is False
    assert client.get(path + "x", headers=bearer).status_code == 404
    own = {"Authorization": f"Bearer {token('propose')}"}
    assert client.get(path, headers=own).status_code == 403
