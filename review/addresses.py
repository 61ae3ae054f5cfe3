"""What may stand for an id in an address, and the address of what an id names."""

from django.urls import reverse

from orchestrator.actions.contracts import NAME
from orchestrator.core.typeid import PATTERN
from orchestrator.models import Backtest, Contract, InboundEvent, Proposal, ReviewItem, Run


class ReadableId:
    """Anything else is not found without asking the database."""

    regex = PATTERN.pattern

    def to_python(self, text: str) -> str:
        return text

    def to_url(self, text: str) -> str:
        return text


class ContractKind(ReadableId):
    regex = "|".join(Contract.Kind.values)


class ContractName(ReadableId):
    regex = NAME.pattern


def page_of(found: Proposal | ReviewItem | Run | InboundEvent | Backtest) -> str:
    """What is about a proposal is shown on the page of the proposal."""
    if isinstance(found, Backtest):
        if found.policy:
            return reverse("policy_backtest", args=[found.policy.number, found.pk])
        version = found.rule_version
        return reverse("backtest", args=[version.rule.slug, version.number, found.pk])
    if isinstance(found, InboundEvent):
        return page_of(found.run) if found.run else reverse("letter", args=[found.pk])
    if isinstance(found, Run):
        return reverse("run", args=[found.pk])
    if isinstance(found, Proposal):
        return reverse("proposal", args=[found.pk])
    return _page_of_item(found)


def _page_of_item(item: ReviewItem) -> str:
    if item.kind in ReviewItem.BLIND:
        return reverse("audit", args=[item.pk])
    if item.proposal_id:
        return reverse("proposal", args=[item.proposal_id])
    return reverse("item", args=[item.pk])
