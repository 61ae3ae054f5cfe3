"""Filters of the queue under names: one's own, and shared ones that only their owner changes."""

import pytest
from pytest_django import Settings

from orchestrator.actions import saved_views
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import BadInput, NotAllowed, NotFound
from orchestrator.models import AuditEntry, SavedView
from tests.conftest import SYSTEM, Cast


@pytest.fixture
def rita(cast: Cast) -> Actor:
    return Actor(cast.rita)


def test_it_saves_a_filter_under_a_name(rita: Actor) -> None:
    view = saved_views.save_view(rita, name="  Large   refunds ", query="action=refund.create")
    assert (view.name, view.query, view.is_shared) == (
        "Large refunds",
        "action=refund.create",
        False,
    )
    entry = AuditEntry.objects.get(verb="saved_view.saved")
    assert (entry.user, entry.detail["name"]) == (rita.user, "Large refunds")


def test_two_people_may_use_the_same_name_and_one_may_not(cast: Cast, rita: Actor) -> None:
    saved_views.save_view(rita, name="Mine", query="q=one")
    saved_views.save_view(Actor(cast.rolf), name="Mine", query="q=two")
    with pytest.raises(BadInput, match="you have a view named “Mine” already"):
        saved_views.save_view(rita, name="Mine", query="q=three")


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "a\x00b", "a\u202eb"])
def test_it_refuses_names_that_nobody_could_read(rita: Actor, name: str) -> None:
    with pytest.raises(BadInput, match="1 to 60"):
        saved_views.save_view(rita, name=name, query="")


@pytest.mark.parametrize("query", ["x" * 1_001, "q=\x00"])
def test_it_refuses_filters_that_cannot_be_kept(rita: Actor, query: str) -> None:
    with pytest.raises(BadInput, match="at most 1,000"):
        saved_views.save_view(rita, name="View", query=query)


def test_there_is_a_most(rita: Actor, settings: Settings) -> None:
    settings.SAVED_VIEWS_MAX = 2
    for name in ("one", "two"):
        saved_views.save_view(rita, name=name, query="")
    with pytest.raises(BadInput, match="2 views already"):
        saved_views.save_view(rita, name="three", query="")


def test_its_owner_renames_shares_and_deletes_it(rita: Actor) -> None:
    view = saved_views.save_view(rita, name="Old", query="q=old")
    saved_views.change_view(rita, view.pk, name="New", query="q=new", is_shared=True)
    view.refresh_from_db()
    assert (view.name, view.query, view.is_shared) == ("New", "q=new", True)
    saved_views.delete_view(rita, view.pk)
    assert not SavedView.objects.exists()
    verbs = set(AuditEntry.objects.values_list("verb", flat=True))
    assert {"saved_view.saved", "saved_view.changed", "saved_view.deleted"} <= verbs


def test_a_new_name_may_not_be_another_of_ones_own(rita: Actor) -> None:
    saved_views.save_view(rita, name="Taken", query="")
    view = saved_views.save_view(rita, name="Free", query="")
    with pytest.raises(BadInput, match="already"):
        saved_views.change_view(rita, view.pk, name="Taken", query="", is_shared=False)


def test_nobody_else_changes_a_shared_one(cast: Cast, rita: Actor) -> None:
    view = saved_views.save_view(rita, name="Shared", query="q=kept", is_shared=True)
    for other in (Actor(cast.rolf), Actor(cast.ada)):
        with pytest.raises(NotFound):
            saved_views.change_view(other, view.pk, name="Taken over", query="", is_shared=True)
        with pytest.raises(NotFound):
            saved_views.delete_view(other, view.pk)
    view.refresh_from_db()
    assert view.query == "q=kept"


def test_whoever_may_not_see_the_queue_saves_no_view_of_it(cast: Cast) -> None:
    for nobody in (Actor(cast.agents), SYSTEM):
        with pytest.raises(NotAllowed):
            saved_views.save_view(nobody, name="View", query="")
