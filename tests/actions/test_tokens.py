from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from orchestrator.actions import tokens
from orchestrator.actions.actor import Actor
from orchestrator.actions.tokens import Wish
from orchestrator.core.errors import BadInput, NotAllowed, NotFound
from orchestrator.models import ApiToken, AuditEntry
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


def wish(**changes: object) -> Wish:
    given = {"name": "Refunds, host 3", "owner": "refunds", "scopes": ["propose"], "days": 30}
    return Wish(**(given | changes))  # type: ignore[arg-type]


def test_an_admin_makes_one_for_a_program_with_an_account_of_its_own(cast: Cast) -> None:
    made = tokens.make(Actor(cast.ada), wish(agents=["refund-agent"]))
    found = tokens.find(made.text)
    assert found == made.token
    assert found.owner.get_username() == "refunds"
    assert not found.owner.has_usable_password()
    assert not found.owner.groups.exists()
    assert found.may_speak_for("refund-agent")
    assert not found.may_speak_for("other")
    assert found.expires_at is not None
    assert timedelta(days=29) < found.expires_at - timezone.now() <= timedelta(days=30)
    again = tokens.make(Actor(cast.ada), wish(name="Refunds, host 4"))
    assert again.token.owner == found.owner
    entries = AuditEntry.objects.filter(verb="token.issued", user=cast.ada)
    assert set(entries.values_list("object_id", flat=True)) == {
        f"token/{one.token.prefix}" for one in (made, again)
    }


def test_it_acts_as_oneself_and_never_as_another_person(cast: Cast) -> None:
    own = tokens.make(Actor(cast.ada), wish(owner="ada", scopes=["admin"]))
    assert own.token.owner == cast.ada
    for person in ("rita", "max"):
        for scopes in (["review"], ["propose"]):
            with pytest.raises(BadInput, match="only they make tokens"):
                tokens.make(Actor(cast.ada), wish(owner=person, scopes=scopes))
    # Who has been taken every role, or never had a password, is still a person.
    cast.rita.groups.clear()
    cast.rita.set_unusable_password()
    cast.rita.last_login = timezone.now()
    cast.rita.save()
    with pytest.raises(BadInput, match="only they make tokens"):
        tokens.make(Actor(cast.ada), wish(owner="rita"))


@pytest.mark.parametrize("scope", ["review", "admin"])
def test_a_program_gets_no_scope_that_only_a_persons_roles_fill(cast: Cast, scope: str) -> None:
    with pytest.raises(BadInput, match="scopes"):
        tokens.make(Actor(cast.ada), wish(scopes=["propose", scope]))
    assert not User.objects.filter(username="refunds").exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"owner": ""}, "username"),
        ({"owner": "x" * 151}, "username"),
        ({"owner": "ADA"}, "username"),
        ({"scopes": []}, "scopes"),
        ({"agents": ["two words"]}, "agents"),
        ({"days": 0}, "days"),
        ({"days": 731}, "days"),
    ],
)
def test_what_makes_no_sense_is_refused_whole(
    cast: Cast, changes: dict[str, object], field: str
) -> None:
    with pytest.raises(BadInput) as refused:
        tokens.make(Actor(cast.ada), wish(**changes))
    assert refused.value.field == field
    assert not ApiToken.objects.exists()
    assert not User.objects.filter(username="refunds").exists()


def test_nobody_else_makes_or_revokes_them(cast: Cast, token: Issue) -> None:
    prefix = token("propose").split("_")[1]
    program = tokens.find(token("admin", owner=cast.ada))
    for actor in (Actor(cast.rita), Actor(cast.max), Actor(cast.ada, program)):
        with pytest.raises(NotAllowed):
            tokens.make(actor, wish())
        with pytest.raises(NotAllowed):
            tokens.revoke(actor, prefix)
    assert ApiToken.objects.filter(revoked_at=None).count() == 2


def test_a_revoked_one_opens_nothing_any_more(cast: Cast) -> None:
    made = tokens.make(Actor(cast.ada), wish())
    at = tokens.revoke(Actor(cast.ada), made.token.prefix).revoked_at
    assert tokens.find(made.text) is None
    assert tokens.revoke(Actor(cast.ada), made.token.prefix).revoked_at == at
    assert AuditEntry.objects.filter(verb="token.revoked").count() == 1
    with pytest.raises(NotFound):
        tokens.revoke(Actor(cast.ada), "nosuch")


def test_commands_make_list_and_revoke_them(cast: Cast) -> None:
    out, err = StringIO(), StringIO()
    line = ["make", "Nightly", "--owner", "nightly", "--scope", "runs", "--agent", "reader"]
    call_command("tokens", *line, stdout=out, stderr=err)
    text = out.getvalue().strip()
    found = tokens.find(text)
    assert found is not None
    assert text not in err.getvalue()
    out = StringIO()
    call_command("tokens", "list", stdout=out)
    assert f"cs_{found.prefix}_…\tNightly\tnightly\truns\treader\tgood" in out.getvalue()
    assert text not in out.getvalue()
    call_command("tokens", "revoke", found.prefix, stdout=StringIO())
    assert tokens.find(text) is None
    with pytest.raises(CommandError, match="token"):
        call_command("tokens", "revoke", "nosuch")
