import pytest

from orchestrator.actions import users
from orchestrator.actions.actor import capabilities_of
from orchestrator.core.errors import BadInput, NotAllowed
from orchestrator.core.policy import roles
from tests.conftest import PASSWORD, SYSTEM, Cast


def test_each_role_has_its_capabilities(cast: Cast) -> None:
    assert capabilities_of(cast.rita) == roles.CAPABILITIES["reviewer"]
    assert capabilities_of(cast.max) == roles.CAPABILITIES["manager"]
    assert "queue.decide" not in capabilities_of(cast.max)
    assert capabilities_of(cast.agents) == frozenset()


def test_an_unknown_role_is_refused(db: None) -> None:
    with pytest.raises(BadInput, match="role"):
        users.create(SYSTEM, username="x", password=PASSWORD, role="root")


def test_the_first_admin_needs_the_code(db: None) -> None:
    with pytest.raises(NotAllowed, match="code"):
        users.create_first_admin(code="0000-0000-0000", username="ada", password=PASSWORD)
    created = users.create_first_admin(code=users.setup_code(), username="ada", password=PASSWORD)
    assert "rules.edit" in capabilities_of(created)


def test_there_is_only_one_first_admin(cast: Cast) -> None:
    with pytest.raises(NotAllowed, match="set up already"):
        users.create_first_admin(code=users.setup_code(), username="eve", password=PASSWORD)


def test_a_weak_password_is_refused(db: None) -> None:
    with pytest.raises(BadInput, match="password"):
        users.create_first_admin(code=users.setup_code(), username="ada", password="12345")
