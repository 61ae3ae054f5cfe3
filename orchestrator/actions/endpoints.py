"""Endpoints: where agents send what they are handed.

A new one is made directly, since no version in use can name it. Of one that exists, whatever could take
data to another place goes through the queue: a wider view, another address. The rest is changed at once.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.conf import settings
from django.core.validators import slug_re
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from orchestrator import secret_box
from orchestrator.actions import agents
from orchestrator.actions.actor import Actor, audit, require
from orchestrator.core.codec import Json, canonical, digest
from orchestrator.core.errors import BadInput, EndpointChanged, NotFound, StageWrong
from orchestrator.models import Endpoint
from orchestrator.outside import Refused, place_of

KEY_LENGTH_MAX = 2_000
PRICE_MAX = 10**15
# A variable of any other name may be a secret of Countersign itself, and would be sent to the address.
KEY_ENV = re.compile(r"[A-Z][A-Z0-9_]{0,80}_API_KEY")


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """Where an endpoint is and what it may see: what decides where data goes."""

    provider: str
    base_url: str
    region: str = ""
    is_local: bool = False
    data_classes: Sequence[str] = ()

    def to_json(self) -> dict[str, Json]:
        classes: list[Json] = []
        classes += sorted(self.data_classes)
        return {
            "provider": self.provider,
            "base_url": self.base_url,
            "region": self.region,
            "is_local": self.is_local,
            "data_classes": classes,
        }

    @classmethod
    def of(cls, endpoint: Endpoint) -> "Whereabouts":
        return cls(
            provider=endpoint.provider,
            base_url=endpoint.base_url,
            region=endpoint.region,
            is_local=endpoint.is_local,
            data_classes=tuple(endpoint.data_classes),
        )

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Whereabouts":
        return cls(**{**data, "data_classes": tuple(data["data_classes"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What calls cost and how they are let in. A key and a sign-in that are not given stay as they are."""

    auth: str = ""
    api_key_env: str = ""
    api_key: str | None = None
    price_input: int | None = None
    price_output: int | None = None


@transaction.atomic
def make(actor: Actor, slug: str, where: Whereabouts, terms: Terms = Terms()) -> Endpoint:
    require(actor, "agents.edit", "make endpoints")
    if not slug_re.fullmatch(slug) or len(slug) > 100:
        raise BadInput("slug", "use 1 to 100 letters, digits, hyphens and underscores only.")
    if Endpoint.objects.filter(slug=slug).exists():
        raise BadInput("slug", f"there is an endpoint {slug} already.")
    if Endpoint.objects.count() >= settings.ENDPOINTS_MAX:
        raise BadInput("slug", "ENDPOINTS_MAX endpoints exist already.")
    check(where)
    endpoint = Endpoint.objects.create(
        slug=slug,
        created_by=actor.user,
        **where.to_json(),
        **_columns(terms, None, where.provider),
    )
    audit(actor, "endpoint.made", log_name(slug), **where.to_json())
    return endpoint


@transaction.atomic
def change_terms(actor: Actor, slug: str, terms: Terms, *, base: int | None = None) -> Endpoint:
    """Its price, its key and how it signs in. They send nothing anywhere that it did not go before."""
    require(actor, "agents.edit", "change endpoints")
    endpoint = _hold_known(slug, base)
    columns = _columns(terms, endpoint, endpoint.provider)
    changed = {name: value for name, value in columns.items() if getattr(endpoint, name) != value}
    if changed:
        _store(endpoint, columns)
        # Which fields, and of keys no more than that.
        shown = {
            name: value for name, value in changed.items() if not name.startswith("api_key_sealed")
        }
        audit(actor, "endpoint.terms_changed", log_name(slug), fields=list(changed), **shown)
    return endpoint_of(slug)


@transaction.atomic
def narrow(
    actor: Actor, slug: str, data_classes: Sequence[str], *, base: int | None = None
) -> Endpoint:
    """Let it see less, from the next call on."""
    require(actor, "agents.edit", "change endpoints")
    endpoint = _hold_known(slug, base)
    agents.check_classes(data_classes)
    if widened := sorted(set(data_classes) - set(endpoint.data_classes)):
        raise BadInput(
            "data_classes", f"it may not see {', '.join(widened)} yet; another admin has to agree."
        )
    if set(data_classes) != set(endpoint.data_classes):
        _store(endpoint, {"data_classes": sorted(data_classes)})
        lost = sorted(set(endpoint.data_classes) - set(data_classes))
        taken: list[Json] = list(lost)
        audit(actor, "endpoint.narrowed", log_name(slug), taken=taken)
    return endpoint_of(slug)


class Saved(NamedTuple):
    endpoint: Endpoint
    # What remains to be asked for, since another admin has to agree.
    needs_agreement: bool


@transaction.atomic
def change(
    actor: Actor, slug: str, where: Whereabouts, terms: Terms, *, base: int | None = None
) -> Saved:
    """All that may be changed directly; whether the rest has to be asked for is in the answer."""
    endpoint = change_terms(actor, slug, terms, base=base)
    check(where)
    if needs_agreement(endpoint, where):
        return Saved(endpoint, needs_agreement=True)
    return Saved(narrow(actor, slug, where.data_classes), needs_agreement=False)


@transaction.atomic
def retire(actor: Actor, slug: str) -> Endpoint:
    """Nothing is sent to it any more, whatever version names it. There is no way back but a new one."""
    require(actor, "agents.edit", "retire endpoints")
    endpoint = hold(slug)
    if endpoint.retired_at is None:
        Endpoint.objects.filter(pk=endpoint.pk).update(
            retired_at=Now(), api_key_sealed="", api_key_env="", revision=F("revision") + 1
        )
        audit(actor, "endpoint.retired", log_name(slug))
    return endpoint_of(slug)


