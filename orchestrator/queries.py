"""Reads that span models, for pages and API alike."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from django.contrib.auth.models import User
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, JSONField, OuterRef, Q, QuerySet, TextField
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from orchestrator import journal
from orchestrator.core import events as ev
from orchestrator.core.codec import Json, read
from orchestrator.core.definitions import DIRECT
from orchestrator.core.handing import fill_in, places
from orchestrator.core.state import MeshState, RunState
from orchestrator.models import (
    ApiToken,
    Disposition,
    Effect,
    Evaluation,
    Event,
    PolicyCheck,
    Proposal,
    ReviewItem,
    Run,
    WorkflowVersion,
)

HUMAN_STATUSES = frozenset({Proposal.Status.IN_REVIEW, Proposal.Status.UNKNOWN})


class Asked(NamedTuple):
    """A validator, and whether it was heard. What it said is nobody's business before all were."""

    name: str
    is_heard: bool


@dataclass(frozen=True)
class ProposalReport:
    """One proposal with everything that was made of it, in at most six queries however much that is."""

    proposal: Proposal
    item: ReviewItem | None
    effect: Effect | None
    # The proposal that stands in its place.
    revised_by: str | None = field(default=None, kw_only=True)

    @property
    def requires_human(self) -> bool:
        return self.proposal.status in HUMAN_STATUSES

    @cached_property
    def disposition(self) -> Disposition | None:
        """The newest."""
        made = Disposition.objects.filter(proposal=self.proposal).select_related("policy")
        return made.order_by("-pk").first()

    @cached_property
    def checks(self) -> QuerySet[PolicyCheck]:
        """Of the same snapshot, and not those of shadows, from which nothing follows."""
        made = PolicyCheck.objects.filter(snapshot=self._snapshot, enforced=True)
        return made.select_related("rule_version__rule").order_by("pk")

    @cached_property
    def evaluations(self) -> QuerySet[Evaluation]:
        """Not what people judged blindly: agents must not learn what is audited, nor auditors what was said."""
        made = Evaluation.objects.filter(snapshot=self._snapshot)
        return made.exclude(evaluator=Evaluation.Evaluator.PERSON).order_by("pk")

    @cached_property
    def validators(self) -> list["Asked"]:
        """Those that are asked before it is disposed of, in the order of their policy."""
        if self.proposal.status != Proposal.Status.EVALUATING:
            return []
        # As it is now: whoever has just submitted it holds the run as it was before.
        run = Run.objects.only("state").get(pk=self.proposal.run_id)
        known = run.canonical_state.proposals[self.proposal.pk].validations
        return [Asked(name, bool(seq)) for name, seq in known.items()]

    @property
    def _snapshot(self) -> int | None:
        return self.disposition.snapshot_id if self.disposition else None


def report_of(proposal: Proposal) -> ProposalReport:
    items = ReviewItem.objects.filter(proposal=proposal).exclude(kind__in=ReviewItem.BLIND)
    return ProposalReport(
        proposal=proposal,
        item=items.order_by("-pk").first(),
        effect=Effect.objects.filter(proposal=proposal).first(),
        revised_by=_revised_by(proposal),
    )


