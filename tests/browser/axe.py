"""Ask axe about a page: light and dark, wide and narrow."""

from itertools import product
from typing import Any, Literal

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

WIDTHS = (1440, 390)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
ALL_RULES = {"type": "tag", "values": TAGS}
# Between light and dark nothing but colours differs.
RULES_ABOUT_COLOUR = {"type": "rule", "values": ("color-contrast", "link-in-text-block")}


def violations_everywhere(page: Page) -> list[str]:
    page.evaluate(AXE_SCRIPT)
    found = []
    for width, scheme in product(WIDTHS, SCHEMES):
        page.set_viewport_size({"width": width, "height": 900})
        # Colours in the middle of a transition are nobody's choice.
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        rules = ALL_RULES if scheme == "light" else RULES_ABOUT_COLOUR
        found += [f"{width} {scheme}: {violation}" for violation in violations(page, rules)]
    return found


def violations(page: Page, rules: dict[str, Any]) -> list[str]:
    options = {"runOnly": rules, "resultTypes": ["violations"]}
    report: dict[str, Any] = page.evaluate("(options) => axe.run(options)", options)
    return [
        f"{one['id']}: {one['help']}: {[node['html'][:200] for node in one['nodes']]}"
        for one in report["violations"]
    ]
