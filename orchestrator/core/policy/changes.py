"""Changes of Countersign itself, as actions that only people may propose."""

RESERVED = "countersign."
ACTIVATE_RULE = "countersign.rule.activate"
RETIRE_RULE = "countersign.rule.retire"
ACTIVATE_POLICY = "countersign.policy.activate"
RETIRE_POLICY = "countersign.policy.retire"
DEPLOY_AGENT = "countersign.agent.deploy"
MOVE_ENDPOINT = "countersign.endpoint.move"
# After these nothing stands where something stood.
RETIREMENTS = frozenset({RETIRE_RULE, RETIRE_POLICY})
OF_POLICIES = frozenset({ACTIVATE_POLICY, RETIRE_POLICY})
# What each is a change of, for whoever is told that it waits.
CHANGES = {
    ACTIVATE_RULE: "a change of a rule",
    RETIRE_RULE: "the retirement of a rule",
    ACTIVATE_POLICY: "a change of a policy",
    RETIRE_POLICY: "the retirement of a policy",
    DEPLOY_AGENT: "a change of what is in use of an agent",
    MOVE_ENDPOINT: "a change of an endpoint",
}
# The workflow that carries them.
WORKFLOW = "countersign"


def is_change(action: str) -> bool:
    """Rules are not asked about these: a mistake in a rule must not keep people from mending it."""
    return action.startswith(RESERVED)


def change_of(action: str) -> str:
    return CHANGES.get(action, "a change of Countersign")
