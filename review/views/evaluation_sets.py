"""What people judged, as a file for testing the next version of an agent."""

from http import HTTPStatus

from django import forms
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from orchestrator.actions import evaluation_sets as actions
from orchestrator.actions.evaluation_sets import WORD_LENGTH_MAX
from orchestrator.evaluation_set_queries import Wanted
from orchestrator.streaming import streamed
from review.access import actor_of, requires


class EvaluationSetForm(forms.Form):
    action = forms.CharField(
        max_length=WORD_LENGTH_MAX, required=False, help_text="Empty: all actions."
    )
    agent = forms.CharField(
        max_length=WORD_LENGTH_MAX, required=False, help_text="Empty: all agents."
    )
    agent_version = forms.CharField(
        label="Version", max_length=WORD_LENGTH_MAX, required=False, help_text="Empty: all of them."
    )


@require_http_methods(["GET", "HEAD", "POST"])
@requires("evaluation_sets.export")
def evaluation_set(request: HttpRequest) -> HttpResponseBase:
    form = EvaluationSetForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        return _file(request, form)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, "review/evaluation_set.html", {"form": form}, status=status)


def _file(request: HttpRequest, form: EvaluationSetForm) -> HttpResponseBase:
    actor = actor_of(request)
    lines = actions.export(actor, Wanted(**form.cleaned_data))
    name = actions.file_name()
    return streamed(request, lines, content_type=actions.CONTENT_TYPE, name=name)
