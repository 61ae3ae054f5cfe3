"""For load balancers and the supervisor: is the process alive, and can it do its work?"""

from django.db import DatabaseError, ProgrammingError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from orchestrator import queue
from orchestrator.models import Command


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Alive: answers without asking anybody."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Ready: PostgreSQL answers with our tables. A silent doorbell slows work down but stops nothing."""
    database = _database()
    doorbell = "ok" if queue.is_answering() else "not answering"
    ready = database == "ok"
    body = {"status": "ok" if ready else "unavailable", "database": database, "doorbell": doorbell}
    return JsonResponse(body, status=200 if ready else 503)


def _database() -> str:
    try:
        Command.objects.exists()
    except ProgrammingError:
        return "the tables are missing; run manage.py migrate"
    except DatabaseError:
        return "not answering"
    return "ok"
