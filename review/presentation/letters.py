"""How events and dead letters look, and what to do about each reason."""

from orchestrator.models import InboundEvent
from review.presentation.chips import Look

Reason = InboundEvent.Reason

EVENTS = {
    "routed": Look("Routed", "ok", "circle-check", is_final=True),
    "dead": Look("Dead letter", "bad", "circle-alert"),
    "redriven": Look("Sent again", "quiet", "rotate-cw", is_final=True),
    "discarded": Look("Discarded", "quiet", "ban", is_final=True),
}
TRIALS = {
    "pass": Look("takes it", "ok", "circle-check"),
    "fail": Look("does not want it", "quiet", "circle-dashed"),
    "error": Look("cannot be evaluated", "bad", "triangle-alert"),
}
ADVICE = {
    Reason.UNKNOWN_TYPE: "Give this type a contract, then send it again; or discard it.",
    Reason.UNKNOWN_VERSION: "Add the version to its contract, or correct the number and send it again.",
    Reason.INVALID: "Correct the data and send it again, or tell whoever sends these.",
    Reason.LATE: "Nobody waits for it any more. If it still counts, send it again: then it is not too late.",
    Reason.OVER_CAP: "Too much was waiting when it came. Send it again when there is room.",
    Reason.NO_ROUTE: "Add a route that wants it, then send it again.",
    Reason.ROUTE_ERROR: "Correct the route: ask with has(…) for a field that may be missing. Then send it again.",
    Reason.HANDLER: "The workflow asks for something else. Change its intent or the route, or correct the data.",
}


def reason_label(reason: str) -> str:
    return str(dict(Reason.choices).get(reason, reason))
