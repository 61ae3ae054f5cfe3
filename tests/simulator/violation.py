"""How an auditor says what was broken."""


class ViolationError(AssertionError):
    """A promise was broken."""


def hold(holds: bool, broken: str) -> None:
    if not holds:
        raise ViolationError(broken)
