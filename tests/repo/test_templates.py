"""Rules about templates and views that no linter knows."""

import hashlib
import json
import re

from django.conf import settings
from django.template import TemplateSyntaxError
from django.template.loader import get_template

from review import urls
from review.context import NAVIGATION, SETTINGS, SETTINGS_ENTRY
from review.presentation import chips

TEMPLATES = settings.BASE_DIR / "templates"
VENDOR = settings.BASE_DIR / "static" / "vendor"
FILES = {
    str(file.relative_to(TEMPLATES)): file.read_text() for file in sorted(TEMPLATES.rglob("*.html"))
}

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


def test_a_template_holds_nothing_that_the_policy_refuses() -> None:
    assert [
        f"{name}: {what}"
        for name, text in FILES.items()
        for what, pattern in FORBIDDEN.items()
        if re.search(pattern, text)
    ] == []


def test_a_template_compiles() -> None:
    broken = {}
    for name in FILES:
        try:
            get_template(name)
        except TemplateSyntaxError as error:
            broken[name] = str(error)
    assert broken == {}


def test_a_form_that_posts_works_without_javascript() -> None:
    assert [
        f"{name}: {form}"
        for name, text in FILES.items()
        for form in re.findall(r"<form\b[^>]*>", text)
        if "hx-post" in form and not ('method="post"' in form and "action=" in form)
    ] == []


def test_a_form_that_posts_carries_the_csrf_token() -> None:
    assert [
        f"{name}: {form}"
        for name, text in FILES.items()
        for form in re.findall(r'<form\b[^>]*method="post".*?</form>', text, re.DOTALL)
        if "{% csrf_token %}" not in form
    ] == []


def test_every_view_says_who_may_open_it() -> None:
    unsaid = [one.name for one in urls.urlpatterns if not getattr(one.callback, "policy", None)]
    assert unsaid == []


def used_icons() -> set[str]:
    text = "\n".join(FILES.values())
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
