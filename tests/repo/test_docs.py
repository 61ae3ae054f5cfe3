"""The documents are part of the product: what exists is documented, and what is linked exists."""

import re
from pathlib import Path

from django.core.management import get_commands

from orchestrator.api.app import api
from orchestrator.core.controller import AFTER_DISPOSITION, TRANSITIONS
from orchestrator.models import Proposal

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def text(name: str) -> str:
    return (ROOT / name).read_text()


def test_every_setting_is_documented() -> None:
    source = text("orchestrator/settings.py")
    names = set(re.findall(r'_(?:text|flag|number|share|names|url)\(\s*"([A-Z_]+)"', source))
    first_column = "".join(re.findall(r"^\| (.+?) \|", text("docs/configuration.md"), re.MULTILINE))
    documented = set(re.findall(r"`([A-Z][A-Z_]+)`", first_column))
    assert names - documented == set()
    assert documented - names == set()


def test_every_operation_is_documented() -> None:
    page = text("docs/api.md")
    for path, operations in api.get_openapi_schema()["paths"].items():
        for method in operations:
            assert f"`{method.upper()} {path}`" in page


def test_every_command_is_documented() -> None:
    own = {name for name, app in get_commands().items() if app == "orchestrator"}
    page = text("docs/operations.md")
    assert own
    for name in own:
        assert f"`manage.py {name}`" in page


def test_every_status_that_can_be_reached_is_documented() -> None:

    reached = {*TRANSITIONS.values(), *AFTER_DISPOSITION.values()} & set(Proposal.Status.values)
    page = text("docs/api.md")
    for status in reached:
        assert f"`{status}`" in page


def test_links_lead_somewhere() -> None:
    assert [
        f"{page.relative_to(ROOT)} links to {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ] == []
