"""Rules in every stage, for the tests of their pages."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User

from orchestrator.actions import backtests, rules
from orchestrator.actions.actor import Actor
from orchestrator.engine.backtest import work_one
from orchestrator.models import Backtest, RuleVersion

WORDING: Mapping[str, Any] = {
    "slug": "refund-limit",
    "title": "Refunds over €500 need a person",
    "effect": "hold",
    "condition": "proposal.args.amount_minor <= 50000",
    "message": "the amount {proposal.args.amount_minor} is over 50000",
    "applies_to": {"actions": ["refund.create"]},
}
FORM: Mapping[str, Any] = {
    "do": "save",
    "base": "0",
    "slug": "refund-limit",
    "title": "Refunds over €500 need a person",
    "actions": "refund.create",
    "effect": "hold",
    "message": "the amount {proposal.args.amount_minor} is over the limit",
    "mode": "rows",
    "join": "all",
    "row_field": ["proposal.args.amount_minor"],
    "row_operator": ["at_most"],
    "row_value": ["50000"],
}


def write(user: User, **changes: Any) -> RuleVersion:
    return rules.draft(Actor(user), **(dict(WORDING) | changes))


def try_on_the_past(user: User, version: RuleVersion) -> Backtest:
    """A backtest that has come to its end."""
    found = backtests.request(Actor(user), version)
    work_one(lambda: False)
    found.refresh_from_db()
    assert found.status == Backtest.Status.DONE, found.error
    version.refresh_from_db()
    return found


def put_in_force(user: User, version: RuleVersion) -> RuleVersion:
    rules.activate(Actor(user), version)
    version.refresh_from_db()
    return version
