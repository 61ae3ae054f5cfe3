"""The operation that hands out what people judged, for testing the next version of an agent."""

from typing import Any

from django.http import HttpRequest, StreamingHttpResponse
from ninja import Query, Router, Schema
from pydantic import Field

from orchestrator.actions import evaluation_sets
from orchestrator.api.auth import Bearer, actor_of
from orchestrator.api.parameters import refuse_unknown
from orchestrator.api.schemas import ProblemOut
from orchestrator.evaluation_set_queries import Wanted
from orchestrator.streaming import streamed

router = Router(tags=["evaluation sets"])
_PROBLEMS: dict[Any, Any] = {frozenset({401, 403, 422}): ProblemOut}


class EvaluationSetIn(Schema):
    action: str = Field("", description="only this action")
    agent: str = Field("", description="only this agent")
    agent_version: str = Field("", description="only this version")


@router.get(
    "/evaluation-sets",
    auth=Bearer("admin"),
    response={200: str, **_PROBLEMS},
    summary="Export what people judged",
)
def export(request: HttpRequest, wanted: Query[EvaluationSetIn]) -> StreamingHttpResponse:
    """A JSON document a line: what was asked for, an example each, and a seal over all of them.

    It tells what was audited, so a token needs the scope admin and an owner who may export.
    """
    refuse_unknown(request, EvaluationSetIn)
    lines = evaluation_sets.export(actor_of(request), Wanted(**wanted.model_dump()))
    name = evaluation_sets.file_name()
    return streamed(request, lines, content_type=evaluation_sets.CONTENT_TYPE, name=name)
