"""The review pages over 10,000 and over 1,000,000 proposals, and a hundred people at once.

Loading takes minutes, so it is no part of `make bench`. Server time is that of the request in Django's
own handler, with every middleware; the pages are asked for by the people of the demo, in turn.
"""

import gc
import json
import statistics
import sys
import time
from functools import partial
from itertools import cycle, islice

from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from orchestrator.actions.demo_scale_cast import REVIEWERS
from orchestrator.models import Proposal, ReviewItem
from tests.bench.browsing import form_to_decide, links_of
from tests.bench.hundred import hundred
from tests.bench.measures import fresh_database
from tests.bench.reports import measure_counting, measure_reports
from tests.bench.timed import ROUNDS, Timed, ask_each, named

SMALL, LARGE = 10_000, 1_000_000
SLOW_MS, STEEP = 100.0, 1.5
# A decision is answered with the part of the page that changes.
FRAGMENT = {"HX-Request": "true"}


def measure_scale(large: int = LARGE) -> dict[str, float]:
    call_command("collectstatic", verbosity=0, interactive=False)
    with fresh_database():
        figures = {"demo.load_10k_s": _load(SMALL)}
        small, before = measure_pages(), reference_ms()
        figures |= {
            **named("review", small, "_10k"),
            **hundred(),
            "reference.python_10k_ms": before,
        }
    with fresh_database():
        figures["demo.load_s"] = _load(large)
        # While nothing else happens: the pages below decide, and days change by that.
        figures |= {**measure_counting(), **named("reports", measure_reports())}
        found, after = measure_pages(), reference_ms()
    figures |= {**named("review", found), "reference.python_ms": after}
    for name in found:
        figures[f"review.{name}_ratio"] = found[name].p95_ms / small[name].p95_ms
        figures[f"review.{name}_cpu_ratio"] = (
            found[name].cpu_ms / after / (small[name].cpu_ms / before)
        )
    _report(found, figures)
    return figures


def _load(count: int) -> float:
    began = time.perf_counter()
    call_command("demo", scale=count)
    return time.perf_counter() - began


def _report(found: dict[str, Timed], figures: dict[str, float]) -> None:
    """What a maintainer has to look at; nothing fails because of it."""
    for name, timed in found.items():
        ratio = figures[f"review.{name}_ratio"]
        if timed.p95_ms > SLOW_MS or ratio > STEEP:
            slowest = sorted(timed.slowest.items(), key=lambda pair: -pair[1])[:5]
            lines = [f"  {wall_ms:7.0f} ms  {what}" for what, wall_ms in slowest]
            head = f"{name}: p95 {timed.p95_ms:.0f} ms, {ratio:.2f} times that at 10,000. Slowest:"
            sys.stdout.write("\n".join(["", head, *lines, ""]))


def reference_ms() -> float:
    """CPU of a fixed piece of Python: how quick this machine is just now, which differs by half in an hour."""
    document = {f"field {number}": [number, str(number), None] for number in range(500)}
    rounds = []
    for _ in range(50):
        began = time.process_time()
        for _ in range(20):
            json.loads(json.dumps(document, indent=1))
        rounds.append((time.process_time() - began) * 1_000)
    return statistics.median(rounds)


def measure_pages() -> dict[str, Timed]:
    """Reading first, because deciding changes what is read."""
    people = sign_all_in()
    # As the web process does, and because what loading left behind is none of its.
    gc.collect()
    gc.freeze()
    return {
        "queue": ask_each(people, queue_addresses(people[0])),
        "item": ask_each(people, item_addresses()),
        **work(people),
    }


def sign_all_in() -> list[Client]:
    """The reviewers of the demo, each with a browser session of their own."""
    clients = []
    for person in User.objects.filter(username__in=REVIEWERS):
        client = Client(headers={"host": "127.0.0.1"})
        client.force_login(person)
        clients.append(client)
    return clients


def work(people: list[Client]) -> dict[str, Timed]:
    """Take the next item, read it, decide it: as many times, by one person after another."""
    taken, decided = Timed(), Timed()
    queues = ("", "kind=escalation", "kind=guardrail_failure")
    for client, queue in islice(zip(cycle(people), cycle(queues), strict=False), ROUNDS):
        post = partial(client.post, "/queue/next/", {"queue": queue})
        address = taken.ask(f"/queue/next/ {queue}", post, expected=302)["Location"]
        page = client.get(address).content.decode()
        # An approval of high risk would ask for the password, once the sign-in is some minutes old.
        form = form_to_decide(page, "reject", "happened")
        assert form, f"{address} has no form to decide with"
        sent = {**form.fields, "note": "Looked it up."}
        if form.fields["verdict"] == "reject":
            sent["reason"] = "wrong_value"
        decided.ask(form.action, partial(client.post, form.action, sent, headers=FRAGMENT))
    return {"next": taken, "decide": decided}


def queue_addresses(client: Client) -> list[str]:
    """Every view, every kind of filter, and the second page."""
    asked = [
        *("view=mine", "view=breaching", "view=escalated", "view=second", "view=snoozed"),
        *("kind=escalation", "kind=guardrail_failure", "kind=unknown_effect"),
        *("action=order.refund", "action=newsletter.send", "team=payments", "team=security"),
        *("q=case/O-2001", "q=till-agent", "q=refund", "kind=escalation&action=supplier.pay"),
        "view=breaching&team=finance",
    ]
    first = client.get("/queue/").content.decode()
    older = [link for link in links_of(first) if "after=" in link]
    assert older, "the queue has no second page"
    return ["/queue/", *(f"/queue/?{query}" for query in asked), older[0]]


def item_addresses() -> list[str]:
    """Waiting, decided and executed ones from all of the 180 days, in turn."""
    waiting = ReviewItem.objects.in_queue().exclude(proposal=None).order_by("pk")
    found = spread(list(waiting.values_list("proposal", flat=True)), 120)
    for status in ("executed", "rejected", "expired", "blocked"):
        rows = Proposal.objects.filter(status=status).order_by("pk")
        found += spread(list(rows.values_list("pk", flat=True)), 20)
    # No two of a kind one after the other.
    return [f"/proposals/{pk}/" for at in range(10) for pk in found[at::10]]


def spread(rows: list[str], count: int) -> list[str]:
    return rows[:: max(1, len(rows) // count)][:count]
