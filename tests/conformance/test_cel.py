"""The engine of the rules against the public tests of the language."""

import os
import sys

import pytest
from cel_expr_python import cel

from orchestrator.core.policy.expressions import evaluable, read_expression
from tests.conformance.cel_runner import passes, types_of
from tests.conformance.cel_spec import Case, Unavailable, core_cases

FLOOR = 0.99
CASES_MIN = 1_000
# What the engine is known to do otherwise. None of it can be met in a rule: those are always
# type-checked, live in no container, and whoever writes one key twice means one of the two.
KNOWN_MISSES = {
    "fields/qualified_identifier_resolution/qualified_identifier_resolution_unchecked",
    "fields/qualified_identifier_resolution/map_value_repeat_key_heterogeneous",
    "namespace/namespace/self_eval_container_lookup_unchecked",
}


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    try:
        return core_cases()
    except Unavailable as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"the public tests of CEL cannot be fetched: {error}")


def test_the_core_of_the_language_is_what_its_tests_say(
    cases: list[Case], capsys: pytest.CaptureFixture[str]
) -> None:
    missed = {case.name for case in cases if not passes(case)}
    share = 1 - len(missed) / len(cases)
    with capsys.disabled():
        sys.stdout.write(f"\nCEL core: {len(cases) - len(missed)} of {len(cases)} ({share:.2%})\n")
    assert missed == KNOWN_MISSES
    assert len(cases) >= CASES_MIN
    assert share >= FLOOR


def test_every_part_of_every_test_can_be_read_and_evaluated_by_itself(cases: list[Case]) -> None:
    """Explaining rests on a reading of the compiled form of our own, so all of the language is read."""
    read = 0
    for case in cases:
        source = case.test["expr"]
        variables = types_of(case.test)
        env = cel.NewEnv(variables=variables)
        try:
            compiled = env.compile(source)
        except RuntimeError:
            continue
        if any("." in name for name in variables):
            continue
        tree = read_expression(compiled.serialize(), source)
        for node in tree.walk():
            assert 0 <= node.start < node.end <= len(source), case.name
            assert env.deserialize(evaluable(node)), case.name
        written = source[tree.start : tree.end]
        assert written.strip("() \n") in source, case.name
        again = read_expression(env.compile(written).serialize(), written)
        assert [n.kind for n in again.walk()] == [n.kind for n in tree.walk()], case.name
        read += 1
    assert read >= CASES_MIN * 0.8
