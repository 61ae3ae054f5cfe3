"""The shop's database as whoever submits for its agent sees it: facts about a call, before it is made.

A recording has only the database of its beginning. What earlier calls of a run changed is worked out
from what the shop's own tools check and do, not from what was recorded of their outcome.
"""

from collections import Counter
from copy import deepcopy
from typing import Any

REASONS = ("no longer needed", "ordered by mistake")

type Row = dict[str, Any]


class Shop:
    """One run's view: rows are copied when they are first looked at."""

    def __init__(self, database: dict[str, dict[str, Row]]) -> None:
        self._database = database
        self._rows: dict[tuple[str, str], Row] = {}
        self._variants = {
            item: {**variant, "product_id": product["product_id"]}
            for product in database["products"].values()
            for item, variant in product["variants"].items()
        }
        self.authenticated = ""

    def facts(self, _tool: str, args: Row) -> Row:
        order = self._row("orders", args.get("order_id"))
        customer = self._row("users", args.get("user_id") or (order or {}).get("user_id"))
        found: Row = {"authenticated": self.authenticated}
        if customer:
            found["customer"] = {
                "id": args.get("user_id") or (order or {})["user_id"],
                "payment_methods": {
                    key: {"source": method["source"], "balance": method.get("balance")}
                    for key, method in customer["payment_methods"].items()
                },
            }
        if order:
            found["order"] = self._shown(order)
            found |= self._exchange(order, args)
        return found

    def call(self, tool: str, args: Row) -> None:
        """What the tool does when it does not refuse."""
        doing = getattr(self, f"_{tool}", None)
        if doing:
            doing(args, self.facts(tool, args))

    def _row(self, table: str, key: Any) -> Row | None:
        if (table, key) not in self._rows and key in self._database[table]:
            self._rows[table, key] = deepcopy(self._database[table][key])
        return self._rows.get((table, key))

    def _shown(self, order: Row) -> Row:
        paid = order["payment_history"][0]
        return {
            "status": order["status"],
            "items": [one["item_id"] for one in order["items"]],
            "paid_by": paid["payment_method_id"],
            "total": paid["amount"],
        }

    def _exchange(self, order: Row, args: Row) -> Row:
        """Of items that are named: whether the order has them, what they cost, what replaces them."""
        items = {one["item_id"]: one for one in order["items"]}
        named = args.get("item_ids", [])
        known = [items[item] for item in named if item in items]
        pairs = zip(named, args.get("new_item_ids", []), strict=False)
        missing = Counter(named) - Counter(one["item_id"] for one in order["items"])
        found: Row = {
            "not_in_order": sorted(missing),
            "refund": round(sum(one["price"] for one in known), 2),
            "replacements": [self._replacement(items.get(old), new) for old, new in pairs],
        }
        prices = [one["price"] for one in found["replacements"]]
        found["difference"] = round(sum(prices) - found["refund"], 2)
        return found

    def _replacement(self, item: Row | None, new: str) -> Row:
        variant = self._variants.get(new, {})
        return {
            "item_id": new,
            "same_product": bool(item) and variant.get("product_id") == (item or {})["product_id"],
            "same_item": bool(item) and (item or {})["item_id"] == new,
            "available": variant.get("available", False),
            "price": variant.get("price", 0.0),
        }

    # What the tools do ---------------------------------------------------------------------------

    def _find_user_id_by_email(self, args: Row, _facts: Row) -> None:
        self._authenticate(
            key
            for key, user in self._database["users"].items()
            if user["email"].lower() == args["email"].lower()
        )

    def _find_user_id_by_name_zip(self, args: Row, _facts: Row) -> None:
        wanted = (args["first_name"].lower(), args["last_name"].lower(), args["zip"])
        self._authenticate(
            key
            for key, user in self._database["users"].items()
            if wanted
            == (
                user["name"]["first_name"].lower(),
                user["name"]["last_name"].lower(),
                user["address"]["zip"],
            )
        )

    def _authenticate(self, found: Any) -> None:
        self.authenticated = next(iter(found), self.authenticated)

    def _cancel_pending_order(self, args: Row, facts: Row) -> None:
        if facts["order"]["status"] != "pending" or args["reason"] not in REASONS:
            return
        order = self._order(args)
        order["status"] = "cancelled"
        for paid in order["payment_history"]:
            self._take(order, paid["payment_method_id"], -paid["amount"])

    def _modify_pending_order_items(self, args: Row, facts: Row) -> None:
        if not self._exchanges(args, facts, "pending"):
            return
        order = self._order(args)
        self._take(order, args["payment_method_id"], facts["difference"])
        order["status"] = "pending (item modified)"
        for old, new in zip(args["item_ids"], args["new_item_ids"], strict=True):
            item = next(one for one in order["items"] if one["item_id"] == old)
            item |= {"item_id": new, "price": self._variants[new]["price"]}

    def _exchange_delivered_order_items(self, args: Row, facts: Row) -> None:
        if self._exchanges(args, facts, "delivered"):
            self._order(args)["status"] = "exchange requested"

    def _exchanges(self, args: Row, facts: Row, status: str) -> bool:
        return (
            facts["order"]["status"] == status
            and not facts["not_in_order"]
            and len(args["item_ids"]) == len(args["new_item_ids"])
            and all(one["same_product"] and one["available"] for one in facts["replacements"])
            and self._covers(facts, args["payment_method_id"], facts["difference"])
        )

    def _return_delivered_order_items(self, args: Row, facts: Row) -> None:
        method = facts["customer"]["payment_methods"].get(args["payment_method_id"])
        if (
            facts["order"]["status"] == "delivered"
            and not facts["not_in_order"]
            and method
            and (
                args["payment_method_id"] == facts["order"]["paid_by"]
                or method["source"] == "gift_card"
            )
        ):
            self._order(args)["status"] = "return requested"

    def _modify_pending_order_payment(self, args: Row, facts: Row) -> None:
        shown, method = facts["order"], args["payment_method_id"]
        if (
            shown["status"] != "pending"
            or method == shown["paid_by"]
            or not self._covers(facts, method, shown["total"])
        ):
            return
        order = self._order(args)
        self._take(order, shown["paid_by"], -shown["total"])
        self._take(order, method, shown["total"])
        order["payment_history"] = [{"payment_method_id": method, "amount": shown["total"]}]

    def _order(self, args: Row) -> Row:
        order = self._row("orders", args["order_id"])
        assert order
        return order

    def _covers(self, facts: Row, method: str, amount: float) -> bool:
        found = facts["customer"]["payment_methods"].get(method)
        return bool(found) and (found["balance"] is None or found["balance"] >= amount)

    def _take(self, order: Row, method: str, amount: float) -> None:
        customer = self._row("users", order["user_id"])
        assert customer
        row = customer["payment_methods"][method]
        if row["source"] == "gift_card":
            row["balance"] = round(row["balance"] - amount, 2)
