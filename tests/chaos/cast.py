"""Who takes part: people, a program with a token, rules, workflows, contracts, routes, a webhook.

Prints the token.
"""

import os

from django.conf import settings
from django.utils import timezone

from orchestrator.actions import (
    agents,
    contracts,
    notices,
    routing,
    rules,
    tokens,
    users,
    workflows,
)
from orchestrator.actions.actor import Actor
from orchestrator.actions.agents import Wish
from orchestrator.models import Deployment, EvaluationPolicy, NoticeKind
from tests.chaos.editor import SLUGS, wording
from tests.chaos.events import CONTRACT, ROUTES
from tests.chaos.site import AUDITOR, EDITOR, RESTORER, REVIEWERS
from tests.chaos.workload import DEFINITIONS, HELPER, RULES, VALIDATED, VALIDATORS

SYSTEM = Actor(None)


def main() -> None:
    admin = Actor(users.create(SYSTEM, username=EDITOR, password=None, role="admin"))
    users.create(SYSTEM, username=RESTORER, password=None, role="admin")
    for name, role in {AUDITOR: "reviewer", **REVIEWERS}.items():
        users.create(SYSTEM, username=name, password=None, role=role)
    for words in (*RULES, *(wording(slug, 1) for slug in SLUGS)):
        rules.activate(admin, rules.draft(admin, **words))
    _keep_helper(admin)
    for slug, definition in DEFINITIONS.items():
        workflows.save(admin, slug, definition)
    for number, agent in enumerate(VALIDATED, start=2):
        EvaluationPolicy.objects.create(
            number=number,
            agent=agent,
            stage=EvaluationPolicy.Stage.ACTIVE,
            accept_above=settings.ACCEPT_ABOVE,
            escalate_at_or_below=settings.ESCALATE_AT_OR_BELOW,
            validators=VALIDATORS,
        )
    contracts.save(admin, **CONTRACT)
    routing.save(admin, ROUTES)
    hook = f"http://{os.environ['CHAOS_RECORDER']}/hook"
    notices.add_endpoint(admin, name="recorder", url=hook, kinds=[NoticeKind.DECIDED])
    programs = users.create(SYSTEM, username="agents", password=None, role=None)
    scopes = ["propose", "runs", "events"]
    print(tokens.issue(SYSTEM, owner=programs, name="chaos", scopes=scopes))


def _keep_helper(admin: Actor) -> None:
    """In two versions, the second as a shadow; as if another admin had agreed."""
    agents.save(admin, HELPER, title="Helper", owner="Chaos", tier="elevated")
    stable, shadow = [
        agents.write(
            admin,
            HELPER,
            Wish(
                adapter="function",
                data_classes=("public", "internal", "personal"),
                parameters={"function": "chaos.help", "options": {"version": number}},
            ),
        ).version
        for number in (1, 2)
    ]
    Deployment.objects.create(
        agent=stable.agent, number=1, at=timezone.now(), stable=stable, shadow=shadow
    )


if __name__ == "__main__":
    main()
