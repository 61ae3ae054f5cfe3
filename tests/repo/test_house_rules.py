"""Rules of the house that no linter knows, read from the syntax tree."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WRITES = {
    "save",
    "create",
    "bulk_create",
    "update",
    "bulk_update",
    "delete",
    "get_or_create",
    "update_or_create",
}
# What only looks like a write: dict.update and the like would be renamed rather than listed.
WRITERS = ("orchestrator/actions", "orchestrator/engine", "orchestrator/journal.py")
# Other systems' own stores, and answers kept for retries in the transaction that gave them.
OTHER_STORES = ("orchestrator/effects/ledger.py", "orchestrator/api/idempotency.py")


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        path = ROOT / folder
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


OURS = [p for p in sources("orchestrator", "review") if "migrations" not in p.parts]


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_only_actions_and_engine_write(path: Path) -> None:
    if name_of(path).startswith((*WRITERS, *OTHER_STORES)):
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in WRITES, f"{name_of(path)}:{node.lineno}"


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_imports_stand_at_the_top(path: Path) -> None:
    tree = ast.parse(path.read_text())
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                assert not isinstance(node, ast.Import | ast.ImportFrom), (
                    f"{name_of(path)}:{node.lineno}"
                )


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_no_signals_and_no_save_overrides(path: Path) -> None:
    text = path.read_text()
    assert "django.dispatch" not in text
    assert "models.signals" not in text
    # A function of that name overrides nothing; a method would.
    assert not re.search(r"^[ \t]+def save\(", text, re.MULTILINE)


@pytest.mark.parametrize("path", list(sources("review/views")), ids=name_of)
def test_views_ask_no_managers(path: Path) -> None:
    assert ".objects" not in path.read_text()


def test_every_command_has_a_test() -> None:
    tests = "\n".join(path.read_text() for path in sources("tests"))
    for path in sources("orchestrator/management/commands"):
        if path.stem != "__init__":
            assert f'"{path.stem}"' in tests, f"no test calls manage.py {path.stem}"
