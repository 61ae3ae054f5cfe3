"""The API, assembled: gate, tokens, problem documents, its own documentation page."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from ninja import NinjaAPI
from ninja.openapi.docs import DocsBase
from ninja.parser import Parser

from orchestrator.api import (
    agents,
    backtests,
    calibration,
    certificates,
    contracts,
    dead_letters,
    endpoints,
    evaluation_sets,
    events,
    memory,
    policies,
    problems,
    proposals,
    routes,
    rules,
    runs,
    tools,
    traces,
    workflows,
)
from orchestrator.core.codec import JsonLimits, safe_json
from orchestrator.core.errors import BadJson, NotJson


class SafeParser(Parser):
    def parse_body(self, request: HttpRequest) -> Any:
        if request.content_type != "application/json":
            raise NotJson(request.content_type or "")
        limits = JsonLimits(
            settings.JSON_BYTES_MAX, settings.JSON_DEPTH_MAX, settings.JSON_NODES_MAX
        )
        value = safe_json(request.body, limits)
        if not isinstance(value, dict):
            raise BadJson("the body must be a JSON object.")
        return value


class DocsPage(DocsBase):
    """Our own page: the usual ones load scripts from elsewhere, which our CSP forbids."""

    template = "api_docs.html"

    def render_page(self, request: HttpRequest, api: NinjaAPI, **kwargs: Any) -> HttpResponse:
        return render(request, self.template, {"spec": api.get_openapi_schema()})


api = NinjaAPI(
    title="Countersign",
    version="1",
    description="Agents propose, guardrails check, people countersign.",
    urls_namespace="api",
    parser=SafeParser(),
    docs=DocsPage(),
)
api.add_router("", proposals.router)
api.add_router("", certificates.router)
api.add_router("", runs.router)
api.add_router("", traces.router)
api.add_router("", workflows.router)
api.add_router("", rules.router)
api.add_router("", policies.router)
api.add_router("", agents.router)
api.add_router("", endpoints.router)
api.add_router("", backtests.router)
api.add_router("", evaluation_sets.router)
api.add_router("", calibration.router)
api.add_router("", memory.router)
api.add_router("", contracts.router)
api.add_router("", tools.router)
api.add_router("", events.router)
api.add_router("", dead_letters.router)
api.add_router("", routes.router)
for kind, handler in problems.HANDLERS.items():
    api.add_exception_handler(kind, handler)
