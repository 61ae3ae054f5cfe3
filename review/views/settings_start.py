from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from orchestrator.core.policy.roles import roles_with
from review.access import signed_in
from review.context import SETTINGS, settings_of
from review.views.errors import refuse_role


@require_safe
@signed_in
def start(request: HttpRequest) -> HttpResponse:
    """To the first page that the reader may open. Each page asks for itself who may."""
    for link in settings_of(request.user):
        return redirect(link.url)
    # Of all the roles that would open something, not only those of the first page.
    capabilities = [one.capability for one in SETTINGS]
    return refuse_role(request, max(capabilities, key=lambda one: len(roles_with(one))))
