from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from orchestrator.actions import tokens
from orchestrator.core.errors import BadInput
from orchestrator.models import ApiToken
from tests.conftest import SYSTEM, Cast

Issue = Callable[..., str]


def test_a_token_is_found_by_its_text_and_kept_only_as_a_hash(token: Issue) -> None:
    text = token("propose")
    found = tokens.find(text)
    assert found is not None
    secret = text.split("_")[2]
    assert secret not in str(ApiToken.objects.values().get())
    assert ApiToken.objects.get().last_used_at is not None


@pytest.mark.parametrize(
    "text",
    ["", "cs", "cs__", "cs_a_b", "cs_a_b_c", "xx_{prefix}_{secret}", "cs_{prefix}_{secret}x"],
)
def test_every_other_text_finds_nothing(token: Issue, text: str) -> None:
    _, prefix, secret = token("propose").split("_")
    assert tokens.find(text.format(prefix=prefix, secret=secret)) is None


def test_an_expired_revoked_or_ownerless_token_is_dead(cast: Cast, token: Issue) -> None:
    now = timezone.now()
    assert tokens.find(token("propose", expires_at=now - timedelta(seconds=1))) is None
    revoked = token("propose")
    ApiToken.objects.filter(prefix=revoked.split("_")[1]).update(revoked_at=now)
    assert tokens.find(revoked) is None
    alive = token("propose")
    cast.agents.is_active = False
    cast.agents.save()
    assert tokens.find(alive) is None


def test_scopes_are_known_words(cast: Cast) -> None:
    for scopes in ([], ["everything"]):
        with pytest.raises(BadInput, match="scopes"):
            tokens.issue(SYSTEM, owner=cast.ada, name="x", scopes=scopes)


def test_reading_does_not_write_each_time(token: Issue) -> None:
    text = token("propose")
    tokens.find(text)
    first = ApiToken.objects.get().last_used_at
    tokens.find(text)
    assert ApiToken.objects.get().last_used_at == first
