"""An audit entry's object, linked where it has a page, and those of its details that say something."""

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from orchestrator.core.typeid import is_id
from orchestrator.models import AuditEntry
from review.presentation.values import value


def audit_object(entry: AuditEntry) -> SafeString | str:
    if not is_id(entry.object_id, "prp"):
        return entry.object_id
    return format_html(
        '<a class="mono" href="{}">{}</a>',
        reverse("proposal", args=[entry.object_id]),
        entry.object_id,
    )


def audit_detail(entry: AuditEntry) -> SafeString | str:
    said = {name: detail for name, detail in entry.detail.items() if detail not in ("", None)}
    return value(said) if said else ""
