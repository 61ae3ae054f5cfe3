"""Reads of gold items: what is one, who is tried on which, and how they did."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from orchestrator.core.policy import auditing
from orchestrator.models import Decision, GoldItem, GoldLook, ReviewItem


def in_use() -> QuerySet[GoldItem]:
    return GoldItem.objects.filter(retired_at=None)


def fresh_for(person: User) -> list[int]:
    """What this person can be tried on: nothing that they decided about, asked for, wrote or had before.

    What belongs to a team is for its people.
    """
    about_it = ReviewItem.objects.filter(proposal=OuterRef("proposal"))
    spoken = Decision.objects.filter(item__proposal=OuterRef("proposal"), reviewer=person)
    looked = GoldLook.objects.filter(gold__proposal=OuterRef("proposal"), reviewer=person)
    theirs = about_it.exclude(kind=ReviewItem.Kind.GOLD).filter(
        Q(team=None) | Q(team__in=person.teams.in_use())
    )
    rows = in_use().filter(
        Exists(theirs), ~Exists(about_it.filter(asked_by=person)), ~Exists(spoken), ~Exists(looked)
    )
    rows = rows.exclude(proposal__edited_by=person).exclude(added_by=person)
    return list(rows.order_by("pk").values_list("pk", flat=True)[: settings.GOLD_MAX])


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one gold item so far."""

    judged: int = 0
    agreed: int = 0


def tried(golds: Sequence[GoldItem]) -> dict[int, Tried]:
    looks = GoldLook.objects.filter(gold__in=golds, item__status=ReviewItem.Status.DECIDED)
    rows = looks.values_list("gold").annotate(
        judged=Count("pk"),
        agreed=Count("pk", filter=Q(item__closed_because=auditing.AS_KNOWN)),
    )
    return {gold: Tried(judged, agreed) for gold, judged, agreed in rows.order_by()}
