"""A setting that would quietly protect nobody stops the start with a sentence."""

import os
import subprocess
import sys

import pytest
from django.conf import settings

PROVIDER = {"OIDC_ISSUER": "https://id.example", "OIDC_CLIENT_ID": "countersign"}


def read_settings(**given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import orchestrator.settings"],
        cwd=settings.BASE_DIR,
        env=os.environ | given,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"REQUIRE_MFA": "admin, revewer"}, "REQUIRE_MFA names revewer; roles are reviewer, admin"),
        (PROVIDER | {"OIDC_DEFAULT_ROLE": "root"}, "OIDC_DEFAULT_ROLE names root"),
        (PROVIDER | {"OIDC_GROUPS": "it"}, "OIDC_GROUPS must look like it-admins=admin"),
        (PROVIDER | {"OIDC_GROUPS": "it=boss"}, "OIDC_GROUPS names boss"),
        (PROVIDER | {"OIDC_ISSUER": "http://id.example"}, "OIDC_ISSUER must start with https://"),
        ({"OIDC_ISSUER": "https://id.example"}, "OIDC_CLIENT_ID is not"),
    ],
)
def test_it_says_what_is_wrong(given: dict[str, str], says: str) -> None:
    refused = read_settings(**given)
    assert refused.returncode == 1
    assert says in refused.stderr.splitlines()[-1]


def test_it_takes_what_is_right() -> None:
    right = PROVIDER | {"REQUIRE_MFA": "admin,manager", "OIDC_GROUPS": "a=b=admin, c d = reviewer"}
    assert read_settings(**right).returncode == 0
