"""Operations on decision certificates."""

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from orchestrator import certificate_queries
from orchestrator.api.auth import Bearer
from orchestrator.api.schemas import ProblemOut
from orchestrator.core.codec import canonical, read
from orchestrator.core.errors import NotFound

router = Router(tags=["certificates"])
_PROBLEMS: dict[Any, Any] = {frozenset({401, 403, 404, 422}): ProblemOut}


class CertificateOut(Schema):
    digest: str = Field(description="SHA-256 over the canonical bytes of `certificate`")
    certificate: dict[str, Any]


class CheckIn(Schema):
    certificate: dict[str, Any] = Field(description="as it was given out")


class FindingOut(Schema):
    ok: bool
    what: str


class CheckOut(Schema):
    valid: bool
    findings: list[FindingOut]


# Before the address with an id in it, which would take the word for one.
@router.post(
    "/certificates/verify",
    auth=Bearer("read"),
    response={200: CheckOut, **_PROBLEMS},
    summary="Check a certificate against the log",
)
def verify_certificate(request: HttpRequest, given: CheckIn) -> CheckOut:
    """Each claim by itself. Nothing is changed, so this may be asked as often as you like."""
    findings = certificate_queries.check(canonical(given.certificate))
    return CheckOut(
        valid=all(finding.ok for finding in findings),
        findings=[FindingOut(ok=finding.ok, what=finding.what) for finding in findings],
    )


@router.get(
    "/certificates/{decision_id}",
    auth=Bearer("read"),
    response={200: CertificateOut, **_PROBLEMS},
    summary="Read the certificate of an approval",
)
def read_certificate(request: HttpRequest, decision_id: str) -> CertificateOut:
    """What the approval rests on: payload digest, rule and agent versions, people, place in the log."""
    found = certificate_queries.find(decision_id)
    if found is None:
        raise NotFound("certificate of decision", decision_id[:60])
    said = read(found.text)
    return CertificateOut(digest=found.digest, certificate=said if isinstance(said, dict) else {})
