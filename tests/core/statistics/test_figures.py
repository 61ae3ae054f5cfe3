"""What the words of the reports mean."""

from orchestrator.core.statistics.figures import Held, Outcomes
from orchestrator.core.statistics.intervals import Rate


def test_acceptance_has_three_parts_and_leaves_out_what_is_open() -> None:
    found = Outcomes(automatic=60, by_people=20, after_edit=5, refused=15, undecided=40)
    assert found.acceptance == Rate(80, 100)
    assert found.parts == {
        "automatic": Rate(60, 100),
        "by people": Rate(20, 100),
        "after edit": Rate(5, 100),
    }
    assert str(Outcomes(undecided=7).acceptance) == "0 of 0"


def test_an_edit_is_neither_a_needless_hold_nor_a_catch() -> None:
    found = Held(rejected=30, approved_unchanged=50, approved_edited=20, undecided=9)
    assert found.precision == Rate(30, 100)
    assert found.needless == Rate(50, 100)
