"""Gold items: what auditors are tried on. Only who keeps them sees which they are."""

from http import HTTPStatus

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from orchestrator.actions import gold as actions
from orchestrator.core.errors import AlreadyDecided, BadInput, NotFound
from review import gold_reads
from review.access import actor_of, requires
from review.audit_reads import hidden_from
from review.gold_forms import GoldForm, WhyForm


@require_http_methods(["GET", "HEAD", "POST"])
@requires("gold.edit")
def gold_items(request: HttpRequest) -> HttpResponse:
    form = GoldForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            actions.add(
                actor_of(request), form.cleaned_data["proposal"], why=form.cleaned_data["why"]
            )
        except BadInput as error:
            form.add_error(error.field, error.reason)
        except NotFound:
            form.add_error("proposal", "there is none with this id.")
        else:
            messages.success(request, "Auditors are handed it now and then, among the others.")
            return redirect("gold_items")
    return _list(request, form)


@require_POST
@requires("gold.edit")
def retire_gold(request: HttpRequest, gold: int) -> HttpResponse:
    form = WhyForm(request.POST)
    try:
        actions.retire(actor_of(request), gold, why=form.data.get("why", ""))
    except NotFound as error:
        raise Http404 from error
    except (BadInput, AlreadyDecided) as error:
        messages.warning(request, f"Not taken back. {error}")
    else:
        messages.success(request, "Taken back. What auditors said of it counts no more.")
    return redirect("gold_items")


def _list(request: HttpRequest, form: GoldForm) -> HttpResponse:
    hidden = hidden_from(request.user)
    window = {name: request.GET.get(name, "") for name in ("before", "after")}
    facts = {
        "section": "audits",
        "form": form,
        "rows": gold_reads.gold_page(hidden=hidden, **window),
        "is_short": bool(hidden),
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, "review/gold.html", facts, status=status)
