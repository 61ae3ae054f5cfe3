"""Rules to look at, and the steps of a version."""

from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.core.validators import slug_re
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from orchestrator import backtest_queries, rule_queries
from orchestrator.actions import changes, rules
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import BadInput, CountersignError
from orchestrator.models import Proposal, RuleVersion
from orchestrator.rule_queries import RuleFilter
from review.access import actor_of, may, requires
from review.reads import number_or_none
from review.rule_change import lines_between
from review.rule_forms import CompareForm, RuleListFilter, StageForm
from review.rule_page import (
    VERSIONS_MAX,
    comparison_of,
    lines_of,
    rule_facts,
    shadow_words,
    version_facts,
)
from review.rule_trial import Trial, try_rule
from review.statuses import status_of
from review.version_way import ASKED, ASKED_ALONE

OBJECTIONS_MAX = 100
WATCHING = "It is asked about every new proposal from now on, and decides nothing."
NOT_WATCHING = "It is no longer asked. What it said so far is kept."


@require_safe
@requires("rules.view")
def rule_list(request: HttpRequest) -> HttpResponse:
    form = RuleListFilter(request.GET)
    chosen = form.cleaned_data if form.is_valid() else {}
    size = settings.PAGE_SIZE
    after = request.GET.get("after", "")
    found = rule_queries.rule_lines(
        RuleFilter(**chosen), after=after if slug_re.match(after) else "", at_most=size + 1
    )
    facts = {
        "form": form,
        "lines": lines_of(found[:size]),
        "following": found[size - 1].rule.slug if found[size:] else "",
        "is_filtered": any(chosen.values()) or bool(after),
        "may_edit": may(request.user, "rules.edit"),
        "may_export": may(request.user, "evaluation_sets.export"),
        "sees_suggestions": may(request.user, "audit.view"),
    }
    return render(request, "review/rules.html", facts)


@require_safe
@requires("rules.view")
def rule(request: HttpRequest, slug: str) -> HttpResponse:
    return render(request, "review/rule.html", rule_facts(request, version_or_404(slug)))


@require_safe
@requires("rules.view")
def objections(request: HttpRequest, slug: str) -> HttpResponse:
    version = version_or_404(slug)
    checks = rule_queries.newest_objections(version.rule_id, at_most=OBJECTIONS_MAX)
    facts = {"version": version, "checks": checks, "at_most": OBJECTIONS_MAX}
    return render(request, "review/rule_objections.html", facts)


@require_safe
@requires("rules.view")
def rule_version(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """One version; with a proposal in the address, tried on it."""
    version = version_or_404(slug, number)
    trial = Trial()
    if may(request.user, "audit.view"):
        trial = try_rule(
            version.as_rule,
            chosen=request.GET.get("proposal", ""),
            typed=request.GET.get("proposal_id", ""),
        )
    return render(request, "review/rule_version.html", version_facts(request, version, trial))


@require_safe
@requires("rules.view")
def compare(request: HttpRequest, slug: str) -> HttpResponse:
    versions = {one.number: one for one in rule_queries.rule_versions(slug, at_most=VERSIONS_MAX)}
    form = CompareForm(request.GET, list(versions))
    if not form.is_valid():
        raise Http404
    old, new = (versions[int(form.cleaned_data[side])] for side in ("from", "to"))
    facts = {
        "old": old,
        "new": new,
        "form": form,
        "comparison": comparison_of(old, new),
        "lines": lines_between(old, new),
        "sides": [(one, rule_queries.activation_of(one)) for one in (old, new)],
    }
    return render(request, "review/rule_compare.html", facts)


@require_safe
@requires("audit.view")
def shadow(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Where a version that watches disagrees with the one that decides. Not for reviewers."""
    version = version_or_404(slug, number)
    active = rule_queries.active_version(slug)
    facts = {
        "version": version,
        "active": active if active and active.pk != version.pk else None,
        "shadow": shadow_words(version),
        "disagreements": backtest_queries.shadow_disagreements(
            version,
            before=number_or_none(request.GET.get("before", "")),
            at_most=settings.PAGE_SIZE,
        ),
    }
    return render(request, "review/rule_shadow.html", facts)


@require_POST
@requires("rules.edit")
def change_stage(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    version = version_or_404(slug, number)
    form = StageForm(request.POST)
    try:
        if not form.is_valid():
            name, problems = next(iter(form.errors.items()))
            raise BadInput(str(name), str(problems[0]))
        done = _STEPS[form.cleaned_data["step"]](
            actor_of(request), version, form.cleaned_data["note"]
        )
    except CountersignError as error:
        return _refuse(request, version, form, error)
    messages.success(request, done)
    return redirect("rule_version", slug, number)


def _start_shadow(actor: Actor, version: RuleVersion, note: str) -> str:
    rules.start_shadow(actor, version)
    return WATCHING


def _stop_shadow(actor: Actor, version: RuleVersion, note: str) -> str:
    rules.stop_shadow(actor, version)
    return NOT_WATCHING


def _asked(ask: Callable[[Actor, RuleVersion, str], Proposal]) -> Callable[..., str]:
    def step(actor: Actor, version: RuleVersion, note: str) -> str:
        ask(actor, version, note)
        return ASKED if settings.RULES_FOUR_EYES else ASKED_ALONE

    return step


_STEPS: dict[str, Callable[[Actor, RuleVersion, str], str]] = {
    "shadow": _start_shadow,
    "stop_shadow": _stop_shadow,
    "activate": _asked(changes.propose_activation),
    "roll_back": _asked(changes.roll_back),
    "retire": _asked(changes.propose_retirement),
}


def _refuse(
    request: HttpRequest, version: RuleVersion, form: StageForm, error: CountersignError
) -> HttpResponse:
    facts = version_facts(request, version, Trial(), error=error, sent=form.data)
    return render(request, "review/rule_version.html", facts, status=status_of(error))


def version_or_404(slug: str, number: int | None = None) -> RuleVersion:
    found = rule_queries.rule_version(slug, number)
    if found is None:
        raise Http404
    return found
