"""Who takes part: reviewers, a program with a token, rules and workflows. Prints the token."""

from orchestrator.actions import rules, tokens, users, workflows
from orchestrator.actions.actor import Actor
from tests.chaos.site import REVIEWERS
from tests.chaos.workload import DEFINITIONS, RULES

SYSTEM = Actor(None)


def main() -> None:
    admin = Actor(users.create(SYSTEM, username="ada", password=None, role="admin"))
    for name in REVIEWERS:
        users.create(SYSTEM, username=name, password=None, role="reviewer")
    for wording in RULES:
        rules.activate(admin, rules.draft(admin, **wording))
    for slug, definition in DEFINITIONS.items():
        workflows.save(admin, slug, definition)
    agents = users.create(SYSTEM, username="agents", password=None, role=None)
    print(tokens.issue(SYSTEM, owner=agents, name="chaos", scopes=["propose", "runs"]))


if __name__ == "__main__":
    main()
