"""Every page and every form, with the view that answers it."""

from django.urls import path, register_converter

from review.addresses import ContractKind, ContractName, ReadableId
from review.views import (
    audit_log,
    backtests,
    contracts,
    dead_letters,
    decisions,
    doors,
    items,
    proposals,
    queue,
    routing,
    rule_editing,
    rules,
    runs,
    small,
    workflows,
)

register_converter(ReadableId, "id")
register_converter(ContractKind, "kind")
register_converter(ContractName, "name")

urlpatterns = [
    path("", doors.home, name="home"),
    path("login/", doors.sign_in, name="login"),
    path("logout/", doors.sign_out, name="logout"),
    path("setup/", doors.set_up, name="setup"),
    path("queue/", queue.queue, name="queue"),
    path("proposals/", proposals.proposals, name="proposals"),
    path("proposals/<id:pk>/", proposals.proposal, name="proposal"),
    path("proposals/<id:pk>/reopen/", decisions.reopen, name="reopen"),
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
    path("contracts/", contracts.contracts, name="contracts"),
    path("contracts/new/", contracts.new_contract, name="new_contract"),
    path("contracts/<kind:kind>/<name:name>/", contracts.contract, name="contract"),
    path("contracts/<kind:kind>/<name:name>/edit/", contracts.edit_contract, name="edit_contract"),
    path(
        "contracts/<kind:kind>/<name:name>/<int:number>/",
        contracts.contract,
        name="contract_version",
    ),
    path("routing/", routing.routing, name="routing"),
    path("routing/dead-letters/", dead_letters.letters, name="letters"),
    path("routing/dead-letters/redrive/", dead_letters.redrive_letters, name="redrive_letters"),
    path("routing/dead-letters/<id:pk>/", dead_letters.letter, name="letter"),
    path(
        "routing/dead-letters/<id:pk>/redrive/", dead_letters.redrive_letter, name="redrive_letter"
    ),
    path(
        "routing/dead-letters/<id:pk>/discard/", dead_letters.discard_letter, name="discard_letter"
    ),
    path("routing/routes/", routing.routes, name="routes"),
    path("routing/routes/edit/", routing.edit_routes, name="edit_routes"),
    path("routing/routes/<int:number>/", routing.routes, name="routes_version"),
    path("rules/", rules.rule_list, name="rules"),
    path("rules/new/", rule_editing.new_rule, name="new_rule"),
    path("rules/check/", rule_editing.check_rule, name="check_rule"),
    path("rules/<slug:slug>/", rules.rule, name="rule"),
    path("rules/<slug:slug>/edit/", rule_editing.edit_rule, name="edit_rule"),
    path("rules/<slug:slug>/compare/", rules.compare, name="compare_rule"),
    path("rules/<slug:slug>/objections/", rules.objections, name="rule_objections"),
    path("rules/<slug:slug>/<int:number>/", rules.rule_version, name="rule_version"),
    path("rules/<slug:slug>/<int:number>/stage/", rules.change_stage, name="rule_stage"),
    path("rules/<slug:slug>/<int:number>/shadow/", rules.shadow, name="rule_shadow"),
    path("rules/<slug:slug>/<int:number>/backtests/", backtests.start, name="backtest_rule"),
    path("rules/<slug:slug>/<int:number>/backtests/<id:pk>/", backtests.backtest, name="backtest"),
    path(
        "rules/<slug:slug>/<int:number>/backtests/<id:pk>/news/",
        backtests.news,
        name="backtest_news",
    ),
    path(
        "rules/<slug:slug>/<int:number>/backtests/<id:pk>/cancel/",
        backtests.cancel,
        name="cancel_backtest",
    ),
    path("audit-log/", audit_log.audit_log, name="audit_log"),
    path("find/", small.find, name="find"),
    path("pulse/", small.pulse, name="pulse"),
    path("theme/", small.choose_theme, name="theme"),
]
