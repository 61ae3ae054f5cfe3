"""Saved views: a filter of the queue under a name, for oneself or for everybody."""

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from orchestrator.actions.actor import Actor, audit, require
from orchestrator.core.errors import BadInput, NotAllowed, NotFound
from orchestrator.models import SavedView

NAME_LENGTH_MAX = 60
QUERY_LENGTH_MAX = 1_000


def save_view(actor: Actor, *, name: str, query: str, is_shared: bool = False) -> SavedView:
    """`query` is the part of the address after the question mark. Shared views are for everybody to open."""
    owner = _owner(actor)
    name = _checked(name, query)
    with transaction.atomic():
        if owner.saved_views.count() >= settings.SAVED_VIEWS_MAX:
            raise BadInput(
                "name",
                f"you have {settings.SAVED_VIEWS_MAX} views already, which is the most. "
                "Delete one you do not need.",
            )
        view, is_new = SavedView.objects.get_or_create(
            owner=owner, name=name, defaults={"query": query, "is_shared": is_shared}
        )
        if not is_new:
            raise _taken(name)
        _record(actor, "saved_view.saved", view)
    return view


def change_view(actor: Actor, pk: int, *, name: str, query: str, is_shared: bool) -> SavedView:
    name = _checked(name, query)
    with transaction.atomic():
        view = _own(actor, pk)
        if view.owner.saved_views.filter(name=name).exclude(pk=pk).exists():
            raise _taken(name)
        view.name, view.query, view.is_shared = name, query, is_shared
        view.save(update_fields=["name", "query", "is_shared"])
        _record(actor, "saved_view.changed", view)
    return view


def delete_view(actor: Actor, pk: int) -> None:
    with transaction.atomic():
        view = _own(actor, pk)
        _record(actor, "saved_view.deleted", view)
        view.delete()


def _owner(actor: Actor) -> User:
    require(actor, "queue.view", "save views of the queue")
    if actor.user is None:
        raise NotAllowed(actor.name, "save views of the queue", "Only a person can.")
    return actor.user


def _own(actor: Actor, pk: int) -> SavedView:
    """Somebody else's is not found, shared or not: only who made it changes it."""
    views = SavedView.objects.select_for_update(of=("self",)).select_related("owner")
    found = views.filter(pk=pk, owner=_owner(actor)).first()
    if found is None:
        raise NotFound("view of yours", str(pk))
    return found


def _checked(name: str, query: str) -> str:
    name = " ".join(name.split())
    if not 0 < len(name) <= NAME_LENGTH_MAX or not name.isprintable():
        raise BadInput("name", f"give one of 1 to {NAME_LENGTH_MAX} letters.")
    if len(query) > QUERY_LENGTH_MAX or "\x00" in query:
        raise BadInput("query", f"a filter has at most {QUERY_LENGTH_MAX:,} letters.")
    return name


def _taken(name: str) -> BadInput:
    return BadInput("name", f"you have a view named “{name}” already. Choose another name.")


def _record(actor: Actor, verb: str, view: SavedView) -> None:
    audit(
        actor,
        verb,
        f"view/{view.pk}",
        name=view.name,
        query=view.query,
        shared=view.is_shared,
    )
