"""One cast for all tests, and one check after each of them: the log is the truth."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from itertools import count
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.test import Client
from pytest_django import DjangoDbBlocker

from orchestrator import journal
from orchestrator.actions import demo_scale, proposals, rules, tokens, users
from orchestrator.actions.actor import Actor
from orchestrator.core import state
from orchestrator.core.codec import canonical
from orchestrator.models import ApiToken, Proposal, Reason, Run
from tests import breakers, roles

_numbers = count()
PASSWORD = "correct horse battery staple"
SYSTEM = Actor(None)


def pytest_configure() -> None:
    # What is approved runs at once, and nothing is drawn for an audit, where a test does not say otherwise.
    settings.UNDO_S, settings.AUDIT_SHARE, settings.LABEL_SHARE = 0, 0.0, 0.0
    settings.NEW_VERSION_FIRST = settings.AUDIT_FLOOR = 0
    settings.SECOND_REVIEW_SHARE = settings.GOLD_SHARE = 0.0
    # The real hasher takes a third of a second, on purpose; tests make thousands of people.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> Iterator[None]:
    """The database is made by the owner of its tables, and removed by them."""
    roles.become_owner()
    yield
    roles.become_owner()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Tests use it as the application, so that a right that is missing is missed here first."""
    with django_db_blocker.unblock():
        roles.allow_truncate()
        roles.keep_vacuum_away()
        roles.become_application()
    yield
    roles.become_owner()


@pytest.fixture
def as_owner() -> Callable[[], AbstractContextManager[CursorWrapper]]:
    """`with as_owner() as cursor:` does what only the owner of the tables may, in the same transaction."""
    return roles.as_owner


@pytest.fixture(autouse=True)
def _own_checkpoints(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Every test starts with a new log, so with a new key and no copies of another one's checkpoints."""
    # Most never make a checkpoint: the folder is made by whoever does.
    folder = tmp_path_factory.getbasetemp() / "checkpoints" / str(next(_numbers))
    monkeypatch.setattr(settings, "CHECKPOINT_KEY", folder / "key")
    monkeypatch.setattr(settings, "CHECKPOINT_DIR", folder / "copies")


@pytest.fixture(autouse=True)
def _pulled_breakers(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    names = [name for mark in request.node.iter_markers("pulls") for name in mark.args]
    with breakers.watched(names, monkeypatch) if names else nullcontext():
        yield


@pytest.fixture(autouse=True, scope="session")
def _collected_static() -> None:
    """Pages are tested with the hashed file names that people get."""
    call_command("collectstatic", verbosity=0, interactive=False)


@dataclass(frozen=True)
class Cast:
    """Rita and Rolf review, Ada administers, Max manages; `agents` owns the token that proposes."""

    rita: User
    rolf: User
    ada: User
    max: User
    agents: User


@pytest.fixture
def reasons(db: None) -> None:
    """Those that the migration brings: a test on real transactions leaves its tables empty."""
    add_reasons()


def add_reasons() -> None:
    seeds = import_module("orchestrator.migrations.0009_review_queue")
    if not Reason.objects.exists():
        seeds.add_reasons(apps, connection.schema_editor())


@pytest.fixture
def cast(reasons: None) -> Cast:
    def person(name: str, role: str | None) -> User:
        return users.create(SYSTEM, username=name, password=PASSWORD if role else None, role=role)

    return Cast(
        rita=person("rita", "reviewer"),
        rolf=person("rolf", "reviewer"),
        ada=person("ada", "admin"),
        max=person("max", "manager"),
        agents=person("agents", None),
    )


@pytest.fixture
def token(cast: Cast) -> Callable[..., str]:
    """The text of a new token with these scopes."""

    def issue(*scopes: str, owner: User | None = None, **options: Any) -> str:
        owner = owner or cast.agents
        return tokens.issue(SYSTEM, owner=owner, name=scopes[0], scopes=scopes, **options)

    return issue


@pytest.fixture
def agent(cast: Cast, token: Callable[..., str]) -> Actor:
    found = tokens.find(token("propose"))
    assert isinstance(found, ApiToken)
    return Actor(cast.agents, found)


@pytest.fixture
def rule(cast: Cast) -> Callable[..., None]:
    """An active rule; by default refunds over 500.00 are held."""

    def activate(**changes: Any) -> None:
        wording = {
            "slug": "refund-limit",
            "title": "Refunds over the limit need a person",
            "effect": "hold",
            "condition": "proposal.args.amount_minor <= 50000",
            "message": "the amount {proposal.args.amount_minor} is over 50000",
            "applies_to": {"actions": ["refund.create"]},
        } | changes
        rules.activate(Actor(cast.ada), rules.draft(Actor(cast.ada), **wording))

    return activate


@pytest.fixture
def propose(agent: Actor) -> Callable[..., Proposal]:
    """A refund of 1840.00 with high confidence, unless told otherwise."""

    def submit(**changes: Any) -> Proposal:
        values = {
            "agent": "refund-agent",
            "action": "refund.create",
            "target": "order/A-20931",
            "args": {"amount_minor": 184_000, "currency": "EUR"},
            "confidence": 0.95,
        } | changes
        return proposals.submit(agent, proposals.Suggestion(**values))

    return submit


@pytest.fixture
def sign_in() -> Callable[..., Client]:
    def as_user(user: User, **options: Any) -> Client:
        client = Client(**options)
        client.force_login(user)
        return client

    return as_user


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripted agents answer at once, where how long they take is not what is tested."""
    monkeypatch.setattr("orchestrator.agents.scripted._take_time", lambda call: None)


type LoadDemo = Callable[[int], int]


@pytest.fixture(scope="class")
def load_demo(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[LoadDemo]:
    """`load_demo(400)` loads so many proposals for all tests of a class, which take back what they do."""

    def load(proposals: int) -> int:
        with roles.as_owner():
            loaded = demo_scale.load(proposals)
        _check_log()
        _checked.update(_ends_of_logs())
        return loaded

    with django_db_blocker.unblock(), transaction.atomic():
        add_reasons()
        yield load
        transaction.set_rollback(True)
    _checked.clear()


def analyze() -> None:
    """As the database does by itself within a minute; until then it takes new tables to be empty."""
    with roles.as_owner() as cursor:
        cursor.execute("ANALYZE")


# Runs that tests share, with the ends of their logs: checked once, when they were loaded.
_checked: set[tuple[str, str]] = set()


@pytest.fixture(autouse=True)
def _log_is_truth(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test that used the database: each run's state is the fold of its chained events."""
    fixtures = {"db", "transactional_db", "cast"} & set(request.fixturenames)
    uses_database = fixtures or request.node.get_closest_marker("django_db")
    if uses_database:
        request.getfixturevalue("db")
    yield
    if not uses_database or request.node.get_closest_marker("broken_log"):
        return
    _check_log()


def _check_log() -> None:
    unchecked = [run for run, _ in _ends_of_logs() - _checked]
    for run in Run.objects.filter(pk__in=unchecked).select_related("workflow_version"):
        folded = canonical(state.to_json(journal.replay(run)))
        assert folded == run.state, f"{run.pk}: the log says {folded}"
        assert journal.first_broken(run) is None
        for key, proposal in run.canonical_state.proposals.items():
            assert Proposal.objects.get(pk=key).status == proposal.status


def _ends_of_logs() -> set[tuple[str, str]]:
    return set(Run.objects.values_list("pk", "head"))
