"""The built-in executor: writes to Countersign's own ledger, standing where another system would be.

An action uses it until it is connected to a real target. It behaves as a good target should: one
entry per key, the same receipt for the same key, a refusal when a key comes back with another payload.
"""

from dataclasses import replace
from typing import Any

from django.db import transaction

from orchestrator.core.codec import canonical, digest, read
from orchestrator.core.errors import EffectRefused
from orchestrator.effects.base import EffectCall
from orchestrator.models import LedgerEntry


class Ledger:
    def call(self, call: EffectCall) -> dict[str, Any]:
        with transaction.atomic():
            LedgerEntry.objects.bulk_create(
                [LedgerEntry(key=call.key, target=call.target, payload=call.payload)],
                ignore_conflicts=True,
            )
            entry = LedgerEntry.objects.get(key=call.key)
        if entry.payload != call.payload:
            raise EffectRefused(f"the key {call.key} was used with another payload")
        return {
            "target": "ledger",
            "entry": entry.pk,
            "payload": digest(entry.payload),
            "recorded_at": entry.at.isoformat(),
        }

    def undo(self, call: EffectCall, receipt: dict[str, Any]) -> dict[str, Any]:
        """A ledger takes nothing back; it is written below what was done that it is undone."""
        undone = {"undoes": receipt.get("entry"), "payload": read(call.payload)}
        return self.call(replace(call, payload=canonical(undone)))

    def look(self, call: EffectCall) -> dict[str, Any] | None:
        """What was done to the same target last, which is all that a ledger knows of it."""
        if not call.target:
            return None
        last = LedgerEntry.objects.filter(target=call.target).order_by("-pk").first()
        if last is None:
            return {"entries": "none so far"}
        payload = read(last.payload)
        action = payload.get("action") if isinstance(payload, dict) else None
        return {"last_entry": last.pk, "action": action, "recorded_at": last.at.isoformat()}
