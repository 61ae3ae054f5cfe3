"""Contracts: immutable versions of what events, arguments of actions and outputs of agents look like.

The newest version of a name is in force. It keeps what the one before promised: see
`core/policy/contracts.py`, which proves it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from orchestrator.actions.actor import Actor, audit, require
from orchestrator.core.codec import Json, JsonLimits, canonical, digest, read, safe_json
from orchestrator.core.errors import (
    ArgumentsInvalid,
    BadInput,
    BadJson,
    ContractChanged,
    ContractIncompatible,
    ContractInvalid,
    NotFound,
    Problem,
)
from orchestrator.core.policy.changes import RESERVED, is_change
from orchestrator.core.policy.contracts import (
    Incompatible,
    compare,
    masked_problems,
    misfits,
    problems_of,
)
from orchestrator.core.policy.display import review_problems
from orchestrator.core.policy.guardrails import names
from orchestrator.models import Contract, ContractVersion, RuleVersion

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
EVERY_TIER = ("*",)
TIMEOUT_S_MAX = 31_536_000
BUDGET_BP_MAX = 10_000
MASKED_MAX = 50
MASK_LENGTH_MAX = 200
TEXT_MAX = {"description": 500, "owner": 100, "note": 5_000}
# Two numbers name the lock, so that it is nobody else's: this one and the hash of the contract.
_LOCK = 7_230_001


class Saved(NamedTuple):
    version: ContractVersion
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """All that a version says; two with the same wording are the same version."""

    schema: str
    timeout_s: int
    idempotency: str
    tier: str
    owner: str
    description: str
    masked: list[str]
    error_budget_bp: int
    review: dict[str, Any]

    @property
    def content_hash(self) -> str:
        """What is not said is not part of it, so that versions from before it could be said keep theirs."""
        said = asdict(self)
        if not self.review:
            del said["review"]
        return digest(canonical(said))


def save(actor: Actor, *, kind: str, name: str, schema: Json, **wording: Any) -> ContractVersion:
    """The version that says this: a new one, or the newest when that says the same already."""
    return record(actor, kind=kind, name=name, schema=schema, **wording).version


def record(
    actor: Actor,
    *,
    kind: str,
    name: str,
    schema: Json,
    timeout_s: int,
    idempotency: str = ContractVersion.Idempotency.REQUIRED,
    tier: str = ContractVersion.Tier.NORMAL,
    owner: str = "",
    description: str = "",
    masked: Sequence[str] = (),
    error_budget_bp: int = 100,
    review: Mapping[str, Any] | None = None,
    note: str = "",
    based_on: int | None = None,
) -> Saved:
    """The same, with whether it is new.

    `based_on` is the number that the writer saw: None to follow whatever is there, 0 for a new name.
    """
    _require_editor(actor)
    _check_name(kind, name)
    wording = Wording(
        schema=_schema_text(schema),
        timeout_s=timeout_s,
        idempotency=idempotency,
        tier=tier,
        owner=owner,
        description=description,
        masked=list(masked),
        error_budget_bp=error_budget_bp,
        review=dict(review or {}),
    )
    _check_wording(wording, kind, note)
    with transaction.atomic():
        _lock(kind, name)
        before = newest(kind, name)
        _check_seen(before, based_on)
        if before is not None and before.content_hash == wording.content_hash:
            return Saved(before, is_new=False)
        _check_compatible(before, wording, kind)
        _check_tier(before, wording, kind, name)
        version = ContractVersion.objects.create(
            contract=before.contract if before else _new_contract(kind, name),
            number=before.number + 1 if before else 1,
            content_hash=wording.content_hash,
            note=note,
            created_by=actor.user,
            **asdict(wording),
        )
        detail: dict[str, Json] = {"version": version.number, "note": note}
        detail |= _weightier_changes(before, wording)
        audit(actor, "contract.saved", f"contract/{kind}/{name}", **detail)
        return Saved(version, is_new=True)


def newest(kind: str, name: str) -> ContractVersion | None:
    """The version in force."""
    return _versions(kind, name).order_by("-number").first()


def version(kind: str, name: str, number: int) -> ContractVersion:
    found = _versions(kind, name).filter(number=number).first()
    if found is None:
        raise NotFound("contract", f"{kind} {name} v{number}"[:100])
    return found


def check_arguments(action: str, args: Mapping[str, Json]) -> ContractVersion | None:
    """The contract that the arguments keep; None for an action that has none. Asked for every proposal."""
    found = newest(Contract.Kind.ACTION, action)
    if found is not None:
        problems = misfits(found.schema, dict(args), found.masked)
        if problems:
            raise ArgumentsInvalid(problems, f"{action} v{found.number}")
    return found


def _versions(kind: str, name: str) -> QuerySet[ContractVersion]:
    rows = ContractVersion.objects.select_related("contract")
    return rows.filter(contract__kind=kind, contract__name=name)


def _require_editor(actor: Actor) -> None:
    """Nobody in particular is whoever may run commands on this machine."""
    if actor.user is not None or actor.token is not None:
        require(actor, "contracts.edit", "save contracts")


def _check_name(kind: str, name: str) -> None:
    if kind not in Contract.Kind.values:
        raise BadInput("kind", f"choose among {', '.join(Contract.Kind.values)}.")
    if kind == Contract.Kind.ACTION and is_change(name):
        raise BadInput("name", f"{RESERVED}* is Countersign itself, which has no contract.")
    if not NAME.fullmatch(name):
        raise BadInput(
            "name", "use 1 to 100 letters, digits and . _ : - only, with a letter or digit first."
        )


def _schema_text(schema: Json) -> str:
    """As it is stored. What is too large or too deep is refused before anything looks into it."""
    try:
        text = canonical(schema)
    except RecursionError as error:
        raise BadJson(f"it is nested deeper than {settings.JSON_DEPTH_MAX} levels.") from error
    size = len(text.encode())
    if size > settings.CONTRACT_BYTES_MAX:
        most = f"at most {settings.CONTRACT_BYTES_MAX:,} are taken (CONTRACT_BYTES_MAX)."
        raise BadJson(f"the schema has {size:,} bytes, {most}", too_large=True)
    limits = JsonLimits(size, settings.JSON_DEPTH_MAX, settings.JSON_NODES_MAX)
    return canonical(safe_json(text.encode(), limits))


def _check_wording(wording: Wording, kind: str, note: str) -> None:
    _check_texts(description=wording.description, owner=wording.owner, note=note)
    _check_number("timeout_s", wording.timeout_s, 1, TIMEOUT_S_MAX)
    _check_number("error_budget_bp", wording.error_budget_bp, 0, BUDGET_BP_MAX)
    _check_choice("idempotency", wording.idempotency, ContractVersion.Idempotency.values)
    _check_choice("tier", wording.tier, ContractVersion.Tier.values)
    _check_masks(wording.masked)
    schema = read(wording.schema)
    problems = problems_of(schema, kind) or [
        *masked_problems(schema, wording.masked),
        *_review_problems(wording.review, schema, kind),
    ]
    if problems:
        raise ContractInvalid(problems)


def _review_problems(review: Mapping[str, Json], schema: Json, kind: str) -> list[Problem]:
    if review and kind != Contract.Kind.ACTION:
        return [Problem("/review", "belongs to actions; only those are put before people")]
    return review_problems(dict(review), schema)


def _check_texts(**texts: str) -> None:
    for field, text in texts.items():
        if len(text) > TEXT_MAX[field] or "\x00" in text:
            raise BadInput(field, f"at most {TEXT_MAX[field]:,} characters, none of them NUL.")


def _check_number(field: str, number: int, low: int, high: int) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
        raise BadInput(field, f"use a whole number from {low:,} to {high:,}.")


def _check_choice(field: str, chosen: str, known: Sequence[str]) -> None:
    if chosen not in known:
        raise BadInput(field, f"choose among {', '.join(known)}.")


def _check_masks(pointers: Sequence[str]) -> None:
    if len(pointers) > MASKED_MAX or any(len(text) > MASK_LENGTH_MAX for text in pointers):
        raise BadInput(
            "masked", f"at most {MASKED_MAX} pointers of at most {MASK_LENGTH_MAX} characters."
        )


def _lock(kind: str, name: str) -> None:
    """Of two that save at once, the second waits, and then sees what the first one saved."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCK, f"{kind} {name}"])


