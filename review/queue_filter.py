"""Which part of the queue somebody wants: what the address says, over what its saved view says."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import QueryDict

from orchestrator.models import SavedView

VIEWS = {
    "all": "All",
    "breaching": "Running late",
    "escalated": "Escalated",
    "second": "Second approval",
    "mine": "Held by you",
    "snoozed": "Snoozed",
}
FIELDS = ("q", "kind", "action", "team")
# Nobody takes the next item out of what they hold or what sleeps.
NEXT_FROM = frozenset(VIEWS) - {"mine", "snoozed"}


@dataclass(frozen=True, slots=True)
class Wanted:
    view: str = "all"
    q: str = ""
    kind: str = ""
    action: str = ""
    team: str = ""

    @property
    def is_narrow(self) -> bool:
        """Whether other items may be waiting."""
        return self != Wanted()

    @property
    def query(self) -> str:
        """The same as part of an address, without any saved view."""
        parts = {name: getattr(self, name) for name in ("view", *FIELDS)}
        return urlencode({name: text for name, text in parts.items() if text and text != "all"})

    @property
    def awake(self) -> "Wanted":
        """Where to take the next item from."""
        view = self.view if self.view in NEXT_FROM else "all"
        return Wanted(view, self.q, self.kind, self.action, self.team)


def overlaid(asked: QueryDict, saved: SavedView | None) -> dict[str, str]:
    """What the address says goes before the saved view, also where it says that anything will do."""
    kept = QueryDict(saved.query if saved else "")
    view = str((kept if saved else asked).get("view", "all"))
    fields = {name: str(asked.get(name, kept.get(name, ""))) for name in FIELDS}
    return {**fields, "view": view if view in VIEWS else "all"}
