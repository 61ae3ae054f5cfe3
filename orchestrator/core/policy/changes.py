"""Changes of Countersign itself, as actions that only people may propose."""

RESERVED = "countersign."
ACTIVATE_RULE = "countersign.rule.activate"
RETIRE_RULE = "countersign.rule.retire"
ACTIVATE_POLICY = "countersign.policy.activate"
RETIRE_POLICY = "countersign.policy.retire"
# After these nothing stands where something stood.
RETIREMENTS = frozenset({RETIRE_RULE, RETIRE_POLICY})
OF_POLICIES = frozenset({ACTIVATE_POLICY, RETIRE_POLICY})
# The workflow that carries them.
WORKFLOW = "countersign"


def is_change(action: str) -> bool:
    """Rules are not asked about these: a mistake in a rule must not keep people from mending it."""
    return action.startswith(RESERVED)
