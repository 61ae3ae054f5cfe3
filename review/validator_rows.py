"""The validators of a policy as rows of a form: what was typed, and what is wrong with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.core.policy.terms import Validator

type Sent = Mapping[str, Sequence[str]]
FIELDS = ("name", "agent", "rubric", "timeout_s", "money_micros_max")
TIMEOUT_S = "30"


@dataclass(frozen=True, slots=True)
class ValidatorRow:
    name: str = ""
    agent: str = ""
    rubric: str = ""
    timeout_s: str = TIMEOUT_S
    money_micros_max: str = ""

    def read(self) -> Validator:
        """Raises ValueError where a number is none."""
        return Validator(
            name=self.name,
            agent=self.agent,
            rubric=self.rubric,
            timeout_s=int(self.timeout_s),
            money_micros_max=int(self.money_micros_max) if self.money_micros_max else None,
        )


def sent_rows(sent: Sent) -> list[ValidatorRow]:
    columns = [sent.get(f"validator_{name}", []) for name in FIELDS]
    rows = zip(*columns, strict=False)
    return [ValidatorRow(*(_one_line_end(value).strip() for value in row)) for row in rows]


def shown_rows(validators: Sequence[Validator]) -> list[ValidatorRow]:
    def text(value: object) -> str:
        return "" if value is None else str(value)

    return [ValidatorRow(*(text(getattr(one, name)) for name in FIELDS)) for one in validators]


def read_rows(rows: Sequence[ValidatorRow]) -> tuple[tuple[Validator, ...], list[str]]:
    """Those that can be read, and what is wrong with the others."""
    found, problems = [], []
    for place, row in enumerate(rows, start=1):
        try:
            found.append(row.read())
        except ValueError:
            problems.append(f"Validator {place}: time and cost are whole numbers.")
    return tuple(found), problems


def pressed(rows: Sequence[ValidatorRow], button: str) -> list[ValidatorRow]:
    """The rows after one of the buttons between them."""
    name, _, place = button.partition(" ")
    if name == "add_validator":
        return [*rows, ValidatorRow()]
    if name == "remove_validator" and place.isdecimal():
        return [row for at, row in enumerate(rows) if at != int(place[:6])]
    return list(rows)


def _one_line_end(text: str) -> str:
    return text.replace("\r\n", "\n")
