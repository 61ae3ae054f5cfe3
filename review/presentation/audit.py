"""An audit entry's object, linked where it has a page, and those of its details that say something."""

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from orchestrator.core.typeid import is_id
from orchestrator.models import AuditEntry
from review.presentation.values import value

# By the kind of id, the name of its page.
PAGES = {"prp": "proposal", "run": "run", "evt": "letter"}


def audit_object(entry: AuditEntry) -> SafeString | str:
    page = _page_of(entry.object_id)
    if not page:
        return entry.object_id
    return format_html('<a class="mono" href="{}">{}</a>', page, entry.object_id)


def _page_of(name: str) -> str:
    kind, _, slug = name.partition("/")
    if kind == "rule" and slug:
        return reverse("rule", args=[slug])
    if kind == "policy" and slug.isdecimal():
        return reverse("policy", args=[int(slug)])
    prefix = name.partition("_")[0]
    return reverse(PAGES[prefix], args=[name]) if prefix in PAGES and is_id(name, prefix) else ""


def audit_detail(entry: AuditEntry) -> SafeString | str:
    said = {name: detail for name, detail in entry.detail.items() if detail not in ("", None)}
    return value(said) if said else ""
