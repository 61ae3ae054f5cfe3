"""Checks the certificates of some effects by the product's own means, and prints what does not hold."""

from orchestrator import certificate_queries
from orchestrator.models import Certificate, Effect

SAMPLE = 50


def main() -> None:
    released = Effect.objects.exclude(status=Effect.Status.WITHDRAWN).exclude(decision=None)
    decisions = list(released.order_by("?").values_list("decision", flat=True)[:SAMPLE])
    for certificate in Certificate.objects.filter(decision__in=decisions):
        for finding in certificate_queries.check(certificate.text):
            if not finding.ok:
                print(f"the certificate of {certificate.pk} does not bear out that {finding.what}")


if __name__ == "__main__":
    main()
