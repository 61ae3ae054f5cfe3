"""Every page and every form, with the view that answers it."""

from django.urls import path, register_converter

from review.addresses import ReadableId
from review.views import (
    audit_log,
    decisions,
    doors,
    items,
    proposals,
    queue,
    runs,
    small,
    workflows,
)

register_converter(ReadableId, "id")

urlpatterns = [
    path("", doors.home, name="home"),
    path("login/", doors.sign_in, name="login"),
    path("logout/", doors.sign_out, name="logout"),
    path("setup/", doors.set_up, name="setup"),
    path("queue/", queue.queue, name="queue"),
    path("proposals/", proposals.proposals, name="proposals"),
    path("proposals/<id:pk>/", proposals.proposal, name="proposal"),
    path("proposals/<id:pk>/outcome/", proposals.outcome, name="outcome"),
    path("proposals/<id:pk>/decide/", decisions.decide, name="decide"),
    path("items/<id:pk>/", items.item, name="item"),
    path("items/<id:pk>/news/", items.news, name="item_news"),
    path("items/<id:pk>/decide/", decisions.decide_item, name="decide_item"),
    path("runs/", runs.runs, name="runs"),
    path("runs/<id:pk>/", runs.run, name="run"),
    path("runs/<id:pk>/news/", runs.news, name="run_news"),
    path("runs/<id:pk>/cancel/", runs.cancel, name="cancel_run"),
    path("runs/<id:pk>/events/<int:seq>/", runs.event, name="event"),
    path("workflows/", workflows.workflows, name="workflows"),
    path("workflows/<slug:slug>/", workflows.workflow, name="workflow"),
    path("workflows/<slug:slug>/<int:number>/", workflows.workflow, name="workflow_version"),
    path("audit-log/", audit_log.audit_log, name="audit_log"),
    path("find/", small.find, name="find"),
    path("pulse/", small.pulse, name="pulse"),
    path("theme/", small.choose_theme, name="theme"),
]
