"""The public tests of the CEL specification, as data: fetched from npm once, and never committed."""

import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGE, VERSION = "@bufbuild/cel-spec", "0.6.1"
FOLDER = ROOT / "var" / "tools" / f"cel-spec-{VERSION}"
# The package holds its cases as a JavaScript module without imports.
CASES = "package/dist/esm/testdata/conformance.js"
TO_JSON = """
import { tests } from {module};
process.stdout.write(JSON.stringify(tests));
"""
CORE = (
    "basic",
    "comparisons",
    "conversions",
    "dynamic",
    "fields",
    "fp_math",
    "integer_math",
    "lists",
    "logic",
    "macros",
    "namespace",
    "parse",
    "plumbing",
    "string",
    "timestamps",
)
# Marks of the tests that are about messages of protocol buffers, which no rule of ours can be.
MESSAGES = ("cel.expr.conformance", "TestAllTypes", "NestedTestAllTypes", "google.protobuf.")
NOT_MESSAGES = ("google.protobuf.Timestamp", "google.protobuf.Duration")


class Unavailable(Exception):
    """There is no npm or node here, or npm reaches no registry."""


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    test: dict[str, Any]


def core_cases() -> list[Case]:
    """The tests of the core of the language that need no messages."""
    suites = json.loads(_fetched().read_text())["suites"]
    found = [case for suite in suites if suite["name"] in CORE for case in _cases(suite, "")]
    return [case for case in found if not _needs_messages(case.test)]


def _cases(suite: dict[str, Any], path: str) -> Iterator[Case]:
    path = f"{path}/{suite['name']}".removeprefix("/")
    for test in suite.get("tests", []):
        original = test["original"]
        yield Case(f"{path}/{original.get('name', original['expr'])}", original)
    for inner in suite.get("suites", []):
        yield from _cases(inner, path)


def _needs_messages(test: dict[str, Any]) -> bool:
    text = json.dumps(test)
    for known in NOT_MESSAGES:
        text = text.replace(known, "")
    return any(mark in text for mark in MESSAGES)


def _fetched() -> Path:
    target = FOLDER / "conformance.json"
    if not target.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        text = _run("node", "--input-type=module", "--eval", _script(_unpacked()))
        draft = target.with_suffix(".draft")
        draft.write_text(text)
        draft.rename(target)
    return target


def _unpacked() -> Path:
    name = _run("npm", "pack", "--silent", f"{PACKAGE}@{VERSION}").strip().splitlines()[-1]
    with tarfile.open(FOLDER / name) as archive:
        archive.extract(CASES, FOLDER, filter="data")
    return FOLDER / CASES


def _script(module: Path) -> str:
    return TO_JSON.replace("{module}", json.dumps(module.as_uri()))


def _run(program: str, *arguments: str) -> str:
    found = shutil.which(program)
    if not found:
        raise Unavailable(f"{program} is not installed")
    done = subprocess.run(
        [found, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        raise Unavailable(f"{program} failed: {done.stderr.strip()[-300:]}")
    return done.stdout
