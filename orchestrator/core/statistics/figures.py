"""What the words of the reports mean, as counts: each rate is k of n with its interval."""

from dataclasses import dataclass

from orchestrator.core.statistics.intervals import Rate


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of proposals. Each is counted once."""

    # Accepted as proposed, by the policy and by people.
    automatic: int = 0
    by_people: int = 0
    # Accepted after a person changed something.
    after_edit: int = 0
    # Rejected, blocked, or ended without anybody's yes.
    refused: int = 0
    # Still with people or the agent: in no rate, and never taken for either.
    undecided: int = 0

    @property
    def decided(self) -> int:
        return self.automatic + self.by_people + self.after_edit + self.refused

    @property
    def acceptance(self) -> Rate:
        """Accepted without edit, of what people or the policy decided."""
        return Rate(self.automatic + self.by_people, self.decided)

    @property
    def parts(self) -> dict[str, Rate]:
        """The three that a report shows; the first two add up to the acceptance rate."""
        return {
            "automatic": Rate(self.automatic, self.decided),
            "by people": Rate(self.by_people, self.decided),
            "after edit": Rate(self.after_edit, self.decided),
        }


@dataclass(frozen=True, slots=True)
class Held:
    """What became of proposals that a rule held."""

    rejected: int = 0
    approved_unchanged: int = 0
    approved_edited: int = 0
    undecided: int = 0

    @property
    def decided(self) -> int:
        return self.rejected + self.approved_unchanged + self.approved_edited

    @property
    def precision(self) -> Rate:
        return Rate(self.rejected, self.decided)

    @property
    def needless(self) -> Rate:
        return Rate(self.approved_unchanged, self.decided)
