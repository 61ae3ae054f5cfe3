"""A hundred people over a live server, four to the same eight items: how long they wait, and who wins.

They read for 5 to 25 seconds between two clicks, as people do. Each click is one request as the page
sends it; what another has already is answered with 409.
"""

import http.client
import os
import socket
import statistics
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client

from orchestrator.actions import demo_scale_cast, users
from orchestrator.actions.actor import Actor
from orchestrator.embedded.programs import list_programs
from orchestrator.models import Decision, ReviewItem
from orchestrator.queue_queries import AWAKE, FREE
from tests.bench.browsing import Form, form_to_decide, forms_of

CLIENTS, ITEMS, TOGETHER = 100, 200, 4
READS_S = (5.0, 25.0)
ANSWERED = {HTTPStatus.OK, HTTPStatus.CONFLICT}
# A server that is too busy says so; people click again, and the same click counts once.
CLICKS_MAX = 5
PATIENCE_S = 60
TOKEN = "csrfmiddlewaretoken"


def hundred() -> dict[str, float]:
    people, items = _people(), _items()
    before = Decision.objects.count()
    with _server() as port:
        browsers = [_Browser(port, person, number) for number, person in enumerate(people)]
        for browser in browsers:
            browser.open_queue()
        start = threading.Barrier(CLIENTS)
        began = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda job: job[0].decide_all(job[1], start), _jobs(browsers, items)))
        wall_s = time.perf_counter() - began
    answers = Counter(status for browser in browsers for status in browser.answers)
    waits = [wait for browser in browsers for wait in browser.waits]
    decisions = Decision.objects.count() - before
    assert decisions == ITEMS, f"{decisions} decisions on {ITEMS} items, answers {answers}"
    assert Decision.objects.filter(item__in=items).values("item").distinct().count() == ITEMS
    return {
        "review.hundred_p50_ms": statistics.median(waits),
        "review.hundred_p95_ms": statistics.quantiles(waits, n=20)[18],
        "review.hundred_decisions": float(decisions),
        "review.hundred_conflicts": float(answers[HTTPStatus.CONFLICT]),
        "review.hundred_failures": float(
            sum(count for status, count in answers.items() if status not in ANSWERED)
        ),
        "review.hundred_requests_per_s": len(waits) / wall_s,
    }


def _people() -> list[User]:
    """In every team, so that everybody may decide everything."""
    system = Actor(None)
    names = [f"client-{number:03}" for number in range(CLIENTS)]
    found = [users.create(system, username=name, password=None, role="reviewer") for name in names]
    demo_scale_cast.welcome(names)
    return found


def _items() -> list[str]:
    """That one person may decide without proving again who they are."""
    rows = ReviewItem.objects.in_queue().filter(AWAKE, FREE)
    rows = rows.filter(kind__in=["guardrail_failure", "escalation"], approvals_needed=1)
    found = rows.exclude(tier="high").order_by("pk").values_list("pk", flat=True)[:ITEMS]
    return list(found)


def _jobs(browsers: "list[_Browser]", items: list[str]) -> Iterator["tuple[_Browser, list[str]]"]:
    each = ITEMS * TOGETHER // CLIENTS
    for browser in browsers:
        group = browser.number // TOGETHER
        yield browser, items[group * each : (group + 1) * each]


@dataclass
class _Browser:
    port: int
    person: User
    number: int
    read: int = 0
    token: str = ""
    cookies: dict[str, str] = field(default_factory=dict)
    answers: list[int] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Signed in without a password: the session is stored, as it would be after one."""
        client = Client(headers={"host": "127.0.0.1"})
        client.force_login(self.person)
        key = str(client.session.session_key)
        # The server may call its cookie otherwise than we do: it has its database by address.
        self.cookies = {settings.SESSION_COOKIE_NAME: key, "countersign_session": key}
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)

    def decide_all(self, items: list[str], start: threading.Barrier) -> None:
        try:
            start.wait()
            first = self.number % len(items)
            for item in items[first:] + items[:first]:
                self._read()
                self._decide(item)
        finally:
            self.connection.close()
            connections.close_all()

    def open_queue(self) -> None:
        """Any form has the token against forged requests that is good for all of them."""
        _, page = self._ask("GET", "/queue/")
        self.token = next(form.fields[TOKEN] for form in forms_of(page) if TOKEN in form.fields)

    def _read(self) -> None:
        """Each as long as they like, and never all at once."""
        self.read += 1
        least, most = READS_S
        time.sleep(least + (most - least) * ((self.number * 37 + self.read * 61) % 100) / 100)

    def _decide(self, item: str) -> None:
        address = f"/proposals/{_proposal_of(item)}/"
        status, page = self._click(Form(f"{address}claim/", {"item": item}))
        if status != HTTPStatus.OK:
            return
        self._read()
        form = form_to_decide(page, "approve")
        assert form, f"{address} has no form to approve with"
        self._click(Form(form.action, {**form.fields, "note": ""}))

    def _click(self, form: Form) -> tuple[int, str]:
        for _ in range(CLICKS_MAX):
            status, page = self._send(form)
            if status in ANSWERED:
                break
        return status, page

    def _send(self, form: Form) -> tuple[int, str]:
        sent = urlencode({**form.fields, TOKEN: self.token})
        began = time.perf_counter()
        status, page = self._ask("POST", form.action, sent)
        self.waits.append((time.perf_counter() - began) * 1_000)
        self.answers.append(status)
        return status, page

    def _ask(self, method: str, address: str, body: str | None = None) -> tuple[int, str]:
        headers = {"Cookie": "; ".join(f"{name}={text}" for name, text in self.cookies.items())}
        if body is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "HX-Request": "true"}
        self.connection.request(method, address, body, headers)
        answer = self.connection.getresponse()
        for name, text in answer.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = text.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        page = answer.read().decode()
        # The server does not keep it open for as long as people read.
        self.connection.close()
        return answer.status, page


def _proposal_of(item: str) -> str:
    """The same letters: the demo makes both at the same instant."""
    return "prp_" + item.partition("_")[2]


@contextmanager
def _server() -> Iterator[int]:
    """The web process as `manage.py up` starts it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        settings.PORT = probe.getsockname()[1]
    web = next(program for program in list_programs() if program.name == "web")
    process = subprocess.Popen(
        web.command,
        cwd=settings.BASE_DIR,
        env={
            "PATH": os.environ["PATH"],
            "VAR_DIR": str(settings.VAR_DIR),
            "DATABASE_URL": settings.DATABASE_URL,
            "REDIS_URL": settings.REDIS_URL,
        },
    )
    try:
        _wait_for(settings.PORT)
        yield settings.PORT
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
