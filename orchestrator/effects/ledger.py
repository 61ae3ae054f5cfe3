"""The built-in executor: writes to Countersign's own ledger, standing where another system would be.

An action uses it until it is connected to a real target. It behaves as a good target should: one
entry per key, the same receipt for the same key, a refusal when a key comes back with another payload.
"""

from typing import Any

from django.db import transaction

from orchestrator.core.codec import digest
from orchestrator.core.errors import EffectRefused
from orchestrator.effects.base import EffectCall
from orchestrator.models import LedgerEntry


class Ledger:
    def call(self, call: EffectCall) -> dict[str, Any]:
        with transaction.atomic():
            LedgerEntry.objects.bulk_create(
                [LedgerEntry(key=call.key, payload=call.payload)], ignore_conflicts=True
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
