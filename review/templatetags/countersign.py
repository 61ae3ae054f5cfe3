"""The tags of every template; they only hand over to `review/presentation/`."""

from datetime import datetime
from typing import Any

from django import template
from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from orchestrator.core.statistics.intervals import Rate
from orchestrator.models import Backtest, Command, ContractVersion, Proposal, ReviewItem, Run
from review.addresses import page_of
from review.presentation import (
    audit,
    bars,
    chips,
    contract_terms,
    counts,
    definitions,
    gauge,
    histogram,
    icons,
    items,
    money,
    openapi,
    sentences,
    shows,
    sparkline,
    times,
    values,
)

register = template.Library()

register.simple_tag(icons.icon)
register.simple_tag(money.money)
register.filter(money.cost)
register.filter(money.priced)
register.filter(intcomma)
register.filter(counts.counted)
register.filter(definitions.lasting)
register.filter(contract_terms.budget)
register.simple_tag(values.value)
register.simple_tag(values.said)
register.simple_tag(values.reveal, name="revealed")
register.simple_tag(values.reveal_plainly, name="plainly")
register.simple_tag(shows.payload_of)
register.simple_tag(times.ago)
register.simple_tag(times.age)
register.simple_tag(times.due)
register.simple_tag(times.countdown)
register.simple_tag(times.clock)
register.simple_tag(sentences.sentence)
register.simple_tag(sentences.plain_sentence)
register.simple_tag(items.item_sentence)
register.simple_tag(items.plain_item_sentence)
register.simple_tag(items.item_subject)
register.simple_tag(page_of)
register.simple_tag(audit.audit_object)
register.simple_tag(audit.audit_detail)
register.simple_tag(bars.counted)
register.simple_tag(sparkline.sparkline)
register.simple_tag(histogram.histogram)
register.simple_tag(gauge.gauge_title)
register.filter(gauge.gauge_parts)
register.filter(gauge.on_gauge)


@register.simple_tag
def chip(text: object, tone: str = "quiet", icon: str = "") -> SafeString:
    return chips.chip(text, tone, icon)


@register.simple_tag
def status_chip(proposal: Proposal) -> SafeString:
    return chips.chip_of(chips.STATUSES, proposal.status)


@register.simple_tag
def run_chip(run: Run) -> SafeString:
    return chips.chip_of(chips.RUNS, run.status)


@register.simple_tag
def command_chip(command: Command) -> SafeString:
    return chips.chip_of(chips.COMMANDS, command.status)


@register.simple_tag
def effect_chip(effect: str) -> SafeString:
    return chips.chip_of(chips.EFFECTS, effect)


@register.simple_tag
def stage_chip(stage: str) -> SafeString:
    return chips.chip_of(chips.STAGES, stage)


@register.simple_tag
def backtest_chip(backtest: Backtest) -> SafeString:
    return chips.chip_of(chips.BACKTESTS, backtest.status)


@register.simple_tag
def result_chip(result: str) -> SafeString:
    """What a rule said of a proposal, or what a policy made of it."""
    return chips.chip_of(chips.RESULTS | chips.VERDICTS, result)


@register.simple_tag
def contract_chip(version: ContractVersion) -> SafeString:
    return chips.chip_of(chips.CONTRACTS, version.contract.kind)


@register.simple_tag
def tier_chip(tier: str) -> SafeString:
    return chips.chip_of(chips.TIERS, tier)


@register.simple_tag
def kind_chip(item: ReviewItem) -> SafeString:
    return chips.chip_of(chips.KINDS, item.kind)


@register.simple_tag
def why(item: ReviewItem) -> SafeString:
    """The first reason in a list; the page of the proposal has them all."""
    reasons = item.opened_because
    if item.kind == ReviewItem.Kind.ESCALATION:
        # The reason would show the agent's confidence to somebody who has yet to decide.
        return mark_safe("score too low, none, or in doubt")
    return values.said(str(reasons[0])) if reasons else mark_safe("")


@register.simple_tag
def band_chip(band: str) -> SafeString:
    return chips.chip_of(chips.BANDS, band)


@register.simple_tag
def deadline_chip(item: ReviewItem) -> SafeString:
    return chips.deadline(item)


@register.simple_tag
def deadline_note(item: ReviewItem) -> SafeString:
    return chips.deadline_note(item)


@register.simple_tag
def api_reference(spec: dict[str, Any]) -> openapi.Reference:
    return openapi.reference(spec, settings.BASE_URL)


@register.simple_block_tag
def card(content: str, title: str = "", *, aside: object = "", body: str = "") -> SafeString:
    """A titled box: `{% card "What will run" %} … {% endcard %}`."""
    heading = format_html("<h2>{}</h2>", title) if title else ""
    beside = format_html('<span class="aside">{}</span>', aside) if aside else ""
    header = format_html("<header>{}{}</header>", heading, beside) if title else ""
    return format_html(
        '<section class="card">{}<div class="body {}">{}</div></section>', header, body, content
    )


@register.simple_block_tag
def alert(content: str, tone: str = "info", icon: str = "info", role: str = "note") -> SafeString:
    """A message with an icon; `role="alert"` where a screen reader must say it at once."""
    return format_html(
        '<div class="alert" data-tone="{}" role="{}">{}<div>{}</div></div>',
        tone,
        role,
        icons.icon(icon),
        content,
    )


@register.simple_block_tag
def dialog(content: str, id: str, title: str) -> SafeString:
    """A native dialog; a button with `data-opens` opens it."""
    return format_html(
        '<dialog id="{}" aria-labelledby="{}-title"><header><h2 id="{}-title">{}</h2>'
        '<button type="button" class="btn quiet small" data-closes aria-label="Close">{}</button>'
        '</header><div class="body">{}</div></dialog>',
        id, id, id, title, icons.icon("x"), content,
    )  # fmt: skip


@register.simple_tag
def rate_text(rate: Rate) -> str:
    """How many of how many, and the bounds of the share where there are enough to speak of one."""
    counts = f"{rate.k:,} of {rate.n:,} approved"
    low, high = rate.bounds
    return f"{counts}, {low * 100:.0f} to {high * 100:.0f} %" if rate.shows_share else counts


@register.filter
def in_area(text: str) -> str:
    """For between the tags of a textarea: of two line ends at its beginning, a browser drops one."""
    return f"\n{text}"


@register.filter
def unbroken(figure: object) -> str:
    """A percent sign stays with its number."""
    return str(figure).replace(" %", "\u00a0%")


@register.filter
def short_id(full: str) -> str:
    """Enough of an id to tell two apart by eye; the whole one is in the link."""
    prefix, _, letters = full.partition("_")
    return f"{prefix}_…{letters[-6:]}"


@register.simple_tag
def lasted(milliseconds: int) -> str:
    return times.took(milliseconds / 1000)


@register.filter
def seconds_between(start: datetime, end: datetime) -> str:
    return times.took((end - start).total_seconds())
