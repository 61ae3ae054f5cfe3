"""An admin who never leaves the rules alone: writes a version, has it backtested, asks that it decide.

Meanwhile she wavers, and asks to go back to an earlier one. Where she is, she reads from the database
each time, so she may be killed wherever she is. What was confirmed to her is written down outside of it.
The rules only flag: whichever version is in force, nothing waits for it.
"""

import logging
import os
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from orchestrator.actions import backtests, changes, rules
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import CountersignError
from orchestrator.models import Proposal, Rule, RuleVersion

logger = logging.getLogger(__name__)

AMOUNT, OFTEN = "watched-amount", "watched-often"
SLUGS = (AMOUNT, OFTEN)
PAUSE_S = 0.3
# Eight batches of a rule that looks at the past.
PROPOSALS_MAX = 400
# What is younger may be in a transaction that is still open, and a backtest would not see it.
SETTLED_S = 20
# Both rules are tested on the same window when they are tested at about the same time.
WINDOW_STEP_S = 10
# How often she goes back to an earlier version while she waits for a test.
WAVERS = 0.15
OVER = frozenset({"executed", "rejected", "failed", "expired", "withdrawn"})

Stage = RuleVersion.Stage


def main(name: str) -> None:
    while True:
        try:
            close_old_connections()
            look(Actor(User.objects.get(username=name)))
        except DatabaseError as error:
            logger.warning("%s", error)
        time.sleep(PAUSE_S)


def look(me: Actor) -> None:
    for slug in SLUGS:
        try:
            go_on(me, slug)
        except CountersignError as refusal:
            logger.warning("%s", refusal)


def go_on(me: Actor, slug: str) -> None:
    """One step with one rule. She goes on as soon as a version decides, whatever its effect's record says."""
    newest = Rule.objects.get(slug=slug).versions.select_related("rule").latest("number")
    asked = Proposal.objects.filter(target=f"rule/{slug}").order_by("-pk").first()
    if asked is not None and is_due(asked):
        return
    if newest.stage == Stage.BACKTESTED and not was_asked(newest, asked):
        note("proposal", changes.propose_activation(me, newest, "tested").pk)
    elif newest.stage == Stage.DRAFT:
        have_tested(me, newest)
        if random.random() < WAVERS:
            go_back(me, newest)
    else:
        rules.draft(me, **wording(slug, newest.number + 1))


def go_back(me: Actor, newest: RuleVersion) -> None:
    """To one that decided before, while the newest is being tested."""
    earlier = newest.rule.versions.filter(stage=Stage.RETIRED, activated_at__isnull=False)
    found = list(earlier.select_related("rule").order_by("-number")[:2])
    if found:
        note("proposal", changes.roll_back(me, random.choice(found), "it was better").pk)


def is_due(asked: Proposal) -> bool:
    """Whether what she asked for last has still to come about."""
    return asked.status not in OVER and changes.version_in(asked).stage != Stage.ACTIVE


def was_asked(newest: RuleVersion, asked: Proposal | None) -> bool:
    return asked is not None and changes.version_in(asked) == newest


def have_tested(me: Actor, version: RuleVersion) -> None:
    step = timedelta(seconds=WINDOW_STEP_S)
    epoch = datetime.fromtimestamp(0, UTC)
    until = timezone.now() - timedelta(seconds=SETTLED_S)
    until -= (until - epoch) % step
    found = backtests.request(
        me, version, since=until - timedelta(days=1), until=until, proposals_max=PROPOSALS_MAX
    )
    note("backtest", found.pk)


def wording(slug: str, number: int) -> dict[str, Any]:
    """Every other version flags nearly everything, the others next to nothing: many flips.

    All look at the past, so that a backtest takes small batches.
    """
    amount, often = (1_000 if number % 2 else 1_000_000_000), (number + 1) % 2
    conditions = {
        AMOUNT: f"proposal.args.amount_minor <= {amount} && history.earlier < {number + 10}",
        OFTEN: f"history.earlier <= {often} - 1",
    }
    return {
        "slug": slug,
        "title": f"Watch, way {number}",
        "effect": "flag",
        "condition": conditions[slug],
        "history": {"earlier": {"count": {"same": ["target"]}, "within": "1h"}},
    }


def note(kind: str, key: str) -> None:
    file = os.open(os.environ["CHAOS_ASKED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, f"{kind} {key}\n".encode())
    os.close(file)


if __name__ == "__main__":
    main(sys.argv[1])
