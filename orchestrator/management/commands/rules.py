import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from orchestrator.actions.actor import Actor
from orchestrator.core import yaml_text
from orchestrator.core.errors import CountersignError
from orchestrator.core.policy import rule_text
from orchestrator.core.policy.rule_text import Document
from orchestrator.management import rule_import
from orchestrator.management.rule_files import FileFault, read_files
from orchestrator.management.rule_import import Taken
from orchestrator.models import RuleVersion

STAGES = ("active", "newest")
LINES_AROUND = 2
NOTE = "Taken in from a file."
# Like diff(1): nothing differs, something does, or it could not be told.
DIFFERENT, REFUSED = 1, 2


class Command(BaseCommand):
    help = "Rules as files: write them out, see what files would change, take them in as drafts."

    def add_arguments(self, parser: CommandParser) -> None:
        does = parser.add_subparsers(dest="does", required=True)
        out = does.add_parser("export", help="write rules as YAML")
        out.add_argument("slugs", nargs="*", metavar="SLUG", help="only these; without, all")
        out.add_argument(
            "--dir",
            dest="folder",
            type=Path,
            metavar="FOLDER",
            help="a file each, instead of stdout",
        )
        out.add_argument(
            "--stage", choices=STAGES, default="active", help="what is in force, or the newest"
        )
        take = does.add_parser("import", help="draft what files say and the database does not")
        take.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files and folders")
        take.add_argument(
            "--dry-run",
            action="store_true",
            help="only say what would change; ends with 0 if nothing, 1 if something, 2 if refused",
        )
        take.add_argument("--user", default="", help="in whose name; without it, Countersign's own")
        take.add_argument("--note", default=NOTE, help="why, for whoever reads it later")
        take.add_argument(
            "--activate",
            action="store_true",
            help="propose that what the files say takes force; what is not backtested yet is first",
        )

    def handle(self, *, does: str, **options: Any) -> None:
        actions: dict[str, Callable[..., None]] = {"export": self._export, "import": self._import}
        wanted = ("slugs", "folder", "stage", "paths", "dry_run", "user", "note", "activate")
        try:
            actions[does](**{name: options[name] for name in wanted if name in options})
        except CountersignError as error:
            raise CommandError(str(error)) from error

    # Out ----------------------------------------------------------------------------------------

    def _export(self, slugs: list[str], folder: Path | None, stage: str) -> None:
        versions = _chosen(slugs, stage)
        texts = {one.rule.slug: _file(rule_text.document_of(one)) for one in versions}
        if folder is None:
            self.stdout.write("---\n".join(texts.values()), ending="")
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for slug, text in texts.items():
                (folder / f"{slug}.yaml").write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise CommandError(f"{error.filename} cannot be written: {error.strerror}.") from error
        self.stdout.write(f"{len(texts)} rules are in {folder}.")

    # In -----------------------------------------------------------------------------------------

    def _import(
        self, paths: list[Path], dry_run: bool, user: str, note: str, activate: bool
    ) -> None:
        if activate and not user:
            raise CommandError("Say with --user who proposes it. Nothing was stored.")
        found, faults = read_files(paths)
        taken, refused = rule_import.take(
            _actor(user), found, note=note, activate=activate, dry_run=dry_run or bool(faults)
        )
        if faults or refused:
            raise CommandError(_listed([*faults, *refused]), returncode=REFUSED)
        # Of a single file nobody expects that it speaks of every rule.
        folders = [path for path in paths if path.is_dir()]
        missing = rule_import.not_among(found) if folders else []
        for line in describe(taken, missing, dry_run=dry_run):
            self.stdout.write(line)
        if dry_run and (missing or any(one.is_changed for one in taken)):
            sys.exit(DIFFERENT)


def describe(
    taken: Sequence[Taken], missing: Sequence[RuleVersion], *, dry_run: bool
) -> Iterator[str]:
    for one in taken:
        yield from _describe(one, dry_run)
    for version in missing:
        yield f"{version.rule.slug}: v{version.number} is in force, and no file speaks of it"
    new = sum(one.is_changed and one.before is None for one in taken)
    changed = sum(one.is_changed and one.before is not None for one in taken)
    same = len(taken) - new - changed
    yield f"{new} new, {changed} changed, {same} unchanged, {len(missing)} in no file."
    if dry_run:
        yield "Nothing was stored."
    elif any(one.is_drafted for one in taken):
        yield "Drafts decide nothing until they are activated."


def _describe(one: Taken, dry_run: bool) -> Iterator[str]:
    slug, number = one.document.slug, one.version.number
    drafted = f", drafted as v{number}" if one.is_drafted and not dry_run else ""
    if not one.is_changed:
        yield f"{slug}: unchanged, v{number} ({one.version.stage}) says the same"
    elif one.before is None:
        yield f"{slug}: new{drafted}"
        yield from _indented(f"+{line}" for line in _lines(one.document))
    else:
        old = rule_text.document_of(one.before)
        yield f"{slug}: differs from v{one.before.number} ({one.before.stage}){drafted}"
        yield from _indented(_meaning(old, one.document))
        yield from _indented(_text(old, one.document))
    if one.step:
        yield f"  {one.step}"


def _meaning(old: Document, new: Document) -> Iterator[str]:
    for change in rule_text.changes(old, new):
        if "\n" in change.before + change.after:
            yield f"{change.place} changes"
        else:
            yield f"{change.place}: {_shown(change.before)} → {_shown(change.after)}"


def _shown(value: str) -> str:
    """What would move the cursor of a terminal is shown as an escape."""
    return (value if value.isprintable() else repr(value)) or "nothing"


def _text(old: Document, new: Document) -> list[str]:
    before, after = ("\n".join(_lines(one)) for one in (old, new))
    return rule_text.line_diff(before, after, around=LINES_AROUND)


def _lines(document: Document) -> list[str]:
    return _file(document).rstrip("\n").split("\n")


def _file(document: Document) -> str:
    return yaml_text.write(rule_text.as_json(document))


def _indented(lines: Sequence[str] | Iterator[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _chosen(slugs: Sequence[str], stage: str) -> list[RuleVersion]:
    known = rule_import.known_rules()
    unknown = [slug for slug in slugs if slug not in known]
    if unknown:
        raise CommandError(f"There is no rule {', '.join(unknown)}. Nothing was written.")
    chosen = [known[slug] for slug in sorted(set(slugs) or known)]
    if stage == "newest":
        return [one.newest for one in chosen]
    standing = [one.standing for one in chosen]
    idle = [one.rule.slug for one in standing if one.stage != RuleVersion.Stage.ACTIVE]
    if slugs and idle:
        raise CommandError(
            f"Of {', '.join(idle)} no version is in force. Nothing was written. "
            "Choose --stage newest to write drafts."
        )
    return [one for one in standing if one.stage == RuleVersion.Stage.ACTIVE]


def _actor(username: str) -> Actor:
    if not username:
        return Actor(None)
    user = User.objects.filter(username=username).first()
    if user is None:
        raise CommandError(f"There is no user {username}. Nothing was stored.")
    return Actor(user)


def _listed(faults: Sequence[FileFault]) -> str:
    in_order = sorted(faults, key=lambda fault: (str(fault.path), fault.place))
    return "\n".join(["Nothing was stored:", *(f"  {fault}" for fault in in_order)])
