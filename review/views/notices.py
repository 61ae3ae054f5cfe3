from http import HTTPStatus

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from orchestrator.actions import notices as actions
from orchestrator.actions.notices import Ways
from orchestrator.core.errors import BadInput, NotFound
from orchestrator.models import Notice, NoticeKind, ReviewItem
from review import notice_reads as reads
from review.access import actor_of, may, requires
from review.addresses import page_of
from review.forms import show_error
from review.notice_forms import ChoicesForm
from review.presentation.notices import ICONS
from review.reads import number_or_none

# Where a notice leads that is about no item.
_ABOUT_NO_ITEM: dict[str, str] = {
    NoticeKind.STOOD_DOWN: "calibration",
    NoticeKind.ITEM_OPENED: "tools",
}


@require_safe
@requires("queue.view")
def notices(request: HttpRequest) -> HttpResponse:
    page = reads.notices_page(
        request.user,
        before=number_or_none(request.GET.get("before", "")),
        after=number_or_none(request.GET.get("after", "")),
    )
    facts = {
        "rows": page,
        "lines": [(notice, ICONS[notice.kind], _is_told(notice)) for notice in page.rows],
        "newest": page.rows[0].pk if page.rows else 0,
        "unread": reads.unread_count(request.user),
    }
    return render(request, "review/notices.html", facts)


@require_POST
@requires("queue.view")
def open_notice(request: HttpRequest, pk: int) -> HttpResponse:
    """To what it is about; from now on it is read."""
    try:
        notice = actions.read(actor_of(request), pk)
    except NotFound as error:
        raise Http404 from error
    if notice.item:
        return redirect(page_of(notice.item))
    return redirect(_ABOUT_NO_ITEM.get(notice.kind, "notices"))


@require_POST
@requires("queue.view")
def read_notices(request: HttpRequest) -> HttpResponse:
    until = number_or_none(request.POST.get("until", "")) or 0
    count = actions.read_all(actor_of(request), until)
    messages.success(request, f"{count} marked as read." if count else "All of them were read.")
    return redirect("notices")


@require_http_methods(["GET", "HEAD", "POST"])
@requires("queue.view")
def notice_choices(request: HttpRequest) -> HttpResponse:
    chosen = reads.choices_of(request.user)
    sees_reports = may(request.user, "audit.view")
    form = ChoicesForm(
        request.POST if request.method == "POST" else None,
        chosen={kind: Ways(choice.in_app, choice.email) for kind, choice in chosen.items()},
        address=reads.address_of(request.user),
        has_mail=bool(settings.EMAIL_URL),
        weekly_report=reads.wants_report(request.user) if sees_reports else None,
    )
    if form.is_valid() and _choose(request, form):
        messages.success(request, "Saved.")
        return redirect("notice_choices")
    facts = {"form": form, "has_mail": bool(settings.EMAIL_URL)}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, "review/notice_choices.html", facts, status=status)


def _is_told(notice: Notice) -> bool:
    """What is judged blind is shown on its own page alone."""
    return notice.item is not None and notice.item.kind not in ReviewItem.BLIND


def _choose(request: HttpRequest, form: ChoicesForm) -> bool:
    try:
        actions.choose(
            actor_of(request),
            form.ways(),
            address=form.cleaned_data["address"],
            weekly_report=form.wants_report(),
        )
    except BadInput as error:
        show_error(form, error)
        return False
    return True
