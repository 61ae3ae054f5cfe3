"""Messages between runs: what one publishes reaches every run that waits for its topic just then."""

from django.conf import settings
from django.db import transaction

from orchestrator.actions.runs import classes_of, handed_on
from orchestrator.core import events as ev
from orchestrator.core.codec import canonical
from orchestrator.core.errors import BadInput, QueueFull
from orchestrator.engine import tainting
from orchestrator.engine.advance import Step, advance, complete
from orchestrator.engine.claim import Claimed
from orchestrator.models import Run, Subscription


def publish(claimed: Claimed) -> None:
    """All who wait are told in the transaction that says so, or nobody is.

    One that stopped waiting a moment ago is left alone, and is not counted among those it reached. Where
    more wait than one message may reach, it reaches none: who hears it must not be chance.
    """
    publisher = Run.objects.select_related("workflow_version").get(pk=claimed.run)
    topic, data = claimed.payload["topic"], handed_on(claimed, publisher)
    if len(canonical(data).encode()) > settings.SHORT_OUTPUT_BYTES_MAX:
        most = f"{settings.SHORT_OUTPUT_BYTES_MAX:,}"
        raise BadInput("data", f"a message may bring at most {most} bytes.")
    state = publisher.canonical_state
    taint = tainting.of_message(tainting.of_run(publisher.pk, state), topic, data).to_json()
    about = taint | {"classes": classes_of(publisher, state)}
    with transaction.atomic():
        waiting = _waiting(topic)
        _hold([publisher.pk, *waiting])
        told = [
            Step(run, ev.MessageReceived(topic=topic, run=publisher.pk, data=data, **about))
            for run in waiting
        ]
        deaf = advance(each=told).refused_steps
        sent = ev.Published(
            work=claimed.payload["work"],
            topic=topic,
            reached=len(told) - len(deaf),
            visit=claimed.payload["visit"],
        )
        complete(claimed, sent)


def _hold(wanted: list[str]) -> None:
    """All at once, in the order of their ids, as everybody locks runs."""
    list(Run.objects.filter(pk__in=wanted).order_by("pk").select_for_update().values_list("pk"))


def _waiting(topic: str) -> list[str]:
    most = settings.PUBLISH_REACH_MAX
    rows = Subscription.objects.filter(topic=topic).order_by("run")
    runs = list(rows.values_list("run", flat=True)[: most + 1])
    if len(runs) > most:
        raise QueueFull(f"runs that wait for {topic}", most)
    return runs
