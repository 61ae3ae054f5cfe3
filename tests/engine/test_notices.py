"""Who is told what, and what nobody is told."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from orchestrator.actions import contracts
from orchestrator.actions import notices as choices
from orchestrator.actions.actor import Actor
from orchestrator.actions.notices import Ways
from orchestrator.engine import notices
from orchestrator.models import (
    Decision,
    Delivery,
    Notice,
    NoticeKind,
    Proposal,
    ReviewItem,
    Team,
    WebhookEndpoint,
)
from tests.conftest import Cast

EVIL = "see https://evil.example <!channel> @all"
SECRET = "order/SECRET-4711"


@pytest.fixture(autouse=True)
def _mail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "EMAIL_URL", "smtp://mail.test")


@pytest.fixture
def item(propose: Callable[..., Proposal], rule: Callable[..., None], cast: Cast) -> ReviewItem:
    """A refund that waits, of an action that has a contract."""
    contracts.record(
        Actor(cast.ada),
        kind="action",
        name="refund.create",
        schema={"type": "object"},
        timeout_s=60,
    )
    rule()
    proposal = propose(target=SECRET, rationale=EVIL)
    return ReviewItem.objects.select_related("run", "proposal", "team").get(proposal=proposal)


@pytest.fixture
def endpoint(cast: Cast) -> WebhookEndpoint:
    return add(cast, list(NoticeKind.values))


def add(cast: Cast, kinds: list[str], team: str = "") -> WebhookEndpoint:
    return choices.add_endpoint(
        Actor(cast.ada), name="Chat", url="https://chat.example/hooks/x1y2", kinds=kinds, team=team
    ).endpoint


def told() -> dict[str, str]:
    """By person, what the bell says."""
    return {notice.user.username: notice.text for notice in Notice.objects.select_related("user")}


def sent() -> list[dict[str, Any]]:
    return [json.loads(delivery.body) for delivery in Delivery.objects.order_by("pk")]


def choose(person: Any, kind: str, *, in_app: bool = False, email: bool = False) -> None:
    address = f"{person.username}@example.com" if email else ""
    choices.choose(Actor(person), {kind: Ways(in_app, email)}, address=address)
    Delivery.objects.all().delete()


def decision(item: ReviewItem, by: Any, verdict: str = "approve") -> Decision:
    return Decision(item=item, reviewer=by, verdict=verdict)


# Opened -----------------------------------------------------------------------------------------


def test_when_nobody_asked_to_hear_it_costs_one_statement(item: ReviewItem) -> None:
    with CaptureQueriesContext(connection) as asked:
        notices.opened([item] * 50)
    assert len(asked) <= 1
    assert not Notice.objects.exists()
    assert not Delivery.objects.exists()


def test_an_endpoint_hears_of_what_opens(item: ReviewItem, endpoint: WebhookEndpoint) -> None:
    notices.opened([item])
    (message,) = sent()
    delivery = Delivery.objects.get()
    assert message == {
        "id": delivery.pk,
        "kind": "item_opened",
        "item": item.pk,
        "sentence": "A guardrail holds refund.create; it waits for a decision.",
        "link": f"{settings.BASE_URL}/items/{item.pk}/",
        "deadline": item.due_at.isoformat(timespec="seconds"),
        "at": message["at"],
        "text": f"{message['sentence']} {message['link']}",
    }
    assert (delivery.endpoint, delivery.address, delivery.status) == (
        endpoint,
        "chat.example",
        "pending",
    )
    assert delivery.ends_at - timezone.now() > timedelta(hours=23)
    assert not Notice.objects.exists()


def test_nothing_of_what_an_agent_wrote_is_repeated(
    propose: Callable[..., Proposal], rule: Callable[..., None], endpoint: WebhookEndpoint
) -> None:
    rule(slug="all", applies_to={"actions": ["*"]}, condition="false", message="no")
    propose(
        action=EVIL[:100], agent=EVIL, target=SECRET, rationale=EVIL, args={"to": EVIL, "n": SECRET}
    )
    (message,) = sent()
    assert message["sentence"] == "A guardrail holds an action; it waits for a decision."
    for word in ("evil", "channel", "@", "SECRET", "4711", "<"):
        assert word not in Delivery.objects.get().body


def test_what_happens_to_a_transaction_happens_to_its_messages(
    item: ReviewItem, endpoint: WebhookEndpoint
) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        notices.opened([item])
        raise RuntimeError
    assert sent() == []


def test_whoever_chose_it_gets_mail_of_everything_they_may_decide(
    item: ReviewItem, cast: Cast
) -> None:
    choose(cast.rita, "item_opened", email=True)
    choose(cast.rolf, "item_opened", in_app=True)
    notices.opened([item])
    assert told() == {"rolf": "A guardrail holds refund.create; it waits for a decision."}
    delivery = Delivery.objects.get()
    assert (delivery.channel, delivery.address) == ("email", "rita@example.com")


def test_a_team_hears_of_its_own(item: ReviewItem, cast: Cast) -> None:
    team = Team.objects.create(slug="payments", name="Payments")
    other = Team.objects.create(slug="other", name="Other")
    team.members.add(cast.rolf)
    ReviewItem.objects.filter(pk=item.pk).update(team=team)
    item.refresh_from_db()
    of_team, of_other = add(cast, ["item_opened"], "payments"), add(cast, ["item_opened"], "other")
    of_all = add(cast, ["item_opened"])
    for person in (cast.rita, cast.rolf):
        choose(person, "item_opened", in_app=True)
    notices.opened([item])
    assert set(told()) == {"rolf"}
    called = set(Delivery.objects.values_list("endpoint", flat=True))
    assert called == {of_team.pk, of_all.pk}
    assert of_other.pk not in called
    assert other.pk != team.pk


def test_nobody_is_told_of_what_is_decided_blind(
    item: ReviewItem, endpoint: WebhookEndpoint
) -> None:
    for kind in ("audit", "blind_label"):
        item.kind = kind
        notices.opened([item])
    assert sent() == []


def test_a_dispute_is_told_to_those_who_may_settle_it(
    item: ReviewItem, cast: Cast, endpoint: WebhookEndpoint
) -> None:
    Decision.objects.create(
        item=item,
        reviewer=cast.rita,
        verdict="approve",
        payload_digest="sha256:0",
        item_version=1,
        idempotency_key="k",
    )
    dispute = ReviewItem.objects.get(pk=item.pk)
    dispute.kind, dispute.about = ReviewItem.Kind.ADJUDICATION, item
    notices.opened([dispute])
    assert set(told()) == {"ada", "rolf"}
    assert sent()[0]["kind"] == "adjudication"


def test_an_endpoint_that_is_disabled_hears_nothing(
    item: ReviewItem, cast: Cast, endpoint: WebhookEndpoint
) -> None:
    choices.disable_endpoint(Actor(cast.ada), endpoint.pk)
    notices.opened([item])
    assert sent() == []


# Addressed to somebody --------------------------------------------------------------------------


def test_expiry_is_told_to_whoever_asked_held_or_missed_it(item: ReviewItem, cast: Cast) -> None:
    item.holder = cast.rita
    notices.expired(item)
    said = "Nobody decided about refund.create in time, so the answer was no."
    assert told() == {"rita": said, "ada": said, "max": said}


def test_escalation_goes_to_the_team_or_to_managers(
    item: ReviewItem, cast: Cast, endpoint: WebhookEndpoint
) -> None:
    notices.escalated(item, cast.rita, "they  asked for\nthree times the sum")
    said = "rita escalated refund.create. “they asked for three times the sum”"
    assert told() == {"ada": said, "max": said}
    (message,) = sent()
    assert message["sentence"] == "rita escalated refund.create."
    assert "sum" not in json.dumps(message)


def test_assignment_goes_to_the_holder_or_the_team(
    item: ReviewItem, cast: Cast, endpoint: WebhookEndpoint
) -> None:
    team = Team.objects.create(slug="payments", name="Payments")
    team.members.add(cast.rolf, cast.max)
    item.team = team
    notices.assigned(item, cast.max)
    assert told() == {"rolf": "max assigned refund.create to the team Payments."}
    Notice.objects.all().delete()
    item.holder = cast.rita
    notices.assigned(item, cast.max)
    assert told() == {"rita": "max assigned refund.create to you."}
    assert "to you" not in sent()[-1]["sentence"]
    item.holder = item.team = None
    notices.assigned(item, cast.max)
    assert sent()[-1]["sentence"] == "max assigned refund.create to whoever may decide."


def test_a_mention_reaches_its_people_and_quotes_only_inside(
    item: ReviewItem, cast: Cast, endpoint: WebhookEndpoint
) -> None:
    choose(cast.rolf, "mentioned", in_app=True, email=True)
    text = "look at <b>the third</b> line " * 20
    notices.mentioned(item, cast.rita, [cast.rita, cast.rolf], text)
    assert set(told()) == {"rolf"}
    assert told()["rolf"].startswith("rita mentioned you on refund.create. “look at <b>the third")
    assert all("third" not in delivery.body for delivery in Delivery.objects.all())
    by_channel = {
        delivery.channel: json.loads(delivery.body) for delivery in Delivery.objects.all()
    }
    assert by_channel["email"]["sentence"] == "rita mentioned you on refund.create."
    assert by_channel["webhook"]["sentence"] == "rita mentioned somebody on refund.create."


def test_a_decision_is_told_to_the_person_who_asked(item: ReviewItem, cast: Cast) -> None:
    item.asked_by, item.run.token = cast.rolf, None
    notices.decided(item, decision(item, cast.rita))
    assert told() == {"rolf": "rita approved refund.create."}
    notices.decided(item, decision(item, cast.rolf, "reject"))
    assert Notice.objects.count() == 1


def test_of_what_a_program_asked_for_only_webhooks_are_told(
    item: ReviewItem, cast: Cast, endpoint: WebhookEndpoint
) -> None:
    assert item.asked_by == cast.agents
    notices.decided(item, decision(item, cast.rita, "reject"))
    assert not Notice.objects.exists()
    assert [message["sentence"] for message in sent()] == ["rita rejected refund.create."]


@pytest.mark.parametrize("verdict", Decision.Verdict.values)
def test_every_verdict_can_be_told(
    item: ReviewItem, cast: Cast, endpoint: WebhookEndpoint, verdict: str
) -> None:
    notices.decided(item, decision(item, cast.rita, verdict))
    assert "refund.create" in sent()[0]["sentence"]


@pytest.mark.parametrize("kind", sorted(set(ReviewItem.Kind.values) - set(notices.UNTOLD)))
def test_every_kind_of_item_can_be_told(
    item: ReviewItem, endpoint: WebhookEndpoint, kind: str
) -> None:
    item.kind = kind
    notices.opened([item])
    sentence = sent()[0]["sentence"]
    assert sentence.endswith(".")
    assert "{" not in sentence


def test_whoever_snoozed_is_told_when_it_is_over(item: ReviewItem, cast: Cast) -> None:
    item.snoozed_by = cast.rita
    notices.woken([item])
    assert told() == {"rita": "What you snoozed is back in the queue: refund.create."}
    notices.woken([])


def test_whoever_has_no_role_any_more_is_told_nothing(item: ReviewItem, cast: Cast) -> None:
    choose(cast.rolf, "item_opened", in_app=True)
    cast.rolf.groups.clear()
    notices.opened([item])
    notices.mentioned(item, cast.rita, [cast.rolf], "look")
    assert told() == {}


def test_whoever_left_is_told_nothing(item: ReviewItem, cast: Cast) -> None:
    cast.rolf.is_active = False
    cast.rolf.save()
    notices.mentioned(item, cast.rita, [cast.rolf], "look")
    assert told() == {}


def test_a_choice_turns_the_bell_off(item: ReviewItem, cast: Cast) -> None:
    choose(cast.rolf, "mentioned")
    notices.mentioned(item, cast.rita, [cast.rolf], "look")
    assert told() == {}


def test_without_a_mail_server_no_mail_is_made(
    item: ReviewItem, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(cast.rolf, "mentioned", in_app=True, email=True)
    monkeypatch.setattr(settings, "EMAIL_URL", "")
    notices.mentioned(item, cast.rita, [cast.rolf], "look")
    assert set(told()) == {"rolf"}
    assert sent() == []


@pytest.mark.parametrize(
    ("action", "says"),
    [
        ("countersign.rule.activate", "A change of a rule waits for another admin."),
        ("countersign.policy.retire", "The retirement of a policy waits for another admin."),
        ("countersign.agent.deploy", "A change of what is in use of an agent waits"),
        ("countersign.endpoint.move", "A change of an endpoint waits for another admin."),
        ("countersign.something.new", "A change of Countersign waits for another admin."),
    ],
)
def test_what_waits_is_named_by_what_it_changes(
    item: ReviewItem, endpoint: WebhookEndpoint, action: str, says: str
) -> None:
    item.kind, item.action = ReviewItem.Kind.RULE_CHANGE, action
    Delivery.objects.all().delete()
    notices.opened([item])
    (message,) = sent()
    assert message["sentence"].startswith(says)
