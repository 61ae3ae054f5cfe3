"""Who may do what: one literal table. Pages, API and actions all ask it; nothing else grants anything."""

REVIEWER = "reviewer"
ADMIN = "admin"
MANAGER = "manager"

# What everybody with a role may look at.
_LOOK = frozenset(
    {
        "queue.view",
        "proposals.view",
        "runs.view",
        "rules.view",
        "policies.view",
        "contracts.view",
        "routing.view",
        "calibration.view",
        "agents.view",
        "tools.view",
        "memory.view",
        # Of people, everybody sees their own line; `reports.reviewers` shows all of them.
        "reports.view",
    }
)
_DECIDE = frozenset({"queue.decide", "audits.decide", "routes.correct", "memory.revoke"})
CAPABILITIES: dict[str, frozenset[str]] = {
    REVIEWER: _DECIDE | _LOOK,
    ADMIN: frozenset(
        {
            "queue.assign",
            "teams.edit",
            "reasons.edit",
            "runs.cancel",
            "effects.undo",
            "audit.view",
            "changes.decide",
            "rules.edit",
            "policies.edit",
            "contracts.edit",
            "routing.edit",
            "workflows.edit",
            "agents.edit",
            "tokens.issue",
            "people.edit",
            "webhooks.edit",
            "reports.reviewers",
            "evaluation_sets.export",
            "calibration.edit",
            "stand_downs.lift",
            "gold.edit",
            "tools.edit",
        }
    )
    | _DECIDE
    | _LOOK,
    MANAGER: frozenset({"audit.view", "queue.assign", "teams.edit", "reports.reviewers"}) | _LOOK,
}
ROLES = tuple(CAPABILITIES)

SCOPES: dict[str, str] = {
    "propose": "submit proposals and read what became of its own",
    "runs": "start and read orchestrated runs",
    "events": "send typed events to the router",
    "read": "read everything the API shows",
    "review": "decide review items as the person it belongs to",
    "admin": "change rules, contracts, agents and thresholds",
}


def capabilities_of(roles: frozenset[str]) -> frozenset[str]:
    return frozenset().union(*(CAPABILITIES.get(role, frozenset()) for role in roles))


def roles_with(capability: str) -> list[str]:
    """For the sentence that tells a person whom to ask."""
    return [role for role, capabilities in CAPABILITIES.items() if capability in capabilities]
