"""One sentence for what a proposal would do: our words, with the agent's values as inert pieces.

The words are those of the action's contract, or ours for actions that are well known. Where a value is
missing, or is not what a sentence can hold, the plain sentence is said instead.
"""

from collections.abc import Mapping
from typing import NamedTuple

from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from orchestrator.contract_queries import review_of
from orchestrator.core.codec import Json
from orchestrator.core.policy.changed import Absent
from orchestrator.core.policy.display import Review, pointer_of, split_heading
from orchestrator.models import Proposal
from review.presentation.places import at
from review.presentation.show_money import amount_at, is_amount
from review.presentation.values import reveal_plainly, said

PIECE_LENGTH_MAX = 60
PIECE_LENGTH_MIN = 8
SENTENCE_LENGTH_MAX = 160

SENTENCES = {
    "access.grant": "Give {target} the role {role} in {system}",
    "account.close": "Close {target}",
    "countersign.agent.deploy": "Change what is in use of the agent {/agent}",
    "countersign.endpoint.move": "Change where the endpoint {endpoint} is or what it may see",
    "countersign.policy.activate": "Put evaluation policy {policy} into force",
    "countersign.policy.retire": "Retire evaluation policy {policy}",
    "countersign.rule.activate": "Put version {version} of the rule {rule} into force",
    "countersign.rule.retire": "Retire the rule {rule}",
    "credit.grant": "Grant {amount_minor} of credit to {target}",
    "crm.update": "Update {target} in the CRM",
    "email.send": "Send “{subject}” to {to}",
    "invoice.pay": "Pay {amount_minor} to {payee} for {target}",
    "order.cancel": "Cancel {target}",
    "refund.create": "Refund {amount_minor} for {target}",
    "subscription.cancel": "Cancel {target}",
    "ticket.close": "Close {target}",
}
PLAIN = "Run {action} on {target}"


class Piece(NamedTuple):
    text: str
    # Whether somebody else wrote it, which may be cut short.
    is_said: bool


def sentence(proposal: Proposal) -> SafeString:
    return format_html_join(
        "",
        "{}",
        ((said(piece.text) if piece.is_said else piece.text,) for piece in _pieces(proposal)),
    )


def plain_sentence(proposal: Proposal) -> str:
    """For the title of the window, where there is no markup."""
    return reveal_plainly("".join(piece.text for piece in _pieces(proposal)))


def _pieces(proposal: Proposal) -> list[Piece]:
    review = review_of(proposal.contract_version_id)
    args = proposal.args
    for heading in (review.heading, SENTENCES.get(proposal.action, ""), PLAIN):
        pieces = _filled(heading, proposal, args, review)
        if pieces:
            return pieces
    return _shortened([Piece("Run ", is_said=False), Piece(proposal.action, is_said=True)])


def _filled(
    heading: str, proposal: Proposal, args: Mapping[str, Json], review: Review
) -> list[Piece]:
    """Nothing when a value is missing, or there is no room for all that has to be said whole."""
    found = []
    for index, part in enumerate(split_heading(heading)):
        is_place = index % 2 == 1
        piece = _fill(part, proposal, args, review) if is_place else Piece(part, is_said=False)
        if is_place and not piece.text:
            return []
        found.append(piece)
    return _shortened([piece for piece in found if piece.text])


def _fill(place: str, proposal: Proposal, args: Mapping[str, Json], review: Review) -> Piece:
    if place in OWN:
        return Piece(" ".join(OWN[place](proposal).split()), is_said=True)
    pointer = pointer_of(place)
    if is_amount(pointer, review):
        return Piece(amount_at(pointer, args, review), is_said=False)
    return _typed(at(dict(args), pointer))


OWN = {
    "action": lambda proposal: proposal.action,
    "agent": lambda proposal: proposal.agent,
    "target": lambda proposal: proposal.target,
}


def _typed(value: Json | Absent) -> Piece:
    if isinstance(value, bool):
        return Piece("yes" if value else "no", is_said=False)
    if isinstance(value, int | float):
        return Piece(str(value), is_said=False)
    return Piece(" ".join(value.split()) if isinstance(value, str) else "", is_said=True)


def _shortened(pieces: list[Piece]) -> list[Piece]:
    """What others wrote shares the room that our own words and the amounts leave."""
    room = SENTENCE_LENGTH_MAX - sum(len(piece.text) for piece in pieces if not piece.is_said)
    lengths = [len(piece.text) for piece in pieces if piece.is_said]
    for most in range(PIECE_LENGTH_MAX, PIECE_LENGTH_MIN - 1, -1):
        if sum(min(length, most) for length in lengths) <= room:
            return [Piece(_short(one.text, most), True) if one.is_said else one for one in pieces]
    return []


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
