"""Icons come from one sprite of the few that are used; they never carry meaning alone."""

from functools import lru_cache

from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

SPRITE = "vendor/icons.svg"


@lru_cache(maxsize=512)  # A list draws hundreds, of very few kinds.
def icon(name: str, classes: str = "") -> SafeString:
    return format_html(
        '<svg class="{}" aria-hidden="true"><use href="{}#{}"></use></svg>',
        f"icon {classes}".strip(),
        static(SPRITE),
        name,
    )
