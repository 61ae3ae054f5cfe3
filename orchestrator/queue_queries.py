"""Who may decide what: asked by the actions that hand out items, and by the pages that offer them."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from orchestrator.core.policy import roles
from orchestrator.models import Decision, EvaluationPolicy, Proposal, ReviewItem, RuleVersion

# By the database's clock, so that nothing has to end a hold or a snooze.
FREE = Q(lease_until=None) | Q(lease_until__lte=Now())
AWAKE = Q(snoozed_until=None) | Q(snoozed_until__lte=Now())
# Its deadline has passed and the sweeper has not come by yet: nobody can decide it any more.
OVERDUE = Q(due_at__lte=Now(), kind__in=[*ReviewItem.EXPIRING, ReviewItem.Kind.APPROVAL])
RULE_CHANGE = ReviewItem.Kind.RULE_CHANGE


def decidable_by(
    items: QuerySet[ReviewItem], user: User, capabilities: frozenset[str]
) -> QuerySet[ReviewItem]:
    """Of these items the ones that this person could decide, if they held them."""
    spoken = Decision.objects.filter(item=OuterRef("pk"), reviewer=user, undone_at=None)
    found = items.exclude(OVERDUE).filter(
        Q(team=None) | Q(team__in=user.teams.in_use()), ~Exists(spoken)
    )
    if "changes.decide" not in capabilities:
        found = found.exclude(kind=RULE_CHANGE)
    # What they wrote themselves and must not sign alone: see is_alone_after_edit.
    written = Proposal.objects.filter(edited_by=user).values("pk")
    found = found.exclude(tier="high", approvals_needed=1, proposal__in=written)
    own = Q(asked_by=user)
    if not settings.RULES_FOUR_EYES:
        own &= ~Q(kind=RULE_CHANGE)
    return found.exclude(own)


def is_of_team(item: ReviewItem, user: Any) -> bool:
    """Asked of the database each time: who left the team decides nothing of it any more."""
    return item.team_id is None or bool(user.teams.in_use().filter(pk=item.team_id).exists())


def why_not(item: ReviewItem, user: User, capabilities: frozenset[str]) -> str:
    """Why this person cannot decide it, as a word that pages turn into a sentence; empty if they can."""
    if "queue.decide" not in capabilities:
        return "role"
    if item.kind == RULE_CHANGE and "changes.decide" not in capabilities:
        return "admin"
    if not is_of_team(item, user):
        return "team"
    if Decision.objects.filter(item=item, reviewer=user, undone_at=None).exists():
        return "decided"
    if is_own(item, user):
        return "own"
    return "editor" if is_alone_after_edit(item, user) else ""


def is_own(item: ReviewItem, user: User) -> bool:
    """Nobody countersigns what they, or their own token, asked for, nor a version that they wrote."""
    if item.kind != RULE_CHANGE:
        return item.asked_by_id == user.pk
    return settings.RULES_FOUR_EYES and user.pk in {item.asked_by_id, _author_of(item)}


def is_alone_after_edit(item: ReviewItem, user: User) -> bool:
    """Of high risk, whoever wrote the words does not also sign them, unless others sign as well."""
    proposal = item.proposal
    return bool(
        proposal
        and proposal.edited_by_id == user.pk
        and item.tier == "high"
        and item.approvals_needed == 1
    )


def _author_of(item: ReviewItem) -> int | None:
    args = item.proposal.args if isinstance(item.proposal, Proposal) else {}
    if "policy" in args:
        policies = EvaluationPolicy.objects.filter(number=int(args["policy"]))
        return policies.values_list("created_by", flat=True).first()
    versions = RuleVersion.objects.filter(
        rule__slug=str(args.get("rule")), number=int(args.get("version", 0))
    )
    return versions.values_list("created_by", flat=True).first()


def team_sentence(item: ReviewItem) -> str:
    """Who can, for whoever cannot."""
    if item.team is None:
        return f"Whoever is {' or '.join(roles.roles_with('queue.decide'))} can decide it."
    names = list(item.team.members.filter(is_active=True).order_by("username")[:6])
    listed = ", ".join(person.get_username() for person in names[:5])
    more = " and others" if len(names) > 5 else ""
    return f"It is for {item.team.name} to decide: {listed or 'nobody is in it yet'}{more}."