def _check_seen(before: ContractVersion | None, based_on: int | None) -> None:
    current = before.number if before else 0
    if based_on is not None and based_on != current:
        raise ContractChanged(based_on, current)


def _check_compatible(before: ContractVersion | None, wording: Wording, kind: str) -> None:
    if before is None:
        return
    broken = compare(before.parsed, read(wording.schema), kind)
    if broken is not None:
        reason = _say(broken, before.number, kind)
        raise ContractIncompatible(reason, broken.why, broken.counterexample)


def _check_tier(before: ContractVersion | None, wording: Wording, kind: str, action: str) -> None:
    """Who sets the tier of an action takes it out of some rules, which takes a second admin."""
    known = before.tier if before else ContractVersion.Tier.NORMAL.value
    if kind != Contract.Kind.ACTION or wording.tier == known or not settings.RULES_FOUR_EYES:
        return
    touched = [
        version.rule.slug
        for version in RuleVersion.objects.active()
        if (rule := version.as_rule).tiers != EVERY_TIER and names(rule.actions, action)
    ]
    if touched:
        raise BadInput(
            "tier",
            f"{', '.join(sorted(touched))} decide by it, and it is {known}. Have a second admin "
            "agree to a version of them that does not, or leave the tier as it is.",
        )


def _weightier_changes(before: ContractVersion | None, wording: Wording) -> dict[str, Json]:
    """For the audit log: what is loosened here is loosened for every proposal."""
    if before is None:
        return {}
    return {
        name: {"before": getattr(before, name), "after": getattr(wording, name)}
        for name in ("tier", "idempotency", "masked", "review")
        if getattr(before, name) != getattr(wording, name)
    }


def _say(broken: Incompatible, number: int, kind: str) -> str:
    if broken.why:
        if kind == Contract.Kind.OUTPUT:
            return f"It allows a value that version {number} did not allow: {broken.why[0]}."
        return f"It refuses a value that version {number} accepts: {broken.why[0]}."
    less = "allows no more" if kind == Contract.Kind.OUTPUT else "accepts no less"
    return f"That it {less} than version {number} was not proven: {broken.reason}."


def _new_contract(kind: str, name: str) -> Contract:
    if Contract.objects.count() >= settings.CONTRACTS_MAX:
        raise BadInput("name", f"{name} is new, and CONTRACTS_MAX contracts exist already.")
    return Contract.objects.create(kind=kind, name=name)
