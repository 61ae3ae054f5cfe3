"""Amounts in minor units, written the way people write money."""

from decimal import Decimal

# ISO 4217: currencies whose minor unit is not a hundredth.
DIGITS = {
    "BHD": 3, "CLP": 0, "IQD": 3, "ISK": 0, "JOD": 3, "JPY": 0, "KRW": 0, "KWD": 3, "LYD": 3,
    "OMR": 3, "PYG": 0, "TND": 3, "UGX": 0, "VND": 0, "XAF": 0, "XOF": 0,
}  # fmt: skip
SYMBOLS = {"EUR": "€", "GBP": "£", "JPY": "¥", "USD": "$"}
CODE_LENGTH = 3


def money(minor: object, currency: object) -> str:
    """`€1,840.00`; an empty text when the two do not name an amount."""
    if not isinstance(minor, int) or isinstance(minor, bool) or not is_currency(currency):
        return ""
    code = str(currency)
    digits = DIGITS.get(code, 2)
    amount = f"{abs(Decimal(minor).scaleb(-digits)):,.{digits}f}"
    sign = "−" if minor < 0 else ""
    symbol = SYMBOLS.get(code)
    return f"{sign}{symbol}{amount}" if symbol else f"{sign}{amount} {code}"


def cost(micros: float) -> str:
    """Millionths of the unit that the agents of a workflow are priced in; nothing says which it is."""
    amount = Decimal(micros).scaleb(-6)
    digits = 2 if amount >= 1 or not micros else 4 if amount >= Decimal("0.001") else 6
    return f"{amount:,.{digits}f}"


def is_currency(code: object) -> bool:
    return (
        isinstance(code, str)
        and len(code) == CODE_LENGTH
        and code.isascii()
        and code.isalpha()
        and code.isupper()
    )
