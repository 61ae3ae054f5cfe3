"""Agents, executors and tools of your own: the modules of AGENT_MODULES, imported once by each worker.

A module says what it brings in literal dictionaries, and importing it is all that happens:

    AGENTS = {"invoices.read": read_invoice}
    EXECUTORS = {"bank": Bank()}
    TOOLS = {"orders.find": find_order}
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

# Ours as well: what changes Countersign itself is an effect, and effects know nothing of actions.
BUILT_IN = ("orchestrator.actions.changes",)


@dataclass(frozen=True, slots=True)
class Plugins:
    """By name; the packages `agents`, `effects` and `tools` know what can be done with them."""

    agents: dict[str, Callable[..., Any]] = field(default_factory=dict)
    executors: dict[str, Any] = field(default_factory=dict)
    tools: dict[str, Callable[..., Any]] = field(default_factory=dict)


@cache
def load() -> Plugins:
    """Call it when a worker starts: what is wrong with a module is said then, not at the first run."""
    plugins = Plugins()
    for name in (*BUILT_IN, *settings.AGENT_MODULES):
        module = _import(name)
        _add(module, "AGENTS", plugins.agents, callable)
        _add(module, "EXECUTORS", plugins.executors, _has_call)
        _add(module, "TOOLS", plugins.tools, callable)
    return plugins


def _import(name: str) -> ModuleType:
    try:
        module = import_module(name)
    except Exception as error:
        raise ImproperlyConfigured(
            f"The module {name!r} of AGENT_MODULES cannot be imported "
            f"({type(error).__name__}: {error}). Nothing was started. Correct the module, its name, "
            "or PYTHONPATH, and start again."
        ) from error
    if not any(hasattr(module, brings) for brings in ("AGENTS", "EXECUTORS", "TOOLS")):
        raise ImproperlyConfigured(
            f"The module {name!r} of AGENT_MODULES has neither AGENTS nor EXECUTORS nor TOOLS. "
            "Nothing was started. Give it one of these dictionaries, or take it off the list."
        )
    return module


def _add(
    module: ModuleType, dictionary: str, into: dict[str, Any], suits: Callable[[Any], bool]
) -> None:
    for name, brought in getattr(module, dictionary, {}).items():
        if not suits(brought):
            raise ImproperlyConfigured(
                f"{module.__name__}.{dictionary}[{name!r}] cannot be called. Nothing was started."
            )
        if into.get(name, brought) is not brought:
            raise ImproperlyConfigured(
                f"{module.__name__}.{dictionary}[{name!r}] is the name of another module's too. "
                "Nothing was started. Rename one of them."
            )
        into[name] = brought


def _has_call(executor: Any) -> bool:
    return callable(getattr(executor, "call", None))
