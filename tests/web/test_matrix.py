"""The permission matrix, asked of every route that there is: nobody gets more than the table says."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from orchestrator.api.app import api
from orchestrator.core.policy.roles import CAPABILITIES, SCOPES
from tests.conftest import Cast
from tests.web.conftest import HTMX
from tests.web.matrix import API, PAGES

# Who is asked for, and which path they have: what programs ask, before anybody is anybody. The metrics
# ask for a token of their own.
WITHOUT_A_NAME = {"healthz", "readyz", "metrics", "^api/(?P<path>.*)$"}
# An address of each kind, of something that does not exist.
SAMPLES: dict[str, Any] = {
    "ReadableId": "prp_01m7y6s13re5jaj1bm3y35bmxv",
    "ContractKind": "action",
    "ContractName": "no.such",
    "IntConverter": 999_999,
    "SlugConverter": "no-such",
    "StringConverter": "no-such",
}
ROLES = {"rita": "reviewer", "ada": "admin", "max": "manager", "agents": ""}
METHODS = ("get", "post")
REFUSAL = "It needs the role"


def routes(resolver: URLResolver, namespace: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, pattern.namespace or namespace)
        else:
            yield namespace, pattern


ALL = list(routes(get_resolver()))
OURS = [pattern for namespace, pattern in ALL if namespace != "api"]
BY_NAME = {pattern.name: pattern for pattern in OURS if pattern.name}


def address(name: str) -> str:
    kinds = BY_NAME[name].pattern.converters
    return reverse(name, kwargs={key: SAMPLES[type(kind).__name__] for key, kind in kinds.items()})


def test_every_route_has_its_line() -> None:
    assert set(BY_NAME) - set(PAGES) == set(), "add them to tests/web/matrix.py"
    assert set(PAGES) - set(BY_NAME) == set(), "take them out of tests/web/matrix.py"
    assert {str(pattern.pattern) for pattern in OURS if not pattern.name} == WITHOUT_A_NAME


def test_every_word_is_one_that_roles_know() -> None:
    known = {"public", "signed in"}.union(*CAPABILITIES.values())
    assert set(PAGES.values()) - known == set()


@pytest.mark.parametrize("name", PAGES)
def test_the_view_says_the_same_as_the_matrix(name: str) -> None:
    assert BY_NAME[name].callback.policy == PAGES[name]  # type: ignore[attr-defined]


def test_strangers_are_asked_to_sign_in(cast: Cast, client: Client) -> None:
    assert [name for name in PAGES if PAGES[name] != "public" and not is_shut(client, name)] == []


def is_shut(client: Client, name: str) -> bool:
    """Each method that it has asks who is there, and at least one does."""
    path, answers = address(name), []
    for method in METHODS:
        page, fragment = getattr(client, method)(path), getattr(client, method)(path, headers=HTMX)
        if page.status_code != 405:
            leads_there = page.status_code == 302 and page["Location"].startswith("/login/?next=/")
            answers.append(leads_there and fragment.status_code == 401)
    return bool(answers) and all(answers)


@pytest.mark.parametrize("who", ROLES)
def test_each_role_gets_what_the_matrix_says(
    cast: Cast, sign_in: Callable[[User], Client], who: str
) -> None:
    has = {"public", "signed in"} | CAPABILITIES.get(ROLES[who], frozenset())
    # The settings lead to the first page of theirs that a role may open, if there is one.
    asked = [name for name in PAGES if name != "settings"]
    wrong = [
        name
        for name in asked
        # Signed in anew each time: some of these end the session.
        if is_open(sign_in(getattr(cast, who)), name) is not (PAGES[name] in has)
    ]
    assert wrong == []


def is_open(client: Client, name: str) -> bool:
    answers = [getattr(client, method)(address(name)) for method in METHODS]
    asked = [answer for answer in answers if answer.status_code != 405]
    assert asked, f"{name} answers neither GET nor POST"
    refused = [answer.status_code == 403 and REFUSAL in answer.text for answer in asked]
    assert len(set(refused)) == 1, f"{name} asks for more by one method than by the other"
    return not refused[0]


def operations() -> dict[str, tuple[str, str]]:
    found = {}
    for path, methods in api.get_openapi_schema()["paths"].items():
        for method in methods:
            found[f"{method.upper()} {path}"] = (method, path)
    return found


OPERATIONS = operations()


def call(client: Client, operation: str, token: str = "") -> Any:
    method, path = OPERATIONS[operation]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    sent = path.replace("{number}", "1").replace("{", "").replace("}", "")
    options = {} if method == "get" else {"data": {}, "content_type": "application/json"}
    return getattr(client, method)(sent, headers=headers, **options)


def test_every_operation_has_its_line() -> None:
    assert set(OPERATIONS) - set(API) == set(), "add them to tests/web/matrix.py"
    assert set(API) - set(OPERATIONS) == set(), "take them out of tests/web/matrix.py"


def test_operations_take_no_stranger_and_no_session(
    cast: Cast, client: Client, sign_in: Callable[[User], Client]
) -> None:
    unknown = "cs_aaaaaaaaaa_" + "a" * 40
    for operation, scopes in API.items():
        answers = {
            call(client, operation).status_code,
            call(sign_in(cast.ada), operation).status_code,
            call(client, operation, unknown).status_code,
        }
        assert (answers == {401}) is (scopes != "public"), operation


@pytest.mark.parametrize("scope", SCOPES)
def test_operations_ask_for_their_scope(
    client: Client, token: Callable[..., str], scope: str
) -> None:
    text = token(scope)
    for operation, scopes in API.items():
        # What the scope admin includes is said by the token itself.
        has_it = scopes == "public" or scope == "admin" or scope in scopes.split(" or ")
        assert ("needs the scope" not in call(client, operation, text).text) is has_it, operation
