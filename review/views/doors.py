"""The ways in and out: home, signing in and out, and the first admin of an empty instance."""

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.views import LoginView, LogoutView
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from orchestrator.actions import users
from orchestrator.core.errors import BadInput, NotAllowed
from review.access import may, public
from review.forms import SetupForm, SignInForm

_login = LoginView.as_view(
    template_name="login.html", authentication_form=SignInForm, redirect_authenticated_user=True
)
_logout = LogoutView.as_view()

ENTRANCES = (("queue.decide", "queue"), ("proposals.view", "proposals"))


@public
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """To the page that the role works on; an empty instance first gets its admin."""
    for capability, name in ENTRANCES:
        if may(request.user, capability):
            return redirect(name)
    if request.user.is_authenticated:
        return redirect("proposals")
    return redirect("login" if users.is_set_up() else "setup")


@public
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponseBase:
    if request.method != "POST" and not users.is_set_up():
        return redirect("setup")
    return _login(request)


@public
@require_POST
def sign_out(request: HttpRequest) -> HttpResponseBase:
    return _logout(request)


@public
@never_cache
@sensitive_post_parameters("password", "password_again")
@require_http_methods(["GET", "HEAD", "POST"])
def set_up(request: HttpRequest) -> HttpResponse:
    """Exists only while nobody does."""
    if users.is_set_up():
        raise Http404
    form = SetupForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and _create_admin(request, form):
        return redirect("home")
    return render(request, "setup.html", {"form": form}, status=422 if form.errors else 200)


def _create_admin(request: HttpRequest, form: SetupForm) -> bool:
    given = form.cleaned_data
    try:
        user = users.create_first_admin(
            code=given["code"], username=given["username"], password=given["password"]
        )
    except NotAllowed as error:
        form.add_error("code", str(error))
        return False
    except BadInput as error:
        form.add_error(error.field, error.reason)
        return False
    login(request, user)
    messages.success(request, "You are the first admin of this instance.")
    return True
