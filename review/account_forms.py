"""Forms of signing in, of one's own account, and of other people's."""

from typing import Any

from django import forms
from django.contrib.auth.models import User

from orchestrator.core.policy import roles

PASSWORD_LENGTH_MAX = 1_000


def _password(label: str, autocomplete: str, **attrs: Any) -> forms.CharField:
    return forms.CharField(
        label=label,
        strip=False,
        max_length=PASSWORD_LENGTH_MAX,
        widget=forms.PasswordInput(attrs={"autocomplete": autocomplete} | attrs),
    )


def _user_name(**attrs: Any) -> forms.CharField:
    return forms.CharField(
        label="User name",
        max_length=150,
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none"} | attrs
        ),
    )


class SignInForm(forms.Form):
    username = _user_name(autofocus=True)
    password = _password("Password", "current-password")


class CodeForm(forms.Form):
    code = forms.RegexField(
        r"^[0-9][0-9 -]*$",
        max_length=20,
        label="Code",
        help_text="Six digits from your authenticator app, or one of your recovery codes.",
        error_messages={"invalid": "A code has digits only."},
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}
        ),
    )


class CredentialForm(forms.Form):
    """What a passkey answered; the browser writes it."""

    credential = forms.JSONField(widget=forms.HiddenInput)


class NewPasskeyForm(CredentialForm):
    name = forms.CharField(
        max_length=60,
        label="Name",
        initial="Passkey",
        help_text="To tell it apart from others, such as the device it is on.",
    )


class NewPasswordForm(forms.Form):
    password = _password("New password", "new-password")
    password_again = _password("New password again", "new-password")

    def clean_password_again(self) -> str:
        again: str = self.cleaned_data["password_again"]
        if again != self.cleaned_data.get("password", again):
            raise forms.ValidationError("The two passwords differ.")
        return again


class ChangePasswordForm(NewPasswordForm):
    current = _password("Current password", "current-password", autofocus=True)
    field_order = ("current", "password", "password_again")


class ProofForm(forms.Form):
    password = _password("Password", "current-password", autofocus=True)


def _roles() -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        choices=[(role, role.capitalize()) for role in roles.ROLES],
        required=False,
        label="Roles",
        help_text="Without a role somebody can sign in and see nothing.",
        widget=forms.CheckboxSelectMultiple,
    )


class NewPersonForm(forms.Form):
    username = forms.CharField(
        label="User name",
        max_length=150,
        validators=[User.username_validator],
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    roles = _roles()


class RolesForm(forms.Form):
    roles = _roles()
