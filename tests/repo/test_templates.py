"""Rules about templates and views that no linter knows."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.template.loader import get_template
from django.urls import URLPattern

from review import urls
from review.context import NAVIGATION, SETTINGS, SETTINGS_ENTRY
from review.presentation import chips

TEMPLATES = settings.BASE_DIR / "templates"
VENDOR = settings.BASE_DIR / "static" / "vendor"
FILES = sorted(TEMPLATES.rglob("*.html"))

# Each of these dies silently, or is refused, under a policy without unsafe-inline and unsafe-eval.
FORBIDDEN = {
    "a style attribute": r"<[^>]+\sstyle\s*=",
    "a style element": r"<style\b",
    "an inline script": r"<script(?![^>]*\bsrc=)",
    "an event attribute": r"<[^>]+\son[a-z]+\s*=",
    "hx-on": r"hx-on[:-]",
    "a trigger filter": r'hx-trigger="[^"]*\[',
    "js: values": r"""["'{:\s]js:""",
    "a file from elsewhere": r"""(?:src|href)=["'](?:https?:)?//""",
    "text marked as safe": r"\|safe\b|autoescape off",
}


def names(files: list[Path]) -> list[str]:
    return [str(file.relative_to(TEMPLATES)) for file in files]


@pytest.mark.parametrize("file", FILES, ids=names(FILES))
def test_a_template_holds_nothing_that_the_policy_refuses(file: Path) -> None:
    text = file.read_text()
    assert [what for what, pattern in FORBIDDEN.items() if re.search(pattern, text)] == []


@pytest.mark.parametrize("name", names(FILES))
def test_a_template_compiles(name: str) -> None:
    get_template(name)


@pytest.mark.parametrize("file", FILES, ids=names(FILES))
def test_a_form_that_posts_works_without_javascript(file: Path) -> None:
    for form in re.findall(r"<form\b[^>]*>", file.read_text()):
        if "hx-post" in form:
            assert 'method="post"' in form
            assert "action=" in form


@pytest.mark.parametrize("file", FILES, ids=names(FILES))
def test_a_form_that_posts_carries_the_csrf_token(file: Path) -> None:
    text = file.read_text()
    forms = re.findall(r'<form\b[^>]*method="post".*?</form>', text, re.DOTALL)
    assert all("{% csrf_token %}" in form for form in forms)


@pytest.mark.parametrize("pattern", urls.urlpatterns, ids=lambda pattern: str(pattern.name))
def test_every_view_says_who_may_open_it(pattern: URLPattern) -> None:
    assert getattr(pattern.callback, "policy", None), f"{pattern.name} has no policy decorator"


def used_icons() -> set[str]:
    text = "\n".join(file.read_text() for file in FILES)
    by_tag = re.findall(r'{% icon "([a-z0-9-]+)"', text)
    by_argument = re.findall(r'{%[^%]*\b(?:icon|name)="([a-z0-9-]+)"', text)
    by_chip = re.findall(r'{% chip [^%]*"([a-z0-9-]+)" %}', text)
    tables = (
        chips.STATUSES,
        chips.EFFECTS,
        chips.CONTRACTS,
        chips.TIERS,
        chips.KINDS,
        chips.BANDS,
        chips.RUNS,
        chips.WORKS,
        chips.COMMANDS,
        chips.STAGES,
        chips.BACKTESTS,
        chips.RESULTS,
    )
    drawn = {look.icon for table in tables for look in table.values()}
    listed = {entry.icon for entry in (*NAVIGATION, SETTINGS_ENTRY, *SETTINGS)}
    return {*by_tag, *by_argument, *by_chip, *drawn, *listed, "clock"}


def test_every_icon_is_in_the_sprite() -> None:
    sprite = (VENDOR / "icons.svg").read_text()
    assert used_icons() - set(re.findall(r'<symbol id="([a-z0-9-]+)"', sprite)) == set()


def test_vendored_files_are_what_the_manifest_says() -> None:
    manifest = json.loads((VENDOR / "manifest.json").read_text())
    for entry in manifest:
        found = hashlib.sha256((VENDOR / entry["file"]).read_bytes()).hexdigest()
        assert found == entry["sha256"], f"{entry['file']} was changed by hand"
    listed = {entry["file"] for entry in manifest}
    assert {file.name for file in VENDOR.iterdir()} == listed | {"manifest.json"}


def test_the_manifest_has_the_versions_that_the_package_file_pins() -> None:
    pinned = json.loads((settings.BASE_DIR / "frontend" / "package.json").read_text())[
        "dependencies"
    ]
    manifest = json.loads((VENDOR / "manifest.json").read_text())
    parts = [part for entry in manifest for part in (entry, *entry.get("contains", ()))]
    assert {part["package"]: part["version"] for part in parts} == pinned
