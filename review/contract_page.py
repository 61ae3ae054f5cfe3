"""The page of one contract version: what it says, and what it changed."""

from collections.abc import Mapping
from typing import Any

from orchestrator import contract_queries as queries
from orchestrator.models import ContractVersion
from review.contract_forms import CompareForm
from review.presentation.contract_changes import changes, lines, pretty
from review.presentation.contract_terms import meeting_of, terms_of
from review.presentation.schema_places import places_of

VERSIONS_MAX = 50


def contract_page(version: ContractVersion, asked: Mapping[str, str]) -> dict[str, Any]:
    kind, name = version.contract.kind, version.contract.name
    versions = queries.contract_versions(kind, name, at_most=VERSIONS_MAX)
    others = [one.number for one in versions if one.number != version.number]
    form = CompareForm({"against": _chosen(version, asked, others)}, others)
    older = _other(version, form)
    whole, *places = places_of(version.parsed)
    return {
        "version": version,
        "versions": versions,
        "in_force": versions[0],
        "terms": terms_of(version),
        "meeting": meeting_of(version),
        "whole": whole,
        "places": places,
        "masked": {path for text in version.masked for path in _paths(text)},
        "raw": pretty(version.parsed),
        "form": form,
        "older": older,
        "changes": changes(older, version) if older else [],
        "lines": lines(older, version) if older else [],
    }


def _chosen(version: ContractVersion, asked: Mapping[str, str], others: list[int]) -> str:
    """What is asked for, or the version before, or the next one of the first."""
    before = [number for number in others if number < version.number] or others[-1:]
    return asked.get("against", str(before[0]) if before else "")


def _other(version: ContractVersion, form: CompareForm) -> ContractVersion | None:
    number = form.cleaned_data["against"] if form.is_valid() else None
    if not number:
        return None
    return queries.contract_version(version.contract.kind, version.contract.name, number)


def _paths(mask: str) -> list[str]:
    """The mask as places are named here: every element of a list, or every member of an object."""
    names = [part.replace("~1", "/").replace("~0", "~") for part in mask.split("/")[1:]]
    return [
        "".join(every if name == "*" else f".{name}" for name in names).lstrip(".")
        for every in ("[]", ".*")
    ]
