"""What people read: values, amounts, times, sentences."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from orchestrator.core.codec import canonical
from orchestrator.core.policy.evaluation import Bands
from orchestrator.models import Proposal
from review.presentation.arguments import arguments, is_tainted
from review.presentation.faults import CAUSES_SHOWN_MAX, fault
from review.presentation.gauge import gauge_parts, on_gauge
from review.presentation.money import cost, money
from review.presentation.sentences import plain_sentence, sentence
from review.presentation.times import clock, say, span, took
from review.presentation.values import said, value


def proposal(action: str, target: str = "", **args: object) -> Proposal:
    payload = canonical({"action": action, "args": args, "target": target})  # type: ignore[dict-item]
    return Proposal(action=action, target=target, payload=payload)


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (184_000, "EUR", "€1,840.00"),
        (5, "USD", "$0.05"),
        (-250, "GBP", "−£2.50"),
        (1200, "JPY", "¥1,200"),
        (1234567, "KWD", "1,234.567 KWD"),
        (100, "SEK", "1.00 SEK"),
        ("184000", "EUR", ""),
        (True, "EUR", ""),
        (1.5, "EUR", ""),
        (100, "eur", ""),
        (100, "<b>", ""),
        (100, None, ""),
    ],
)
def test_money(minor: object, currency: object, text: str) -> None:
    assert money(minor, currency) == text


@pytest.mark.parametrize(
    ("action", "target", "args", "text"),
    [
        (
            "refund.create",
            "order/1",
            {"amount_minor": 500, "currency": "EUR"},
            "Refund €5.00 for order/1",
        ),
        (
            "refund.create",
            "order/1",
            {"amount_minor": "5", "currency": "EUR"},
            "Run refund.create on order/1",
        ),
        ("refund.create", "", {}, "Run refund.create"),
        ("email.send", "", {"subject": "Hi", "to": ["a", "b"]}, "Run email.send"),
        ("unknown.thing", "x/1", {}, "Run unknown.thing on x/1"),
        ("ticket.close", "ticket/" + "9" * 200, {}, "Close ticket/" + "9" * 52 + "…"),
        ("email.send", "", {"subject": "{target}", "to": "a@b"}, "Send “{target}” to a@b"),
    ],
)
def test_sentences(action: str, target: str, args: dict[str, object], text: str) -> None:
    assert plain_sentence(proposal(action, target, **args)) == text


def test_a_sentence_keeps_other_peoples_words_inert() -> None:
    html = sentence(proposal("ticket.close", "<i>x</i>"))
    assert html == 'Close <bdi class="said" hx-ignore>&lt;i&gt;x&lt;/i&gt;</bdi>'


@pytest.mark.parametrize(
    ("data", "kind", "text"),
    [
        ("5", "text", "5"),
        (5, "number", "5"),
        (1_000_000, "number", "1,000,000"),
        (0.1, "number", "0.1"),
        (True, "yes", "true"),
        (False, "no", "false"),
        (None, "none", "null"),
        ("", "empty", "empty text"),
        ([], "empty", "empty list"),
        ({}, "empty", "empty"),
    ],
)
def test_values_show_their_type(data: object, kind: str, text: str) -> None:
    html = value(data)  # type: ignore[arg-type]
    assert f'data-type="{kind}"' in html
    assert f">{text}<" in html


def test_values_have_limits() -> None:
    deep: object = "bottom"
    for _ in range(60):
        deep = [deep]
    assert "nested deeper" in value(deep)  # type: ignore[arg-type]
    assert "and 800 more" in value(list(range(1000)))
    assert "<details" in value("word " * 1000)


def test_joiners_stay_and_tricks_show() -> None:
    assert "👩\u200d🚀" in said("👩\u200d🚀")
    assert "U+202E" in said("\u202e")
    assert "U+0007" in said("\x07")


def test_arguments_carry_amounts_and_marks() -> None:
    rows = arguments(
        {"amount_minor": 100, "currency": "EUR", "to": {"name": "x"}}, ["/args/to/name"]
    )
    assert [(row.note, row.is_tainted) for row in rows] == [
        ("€1.00", False),
        ("", False),
        ("", True),
    ]
    assert not is_tainted("/args/to", ["/args/total"])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0m"),
        (59, "0m"),
        (60, "1m"),
        (3600, "1h"),
        (3660, "1h 1m"),
        (86_400, "1d"),
        (97_200, "1d 3h"),
    ],
)
def test_spans(seconds: int, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0004, "0 ms"), (0.42, "420 ms"), (4.25, "4.2 s"), (59.9, "59.9 s"), (11_520, "3h 12m")],
)
def test_durations(seconds: float, text: str) -> None:
    assert took(seconds) == text


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0.00"),
        (7, "0.000007"),
        (4_200, "0.0042"),
        (1_234_567, "1.23"),
        (5_000_000_000, "5,000.00"),
    ],
)
def test_costs(micros: int, text: str) -> None:
    assert cost(micros) == text


def test_a_chain_of_errors_has_an_end() -> None:
    error: dict[str, object] = {"code": "bottom", "reason": "why"}
    for _ in range(100):
        error = {"code": "again", "reason": "", "retryable": True, "cause": error}
    found, depth = fault(error), 0
    while found is not None:
        assert found.reason == "It gave no reason."
        found, depth = found.cause, depth + 1
    assert depth == CAUSES_SHOWN_MAX


@pytest.mark.parametrize("error", [None, {}, "text", ["list"], {"cause": "text"}])
def test_an_error_of_an_odd_shape_breaks_no_page(error: object) -> None:
    found = fault(error)  # type: ignore[arg-type]
    assert found is None or found.cause is None


@pytest.mark.parametrize(
    ("minutes", "kind", "text"),
    [
        (-5, "ago", "5m ago"),
        (5, "ago", "in 5m"),
        (0, "ago", "just now"),
        (-90, "age", "1h 30m"),
        (0, "age", "now"),
        (61, "due", "due in 1h 1m"),
        (-12, "due", "overdue by 12m"),
        (5, "left", "5m left"),
        (-5, "left", "5m over"),
    ],
)
def test_relative_times(minutes: int, kind: str, text: str) -> None:
    assert say(timedelta(minutes=minutes), kind) == text


def test_times_without_a_zone_are_labelled() -> None:
    moment = datetime(2026, 11, 21, 4, 16, 5, tzinfo=UTC)
    assert clock(moment) == (
        '<time datetime="2026-11-21T04:16:05Z" title="21 Nov 2026, 04:16:05 UTC">'
        "21 Nov 2026, 04:16:05 UTC</time>"
    )


@pytest.mark.parametrize("cookie", ["Europe/Berlin", "Europe%2FBerlin"])
def test_the_cookie_sets_the_readers_zone(rita: Client, held: Proposal, cookie: str) -> None:
    rita.cookies["tz"] = cookie
    page = rita.get(f"/proposals/{held.pk}/").text
    there = held.created_at.astimezone(ZoneInfo("Europe/Berlin"))
    assert f"{there:%H:%M:%S}</time>" in page
    assert f'datetime="{held.created_at:%Y-%m-%dT%H:%M:%S}Z"' in page


@pytest.mark.parametrize(
    "cookie", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "x" * 900]
)
def test_a_strange_zone_is_utc(rita: Client, held: Proposal, cookie: str) -> None:
    rita.cookies["tz"] = cookie
    assert "UTC</time>" in rita.get(f"/proposals/{held.pk}/").text


def test_the_gauge_stays_inside() -> None:
    assert [on_gauge(score) for score in (-1.0, 0.0, 0.5, 1.0, 7.0)] == [0, 0, 100, 200, 200]
    parts = gauge_parts(Bands(0.9, 0.6))
    assert [part.name for part in parts] == ["escalate", "revise", "accept"]
    assert parts[-1].x + parts[-1].width == 200
