"""Holds tests to the limits that they are marked to reach: `@pytest.mark.pulls("RUN_STEPS_MAX")`."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from mmap import mmap
from types import FunctionType, ModuleType
from typing import Any

import pytest
from django.conf import LazySettings, settings

OURS = tuple(f"{settings.BASE_DIR / package}/" for package in ("orchestrator", "review"))


@contextmanager
def watched(names: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each has to be asked for by our own code, tests left out, while it is not what it usually is."""
    usual = {name: getattr(settings, name) for name in names}
    # Processes that are forked meanwhile write into it, too.
    pulled = mmap(-1, len(names))
    inner = LazySettings.__getattribute__

    def ask(self: LazySettings, name: str) -> Any:
        if name in usual and sys._getframe(1).f_code.co_filename.startswith(OURS):
            pulled[names.index(name)] |= getattr(self._wrapped, name) != usual[name]
        return inner(self, name)

    monkeypatch.setattr(LazySettings, "__getattribute__", ask)
    yield
    left = [name for number, name in enumerate(names) if not pulled[number]]
    assert not left, f"the test is marked to pull {', '.join(left)}, and nothing asked for it"


def pulled_by(module: ModuleType) -> set[str]:
    """What the tests of a module are marked to pull."""
    return {name for mark in _marks(module) if mark.name == "pulls" for name in mark.args}


def _marks(place: ModuleType | type) -> Iterator[pytest.Mark]:
    for found in vars(place).values():
        if isinstance(found, type) and found.__module__ == getattr(place, "__name__", ""):
            yield from _marks(found)
        if not isinstance(found, FunctionType):
            continue
        for mark in getattr(found, "pytestmark", ()):
            yield mark
            if mark.name == "parametrize":
                for one in mark.args[1]:
                    yield from getattr(one, "marks", ())