def relocate(actor: Actor, endpoint: Endpoint, where: Whereabouts) -> None:
    """People get here through `actions/changes` alone, which has somebody else agree first."""
    check(where)
    _store(endpoint, where.to_json())
    audit(actor, "endpoint.relocated", log_name(endpoint.slug), **where.to_json())


def needs_agreement(endpoint: Endpoint, where: Whereabouts) -> bool:
    """Whether data could come to a place where it did not before."""
    before = Whereabouts.of(endpoint).to_json()
    after = where.to_json()
    classes, wanted = set(endpoint.data_classes), set(where.data_classes)
    moved = any(before[name] != after[name] for name in before if name != "data_classes")
    return moved or bool(wanted - classes)


def digest_of(endpoint: Endpoint, where: Whereabouts) -> str:
    """Over what stands there and what is to stand there."""
    now = Whereabouts.of(endpoint).to_json()
    said: dict[str, Json] = {"from": now, "to": where.to_json(), "revision": endpoint.revision}
    return digest(canonical({"endpoint": endpoint.slug, **said}))


def endpoint_of(slug: str) -> Endpoint:
    found = Endpoint.objects.filter(slug=slug).first()
    if found is None:
        raise NotFound("endpoint", slug[:100])
    return found


def hold(slug: str) -> Endpoint:
    found = Endpoint.objects.select_for_update(no_key=True).filter(slug=slug).first()
    if found is None:
        raise NotFound("endpoint", slug[:100])
    return found


def log_name(slug: str) -> str:
    return f"endpoint/{slug}"


def check(where: Whereabouts) -> None:
    """Raises BadInput. Whether somebody answers there is found out by the first call."""
    if where.provider not in Endpoint.Provider.values:
        raise BadInput("provider", f"choose among {', '.join(Endpoint.Provider.values)}.")
    if len(where.region) > 100 or "\x00" in where.region:
        raise BadInput("region", "at most 100 characters.")
    agents.check_classes(where.data_classes)
    try:
        place = place_of(where.base_url, settings.ENDPOINT_HOSTS_TRUSTED)
    except Refused as error:
        raise BadInput(
            "base_url", f"{error} Hosts in ENDPOINT_HOSTS_TRUSTED may be asked by http."
        ) from error
    if where.is_local and not place.is_trusted:
        raise BadInput(
            "is_local", f"name {place.host} in ENDPOINT_HOSTS_TRUSTED, or do not call it local."
        )


def _hold_known(slug: str, base: int | None) -> Endpoint:
    endpoint = hold(slug)
    if base is not None and base != endpoint.revision:
        raise EndpointChanged(slug=slug, seen=base, current=endpoint.revision)
    if endpoint.retired_at is not None:
        raise StageWrong(slug, "retired", "change it", "Make another one.")
    return endpoint


def _store(endpoint: Endpoint, columns: dict[str, Any]) -> None:
    Endpoint.objects.filter(pk=endpoint.pk).update(**columns, revision=F("revision") + 1)


def _columns(terms: Terms, before: Endpoint | None, provider: str) -> dict[str, Any]:
    prices = (terms.price_input, terms.price_output)
    if (prices[0] is None) != (prices[1] is None):
        raise BadInput("price", "give both prices, or none: half a price is an unknown one.")
    if any(price is not None and not 0 <= price <= PRICE_MAX for price in prices):
        raise BadInput("price", "give whole numbers of millionths for a million tokens, from 0 on.")
    key = _key(terms, before.api_key_sealed if before else "")
    return {
        "auth": _auth(terms, before, provider, key),
        "price_input": prices[0],
        "price_output": prices[1],
        **key,
    }


def _auth(terms: Terms, before: Endpoint | None, provider: str, key: dict[str, str]) -> str:
    """Nobody has a key sent out that was only ever signed with, unless they know it."""
    known = before.auth if before else Endpoint.Auth.BEARER
    auth = terms.auth or known
    if auth not in Endpoint.Auth.values:
        raise BadInput("auth", f"choose among {', '.join(Endpoint.Auth.values)}.")
    if auth == Endpoint.Auth.HMAC:
        if provider != Endpoint.Provider.HTTP:
            raise BadInput("auth", "only a service of your own can check signatures.")
        if not any(key.values()):
            raise BadInput("auth", "give it a key to sign with.")
    is_sent_now = auth == Endpoint.Auth.BEARER != known
    if is_sent_now and key["api_key_sealed"] and not terms.api_key:
        raise BadInput(
            "api_key", "give the key again: until now it was not sent, and now it would be."
        )
    return auth


def _key(terms: Terms, sealed: str) -> dict[str, str]:
    """A variable's name in place of a key forgets the key; an empty key does, too."""
    if terms.api_key_env:
        if terms.api_key:
            raise BadInput("api_key", "give a key or the name of a variable, not both.")
        if not KEY_ENV.fullmatch(terms.api_key_env):
            raise BadInput("api_key_env", "the name has to end in _API_KEY, such as LOCAL_API_KEY.")
        return {"api_key_env": terms.api_key_env, "api_key_sealed": ""}
    if terms.api_key is None:
        return {"api_key_env": "", "api_key_sealed": sealed}
    if len(terms.api_key) > KEY_LENGTH_MAX or not terms.api_key.isprintable():
        raise BadInput("api_key", f"a key has at most {KEY_LENGTH_MAX:,} plain characters.")
    stored = secret_box.seal(terms.api_key) if terms.api_key else ""
    return {"api_key_env": "", "api_key_sealed": stored}
