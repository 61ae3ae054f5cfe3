"""The airline's database as whoever submits for its agent sees it: facts about a call, before it is made.

A recording has only the database of its beginning. What earlier calls of a run changed is worked out
from what the airline's own tools check and do, not from what was recorded of their outcome.
"""

from copy import deepcopy
from typing import Any

NOW = "2024-05-15T15:00:00Z"
# The numbers that the booking tool gives.
BOOKED_AS = ("HATHAT", "HATHAU", "HATHAV")
EXTRA_BAG = 50
INSURANCE = 30

type Row = dict[str, Any]


class Airline:
    """One run's view: rows are copied when they are first looked at."""

    def __init__(self, database: dict[str, dict[str, Row]]) -> None:
        self._database = database
        self._rows: dict[tuple[str, str], Row] = {}

    def facts(self, tool: str, args: Row) -> Row:
        reservation = self._row("reservations", args.get("reservation_id"))
        customer = self._row("users", args.get("user_id") or (reservation or {}).get("user_id"))
        found: Row = {"now": NOW}
        if customer:
            found["customer"] = {
                "membership": customer["membership"],
                "payment_methods": {
                    key: {"source": method["source"], "amount": method.get("amount")}
                    for key, method in customer["payment_methods"].items()
                },
            }
        if reservation:
            found["reservation"] = self._shown(reservation)
        if "flights" in args:
            found["flights"] = [self._flight(one, args, reservation) for one in args["flights"]]
        if tool == "book_reservation":
            found["due"] = self._due(args, found["flights"])
            found["paid"] = sum(one["amount"] for one in args["payment_methods"])
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

    def _shown(self, reservation: Row) -> Row:
        kept = ("origin", "destination", "flight_type", "cabin", "insurance")
        bags = ("total_baggages", "nonfree_baggages")
        return {
            **{name: reservation[name] for name in (*kept, *bags)},
            "created_at": f"{reservation['created_at']}Z",
            "passengers": len(reservation["passengers"]),
            "flights": [
                {
                    "flight_number": one["flight_number"],
                    "date": one["date"],
                    "status": self._day(one).get("status", "unknown"),
                }
                for one in reservation["flights"]
            ],
        }

    def _day(self, flight: Row) -> Row:
        row = self._row("flights", flight["flight_number"]) or {"dates": {}}
        found: Row = row["dates"].get(flight["date"], {})
        return found

    def _flight(self, flight: Row, args: Row, reservation: Row | None) -> Row:
        """A flight of the wanted journey. A kept one stays booked as it is."""
        day = self._day(flight)
        row = self._row("flights", flight["flight_number"]) or {"origin": "", "destination": ""}
        booked = [
            one
            for one in (reservation or {"flights": []})["flights"]
            if (one["flight_number"], one["date"]) == (flight["flight_number"], flight["date"])
        ]
        return {
            "flight_number": flight["flight_number"],
            "date": flight["date"],
            "origin": row["origin"],
            "destination": row["destination"],
            "status": day.get("status", "unknown"),
            "seats": day.get("available_seats", {}).get(args["cabin"], 0),
            "price": day.get("prices", {}).get(args["cabin"], 0),
            "booked": bool(booked),
            "kept": bool(booked and reservation and reservation["cabin"] == args["cabin"]),
        }

    def _due(self, args: Row, flights: list[Row]) -> int:
        each = sum(one["price"] for one in flights)
        each += INSURANCE if args["insurance"] == "yes" else 0
        return int(each * len(args["passengers"]) + EXTRA_BAG * args["nonfree_baggages"])

    # What the tools do ---------------------------------------------------------------------------

    def _book_reservation(self, args: Row, facts: Row) -> None:
        customer = self._row("users", args["user_id"])
        free = all(
            one["status"] == "available" and one["seats"] >= len(args["passengers"])
            for one in facts["flights"]
        )
        methods = customer["payment_methods"] if customer else {}
        paid = args["payment_methods"]
        covered = all(
            one["payment_id"] in methods
            and methods[one["payment_id"]].get("amount", one["amount"]) >= one["amount"]
            for one in paid
        )
        if not free or not covered or facts["due"] != facts["paid"]:
            return
        for one in paid:
            method = methods[one["payment_id"]]
            if method["source"] == "gift_card":
                method["amount"] -= one["amount"]
            elif method["source"] == "certificate":
                del methods[one["payment_id"]]
        self._book(args, facts["flights"])

    def _book(self, args: Row, flights: list[Row]) -> None:
        free = [key for key in BOOKED_AS if not self._row("reservations", key)]
        key = free[0] if free else BOOKED_AS[-1]
        copied = ("user_id", "origin", "destination", "flight_type", "cabin", "passengers")
        bags = ("total_baggages", "nonfree_baggages", "insurance")
        self._rows["reservations", key] = {
            **{name: args[name] for name in (*copied, *bags)},
            "created_at": NOW.removesuffix("Z"),
            "flights": flights,
        }

    def _update_reservation_flights(self, args: Row, facts: Row) -> None:
        reservation = self._row("reservations", args["reservation_id"])
        if not reservation or any(self._refuses(one, reservation) for one in facts["flights"]):
            return
        people = len(reservation["passengers"])
        before = {
            (one["flight_number"], one["date"]): one["price"] for one in reservation["flights"]
        }
        flights = [
            {
                **{name: one[name] for name in ("flight_number", "date", "origin", "destination")},
                "price": before[one["flight_number"], one["date"]] if one["kept"] else one["price"],
            }
            for one in facts["flights"]
        ]
        due = people * (sum(one["price"] for one in flights) - sum(before.values()))
        if self._pay(reservation, args["payment_id"], due):
            # The recorded tool forgot to write the cabin down; the customer has paid for it.
            reservation |= {"flights": flights, "cabin": args["cabin"]}

    def _refuses(self, flight: Row, reservation: Row) -> bool:
        free = flight["status"] == "available" and flight["seats"] >= len(reservation["passengers"])
        return not flight["kept"] and not free

    def _update_reservation_baggages(self, args: Row, facts: Row) -> None:
        reservation = self._row("reservations", args["reservation_id"])
        if not reservation:
            return
        more = max(0, args["nonfree_baggages"] - reservation["nonfree_baggages"])
        if self._pay(reservation, args["payment_id"], EXTRA_BAG * more):
            reservation["total_baggages"] = args["total_baggages"]
            reservation["nonfree_baggages"] = args["nonfree_baggages"]

    def _pay(self, reservation: Row, payment_id: str, due: int) -> bool:
        customer = self._row("users", reservation["user_id"])
        method = customer["payment_methods"].get(payment_id) if customer else None
        if method is None or method["source"] == "certificate":
            return False
        if method["source"] == "gift_card":
            if method["amount"] < due:
                return False
            method["amount"] -= due
        return True
