"""Changes of Countersign itself, as actions that only people may propose."""

RESERVED = "countersign."
ACTIVATE = "countersign.rule.activate"
RETIRE = "countersign.rule.retire"
# The workflow that carries them.
WORKFLOW = "countersign"


def is_change(action: str) -> bool:
    """Rules are not asked about these: a mistake in a rule must not keep people from mending it."""
    return action.startswith(RESERVED)
