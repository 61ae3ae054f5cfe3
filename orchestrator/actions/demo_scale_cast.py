"""Who and what a large demo is about: people in teams, actions with contracts, rules, agents.

Everything here is set up through the same actions as on a real instance; only the proposals that
follow are too many for that (`demo_scale.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User

from orchestrator import team_queries
from orchestrator.actions import contracts, rules, teams, tokens, users, workflows
from orchestrator.actions.actor import Actor
from orchestrator.core.policy import roles
from orchestrator.models import ApiToken, ContractVersion, RuleVersion, Team

SYSTEM = Actor(None)
PROPOSER = "scale-agents"
WORKFLOW = "default"


@dataclass(frozen=True, slots=True)
class Guard:
    """A rule, what it looks at, and how often it does not hold."""

    slug: str
    title: str
    effect: str
    looks_at: str  # amount_minor, units or confirmed
    limit: int
    fails: float

    @property
    def condition(self) -> str:
        if self.looks_at == "confirmed":
            return "context.confirmed == true"
        return f"proposal.args.{self.looks_at} <= {self.limit}"

    @property
    def message(self) -> str:
        if self.looks_at == "confirmed":
            return "confirmed is {context.confirmed}"
        return f"{self.looks_at} is {{proposal.args.{self.looks_at}}}, over {self.limit}"


@dataclass(frozen=True, slots=True)
class Act:
    name: str
    description: str
    guard: str
    tier: str = "normal"
    team: str = ""


TEAMS = ("Payments", "Finance", "Sales", "Security")
# Five to a team, in this order.
REVIEWERS = (
    *("amira", "bruno", "chidi", "dorota", "emeka"),
    *("fatima", "goran", "hanna", "ines", "joao"),
    *("keiko", "liam", "marta", "nadia", "oscar"),
    *("petra", "quentin", "rosa", "stefan", "tuva"),
)
PEOPLE = (PROPOSER, *REVIEWERS)
AGENTS = tuple(
    f"{name}-agent" for name in ["till", "ledger", "store", "post", "door", "desk", "mail", "night"]
)
GUARDS = (
    Guard("refunds-over-500", "Refunds over 500", "hold", "amount_minor", 50_000, 0.26),
    Guard(
        "payments-over-10000",
        "Payments over 10,000 need two people",
        "two_person",
        "amount_minor",
        1_000_000,
        0.16,
    ),
    Guard("price-steps", "Steps of prices over 20", "hold", "units", 20, 0.2),
    Guard("unconfirmed", "The customer has to confirm", "hold", "confirmed", 0, 0.18),
    Guard("long-access", "No access for over 90 days", "block", "units", 90, 0.14),
    Guard("many-readers", "Over 500 readers are recorded", "flag", "units", 500, 0.2),
)
ACTS = (
    Act("order.refund", "Gives money back for an order.", "refunds-over-500", team="Payments"),
    Act("account.credit", "Credits an account.", "refunds-over-500", team="Payments"),
    Act("supplier.pay", "Pays a supplier.", "payments-over-10000", "high", "Finance"),
    Act("payroll.adjust", "Adjusts a salary.", "payments-over-10000", "high", "Finance"),
    Act("price.change", "Changes a price.", "price-steps", team="Sales"),
    Act("discount.grant", "Grants a discount.", "price-steps", "low", "Sales"),
    Act("address.change", "Changes an address.", "unconfirmed", "low"),
    Act("shipment.reroute", "Sends a parcel elsewhere.", "unconfirmed"),
    Act("access.extend", "Extends an access.", "long-access", "high", "Security"),
    Act("key.rotate", "Replaces a key.", "long-access", team="Security"),
    Act("article.publish", "Publishes an article.", "many-readers", "low", "Sales"),
    Act("newsletter.send", "Sends a newsletter.", "many-readers", team="Sales"),
)
_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "amount_minor": {"type": "integer", "minimum": 1, "description": "in cents"},
        "currency": {"enum": ["EUR"], "description": "ISO 4217"},
        "reason": {"type": "string", "maxLength": 300, "description": "in a few words"},
        "units": {"type": "integer", "minimum": 0, "description": "how many, or how long"},
    },
    "required": ["amount_minor", "currency"],
    "additionalProperties": False,
}
_SHOWN = {
    "heading": "{action} of {amount_minor} for {target}",
    "shows": {"/amount_minor": {"as": "money", "currency": "/currency"}},
}


@dataclass(frozen=True, slots=True)
class Cast:
    token: ApiToken
    workflow_version: int
    definition: str
    contracts: dict[str, ContractVersion]
    rules: dict[str, RuleVersion]
    teams: dict[str, Team]
    reviewers: list[User]


def gather() -> Cast:
    """Made where it is missing, found where it is not."""
    reviewers = [_person(name, roles.REVIEWER) for name in REVIEWERS]
    version = workflows.version_for(SYSTEM, WORKFLOW)
    return Cast(
        token=_token(_person(PROPOSER, None)),
        workflow_version=version.pk,
        definition=version.content_hash,
        contracts={act.name: _contract(act) for act in ACTS},
        rules={guard.slug: _rule(guard) for guard in GUARDS},
        teams=_teams(reviewers),
        reviewers=reviewers,
    )


def welcome(names: Iterable[str]) -> None:
    """Those of these people who decide decide about it as well."""
    found = team_queries.deciders().filter(username__in=names)
    people = [person.get_username() for person in found]
    for name in TEAMS:
        teams.set_members(SYSTEM, Team.objects.in_use().get(name=name).slug, add=people)


def _person(name: str, role: str | None) -> User:
    found = User.objects.filter(username=name).first()
    return found or users.create(SYSTEM, username=name, password=None, role=role)


def _token(owner: User) -> ApiToken:
    if not owner.api_tokens.exists():
        tokens.issue(SYSTEM, owner=owner, name="demo scale", scopes=["propose"])
    return owner.api_tokens.earliest("pk")


def _contract(act: Act) -> ContractVersion:
    return contracts.save(
        SYSTEM,
        kind="action",
        name=act.name,
        schema=_SCHEMA,
        timeout_s=60,
        tier=act.tier,
        owner=act.team.lower(),
        description=act.description,
        review=_SHOWN,
    )


def _rule(guard: Guard) -> RuleVersion:
    version = rules.draft(
        SYSTEM,
        slug=guard.slug,
        title=guard.title,
        effect=guard.effect,
        applies_to={"actions": [act.name for act in ACTS if act.guard == guard.slug]},
        condition=guard.condition,
        message=guard.message,
    )
    if version.stage != RuleVersion.Stage.ACTIVE:
        rules.activate(SYSTEM, version)
    return version


def _teams(reviewers: list[User]) -> dict[str, Team]:
    size = len(reviewers) // len(TEAMS)
    found = {}
    for number, name in enumerate(TEAMS):
        members = reviewers[number * size : (number + 1) * size]
        team = Team.objects.in_use().filter(name=name).first() or teams.create(SYSTEM, name)
        teams.set_members(SYSTEM, team.slug, add=[user.get_username() for user in members])
        found[name] = team
    for act in ACTS:
        if act.team:
            teams.assign_to_team(SYSTEM, "action", act.name, found[act.team].slug)
    return found
