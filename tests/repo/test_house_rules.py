"""Rules of the house that no linter knows, read from the syntax tree."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

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


OURS = {
    name_of(path): path.read_text()
    for path in sources("orchestrator", "review")
    if "migrations" not in path.parts
}


@cache
def nodes_of(name: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(OURS[name])))


def test_only_actions_and_engine_write() -> None:
    elsewhere = [name for name in OURS if not name.startswith((*WRITERS, *OTHER_STORES))]
    assert [
        f"{name}:{node.lineno} {node.func.attr}"
        for name in elsewhere
        for node in nodes_of(name)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in WRITES
    ] == []


def test_imports_stand_at_the_top() -> None:
    assert [
        f"{name}:{node.lineno}"
        for name in OURS
        for function in nodes_of(name)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ] == []


def test_no_signals_and_no_save_overrides() -> None:
    # A function of that name overrides nothing; a method would.
    refused = re.compile(r"django\.dispatch|models\.signals|^[ \t]+def save\(", re.MULTILINE)
    assert [f"{name}: {found[0]}" for name in OURS if (found := refused.search(OURS[name]))] == []


def test_views_ask_no_managers() -> None:
    views = [name for name in OURS if name.startswith("review/views/")]
    assert views
    assert [name for name in views if ".objects" in OURS[name]] == []


def test_every_command_has_a_test() -> None:
    tests = "\n".join(path.read_text() for path in sources("tests"))
    for path in sources("orchestrator/management/commands"):
        if path.stem != "__init__":
            assert f'"{path.stem}"' in tests, f"no test calls manage.py {path.stem}"
