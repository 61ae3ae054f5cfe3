"""The whole product with its demo, running as its own process; spoken to over HTTP alone."""

import json
import secrets
import time
from pathlib import Path
from typing import Any

import httpx

from tests.embedded.product import Product

REFUND = {
    "agent": "refund-agent",
    "agent_version": "14",
    "action": "refund.create",
    "args": {"amount_minor": 184_000, "currency": "EUR", "reason": "damaged_item"},
    "confidence": 0.95,
    "rationale": "The photo shows damage to the frame.",
}
OVER_THE_LIMIT_FOR_ONE: dict[str, Any] = {
    "agent": "invoice-agent",
    "action": "invoice.pay",
    "args": {"amount_minor": 2_450_000, "currency": "EUR", "payee": "Norsk Vind AS"},
}
UNDOABLE_FOR_A_MINUTE: dict[str, Any] = {
    "agent": "repair-agent",
    "action": "database.run",
    "args": {"statement": "DELETE FROM sessions WHERE id = 1", "purpose": "remove one session"},
    "confidence": 0.4,
}


class DemoProduct(Product):
    def __init__(self, var_dir: Path, settings: dict[str, str] | None = None) -> None:
        # Everything that is accepted can be audited, so that no test waits for chance.
        # Nor for the time to take something back, nor for a proof that it is still the same person.
        ours = {"DEMO": "1", "AUDIT_SHARE": "1", "UNDO_S": "2", "STEP_UP_MINUTES": "0"}
        # What only chance would hand out is asked for where it is tested.
        ours |= {"SECOND_REVIEW_SHARE": "0", "GOLD_SHARE": "0"}
        # The validators that policies of these tests ask.
        ours |= {"AGENT_MODULES": "tests.judges"}
        super().__init__(var_dir, settings=ours | (settings or {}))
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.users: dict[str, str] = {}
        self.tokens: dict[str, str] = {}

    def start(self) -> str:
        said = super().start()
        credentials = json.loads((self.var_dir / "demo-credentials.json").read_text())
        assert credentials["base_url"] == self.base_url
        self.users, self.tokens = credentials["users"], credentials["tokens"]
        return said

    def submit(self, **changes: Any) -> dict[str, Any]:
        """By default a refund that one person has to decide, for an order nobody else names."""
        body = REFUND | {"target": f"order/{secrets.token_hex(4)}"} | changes
        answer = self.post(body)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return dict(answer.json())

    def post(self, body: dict[str, Any]) -> httpx.Response:
        return httpx.post(
            f"{self.base_url}/api/v1/proposals", json=body, headers=self._as("propose"), timeout=30
        )

    def fetch(self, proposal: str, *, wait: int = 0) -> dict[str, Any]:
        """What the API says of it, after up to `wait` seconds for an outcome."""
        answer = httpx.get(
            f"{self.base_url}/api/v1/proposals/{proposal}",
            params={"wait": wait},
            headers=self._as("read"),
            timeout=30,
        )
        assert answer.status_code == httpx.codes.OK, answer.text
        return dict(answer.json())

    def wait_for_validators(self, proposal: str) -> None:
        """Until they were heard. What is then before a person is not settled: `wait` would sit its time out."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.fetch(proposal)["status"] != "evaluating":
                return
            time.sleep(0.1)
        raise AssertionError(f"{proposal} is still being evaluated")

    def save(self, workflow: str, definition: dict[str, Any]) -> None:
        answer = httpx.put(
            f"{self.base_url}/api/v1/workflows/{workflow}",
            json=definition,
            headers=self._as("admin"),
            timeout=30,
        )
        assert answer.is_success, answer.text

    def save_tool(self, name: str, **wording: Any) -> None:
        body = {
            "description": "Finds an order.",
            "parameters": {"type": "object"},
            "backend": {"kind": "function", "name": "orders.find"},
        }
        answer = httpx.put(
            f"{self.base_url}/api/v1/tools/{name}",
            json=body | wording,
            headers=self._as("admin"),
            timeout=30,
        )
        assert answer.is_success, answer.text

    def retire_tool(self, name: str, why: str) -> None:
        answer = httpx.post(
            f"{self.base_url}/api/v1/tools/{name}/retire",
            json={"why": why},
            headers=self._as("admin"),
            timeout=30,
        )
        assert answer.is_success, answer.text

    def run(self, workflow: str, intent: Any = None, *, wait: int = 20) -> dict[str, Any]:
        """A run, taken by the workers to its end or to where it waits."""
        body = {"workflow": workflow, "intent": intent}
        answer = httpx.post(
            f"{self.base_url}/api/v1/runs", json=body, headers=self._as("admin"), timeout=30
        )
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return self.fetch_run(answer.json()["id"], wait=wait)

    def fetch_run(self, run: str, *, wait: int = 0) -> dict[str, Any]:
        answer = httpx.get(
            f"{self.base_url}/api/v1/runs/{run}",
            params={"wait": wait},
            headers=self._as("read"),
            timeout=30,
        )
        assert answer.status_code == httpx.codes.OK, answer.text
        return dict(answer.json())

    def item_of(self, run: str) -> str:
        """What a run asks people. It waits a moment before the item is open."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if item := self.fetch_run(run)["works"][-1]["review_item"]:
                return str(item)
            time.sleep(0.1)
        raise AssertionError(f"{run} asks nothing")

    def _as(self, token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[token]}"}
