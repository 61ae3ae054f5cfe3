"""The whole address space: API and health here, pages in review/."""

from django.urls import include, path, re_path

from orchestrator.api import health, metrics, problems
from orchestrator.api.app import api

urlpatterns = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", metrics.metrics),
    path("api/v1/", api.urls),
    re_path(r"^api/(?P<path>.*)$", problems.not_found),
    path("", include("review.urls")),
]

handler400 = "review.views.errors.bad_request"
handler403 = "review.views.errors.forbidden"
handler404 = "review.views.errors.not_found"
handler500 = "review.views.errors.server_error"
