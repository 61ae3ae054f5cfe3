"""What the pages of teams show: who is in them, what is theirs, and how much waits."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django import forms
from django.conf import settings

from orchestrator import team_queries
from orchestrator.models import Assignment, Team
from orchestrator.team_queries import DECIDED_WINDOW, READ_MAX, Load
from review.presentation.bars import Bar, bar
from review.team_forms import AddForm, AssignForm, EscalationForm, NameForm, RetireForm

NAMED_MAX = 3
NOBODY = Load()


class Line(NamedTuple):
    """One team in the list; no team stands for whoever may decide."""

    team: Team | None
    members: Sequence[str]
    subjects: Sequence[Assignment]
    load: Load
    waiting: Bar

    @property
    def more_subjects(self) -> int:
        return max(0, len(self.subjects) - NAMED_MAX)

    @property
    def is_stuck(self) -> bool:
        """Something rests on it, and nobody in it may decide."""
        return bool(self.team and not self.members and (self.subjects or self.load.waiting))


# The list -------------------------------------------------------------------------------------


def teams_page(now: datetime) -> dict[str, Any]:
    teams = team_queries.teams()
    load = team_queries.load(teams, now)
    most = max((one.waiting for one in load.values()), default=0)
    members, subjects = team_queries.able_by_team(), team_queries.assignments_by_team()
    lines = [
        Line(
            team,
            members.get(team.pk, ()),
            subjects.get(team.pk, ()),
            load[team.pk],
            bar(load[team.pk].waiting, most),
        )
        for team in teams
    ]
    return {
        "lines": lines,
        "unowned": Line(None, (), (), load[None], bar(load[None].waiting, most)),
        "counted_max": settings.QUEUE_COUNT_MAX,
        "read_max": READ_MAX,
        "days": DECIDED_WINDOW.days,
    }


# One team -------------------------------------------------------------------------------------


def team_page(team: Team, now: datetime, sent: Mapping[str, forms.Form]) -> dict[str, Any]:
    """`sent` are forms that were refused, by their step: they stand where they stood."""
    able = [person.get_username() for person in team_queries.able_members(team)]
    subjects = team_queries.assignments_of(team)
    load = team_queries.load([team], now)[team.pk]
    return {
        "team": team,
        "line": Line(team, able, subjects, load, bar(load.waiting, load.waiting)),
        "members": [
            (name, name in able)
            for name in team.members.order_by("username").values_list("username", flat=True)
        ],
        "subjects": subjects,
        "load": load,
        "lower": team_queries.escalating_to(team),
        "forms": _forms_of(team) | dict(sent),
        "refused": next(iter(sent.values()), None),
        "names": team_queries.names_to_assign(),
        "counted_max": settings.QUEUE_COUNT_MAX,
        "days": DECIDED_WINDOW.days,
    }


def offer(step: str, form: forms.Form, team: Team) -> forms.Form:
    """What there is to choose from, for forms that offer something."""
    if isinstance(form, AddForm):
        others = team_queries.deciders().exclude(teams=team)
        form.offer(list(others.values_list("username", flat=True)))
    if isinstance(form, EscalationForm):
        form.offer([other for other in team_queries.able_teams() if other != team])
    return form


def _forms_of(team: Team) -> dict[str, forms.Form]:
    found: dict[str, forms.Form] = {
        "add": AddForm(auto_id="add-%s"),
        "assign": AssignForm(auto_id="assign-%s"),
        "escalate": EscalationForm(auto_id="escalate-%s", initial=_escalation_of(team)),
        "rename": NameForm(auto_id="rename-%s", initial={"name": team.name}),
        "retire": RetireForm(),
    }
    return {step: offer(step, form, team) for step, form in found.items()}


def _escalation_of(team: Team) -> dict[str, str]:
    return {"escalates_to": team.escalates_to.slug if team.escalates_to else ""}
