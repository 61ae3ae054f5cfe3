"""Up to when everything is in the counters."""

from datetime import datetime


def counted_until() -> datetime:
    """Whatever was committed before this moment is in every report: "data to 09:40 UTC".

    The moment of the oldest change that still waits to be counted; now, when none does.
    """
    raise NotImplementedError
