"""Proposals that people judged, as examples to test the next version of an agent or a rule on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q

from orchestrator.audit_queries import SAMPLED, TELLING, Truth, truths_of
from orchestrator.core.evaluation_sets import Example
from orchestrator.core.policy import auditing
from orchestrator.models import PolicyCheck, Proposal, ReviewItem

# So many are read at once; however large the set, no more than these are in memory.
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is empty does not choose."""

    action: str = ""
    agent: str = ""
    agent_version: str = ""


def examples(wanted: Wanted) -> Iterator[Example]:
    """Oldest first. What is in dispute, or judged by nobody, is no example."""
    after = ""
    while rows := _judged(wanted, after):
        after = rows[-1].pk
        yield from _examples_of(rows)


def _judged(wanted: Wanted, after: str) -> list[Proposal]:
    chosen = {name: value for name in Wanted.__slots__ if (value := getattr(wanted, name))}
    items = ReviewItem.objects.filter(
        proposal=OuterRef("pk"), status=ReviewItem.Status.DECIDED, kind__in=TELLING
    )
    drawn = items.filter(kind__in=SAMPLED, opened_because=[auditing.DRAWN])
    rows = Proposal.objects.filter(Exists(items), Q(pk__gt=after), **chosen)
    rows = rows.annotate(drew=Exists(drawn)).select_related("contract_version__contract")
    return list(rows.defer("rationale", "evidence").order_by("pk")[:AT_ONCE])


def _examples_of(rows: Sequence[Proposal]) -> Iterator[Example]:
    pks = [row.pk for row in rows]
    truths, rules = truths_of(pks), _fired(pks)
    for row in rows:
        if truth := truths.get(row.pk):
            yield _example(row, truth, rules.get(row.pk, set()))


def _fired(pks: Sequence[str]) -> dict[str, set[str]]:
    """The rules that did not let a proposal pass, whenever it was looked at."""
    failed = PolicyCheck.objects.filter(proposal__in=pks, enforced=True).exclude(result="pass")
    found: dict[str, set[str]] = {}
    for proposal, slug in failed.values_list("proposal", "rule_version__rule__slug"):
        found.setdefault(proposal, set()).add(slug)
    return found


def _example(row: Proposal, truth: Truth, rules: set[str]) -> Example:
    version = row.contract_version
    return Example(
        proposal=row.pk,
        at=row.created_at.isoformat(),
        should_run=truth.should_run,
        said_by=truth.said_by,
        drew=row.drew,  # type: ignore[attr-defined]  # annotated above
        agent=row.agent,
        agent_version=row.agent_version,
        model=row.model,
        action=row.action,
        contract=f"{version.contract.name} v{version.number}" if version else None,
        target=row.target,
        args=row.args,
        payload_digest=row.digest,
        confidence=row.confidence,
        disposition=row.disposition,
        rules=sorted(rules),
    )
