"""Proposals that people judged, as examples to test the next version of an agent or a rule on."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from django.db.models import Exists, OuterRef, Q

from orchestrator.audit_queries import SAMPLED, TELLING, Truth, truths_of
from orchestrator.contract_queries import masked_by
from orchestrator.core.evaluation_sets import Example
from orchestrator.core.policy import auditing
from orchestrator.core.policy.masking import mask
from orchestrator.models import PolicyCheck, Proposal, ReviewItem

# So many are read at once; however large the set, no more than these are in memory.
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is empty does not choose."""

    action: str = ""
    agent: str = ""
    agent_version: str = ""


def examples(
    wanted: Wanted, *, masked: bool = False, without: Collection[str] = ()
) -> Iterator[Example]:
    """Oldest first. What is in dispute, or judged by nobody, is no example.

    `masked` hides what the contract of the action hides, in any of its versions.
    """
    after = ""
    while rows := _judged(wanted, after):
        after = rows[-1].pk
        found = _examples_of([row for row in rows if row.pk not in without])
        yield from _hidden(rows, found) if masked else found


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


def _hidden(rows: Sequence[Proposal], examples: Iterable[Example]) -> Iterator[Example]:
    contract_of = {row.pk: row.contract_version.contract_id for row in rows if row.contract_version}
    pointers = masked_by(set(contract_of.values()))
    for example in examples:
        contract = contract_of.get(example.proposal)
        yield _masked(example, pointers.get(contract, ()) if contract else ())


def _masked(example: Example, pointers: Sequence[str]) -> Example:
    """Copies of what is hidden are hidden as well, wherever the agent put them."""
    if not pointers:
        return example
    named = {"args": example.args, "target": example.target, "action": example.action}
    shown = mask({"proposal": named}, pointers)["proposal"]
    if shown == named:
        return example
    return replace(example, args=shown["args"], target=shown["target"], masked=list(pointers))


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
