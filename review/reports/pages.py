"""The reports by name: what each is called, what it can be narrowed by, and who builds it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from orchestrator.report_queries import (
    acceptance,
    agents,
    audits,
    economics,
    overview,
    reviewers,
    rules,
)
from review.reports.acceptance import acceptance_report
from review.reports.agents import agents_report
from review.reports.audits import audits_report
from review.reports.economics import economics_report
from review.reports.filter import Asked
from review.reports.overview import overview_report
from review.reports.report import Report
from review.reports.reviewers import reviewers_report
from review.reports.rules import rules_report


@dataclass(frozen=True, slots=True)
class Reading:
    """What was asked for, on which day (UTC), and by somebody who may see everybody's line or not."""

    asked: Asked
    today: date
    sees_all: bool


@dataclass(frozen=True, slots=True)
class Kind:
    label: str
    about: str
    known: frozenset[str]
    build: Callable[[Reading], Report]
    has_value: bool = False
    compares: bool = True
    # What has to happen before there is anything to see.
    comes_from: str = "Everything that agents propose through the API is counted here, day by day."


KINDS = {
    "overview": Kind(
        "Overview",
        "From proposed to done: what agents suggested, what the policy made of it, and what people did.",
        overview.KNOWN,
        lambda reading: overview_report(reading.asked),
        has_value=True,
    ),
    "acceptance": Kind(
        "Acceptance",
        "How much is accepted as it was proposed, week by week, and what was changed meanwhile.",
        acceptance.KNOWN,
        lambda reading: acceptance_report(reading.asked),
        has_value=True,
    ),
    "agents": Kind(
        "Agents",
        "Each version against the one before it, and whether its confidence means what it says.",
        agents.KNOWN,
        lambda reading: agents_report(reading.asked),
        compares=False,
    ),
    "audits": Kind(
        "Audits",
        "How much of what nobody looked at was wrong. People judge a drawn sample without seeing what was done.",
        audits.KNOWN,
        lambda reading: audits_report(reading.asked),
        comes_from="Chance draws accepted proposals for a blind audit; once people have judged some, "
        "this page says how many of all accepts can be wrong.",
    ),
    "rules": Kind(
        "Rules",
        "How often people agreed with what a rule held, and what it cost them to look.",
        rules.KNOWN,
        lambda reading: rules_report(reading.asked),
        has_value=True,
        comes_from="A rule shows up here with the first proposal that it does not let pass.",
    ),
    "reviewers": Kind(
        "Reviewers",
        "How much people decided, how long it took them, and how often two of them agree.",
        reviewers.KNOWN,
        lambda reading: reviewers_report(reading.asked, sees_all=reading.sees_all),
        comes_from="A line appears with the first decision that a person makes.",
    ),
    "economics": Kind(
        "Economics",
        "People's time against what it may have prevented, and how much of it the next days will take.",
        economics.KNOWN,
        lambda reading: economics_report(reading.asked, today=reading.today),
        comes_from="Each decision adds the time it took; each rejection adds what its proposal was worth.",
    ),
}
