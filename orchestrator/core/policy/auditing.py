"""Why blind items open and how they close, in the words that are stored.

confirmed          the auditor would have done what was done
overturned         the auditor would not have; a third person is asked
labelled           judged, and nothing to compare it with: nobody decided about it by then, or otherwise
for the first      the third person would have done what was done
for the auditor    the third person sides with the auditor: what was done was wrong
as known           of a gold item: as people settled it long before
not as known       of a gold item: otherwise
deadline           nobody judged it in time; it says nothing
"""

DRAWN = "drawn by chance to be judged blind"
# Left out of every share: what somebody picked says nothing about the rest.
PICKED = "picked to be judged blind"
SECOND = "decided openly, and drawn by chance to be judged blind as well"
KNOWN = "settled before, and judged again without saying so"
DISPUTED = "two verdicts about it disagree"

CONFIRMED = "confirmed"
OVERTURNED = "overturned"
LABELLED = "labelled"
FOR_THE_FIRST = "for the first"
FOR_THE_AUDITOR = "for the auditor"
AS_KNOWN = "as known"
NOT_AS_KNOWN = "not as known"
DEADLINE = "deadline"


def compare(*, was_let_run: bool | None, would_let_run: bool) -> str:
    """What an auditor makes of what was done, if anything was."""
    if was_let_run is None:
        return LABELLED
    return CONFIRMED if was_let_run == would_let_run else OVERTURNED


def compare_with_known(*, should_run: bool, would_let_run: bool) -> str:
    return AS_KNOWN if should_run == would_let_run else NOT_AS_KNOWN


def settle(*, auditor_would: bool, third_would: bool) -> str:
    """Whom the third person sides with, once the auditor has disagreed with what was done."""
    return FOR_THE_AUDITOR if auditor_would == third_would else FOR_THE_FIRST