def _revised_by(proposal: Proposal) -> str | None:
    if proposal.status != Proposal.Status.SUPERSEDED:
        return None
    return Proposal.objects.filter(revises=proposal).values_list("pk", flat=True).first()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs to list; what is empty does not filter."""

    status: str = ""
    workflow: str = ""
    started_by: int | None = None
    token: int | None = None


def run_ids(wanted: RunFilter, *, before: str = "", after: str = "", at_most: int) -> list[str]:
    """The ids next to a place in the list, newest first, or oldest first after a place.

    Asked of each version of the workflow, or of the one person or token, and there of each status:
    every question is a few rows from the end of an index, so that a page costs the same whether the
    filter fits nearly all or nearly none of a million runs.
    """
    order = "pk" if after else "-pk"
    fitting = Run.objects.all()
    if before or after:
        fitting = fitting.filter(pk__gt=after) if after else fitting.filter(pk__lt=before)
    statuses = [wanted.status] if wanted.status else Run.Status.values
    owners, link = _owners_of_runs(wanted)
    if owners is None:
        chosen = fitting.filter(status=wanted.status) if wanted.status else fitting
        return list(chosen.order_by(order).values_list("pk", flat=True)[:at_most])
    for name in {"started_by", "token"} - {link}:
        if getattr(wanted, name) is not None:
            fitting = fitting.filter(**{name: getattr(wanted, name)})
    found = owners.values_list(
        *(
            ArraySubquery(
                fitting.filter(**{link: OuterRef("pk")}, status=status)
                .order_by(order)
                # An array of the domain `typeid` would come back as one text.
                .values_list(Cast("pk", TextField()))[:at_most]
            )
            for status in statuses
        )
    )
    ids = {pk for row in found for keys in row for pk in keys}
    return sorted(ids, reverse=not after)[:at_most]


def _owners_of_runs(wanted: RunFilter) -> tuple[QuerySet[Any] | None, str]:
    """The rows that each lead to a part of the list, through which foreign key."""
    if wanted.workflow:
        versions = WorkflowVersion.objects.filter(workflow__slug=wanted.workflow)
        return versions, "workflow_version"
    if wanted.token is not None:
        return ApiToken.objects.filter(pk=wanted.token), "token"
    if wanted.started_by is not None:
        return User.objects.filter(pk=wanted.started_by), "started_by"
    return None, ""


def chain_breaks_at(run: Run) -> int | None:
    """The first event at which the chain of hashes does not hold, or None."""
    return journal.first_broken(run)


def output_of_run(run: Run, state: RunState) -> Json:
    """What the last of its works that said anything said; of a fan-out, what each part said.

    A pattern whose run comes to more than that says so in the state.
    """
    if state.answer is not None:
        seqs = sorted(set(places(state.answer)))
        brought = dict(zip(seqs, said(run, [*seqs]), strict=True))
        return fill_in(state.answer, brought.__getitem__, content_of(run.workflow_version))
    if state.mesh.round:
        return _output_of_mesh(run, state.mesh)
    works = [work for work in state.works.values() if work.output]
    last = max(works, key=lambda work: work.visit, default=None)
    if last is None:
        return None
    if not isinstance(last.output, list):
        return said(run, [last.output])[0]
    return said(run, last.output)


def _output_of_mesh(run: Run, mesh: MeshState) -> Json:
    """The result if one was posted, how it ended, and what each of the peers said last."""
    answers = dict(zip(mesh.said, said(run, list(mesh.said.values())), strict=True))
    whole: dict[str, Json] = {"ended": mesh.ended, "peers": answers, "notes": list(mesh.notes)}
    return {**whole, "rounds": mesh.round, "result": _posted(run, mesh)}


def _posted(run: Run, mesh: MeshState) -> Json:
    if not mesh.result:
        return None
    seq, place = mesh.result
    facts: Any = read(Event.objects.get(run=run, seq=seq).payload)
    found: Json = facts["remembered"][place]["value"]
    return found


def said(run: Run, seqs: list[Json]) -> list[Json]:
    """In the order asked for; a part that was left out says nothing."""
    events = Event.objects.filter(run=run, seq__in=[seq for seq in seqs if seq])
    found = {event.seq: _value_of(event) for event in events}
    return [found.get(seq) if isinstance(seq, int) else None for seq in seqs]


def _value_of(event: Event) -> Json:
    facts = read(event.payload)
    return ev.value_of(ev.from_json(event.kind, facts if isinstance(facts, dict) else {}))


def unpriced_works(run: Run, state: RunState) -> frozenset[str]:
    """Those of which something was spent that nobody knows the price of; the log is asked where there is any."""
    if not state.spent.unpriced:
        return frozenset()
    events = Event.objects.filter(run=run).annotate(body=Cast("payload", JSONField()))
    told = events.filter(body__unpriced=True).annotate(work=KT("body__work"))
    return frozenset(told.values_list("work", flat=True))


# Workflows --------------------------------------------------------------------------------------

RUNS_COUNTED_MAX = 10_000


def content_of(version: WorkflowVersion) -> dict[str, Any]:
    found = read(version.definition)
    return found if isinstance(found, dict) else {}


def workflow_lines(*, after: str = "", at_most: int) -> list[WorkflowVersion]:
    """Of each workflow, by name, the version that counts: the newest plan, if it has one."""
    rows = _versions_by_weight().filter(workflow__slug__gt=after)
    return list(rows.distinct("workflow__slug")[:at_most])


def workflow_version(slug: str, number: int | None = None) -> WorkflowVersion | None:
    """One version, or the one that counts."""
    rows = _versions_by_weight().filter(workflow__slug=slug)
    return (rows if number is None else rows.filter(number=number)).first()


def workflow_versions(slug: str, *, at_most: int) -> list[WorkflowVersion]:
    """Newest first."""
    rows = _versions_by_weight().filter(workflow__slug=slug)
    return list(rows.order_by("-number")[:at_most])


def run_counts(slug: str) -> dict[str, int]:
    """How many runs there are in each status; counting stops one above RUNS_COUNTED_MAX."""
    runs = Run.objects.filter(workflow_version__workflow__slug=slug)
    counted = {
        str(status): runs.filter(status=status)[: RUNS_COUNTED_MAX + 1].count()
        for status in Run.Status
    }
    return {status: count for status, count in counted.items() if count}


def _versions_by_weight() -> QuerySet[WorkflowVersion]:
    rows = WorkflowVersion.objects.select_related("workflow", "created_by")
    is_plan = ~Q(definition=DIRECT)
    return rows.alias(is_plan=is_plan).order_by("workflow__slug", F("is_plan").desc(), "-number")
