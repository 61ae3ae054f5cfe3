"""One sentence for what a proposal would do: our words, with the agent's values as inert pieces.

An action that is not listed, or whose values are not what the sentence needs, gets the plain one.
"""

import re
from collections.abc import Iterator

from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from orchestrator.models import Proposal
from review.presentation.money import money
from review.presentation.values import reveal_plainly, said

PIECE_LENGTH_MAX = 90

SENTENCES = {
    "access.grant": "Give {target} the role {args.role} in {args.system}",
    "account.close": "Close {target}",
    "countersign.rule.activate": "Put version {args.version} of the rule {args.rule} into force",
    "countersign.rule.retire": "Retire the rule {args.rule}",
    "credit.grant": "Grant {money} of credit to {target}",
    "crm.update": "Update {target} in the CRM",
    "email.send": "Send “{args.subject}” to {args.to}",
    "invoice.pay": "Pay {money} to {args.payee} for {target}",
    "order.cancel": "Cancel {target}",
    "refund.create": "Refund {money} for {target}",
    "subscription.cancel": "Cancel {target}",
    "ticket.close": "Close {target}",
}
PLAIN = "Run {action} on {target}"
PLAINEST = "Run {action}"
_PLACE = re.compile(r"\{([a-z_.]+)\}")


def sentence(proposal: Proposal) -> SafeString:
    return format_html_join(
        "", "{}", ((said(text) if is_said else text,) for text, is_said in _pieces(proposal))
    )


def plain_sentence(proposal: Proposal) -> str:
    """For the title of the window, where there is no markup."""
    return reveal_plainly("".join(text for text, _ in _pieces(proposal)))


def _pieces(proposal: Proposal) -> Iterator[tuple[str, bool]]:
    """The text in order; True marks what somebody else wrote."""
    places = _PLACE.split(_template_for(proposal))
    for index, part in enumerate(places):
        is_place = index % 2 == 1
        yield (_fill(proposal, part), part != "money") if is_place else (part, False)


def _template_for(proposal: Proposal) -> str:
    wanted = SENTENCES.get(proposal.action, PLAIN)
    for template in (wanted, PLAIN):
        if all(_fill(proposal, place) for place in _PLACE.findall(template)):
            return template
    return PLAINEST


def _fill(proposal: Proposal, place: str) -> str:
    if place == "money":
        return money(proposal.args.get("amount_minor"), proposal.args.get("currency"))
    if place == "action":
        return proposal.action
    found = proposal.target if place == "target" else proposal.args.get(place.removeprefix("args."))
    return _short(found)


def _short(found: object) -> str:
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return ""
    text = " ".join(str(found).split())
    return text if len(text) <= PIECE_LENGTH_MAX else text[: PIECE_LENGTH_MAX - 1] + "…"
