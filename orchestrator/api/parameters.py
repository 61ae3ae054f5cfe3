from django.http import HttpRequest
from ninja import Schema

from orchestrator.core.errors import BadInput


def refuse_unknown(request: HttpRequest, known: type[Schema]) -> None:
    """A mistyped filter that is ignored would look like an answer."""
    for name in request.GET:
        if name not in known.model_fields:
            raise BadInput(name[:60], f"it is not known here; use {', '.join(known.model_fields)}.")
