from typing import Any

import jsonschema_rs
import pytest

from orchestrator.agents.function import Function
from orchestrator.agents.isolated import ISOLATION
from orchestrator.agents.registry import AGENTS, SCHEMAS, find
from orchestrator.agents.scripted import Scripted
from orchestrator.core.errors import AgentUnknown
from orchestrator.core.plan import queue_of
from orchestrator.core.policy.agent_versions import CALLS_OUT

FUNCTION = {"kind": "function", "name": "invoices.read"}


def test_a_function_is_isolated_unless_its_definition_says_otherwise() -> None:
    assert queue_of(FUNCTION) == "isolated"
    assert find(FUNCTION) is ISOLATION
    in_process = {**FUNCTION, "isolated": False}
    assert queue_of(in_process) == "agents"
    assert isinstance(find(in_process), Function)


def test_a_script_waits_with_the_other_agents() -> None:
    scripted = {"kind": "scripted", "name": "clerk", "isolated": True}
    assert queue_of(scripted) == "agents"
    assert isinstance(find(scripted), Scripted)


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(
        AgentUnknown, match=r"function, http, llm, recorded, .* of the kind 'oracle'"
    ):
        find({"kind": "oracle", "name": "x"})


@pytest.mark.parametrize(
    ("config", "is_valid"),
    [
        (FUNCTION, True),
        ({**FUNCTION, "isolated": False, "options": {"language": "de"}}, True),
        ({**FUNCTION, "isolated": "no"}, False),
        ({**FUNCTION, "isolatd": True}, False),
        ({"kind": "function"}, False),
        ({"kind": "scripted", "name": "clerk", "says": {"echo": "item"}, "takes_ms": 5}, True),
        ({"kind": "scripted", "name": "clerk", "says": None, "usage": {"tokens_in": 1}}, True),
        ({"kind": "scripted", "name": "clerk", "takes_ms": -1}, False),
        ({"kind": "scripted", "name": "clerk", "usage": {"coffee": 1}}, False),
        ({"kind": "scripted", "name": "c", "fails": [{"attempt": 1, "code": "tired"}]}, False),
        (
            {"kind": "scripted", "name": "c", "fails": [{"attempt": 1, "code": "agent-crashed"}]},
            True,
        ),
    ],
)
def test_definitions_are_checked_by_the_schema_of_their_kind(
    config: dict[str, Any], is_valid: bool
) -> None:
    assert jsonschema_rs.validator_for(SCHEMAS[config["kind"]]).is_valid(config) is is_valid


def test_a_stage_says_all_of_an_agent_unless_it_is_asked_over_the_network() -> None:
    """Which endpoint may see the data is for a version to say, and for a stage to name one."""
    assert SCHEMAS.keys() == AGENTS.keys() - CALLS_OUT | {"agent"}
    for schema in SCHEMAS.values():
        jsonschema_rs.meta.validate(schema)
