"""Why a start can fail, each as the sentence a person reads."""


class CannotStart(Exception):
    """What happened, what was kept, what to do."""


class AlreadyRunning(CannotStart):
    """Somebody else holds the lock; `holder` is what they wrote into it."""

    def __init__(self, message: str, holder: str) -> None:
        super().__init__(message)
        self.holder = holder
