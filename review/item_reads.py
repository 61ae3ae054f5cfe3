"""What the review screen asks about items beside the case itself: small questions, each by its key."""

from collections.abc import Sequence

from django.contrib.auth.models import User
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.shortcuts import get_object_or_404

from orchestrator.actions.handling import MENTION
from orchestrator.models import Certificate, Comment, Decision, Proposal, Reason, ReviewItem

COMMENTS_MAX = 200


def item(pk: str) -> ReviewItem:
    return get_object_or_404(ReviewItem, pk=pk)


def has_page(page: str, pk: str) -> bool:
    if page == "proposal":
        return Proposal.objects.filter(pk=pk).exists()
    return ReviewItem.objects.filter(pk=pk, proposal=None).exists()


def needs_proof(pk: str) -> bool:
    """Of high risk, or about the rules themselves."""
    weighty = Q(tier="high") | Q(kind=ReviewItem.Kind.RULE_CHANGE)
    return ReviewItem.objects.filter(weighty, pk=pk).exists()


def is_waiting(pk: str) -> bool:
    return ReviewItem.objects.waiting().filter(pk=pk).exists()


def with_reasons(decisions: QuerySet[Decision]) -> QuerySet[Decision]:
    """Each with the words of its reason: those of retired reasons as well."""
    label = Reason.objects.filter(pk=OuterRef("reason")).values("label")
    found = decisions.select_related("reviewer")
    return found.annotate(reason_label=Subquery(label)).order_by("pk")


def certificate_of(decisions: Sequence[Decision]) -> Certificate | None:
    """Of the approval that released the effect."""
    pks = [decision.pk for decision in decisions if decision.undone_at is None]
    return Certificate.objects.filter(pk__in=pks).order_by("-pk").first() if pks else None


def comments_at(page: str, pk: str) -> list[Comment]:
    """Newest last. All of those about a proposal, through however many items it went."""
    about = {"item__proposal": pk} if page == "proposal" else {"item": pk}
    found = Comment.objects.filter(**about).select_related("author").order_by("-pk")
    return list(found[:COMMENTS_MAX])[::-1]


def people_named(comments: Sequence[Comment]) -> frozenset[str]:
    """Of the words behind an @ those that are people."""
    words = {
        name.rstrip(".,;:!?") for comment in comments for name in MENTION.findall(comment.text)
    }
    known = User.objects.filter(username__in=words) if words else User.objects.none()
    return frozenset(known.values_list("username", flat=True))
