"""Facts that a template finds when it shows them: what a fragment leaves out costs nothing."""

from collections.abc import Callable
from functools import cache, partial


def once[**P, T](find: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Callable[[], T]:
    """Found when it is first asked for, then kept. Templates call what can be called."""
    return cache(partial(find, *args, **kwargs))
