"""What people's verdicts about one action suggest as a rule. Reads and computes; nothing is stored."""

from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings
from django.db.models import F, IntegerField
from django.db.models.functions import Length

from orchestrator.audit_queries import JUDGED_OPENLY, truths_of
from orchestrator.contract_queries import contract_version, masked_by
from orchestrator.core import typeid
from orchestrator.core.codec import digest, read
from orchestrator.core.policy.askable import Askable, askable, copies_in, values_of
from orchestrator.core.policy.builder import Row, Rows, to_text
from orchestrator.core.statistics.separation import Example, Search
from orchestrator.core.statistics.separation import search as search_in
from orchestrator.models import Contract, Proposal, ReviewItem


@dataclass(frozen=True, slots=True)
class Suggested:
    """What came of looking at the newest judged proposals of one action."""

    action: str
    search: Search
    # What has to be true for a proposal to pass; empty when nothing is suggested.
    condition: str
    # The newest that had no part in finding it begin here.
    later_since: datetime | None
    # Larger ones are not read.
    left_out: int
    fields: int

    @property
    def seal(self) -> str:
        """Names what is suggested, for whoever says yes to what they saw."""
        return digest(self.condition) if self.condition else ""


def actions() -> list[str]:
    """Those that a rule can be suggested for: what fields there are, their contracts say."""
    known = Contract.objects.filter(kind=Contract.Kind.ACTION).order_by("name")
    return list(known.values_list("name", flat=True)[: settings.CONTRACTS_MAX])


def suggested_for(action: str) -> Suggested | None:
    """None when the action has no contract."""
    fields = _fields_of(action)
    if fields is None:
        return None
    rows, left_out = _judged(action)
    examples = _examples(rows, fields)
    found = search_in([example for _, example in examples], fields.may_lack)
    return Suggested(
        action=action,
        search=found,
        condition=_condition(found) if found.is_confirmed else "",
        later_since=_made_at(examples[found.older][0]) if found.newest else None,
        left_out=left_out,
        fields=len(fields.names),
    )


def _fields_of(action: str) -> Askable | None:
    version = contract_version(Contract.Kind.ACTION, action)
    if version is None:
        return None
    contract = version.contract_id
    return askable(version.parsed, masked_by([contract])[contract])


@dataclass(frozen=True, slots=True)
class _Judged:
    proposal: str
    payload: str
    should_run: bool


def _judged(action: str) -> tuple[list[_Judged], int]:
    """Oldest first, without what people wrote themselves."""
    items = ReviewItem.objects.filter(
        action=action,
        status=ReviewItem.Status.DECIDED,
        kind__in=[*JUDGED_OPENLY, *ReviewItem.BLIND],
    )
    newest = items.order_by("-closed_at").values_list("proposal", flat=True)
    truths = truths_of([pk for pk in newest[: settings.SUGGESTION_PROPOSALS_MAX] if pk])
    agents = Proposal.objects.filter(pk__in=truths, edited_by=None)
    # How long it is, the database knows without reading it.
    sized = agents.annotate(bytes=_Bytes(F("payload")))
    rows = sized.filter(bytes__lte=settings.SUGGESTION_PAYLOAD_BYTES_MAX).order_by("pk")
    found = [
        _Judged(pk, payload, truths[pk].should_run)
        for pk, payload in rows.values_list("pk", "payload")
    ]
    return found, agents.count() - len(found)


class _Bytes(Length):
    function = "octet_length"
    output_field = IntegerField()


def _examples(rows: list[_Judged], fields: Askable) -> list[tuple[str, Example]]:
    """With the proposal that each of them is."""
    found, copied = [], set[str]()
    for row in rows:
        payload = read(row.payload)
        args = payload.get("args") if isinstance(payload, dict) else None
        if isinstance(args, dict):
            copied |= copies_in(args, fields)
            found.append((row.proposal, values_of(args, fields), not row.should_run))
    return [
        (pk, Example({path: one for path, one in values.items() if path not in copied}, rejected))
        for pk, values, rejected in found
    ]


def _made_at(proposal: str) -> datetime:
    """By its key, as backtests look for what was proposed."""
    return datetime.fromtimestamp(typeid.made_at_ms(proposal) / 1_000, UTC)


def _condition(found: Search) -> str:
    if found.suggestion is None:
        return ""
    rows = tuple(Row(*term) for term in found.suggestion.must_hold)
    return to_text(Rows(rows, join="any" if len(rows) > 1 else "all"))
