import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orchestrator import certificate_queries
from orchestrator.core.errors import KeyUnusable
from orchestrator.core.typeid import PATTERN
from orchestrator.engine.verify import (
    Sources,
    Verified,
    could_rewrite,
    find_sources,
    one_moment,
    verify,
)

SHOWN_MAX = 20
SAY_EVERY = 20_000


class Command(BaseCommand):
    help = "Verify that the log is what was written and signed; names the first event that is not."
    # They load every page, which says nothing about the log.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("runs", nargs="*", metavar="RUN", help="only these runs")
        parser.add_argument(
            "--checkpoints", type=Path, metavar="DIR", help="a copy of the files (CHECKPOINT_DIR)"
        )
        parser.add_argument(
            "--certificate",
            metavar="FILE",
            help="check one decision certificate: a file, or the id of its decision",
        )
        parser.add_argument(
            "--key", type=Path, metavar="PUBKEY", help="the public key (CHECKPOINT_KEY with .pub)"
        )

    def handle(
        self,
        *,
        runs: list[str],
        checkpoints: Path | None,
        key: Path | None,
        certificate: str | None,
        **_: Any,
    ) -> None:
        if certificate:
            self._check_certificate(certificate)
            return
        if checkpoints and not checkpoints.is_dir():
            raise CommandError(f"There is no folder {checkpoints}. Nothing was verified.")
        try:
            sources = find_sources(checkpoints, key)
        except KeyUnusable as error:
            raise CommandError(str(error)) from error
        with one_moment():
            result = verify(sources, frozenset(runs) or None, self._progress)
            could = could_rewrite()
        if sys.stderr.isatty():
            self.stderr.write("")
        self._judge(result, runs)
        for line in describe(result, sources, runs):
            self.stdout.write(line)
        self.stdout.write(describe_role(could))

    def _check_certificate(self, named: str) -> None:
        findings = certificate_queries.check(_certificate_text(named))
        for finding in findings:
            self.stdout.write(f"{'yes' if finding.ok else 'NO '}  {finding.what}")
        if not all(finding.ok for finding in findings):
            raise CommandError("The certificate does not stand: see the lines that say NO.")
        self.stdout.write("The certificate stands.")

    def _progress(self, events: int) -> None:
        if events % SAY_EVERY == 0 and sys.stderr.isatty():
            self.stderr.write(f"\r{events:,} events followed", ending="")

    def _judge(self, result: Verified, runs: list[str]) -> None:
        found = result.findings.in_order
        if found:
            more = [f"  also: {line}" for line in found[1:SHOWN_MAX]]
            if len(found) > SHOWN_MAX:
                more.append(f"  and {len(found) - SHOWN_MAX:,} more")
            raise CommandError("\n".join([f"The log is not what was written: {found[0]}.", *more]))
        if runs and result.runs < len(set(runs)):
            raise CommandError(
                "Not every run that you named exists, nor does a checkpoint know it."
            )


def _certificate_text(named: str) -> str:
    """The bytes of a file, or of the certificate that is kept under the decision's id."""
    if PATTERN.fullmatch(named):
        found = certificate_queries.find(named)
        if found is None:
            raise CommandError(f"There is no certificate of {named}.")
        return found.text
    try:
        return Path(named).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{named} cannot be read: {error}") from error


def describe(result: Verified, sources: Sources, runs: list[str]) -> Iterator[str]:
    since = f" since {_time(result.since)}" if result.since else ""
    yield f"The log is whole: {result.runs:,} runs, {result.events:,} events{since}."
    if not result.checkpoints and not result.copied:
        yield "Nothing is signed yet: each run's chain was followed, and no more can be known."
    else:
        signers = ", ".join(sources.keys.fingerprints) if sources.keys else ""
        yield f"{result.checkpoints:,} checkpoints, signed by the key {signers}."
        yield f"{result.copied:,} of them compared with the copies in {sources.folder}."
    if result.compared.newer and result.compared.newer_since:
        yield (
            f"{result.compared.newer:,} events since {_time(result.compared.newer_since)} are newer "
            "than the last checkpoint, so they are only chained."
        )
    if runs:
        yield "Only the runs you named were looked at, so the order of events among runs was not."
    yield "Whether each run's state is what its events give: manage.py replay --all."


def describe_role(could: bool) -> str:
    if could:
        return (
            "The application's role owns the log or may change it: only triggers, the chain and the "
            "checkpoints guard it. docs/operations.md says how to give the application a role of its own."
        )
    return (
        "The application's role cannot change the log; it can only append through journal_append."
    )


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
