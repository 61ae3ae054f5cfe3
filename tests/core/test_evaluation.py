import pytest

from orchestrator.core.policy.evaluation import Bands, dispose
from orchestrator.core.policy.guardrails import Check

BANDS = Bands(0.9, 0.6)


def said(effect: str, result: str, *, enforced: bool = True) -> Check:
    return Check(1, "r", 1, effect, result, "because", enforced)


@pytest.mark.parametrize(
    ("score", "band"),
    [
        (0.9000001, "accept"),
        (1, "accept"),
        (0.9, "revise"),
        (0.6000001, "revise"),
        (0.6, "escalate"),
        (0, "escalate"),
        (None, "escalate"),
        (float("nan"), "escalate"),
        (float("inf"), "escalate"),
        ("0.95", "escalate"),
        (True, "escalate"),
    ],
)
def test_bands_at_their_borders(score: object, band: str) -> None:
    assert BANDS.of(score) == band


@pytest.mark.parametrize(
    ("checks", "verdict", "approvals"),
    [
        ([], "accept", 0),
        ([said("hold", "pass")], "accept", 0),
        ([said("flag", "fail")], "accept", 0),
        ([said("hold", "fail")], "hold", 1),
        ([said("two_person", "fail")], "hold", 2),
        ([said("hold", "fail"), said("two_person", "fail")], "hold", 2),
        ([said("block", "fail"), said("hold", "fail")], "block", 0),
        ([said("flag", "error")], "hold", 1),
        ([said("block", "error")], "hold", 2),
        ([said("two_person", "error")], "hold", 2),
        ([said("block", "fail"), said("hold", "error")], "block", 0),
        ([said("block", "fail", enforced=False)], "accept", 0),
        ([said("hold", "error", enforced=False)], "accept", 0),
    ],
)
def test_precedence(checks: list[Check], verdict: str, approvals: int) -> None:
    found = dispose(0.95, BANDS, checks)
    assert (found.verdict, found.approvals_needed) == (verdict, approvals)


def test_a_held_proposal_keeps_its_band() -> None:
    found = dispose(0.7, BANDS, [said("hold", "fail")])
    assert (found.verdict, found.band) == ("hold", "revise")


def test_every_disposition_gives_its_reason() -> None:
    assert dispose(0.95, BANDS, []).reasons == ("score 0.95 is over 0.9",)
    assert dispose(0.7, BANDS, []).reasons == ("score 0.7 is over 0.6 but not over 0.9",)
    assert dispose(0.2, BANDS, []).reasons == ("score 0.2 is not over 0.6",)
    assert dispose(None, BANDS, []).reasons == ("no usable score was given",)
    assert dispose(0.95, BANDS, [said("hold", "fail")]).reasons == ("r: because",)
