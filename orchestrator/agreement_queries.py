"""How alike two people judge the same proposal, where neither knew what the other said.

Chance picked what is judged twice, so what holds of these pairs holds of all that people decide.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from orchestrator.audit_queries import JUDGED_OPENLY, JUDGEMENTS
from orchestrator.core.policy import auditing
from orchestrator.core.statistics.agreement import Agreement, Confusion, agree, agree_several
from orchestrator.core.statistics.intervals import Rate
from orchestrator.models import ContractVersion, Decision, Disposition, ReviewItem
from orchestrator.report_queries.scope import Scope

_KIND, _STATUS = ReviewItem.Kind, ReviewItem.Status
# The same bounds whenever the same pairs are looked at.
_SEED = 20_260_101


@dataclass(frozen=True, slots=True)
class Said:
    by: str
    verdict: str
    # A code of `Reason`; empty for a yes.
    reason: str


@dataclass(frozen=True, slots=True)
class Pair:
    """What one person decided openly, and what another said of it without knowing that."""

    first: Said
    second: Said

    @property
    def people(self) -> set[str]:
        return {self.first.by, self.second.by}

    @property
    def is_alike(self) -> bool:
        return self.first.verdict == self.second.verdict


class Judged(NamedTuple):
    """The newest second verdict first."""

    pairs: list[Pair]
    # There were more than JUDGED_TWICE_MAX.
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Alike:
    verdicts: Agreement
    # Krippendorff's, which does not ask who was first; None where only one answer was ever given.
    alpha: float | None
    # Of those that both rejected: the reason of the first and that of the second.
    reasons: Confusion


def alike(pairs: Sequence[Pair]) -> Alike:
    verdicts = [(pair.first.verdict, pair.second.verdict) for pair in pairs]
    reasons = Counter(
        (pair.first.reason, pair.second.reason)
        for pair in pairs
        if pair.is_alike and pair.first.reason
    )
    chance = random.Random(_SEED)  # noqa: S311 - it draws samples, and hides nothing
    return Alike(
        verdicts=agree(verdicts, chance.binomialvariate),
        alpha=agree_several(verdicts).alpha,
        reasons=dict(sorted(reasons.items(), key=lambda one: (-one[1], one[0]))),
    )


def of_each(pairs: Sequence[Pair]) -> dict[str, Rate]:
    """By the name of a person: of how many that they and another judged, both said the same."""
    judged = Counter(name for pair in pairs for name in pair.people)
    same = Counter(name for pair in pairs if pair.is_alike for name in pair.people)
    return {name: Rate(same[name], count) for name, count in judged.items()}


def judged_twice(scope: Scope) -> Judged:
    """By the time of the second verdict; it looks at the newest JUDGED_TWICE_MAX."""
    items = ReviewItem.objects.filter(
        Q(kind=_KIND.SECOND_REVIEW)
        | Q(kind=_KIND.BLIND_LABEL, proposal__disposition=Disposition.Verdict.ESCALATE),
        _within(scope),
        # Said once more for the index.
        kind__in=[_KIND.SECOND_REVIEW, _KIND.BLIND_LABEL],
        status=_STATUS.DECIDED,
        closed_at__gte=scope.starts_at,
        closed_at__lt=scope.ends_at,
    ).exclude(opened_because=[auditing.PICKED])
    most = settings.JUDGED_TWICE_MAX
    rows = list(items.order_by("-closed_at").values_list("pk", "proposal")[: most + 1])
    proposals = dict(rows[:most])
    first, second = _said_openly(proposals.values()), _said_under(proposals)
    found = [
        Pair(first[proposal], second[item])
        for item, proposal in proposals.items()
        if proposal in first and item in second
    ]
    return Judged(
        found if scope.reviewer is None else _with(scope.reviewer, found), len(rows) > most
    )


def _with(reviewer: int, pairs: Iterable[Pair]) -> list[Pair]:
    name = User.objects.values_list("username", flat=True).get(pk=reviewer)
    return [pair for pair in pairs if name in pair.people]


def _within(scope: Scope) -> Q:
    wanted = Q()
    for name, place in _PLACES.items():
        if value := getattr(scope, name):
            wanted &= Q(**{place: value})
    if scope.tier:
        # Without a contract, as it is counted everywhere.
        of_tier = Q(proposal__contract_version__tier=scope.tier)
        if scope.tier == ContractVersion.Tier.NORMAL:
            of_tier |= Q(proposal__contract_version=None)
        wanted &= of_tier
    return wanted


_PLACES: Mapping[str, str] = {
    "agent": "proposal__agent",
    "agent_version": "proposal__agent_version",
    "model": "proposal__model",
    "action": "proposal__action",
    "workflow": "run__workflow_version__workflow__slug",
}


def _said_openly(proposals: Iterable[str]) -> dict[str, Said]:
    """By proposal: what was decided last, by whoever closed the matter."""
    decided = Decision.objects.filter(
        item__proposal__in=list(proposals),
        item__kind__in=JUDGED_OPENLY,
        item__status=_STATUS.DECIDED,
        verdict__in=JUDGEMENTS,
        undone_at=None,
    )
    return _said(decided, "item__proposal")


def _said_under(items: Iterable[str]) -> dict[str, Said]:
    return _said(Decision.objects.filter(item__in=list(items)), "item")


def _said(decisions: QuerySet[Decision], key: str) -> dict[str, Said]:
    rows = decisions.order_by("pk").values_list(key, "reviewer__username", "verdict", "reason")
    return {name: Said(*said) for name, *said in rows}
