"""Amounts in minor units, written the way people write money."""

from decimal import Decimal

from orchestrator.core.traces import Span

# ISO 4217: every currency in use, and those whose minor unit is not a hundredth.
_CODES = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN "
    "BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD "
    "FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS "
    "KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK "
    "MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR "
    "SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH "
    "UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG"
)
CURRENCIES = frozenset(_CODES.split())
DIGITS = {
    "BHD": 3, "BIF": 0, "CLF": 4, "CLP": 0, "DJF": 0, "GNF": 0, "IQD": 3, "ISK": 0, "JOD": 3,
    "JPY": 0, "KMF": 0, "KRW": 0, "KWD": 3, "LYD": 3, "OMR": 3, "PYG": 0, "RWF": 0, "TND": 3,
    "UGX": 0, "UYI": 0, "UYW": 4, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
}  # fmt: skip
SYMBOLS = {"EUR": "€", "GBP": "£", "JPY": "¥", "USD": "$"}


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


def rough(minor: float, currency: str) -> str:
    """For beside an axis: `€1.2k`, `3M JPY`."""
    whole = abs(minor) / 10 ** DIGITS.get(currency, 2)
    amount = f"{whole:,.0f}"
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if whole >= unit:
            amount = f"{whole / unit:.1f}".removesuffix(".0") + letter
            break
    sign, symbol = "−" if minor < 0 else "", SYMBOLS.get(currency)
    return f"{sign}{symbol}{amount}" if symbol else f"{sign}{amount} {currency}".rstrip()


def cost(micros: float) -> str:
    """Millionths of the unit that the agents of a workflow are priced in; nothing says which it is."""
    amount = Decimal(micros).scaleb(-6)
    digits = 2 if amount >= 1 or not micros else 4 if amount >= Decimal("0.001") else 6
    return f"{amount:,.{digits}f}"


def at_least(micros: float) -> str:
    return f"{cost(micros)} and more"


def priced(span: Span) -> str:
    """What is known of it, and whether that is all."""
    if span.money_micros is None:
        return "not priced"
    return at_least(span.money_micros) if span.is_partly_unpriced else cost(span.money_micros)


def is_currency(code: object) -> bool:
    """How many digits an amount has after its point nobody can guess from a code that does not exist."""
    return isinstance(code, str) and code in CURRENCIES
