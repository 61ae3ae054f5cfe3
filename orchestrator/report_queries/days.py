"""Between which days there can be anything of a kind: so a list of what came long ago need not be looked for."""

from datetime import date

from django.db.models import Max, Min

from orchestrator.models import ChangedDay, ProposalDay


def days_with(**segment: str) -> tuple[date, date] | None:
    """The first and the last day on which there may be proposals of such segments; None where none can be.

    Marks are read before the counters: what is not marked any more by then is counted already.
    """
    marked = ChangedDay.objects.aggregate(first=Min("day"), last=Max("day"))
    named = {f"segment__{name}": text for name, text in segment.items() if text}
    counted = ProposalDay.objects.filter(**named).aggregate(first=Min("day"), last=Max("day"))
    days = [day for day in (*marked.values(), *counted.values()) if day]
    return (min(days), max(days)) if days else None
