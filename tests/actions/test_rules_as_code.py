"""`manage.py rules`: what files say and what is stored are the same, or it is said where they differ."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pytest_django import Settings

from orchestrator.actions import rules
from orchestrator.actions.actor import Actor
from orchestrator.core import yaml_text
from orchestrator.core.errors import NotAllowed
from orchestrator.core.policy import rule_text
from orchestrator.engine import backtest
from orchestrator.engine.backtest_claims import claim
from orchestrator.models import AuditEntry, Backtest, ReviewItem, Rule, RuleVersion
from tests import deciding
from tests.conftest import SYSTEM, Cast
from tests.core.test_yaml_text import TEXTS
from tests.work import work_all

Run = Callable[..., str]
Put = Callable[..., Path]

LIMIT = """\
slug: refund-limit
title: Refunds over the limit need a person
applies_to:
  actions: [refund.create]
effect: hold
require: proposal.args.amount_minor <= 50000
message: the amount {proposal.args.amount_minor} is over 50000
"""
TARGETS = """\
slug: known-targets
title: Only orders
effect: block
require: |-
  proposal.target.startsWith("order/")
    || proposal.target == ''
owner: payments
history:
  today:
    count:
      same: [agent]
    within: 24h
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def rules_command(*arguments: object) -> str:
        call_command("rules", *map(str, arguments))
        return capsys.readouterr().out

    return rules_command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    return tmp_path / "rules"


@pytest.fixture
def put(folder: Path) -> Put:
    def write(text: str, name: str = "rule.yaml") -> Path:
        (folder / name).write_text(text)
        return folder / name

    return write


