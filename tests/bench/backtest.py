"""Ten rules over a hundred thousand recorded proposals, through the job that a worker does."""

import time
from datetime import datetime, timedelta

import psutil
from django.utils import timezone

from orchestrator.actions import backtests, proposals, rules, users
from orchestrator.actions.actor import Actor
from orchestrator.backtest_queries import report_on
from orchestrator.engine import backtest as engine
from orchestrator.models import Backtest
from tests.bench.limit import ServerCpu
from tests.recorded import Told, record

PROPOSALS = 100_000
RULES = 10
SYSTEM = Actor(None)
CONDITION = (
    "proposal.args.amount_minor <= {} && proposal.args.currency in ['EUR', 'USD', 'GBP']"
    " && (context.customer.age_days > 10 || !proposal.args.reason.contains('damaged'))"
)


def backtest() -> dict[str, float]:
    """CPU of the worker, and of PostgreSQL beside it; how much the worker grew from its tenth batch on."""
    admin = Actor(users.create(SYSTEM, username="bench-admin", password="x", role="admin"))
    _record(admin)
    until = timezone.now()
    asked = [_ask(admin, number, until) for number in range(RULES)]
    me, server = psutil.Process(), ServerCpu()
    sizes: list[int] = []
    began, cpu = time.perf_counter(), time.process_time()

    def watches() -> bool:
        sizes.append(me.memory_info().rss)
        return False

    engine.work_one(watches)
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    server_s = server.spent_s()
    for one in asked:
        one.refresh_from_db()
        assert (one.status, one.done) == (Backtest.Status.DONE, PROPOSALS), one.error
        assert report_on(one).findings.after.in_scope == PROPOSALS
    return {
        "guardrails.backtest_100k_s": cpu_s,
        "guardrails.backtest_100k_wall_s": wall_s,
        "guardrails.backtest_100k_postgres_s": server_s,
        "guardrails.backtest_growth_mb": (sizes[-1] - sizes[min(10, len(sizes) - 1)]) / 1e6,
        "guardrails.backtest_rss_mb": max(sizes) / 1e6,
    }


def _record(admin: Actor) -> None:
    suggestion = proposals.Suggestion(agent="bench", action="bench.other", confidence=0.95)
    beside = proposals.submit(SYSTEM, suggestion)
    assert admin.user
    second = timedelta(seconds=1)
    until = timezone.now() - second
    record(PROPOSALS, _tell, beside=beside, reviewer=admin.user, until=until, every=second)


def _tell(number: int) -> Told:
    """Every twentieth was rejected, every fifth approved; a few customers are new."""
    human = "reject" if number % 20 == 0 else "approve" if number % 5 == 0 else ""
    args = {"amount_minor": number % 1_000 * 100, "currency": "EUR", "reason": "damaged_item"}
    return Told(args, context={"customer": {"age_days": number % 400 + 5}}, human=human)


def _ask(admin: Actor, number: int, until: datetime) -> Backtest:
    """All of one window, so that they go together."""
    version = rules.draft(
        admin,
        slug=f"bench-limit-{number}",
        title="A limit",
        effect="hold",
        condition=CONDITION.format(50_000 + number * 5_000),
        message="the amount {proposal.args.amount_minor} is over the limit",
    )
    since = until - timedelta(days=30)
    return backtests.request(admin, version, since=since, until=until, proposals_max=PROPOSALS)
