"""What the pages of shared memory show to one reader: nothing of a run that they judge blind."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from orchestrator import audit_queries, memory_queries
from orchestrator.memory_queries import Aftermath, Followed, MemoryFilter
from orchestrator.models import Observation, ObservationRead
from review.access import may
from review.memory_forms import MemoryListFilter
from review.paging import newest_first
from review.reads import id_or_nothing
from review.run_reads import RunCase

LOOKS = {"live": ("ok", "circle-check"), "expired": ("quiet", "clock"), "revoked": ("bad", "ban")}


@dataclass(frozen=True, slots=True)
class Line:
    """An observation in a list."""

    one: Observation
    label: str
    tone: str
    icon: str


def line_of(one: Observation) -> Line:
    status = one.status  # type: ignore[attr-defined]  # annotated by memory_queries
    return Line(one, Observation.Status(status).label, *LOOKS[status])


def list_page(request: HttpRequest) -> dict[str, Any]:
    form = MemoryListFilter(request.GET, spaces=memory_queries.shared_spaces())
    chosen = form.cleaned_data if form.is_valid() else {}
    hidden = audit_queries.veiled_runs(request.user)
    wanted = MemoryFilter(**{name: chosen.get(name, "") for name in form.fields})
    rows = newest_first(
        memory_queries.browse(wanted, hidden=hidden),
        before=id_or_nothing(request.GET.get("before", "")),
        after=id_or_nothing(request.GET.get("after", "")),
    )
    return {
        "section": "memory",
        "form": form,
        "rows": rows,
        "lines": [line_of(one) for one in rows.rows],
        "is_filtered": any(chosen.values()),
        "is_short": bool(hidden),
    }


def observation_page(request: HttpRequest, one: Observation) -> dict[str, Any]:
    hidden = audit_queries.veiled_runs(request.user)
    found = memory_queries.aftermath(one).without(hidden)
    return {
        "section": "memory",
        "one": one,
        "line": line_of(one),
        "covering": memory_queries.covering(one),
        "aftermath": found,
        "steps": steps_of(one, found),
        "may_revoke": may(request.user, "memory.revoke"),
        "is_standing": one.revoked_at is None
        or any(step.observation.revoked_at is None for step in found.followed),
    }


def run_memory(case: RunCase, reader: Any) -> dict[str, Any]:
    """What a run wrote and read; most runs did neither."""
    if not case.has_memory:
        return {}
    hidden = audit_queries.veiled_runs(reader)
    written = memory_queries.written_by(case.run.pk)
    read = memory_queries.read_by(case.run.pk)
    return {
        "written": written,
        "read": [one for one in read if one.observation.run_id not in hidden],
        "is_cut": max(len(written), len(read)) >= memory_queries.LISTED_MAX,
    }


@dataclass(frozen=True, slots=True)
class Step:
    """One observation of the tree with the calls that read it, and what they and their runs wrote."""

    pk: str
    key: str
    reads: Sequence[ObservationRead]
    wrote: Sequence[tuple[Followed, Line]]


def steps_of(one: Observation, found: Aftermath) -> list[Step]:
    """Level by level. What nobody read has no step."""
    names = {one.pk: one.key} | {
        each.observation.pk: each.observation.key for each in found.followed
    }
    steps = [
        Step(
            pk,
            key,
            [read for read in found.reads if read.observation_id == pk],
            [(each, line_of(each.observation)) for each in found.followed if each.after == pk],
        )
        for pk, key in names.items()
    ]
    return [step for step in steps if step.reads]
