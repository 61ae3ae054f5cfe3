"""What ours is compared with. Loaded only where a test asks for it: statsmodels alone takes seconds."""

import importlib
import warnings
from typing import Any

import pytest


def _load(name: str) -> Any:
    # What other packages deprecate inside themselves is not ours to mend.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


@pytest.fixture(scope="session")
def numpy() -> Any:
    return _load("numpy")


@pytest.fixture(scope="session")
def scipy_special() -> Any:
    return _load("scipy.special")


@pytest.fixture(scope="session")
def scipy_stats() -> Any:
    return _load("scipy.stats")


@pytest.fixture(scope="session")
def scipy_optimize() -> Any:
    return _load("scipy.optimize")


@pytest.fixture(scope="session")
def proportions() -> Any:
    return _load("statsmodels.stats.proportion")


@pytest.fixture(scope="session")
def raters() -> Any:
    return _load("statsmodels.stats.inter_rater")


@pytest.fixture(scope="session")
def krippendorff() -> Any:
    return _load("krippendorff")


@pytest.fixture(scope="session")
def ols() -> Any:
    return _load("statsmodels.regression.linear_model").OLS