def differs(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """A dry run that finds something to change says so to CI as well."""
    with pytest.raises(SystemExit) as ended:
        call_command("rules", "import", "--dry-run", *map(str, arguments))
    assert ended.value.code == 1
    return capsys.readouterr().out


def refused(*arguments: object) -> list[str]:
    with pytest.raises(CommandError) as error:
        call_command("rules", "import", *map(str, arguments))
    assert error.value.returncode == 2
    heading, *faults = str(error.value).splitlines()
    assert heading == "Nothing was stored:"
    assert not RuleVersion.objects.exists()
    return [fault.strip() for fault in faults]


# The way round -----------------------------------------------------------------------------------


def test_what_was_taken_in_comes_out_byte_for_byte(cast: Cast, run: Run, put: Put) -> None:
    for text in (LIMIT, TARGETS):
        run("import", put(text))
    assert run("export", "--stage", "newest") == f"{TARGETS}---\n{LIMIT}"
    version = RuleVersion.objects.get(rule__slug="known-targets")
    assert (version.number, version.stage, version.rule.owner) == (1, "draft", "payments")
    assert version.history == {"today": {"count": {"same": ["agent"]}, "within": "24h"}}


def test_what_came_out_changes_nothing_when_it_is_taken_in(
    cast: Cast, run: Run, rule: Callable[..., None], folder: Path
) -> None:
    rule()
    rule(slug="other", condition="true\n  && proposal.confidence > 0.5", message="")
    assert run("export", "--dir", folder) == f"2 rules are in {folder}.\n"
    assert sorted(path.name for path in folder.iterdir()) == ["other.yaml", "refund-limit.yaml"]
    before = list(RuleVersion.objects.values())
    for arguments in (["--dry-run"], []):
        said = run("import", folder, *arguments)
        assert "0 new, 0 changed, 2 unchanged, 0 in no file." in said
    assert list(RuleVersion.objects.values()) == before


def test_the_example_of_the_documents_is_a_canonical_file(
    cast: Cast, run: Run, put: Put, settings: Settings
) -> None:
    page = (settings.BASE_DIR / "docs" / "guardrails.md").read_text()
    example = re.search(r"\n## Rules as code\n.*?```yaml\n(.*?)```", page, re.DOTALL)
    assert example is not None
    run("import", put(example[1]))
    assert run("export", "--stage", "newest") == example[1]


def test_taking_in_twice_changes_nothing_the_second_time(cast: Cast, run: Run, put: Put) -> None:
    path = put(LIMIT)
    first = run("import", path)
    assert "refund-limit: new, drafted as v1" in first
    assert first.endswith("Drafts decide nothing until they are activated.\n")
    entries = AuditEntry.objects.count()
    assert "refund-limit: unchanged, v1 (draft) says the same" in run("import", path)
    assert RuleVersion.objects.count() == 1
    assert AuditEntry.objects.count() == entries


def test_what_is_in_force_is_no_change_though_somebody_drafted_another(
    cast: Cast, run: Run, rule: Callable[..., None], put: Put
) -> None:
    rule(title="Refunds over the limit need a person")
    path = put(LIMIT)
    assert "unchanged, v1 (active)" in run("import", path)
    run("import", put(LIMIT.replace("50000", "400"), "draft.yaml"))
    assert "unchanged, v1 (active)" in run("import", path, "--dry-run")
    assert "unchanged, v2 (draft)" in run("import", put(LIMIT.replace("50000", "400")))
    assert run("export") == LIMIT
    assert run("export", "--stage", "newest") == LIMIT.replace("50000", "400")


@examples(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(parts=st.lists(TEXTS.filter(lambda text: "\\" not in text), max_size=3), message=TEXTS)
def test_any_rule_survives_the_way_through_the_database(
    cast: Cast, capsys: pytest.CaptureFixture[str], folder: Path, parts: list[str], message: str
) -> None:
    """Quotes, lines, letters of all kinds, and what YAML takes for something else than text."""
    literals = [f"r'''{part}'''" for part in parts if "'" not in part and "\r" not in part]
    condition = "\n  && ".join([f"proposal.target != {one}" for one in literals] or ["true"])
    version = rules.draft(
        SYSTEM, slug="any", title="Any", effect="hold", condition=condition, message=message
    )
    call_command("rules", "export", "any", "--stage", "newest", "--dir", str(folder))
    text = (folder / "any.yaml").read_bytes()
    capsys.readouterr()
    call_command("rules", "import", "--dry-run", str(folder / "any.yaml"))
    assert f"any: unchanged, v{version.number} (draft)" in capsys.readouterr().out
    (sheet,), _ = yaml_text.read(text)
    assert sheet.value == rule_text.as_json(rule_text.document_of(version))


def test_several_rules_may_be_in_one_file(cast: Cast, run: Run, put: Put) -> None:
    said = run("import", put(f"{LIMIT}---\n{TARGETS}"))
    assert "2 new, 0 changed, 0 unchanged" in said


# Dry run -----------------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_change_and_changes_nothing(
    cast: Cast,
    rule: Callable[..., None],
    put: Put,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rule()
    rule(slug="forgotten")
    put(LIMIT.replace("effect: hold", "effect: block").replace("50000", "400"), "a.yaml")
    put(TARGETS, "b.yml")
    put("no rule", "README.md")
    said = differs(capsys, folder)
    assert said.splitlines() == [
        "refund-limit: differs from v1 (active)",
        "  effect: hold → block",
        "  require: proposal.args.amount_minor <= 50000 → proposal.args.amount_minor <= 400",
        "  message: the amount {proposal.args.amount_minor} is over 50000"
        " → the amount {proposal.args.amount_minor} is over 400",
        "   applies_to:",
        "     actions: [refund.create]",
        "  -effect: hold",
        "  -require: proposal.args.amount_minor <= 50000",
        "  -message: the amount {proposal.args.amount_minor} is over 50000",
        "  +effect: block",
        "  +require: proposal.args.amount_minor <= 400",
        "  +message: the amount {proposal.args.amount_minor} is over 400",
        "known-targets: new",
        *(f"  +{line}" for line in TARGETS.splitlines()),
        "forgotten: v1 is in force, and no file speaks of it",
        "1 new, 1 changed, 0 unchanged, 1 in no file.",
        "Nothing was stored.",
    ]
    assert RuleVersion.objects.count() == 2
    assert not AuditEntry.objects.filter(object_id="rule/known-targets").exists()


def test_a_rule_that_no_file_speaks_of_is_a_difference_of_a_folder_only(
    run: Run, rule: Callable[..., None], put: Put, capsys: pytest.CaptureFixture[str]
) -> None:
    rule()
    path = put(TARGETS)
    run("import", path)
    assert "0 in no file" in run("import", path, "--dry-run")
    assert "0 changed, 1 unchanged, 1 in no file" in differs(capsys, path.parent)


def test_a_change_of_several_lines_is_named_and_shown_below(
    cast: Cast, run: Run, put: Put, capsys: pytest.CaptureFixture[str]
) -> None:
    run("import", put(TARGETS))
    said = differs(capsys, put(TARGETS.replace("== ''", "== 'x'")))
    assert "  require changes\n" in said
    assert "  -    || proposal.target == ''\n  +    || proposal.target == 'x'\n" in said


def test_what_would_steer_a_terminal_is_shown_as_an_escape(
    cast: Cast, run: Run, put: Put, capsys: pytest.CaptureFixture[str]
) -> None:
    run("import", put(LIMIT))
    said = differs(capsys, put(LIMIT.replace("Refunds over", '"\\e[2J').replace("a person", 'x"')))
    assert "\x1b" not in said
    assert "\\x1b[2J" in said
    assert "\\e[2J" in said


# Refusals ----------------------------------------------------------------------------------------


def test_every_mistake_of_every_file_is_named_at_its_place(
    cast: Cast, put: Put, folder: Path
) -> None:
    put(TARGETS.replace("||", "|| nope ||"), "condition.yaml")
    put(LIMIT.replace("effect: hold", "efect: hold"), "field.yaml")
    put(LIMIT.replace("hold", "no"), "no.yaml")
    put("a: b: c", "yaml.yaml")
    put(LIMIT.replace("<= 50000", "<= "), "short.yaml")
    put(LIMIT.replace("refund-limit", "good"), "good.yaml")
    found = [fault.removeprefix(f"{folder}/") for fault in refused(folder)]
    assert [fault.split(" ")[0] for fault in found] == [
        "condition.yaml:6:8:",
        "field.yaml:1:1:",
        "field.yaml:5:1:",
        "no.yaml:5:9:",
        "short.yaml:6:39:",
        "yaml.yaml:1:5:",
    ]
    assert "/require: undeclared reference to 'nope'" in found[0]
    assert found[1].endswith("“effect” is missing")
    assert found[2].endswith("/efect: does not belong here. Did you mean “effect”?")
    assert "`no` without quotes is not text to every reader of YAML" in found[3]
    assert found[5].endswith("a text with a colon and a blank in it needs quotes")


def test_a_dry_run_refuses_what_the_run_would(cast: Cast, put: Put) -> None:
    path = put(LIMIT.replace("<= 50000", "<= 'a' + 1"))
    assert refused(path) == refused("--dry-run", path)


def test_a_condition_in_quotes_is_wrong_where_its_letter_stands(cast: Cast, put: Put) -> None:
    (fault,) = refused(
        put(
            LIMIT.replace("require: p", "require: 'true && nope && p").replace(
                "50000\n", "50000'\n", 1
            )
        )
    )
    assert ":6:19: /require: undeclared reference to 'nope'" in fault


def test_a_window_is_wrong_where_it_stands(cast: Cast, put: Put) -> None:
    (fault,) = refused(put(TARGETS.replace("24h", "soon")))
    assert "rule.yaml:12:5: /history/today/within: " in fault


def test_one_rule_twice_is_refused_with_both_places(cast: Cast, put: Put, folder: Path) -> None:
    first, second = put(LIMIT, "a.yaml"), put(f"# again\n{LIMIT}", "b.yaml")
    assert refused(folder) == [
        f"{second}:2:1: /slug: “refund-limit” is a rule in {first}:1 already"
    ]


def test_files_that_cannot_be_taken_are_refused(
    cast: Cast, put: Put, folder: Path, settings: Settings
) -> None:
    settings.RULES_FILE_BYTES_MAX = 1_000
    assert "it cannot be read: No such file" in refused(folder / "none.yaml")[0]
    long = put("x" * 1_001)
    assert refused(long) == [f"{long}:1:1: it has more than 1,000 bytes (RULES_FILE_BYTES_MAX)"]
    assert "*x refers to another place" in refused(put("a: *x"))[0]


def test_one_bad_rule_keeps_all_the_others_out(cast: Cast, put: Put, folder: Path) -> None:
    put(TARGETS, "a.yaml")
    put(LIMIT.replace("<= 50000", "<="), "b.yaml")
    assert len(refused(folder)) == 1
    assert not Rule.objects.exists()
    assert not AuditEntry.objects.filter(verb__startswith="rule.").exists()


def test_the_command_refuses_in_sentences(
    cast: Cast, run: Run, put: Put, folder: Path, rule: Callable[..., None]
) -> None:
    path = put(LIMIT)
    draft = put(TARGETS, "draft.yaml")
    run("import", draft)
    (folder / "file").write_text("")
    refusals: dict[str, list[Any]] = {
        "There is no user eve. Nothing was stored.": ["import", path, "--user", "eve"],
        "rita may not": ["import", path, "--user", "rita"],
        "There is no rule none. Nothing was written.": ["export", "none"],
        "Of known-targets no version is in force.": ["export", "known-targets"],
        "cannot be written": ["export", "--dir", folder / "file"],
    }
    for said, arguments in refusals.items():
        with pytest.raises(CommandError, match=said):
            run(*arguments)
    assert RuleVersion.objects.count() == 1


def test_drafts_are_made_in_the_name_of_a_person(cast: Cast, run: Run, put: Put) -> None:
    run("import", put(LIMIT), "--user", "ada", "--note", "Asked for by finance")
    version = RuleVersion.objects.get()
    assert (version.created_by, version.note) == (cast.ada, "Asked for by finance")


def test_another_owner_needs_no_version(
    cast: Cast, run: Run, put: Put, capsys: pytest.CaptureFixture[str]
) -> None:
    run("import", put(TARGETS))
    path = put(TARGETS.replace("owner: payments", "owner: finance"))
    assert "  owner: payments → finance\n" in differs(capsys, path)
    assert "drafted" not in run("import", path)
    assert Rule.objects.get().owner == "finance"
    assert "0 changed, 1 unchanged" in run("import", path, "--dry-run")
    # A file that names none leaves it as it is.
    without = put(TARGETS.replace("owner: payments\n", ""))
    assert "0 changed, 1 unchanged" in run("import", without, "--dry-run")
    assert RuleVersion.objects.count() == 1


def test_a_scope_that_says_things_twice_is_no_change(cast: Cast, run: Run, put: Put) -> None:
    wide = LIMIT.replace("[refund.create]", '[refund.create, refund.create]\n  agents: [a, "*"]')
    run("import", put(wide))
    assert "0 changed, 1 unchanged" in run("import", put(wide), "--dry-run")
    assert run("export", "--stage", "newest") == LIMIT


# Into force --------------------------------------------------------------------------------------


def test_activation_goes_step_by_step_and_ends_with_another_admin(
    cast: Cast, run: Run, put: Put
) -> None:
    path = put(LIMIT)
    into_force = ["import", path, "--user", "ada", "--activate", "--note", "Asked for"]
    asked = run(*into_force)
    (job,) = Backtest.objects.all()
    assert f"it needs a backtest first, which is asked for ({job.pk})" in asked
    assert f"({job.pk})" in run(*into_force)
    assert backtest.work_one(lambda: False)
    proposed = run(*into_force)
    item = ReviewItem.objects.get()
    assert f"its activation is proposed ({item.proposal_id})" in proposed
    assert f"waits for another admin already ({item.pk})" in run(*into_force)
    (version,) = RuleVersion.objects.all()
    assert version.stage == "backtested"
    with pytest.raises(NotAllowed):
        decide(cast.ada, item)
    decide(User.objects.create_superuser("otto"), item)
    work_all()
    done = run(*into_force)
    assert "unchanged, v1 (active)" in done
    assert "activation" not in done
    assert ReviewItem.objects.count() == Backtest.objects.count() == 1


def test_backtests_that_files_ask_for_share_one_reading(cast: Cast, run: Run, put: Put) -> None:
    path = put(f"{TARGETS}---\n{LIMIT}")
    run("import", path, "--user", "ada", "--activate", "--note", "Asked for")
    assert len(claim()) == 2


def test_a_number_that_python_cannot_take_is_refused_with_its_place(cast: Cast, put: Put) -> None:
    path = put('slug: a\ntitle: "\\UFFFFFFFF"\n')
    (fault,) = refused(path)
    assert ":2:6" in fault
    assert "too large" in fault


def test_activation_needs_a_name_and_the_role(cast: Cast, run: Run, put: Put) -> None:
    path = put(LIMIT)
    with pytest.raises(CommandError, match="Say with --user who proposes it"):
        run("import", path, "--activate")
    with pytest.raises(CommandError, match="max may not"):
        run("import", path, "--activate", "--user", "max")
    assert not Rule.objects.exists()


def test_a_dry_run_proposes_nothing(
    cast: Cast, put: Put, capsys: pytest.CaptureFixture[str]
) -> None:
    differs(capsys, put(LIMIT), "--activate", "--user", "ada")
    assert not Rule.objects.exists()
    assert not Backtest.objects.exists()


def decide(person: User, item: ReviewItem) -> None:
    deciding.decide(Actor(person), item.pk, verdict="approve", idempotency_key=item.pk)
