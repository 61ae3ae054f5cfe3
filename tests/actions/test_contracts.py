"""Contracts: versions that never change and keep what was promised, and arguments that keep a contract."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from orchestrator.actions import contracts
from orchestrator.actions.actor import Actor
from orchestrator.actions.demo import SUGGESTIONS
from orchestrator.actions.demo_contracts import DEMO_CONTRACTS
from orchestrator.actions.demo_workflows import STARTED
from orchestrator.core.codec import read
from orchestrator.core.errors import (
    ArgumentsInvalid,
    BadInput,
    BadJson,
    ContractChanged,
    ContractIncompatible,
    ContractInvalid,
    NotAllowed,
    NotFound,
)
from orchestrator.core.schemas import check
from orchestrator.models import AuditEntry, Contract, ContractVersion
from tests.conftest import SYSTEM, Cast

Saving = Callable[..., ContractVersion]


def refund(most: int = 100_000, **fields: Any) -> dict[str, Any]:
    amount = {"type": "integer", "minimum": 1, "maximum": most}
    return {
        "type": "object",
        "required": ["amount_minor"],
        "properties": {"amount_minor": amount, "card_number": {"type": "string"}, **fields},
        "additionalProperties": False,
    }


@pytest.fixture
def save(cast: Cast) -> Saving:
    def as_ada(schema: Any = None, **changes: Any) -> ContractVersion:
        wording = {
            "kind": "action",
            "name": "refund.create",
            "schema": refund() if schema is None else schema,
            "timeout_s": 60,
        } | changes
        return contracts.save(Actor(cast.ada), **wording)

    return as_ada


def test_a_version_is_stored_and_told(save: Saving, cast: Cast) -> None:
    version = save(owner="payments", masked=["/card_number"], tier="high", note="the first")
    assert (version.number, str(version.contract)) == (1, "action refund.create")
    assert read(version.schema) == refund()
    assert (version.owner, version.masked, version.tier) == ("payments", ["/card_number"], "high")
    assert version.created_by == cast.ada
    entry = AuditEntry.objects.get(verb="contract.saved")
    assert (entry.user, entry.object_id) == (cast.ada, "contract/action/refund.create")
    assert entry.detail == {"version": 1, "note": "the first"}


def test_the_same_again_is_the_same_version(save: Saving) -> None:
    first = save()
    assert save(note="another note makes no version") == first
    assert save(owner="payments").number == 2
    # What an older version said becomes the newest again.
    assert save().number == 3
    assert AuditEntry.objects.filter(verb="contract.saved").count() == 3


@pytest.mark.parametrize(
    "change",
    [
        {"timeout_s": 61},
        {"owner": "x"},
        {"description": "x"},
        {"tier": "low"},
        {"idempotency": "none"},
        {"masked": ["/card_number"]},
        {"error_budget_bp": 0},
    ],
)
def test_whatever_it_says_may_change_besides_the_schema(
    save: Saving, change: dict[str, Any]
) -> None:
    first = save()
    second = save(**change)
    assert second.number == 2
    assert second.content_hash != first.content_hash
    assert second.schema == first.schema


def test_a_version_that_breaks_a_promise_is_refused_with_a_value(save: Saving) -> None:
    save(refund(100_000))
    save(refund(200_000))
    with pytest.raises(ContractIncompatible) as refused:
        save(refund(50_000))
    assert refused.value.counterexample == {"amount_minor": 200_000}
    assert str(refused.value) == (
        "The contract was not saved: It refuses a value that version 2 accepts: "
        "/amount_minor: must be at most 50,000; it is 200000. "
        "Save it under another name, or change less."
    )
    assert contracts.newest("action", "refund.create").number == 2  # type: ignore[union-attr]


def test_outputs_may_promise_more_and_never_less(save: Saving) -> None:
    save(refund(100_000), kind="output", name="reader")
    save(refund(50_000), kind="output", name="reader")
    with pytest.raises(ContractIncompatible, match="that version 2 did not allow") as refused:
        save(refund(60_000), kind="output", name="reader")
    assert refused.value.counterexample == {"amount_minor": 60_000}


def test_what_is_not_proven_is_refused(save: Saving) -> None:
    save({"type": "string", "pattern": "^(aa)*$"}, kind="event", name="e")
    with pytest.raises(ContractIncompatible, match="was not proven: it could neither be proven"):
        save({"type": "string", "pattern": "^(a{2})*$"}, kind="event", name="e")


def test_only_who_may_edit_contracts_saves_them(cast: Cast) -> None:
    for user in (cast.rita, cast.max, cast.agents):
        with pytest.raises(NotAllowed, match="role admin"):
            contracts.save(
                Actor(user), kind="event", name="a", schema={"type": "object"}, timeout_s=1
            )
    assert not Contract.objects.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "thing"}, "kind: choose among event, action, output"),
        ({"name": ""}, "name: use 1 to 100"),
        ({"name": "a/b"}, "name: use 1 to 100"),
        ({"name": "a\n"}, "name: use 1 to 100"),
        ({"name": "x" * 101}, "name: use 1 to 100"),
        ({"timeout_s": 0}, "timeout_s: use a whole number from 1"),
        ({"timeout_s": 10**10}, "timeout_s: use a whole number from 1"),
        ({"timeout_s": True}, "timeout_s: use a whole number from 1"),
        ({"error_budget_bp": 10_001}, "error_budget_bp: use a whole number from 0 to 10,000"),
        ({"tier": "top"}, "tier: choose among low, normal, high"),
        ({"idempotency": ""}, "idempotency: choose among required, none"),
        ({"owner": "x" * 101}, "owner: at most 100"),
        ({"description": "a\x00"}, "description: at most 500"),
        ({"masked": ["/x"] * 51}, "masked: at most 50"),
        ({"masked": ["/" + "x" * 200]}, "masked: at most 50 pointers of at most 200"),
    ],
)
def test_what_it_says_besides_is_checked(save: Saving, change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        save(**change)
    assert not Contract.objects.exists()


def test_a_schema_is_refused_with_every_place(save: Saving) -> None:
    with pytest.raises(ContractInvalid) as refused:
        save({"type": "object", "properties": {"a": {"type": "money"}, "b": {"minLength": -1}}})
    assert [one.pointer for one in refused.value.problems] == [
        "/properties/a/type",
        "/properties/b/minLength",
    ]
    with pytest.raises(ContractInvalid, match="/masked/0: the schema has no “card”"):
        save(masked=["/card"])
    assert not Contract.objects.exists()


def test_a_schema_beyond_the_limits_is_refused_before_it_is_looked_into(
    save: Saving, settings: Settings
) -> None:
    deep: Any = {}
    for _ in range(3_000):
        deep = {"items": deep}
    for nested in (deep, {"a": {"items": [[[{}] * 3] * 3]}, "const": _list_of(70)}):
        with pytest.raises(BadJson, match="deeper than 64 levels"):
            save(nested)
    with pytest.raises(BadJson, match="CONTRACT_BYTES_MAX") as refused:
        save({"description": "x" * 1_000_000})
    assert refused.value.too_large
    with pytest.raises(BadJson):
        save({"const": "\x00"})
    settings.CONTRACTS_MAX = 1
    save()
    with pytest.raises(BadInput, match="CONTRACTS_MAX"):
        save(name="another")
    assert save(owner="a new version is no new contract").number == 2


def _list_of(depth: int) -> Any:
    found: Any = 1
    for _ in range(depth):
        found = [found]
    return found


def test_who_began_with_an_older_version_is_told(save: Saving) -> None:
    save(based_on=0)
    save(owner="rita", based_on=1)
    with pytest.raises(
        ContractChanged, match=r"version 2 while you wrote yours \(you began with 1"
    ):
        save(owner="rolf", based_on=1)
    with pytest.raises(ContractChanged):
        save(owner="rolf", based_on=0)
    assert contracts.newest("action", "refund.create").owner == "rita"  # type: ignore[union-attr]


@pytest.mark.django_db(transaction=True)
def test_saving_at_once_gives_each_a_number_of_its_own(cast: Cast) -> None:
    start = threading.Barrier(8)

    def save(number: int) -> int:
        start.wait()
        try:
            return contracts.save(
                Actor(cast.ada),
                kind="event",
                name="order.damaged",
                schema={"type": "object"},
                timeout_s=60 + number % 6,
            ).number
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(save, range(8)))
    stored = list(ContractVersion.objects.order_by("number").values_list("number", flat=True))
    assert sorted(set(numbers)) == stored == list(range(1, len(stored) + 1))
    assert 6 <= len(stored) <= 8
    assert Contract.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_that_began_with_the_same_version_one_is_told(cast: Cast) -> None:
    start = threading.Barrier(4)

    def save(number: int) -> bool:
        start.wait()
        try:
            contracts.save(
                Actor(cast.ada),
                kind="event",
                name="order.damaged",
                schema={"type": "object"},
                timeout_s=60 + number,
                based_on=0,
            )
        except ContractChanged:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(save, range(4))) == [False, False, False, True]


# Arguments ----------------------------------------------------------------------------------------


def test_arguments_keep_the_newest_contract_of_their_action(save: Saving) -> None:
    assert contracts.check_arguments("refund.create", {"anything": 1}) is None
    version = save()
    assert contracts.check_arguments("refund.create", {"amount_minor": 1}) == version
    with pytest.raises(ArgumentsInvalid) as refused:
        contracts.check_arguments("refund.create", {"amount": 1, "card_number": 4111})
    assert [str(one) for one in refused.value.problems] == [
        "/card_number: must be a string; it is 4111",
        "/amount: does not belong here. Did you mean “amount_minor”?",
        "the whole: “amount_minor” is missing",
    ]
    assert str(refused.value).startswith(
        "Nothing was proposed, because the arguments do not fit the contract refund.create v1: "
    )
    save(refund(**{"amount": {"type": "integer"}}), masked=["/card_number"])
    with pytest.raises(ArgumentsInvalid) as refused:
        contracts.check_arguments("refund.create", {"amount_minor": 1, "card_number": 4111})
    assert "4111" not in str(refused.value)


def test_contracts_of_events_say_nothing_about_actions(save: Saving) -> None:
    save(kind="event")
    assert contracts.check_arguments("refund.create", {}) is None


def test_asking_costs_one_query_and_microseconds(save: Saving) -> None:
    save()
    contracts.check_arguments("refund.create", {"amount_minor": 1})
    with CaptureQueriesContext(connection) as asked:
        contracts.check_arguments("refund.create", {"amount_minor": 2})
    assert len(asked) == 1


def test_a_version_is_found_by_its_number(save: Saving) -> None:
    save()
    save(owner="x")
    assert contracts.version("action", "refund.create", 1).owner == ""
    with pytest.raises(NotFound):
        contracts.version("action", "refund.create", 3)


# The demo -----------------------------------------------------------------------------------------


def test_everything_that_the_demo_proposes_keeps_its_contracts(db: None) -> None:
    for wording in DEMO_CONTRACTS:
        contracts.save(SYSTEM, **wording)
    kinds = set(Contract.objects.values_list("kind", flat=True))
    assert kinds == {"action", "event", "output"}
    for suggestion in SUGGESTIONS:
        assert contracts.check_arguments(suggestion.action, suggestion.args) is not None
    damaged = contracts.newest("event", "order.damaged")
    assert damaged is not None
    assert check(damaged.schema, STARTED[0][1]) == []
    assert ContractVersion.objects.exclude(masked=[]).exists()
