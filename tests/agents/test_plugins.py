from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from orchestrator import plugins
from orchestrator.actions import changes
from orchestrator.core.errors import EffectUnavailable
from orchestrator.effects import registry
from tests.agents import functions


@pytest.fixture
def load_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> Iterator[Callable[..., plugins.Plugins]]:
    """Loads modules with these texts, named after the test's folder so that none is met twice."""
    monkeypatch.syspath_prepend(tmp_path)

    def load(*texts: str) -> plugins.Plugins:
        names = [f"own_{tmp_path.name}_{number}" for number in range(len(texts))]
        for name, text in zip(names, texts, strict=True):
            (tmp_path / f"{name}.py").write_text(text)
        settings.AGENT_MODULES = names
        return plugins.load()

    plugins.load.cache_clear()
    yield load
    plugins.load.cache_clear()


def test_agents_and_executors_are_found_by_name(own_modules: Settings) -> None:
    found = plugins.load()
    assert found.agents["repeat"] is functions.repeat
    assert found is plugins.load()
    assert registry.find("second-ledger") is functions.EXECUTORS["second-ledger"]
    assert registry.find(registry.DEFAULT) is registry.EXECUTORS[registry.DEFAULT]


def test_an_executor_that_nobody_knows_is_tried_again_later(own_modules: Settings) -> None:
    with pytest.raises(EffectUnavailable, match=r"no executor 'bank'.*AGENT_MODULES"):
        registry.find("bank")


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["import nothing_of_that_name"], r"cannot be imported \(ModuleNotFoundError: No module"),
        (["1 / 0"], r"cannot be imported \(ZeroDivisionError"),
        (["def broken(:"], r"cannot be imported \(SyntaxError"),
        (["x = 1"], "neither AGENTS nor EXECUTORS"),
        (["AGENTS = {'a': 1}"], r"AGENTS\['a'\] cannot be called"),
        (["EXECUTORS = {'a': print}"], r"EXECUTORS\['a'\] cannot be called"),
        (["AGENTS = {'a': print}", "AGENTS = {'a': repr}"], "the name of another module's too"),
    ],
)
def test_a_module_that_does_not_fit_stops_the_start(
    load_text: Callable[..., plugins.Plugins], texts: list[str], sentence: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=sentence) as failure:
        load_text(*texts)
    assert "own_" in str(failure.value)
    assert "Nothing was started." in str(failure.value)


def test_a_module_that_is_missing_is_named(settings: Settings) -> None:
    settings.AGENT_MODULES = ["agents_of_nobody"]
    plugins.load.cache_clear()
    with pytest.raises(ImproperlyConfigured, match="'agents_of_nobody' of AGENT_MODULES"):
        plugins.load()


def test_without_modules_there_is_only_what_changes_countersign_itself(settings: Settings) -> None:
    settings.AGENT_MODULES = []
    plugins.load.cache_clear()
    own = plugins.Plugins(executors=dict(changes.EXECUTORS))
    assert plugins.load() == own
