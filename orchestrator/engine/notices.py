"""Who is told what about a review item: rows, in the transaction of whatever happened.

A sentence is the server's own. It names people, and actions that have a contract; nothing that an
agent wrote, no argument, no target. A message carries a link and nothing to decide with.

    opened      something waits: webhooks, and people who chose to hear of it
    expired     the deadline said no: whoever asked, whoever held it, and the team that was to decide
    escalated   the team it went to, else admins and managers
    assigned    the new holder, else the team
    mentioned   the people who were named
    decided     whoever asked. Call it when the decision settles the item
    woken       whoever snoozed it
    stood_down  whoever may allow automatic accepting again
    tools_wait  whoever may approve tools
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from orchestrator.core.policy import roles
from orchestrator.core.policy.changes import change_of, is_change
from orchestrator.engine import outbox, sql
from orchestrator.engine.outbox import Message, call_of, mail_to
from orchestrator.models import (
    Contract,
    Decision,
    Delivery,
    Notice,
    NoticeKind,
    ReviewItem,
    StandDown,
)

# Handed out one by one, to people who must not know what others made of them.
UNTOLD = tuple(kind for kind in ReviewItem.BLIND if kind != ReviewItem.Kind.ADJUDICATION)
TEXT_LENGTH_MAX = 500
QUOTE_LENGTH_MAX = 160
# Chat tools make links, mentions and markup of these.
_MARKUP = re.compile(r"[<>&@\x00-\x1f\x7f]")
# Stands in a phrase for what the item is about.
WHAT = "{what}"
ANYBODY = "whoever may decide"


def opened(items: Sequence[ReviewItem]) -> None:
    """One statement when nobody subscribed, however many items there are."""
    disputes = [item for item in items if item.kind == ReviewItem.Kind.ADJUDICATION]
    others = [item for item in items if item.kind not in {*UNTOLD, ReviewItem.Kind.ADJUDICATION}]
    _spread(NoticeKind.ITEM_OPENED, [_News(item, _WAITS[item.kind]) for item in others])
    _spread(
        NoticeKind.ADJUDICATION,
        [_News(item, "Two verdicts about {what} disagree.", _deciders(item)) for item in disputes],
    )


def expired(item: ReviewItem) -> None:
    people = {item.asked_by_id, item.holder_id, *_answerable(item)}
    phrase = f"Nobody decided about {WHAT} in time, so the answer was no."
    _spread(NoticeKind.ITEM_EXPIRED, [_News(item, phrase, _known(people))])


def escalated(item: ReviewItem, by: User, note: str) -> None:
    people = _answerable(item) - {by.pk}
    phrase = f"{by.get_username()} escalated {WHAT}."
    _spread(NoticeKind.ITEM_ESCALATED, [_News(item, phrase, people, quote=note)])


def assigned(item: ReviewItem, by: User) -> None:
    people = _known({item.holder_id}) or _members(item)
    to = "you" if item.holder_id else f"the team {item.team}" if item.team else ANYBODY
    phrase = f"{by.get_username()} assigned {WHAT} to {to}."
    outside = f"{by.get_username()} assigned {WHAT} to somebody else."
    news = _News(item, phrase, people - {by.pk}, outside=outside if item.holder_id else phrase)
    _spread(NoticeKind.ITEM_ASSIGNED, [news])


def mentioned(item: ReviewItem, by: User, people: Sequence[User], text: str) -> None:
    named = frozenset(person.pk for person in people) - {by.pk}
    phrase = f"{by.get_username()} mentioned you on {WHAT}."
    outside = f"{by.get_username()} mentioned somebody on {WHAT}."
    _spread(NoticeKind.MENTIONED, [_News(item, phrase, named, quote=text, outside=outside)])


def decided(item: ReviewItem, decision: Decision) -> None:
    """Programs see the outcome by themselves: of what a token asked for, only webhooks are told."""
    asked = frozenset[int]() if item.run.token_id else _known({item.asked_by_id})
    phrase = _DECIDED[decision.verdict].format(who=decision.reviewer.get_username(), what=WHAT)
    _spread(NoticeKind.DECIDED, [_News(item, phrase, asked - {decision.reviewer_id})])


def woken(items: Sequence[ReviewItem]) -> None:
    phrase = "What you snoozed is back in the queue: {what}."
    outside = "Back in the queue after a snooze: {what}."
    _spread(
        NoticeKind.SNOOZE_OVER,
        [_News(item, phrase, _known({item.snoozed_by_id}), outside=outside) for item in items],
    )


def stood_down(stand_down: StandDown) -> None:
    """Of no item: which audit it was, nobody is told who may have to settle its dispute."""
    news = _News(
        None,
        f"Automatic accepting of {WHAT} stands down: people decide until one allows it again.",
        _with_roles(roles.roles_with("stand_downs.lift")),
        action=stand_down.record.action,
        page=f"/calibration/{stand_down.record_id}/",
    )
    _spread(NoticeKind.STOOD_DOWN, [news])


def tools_wait(count: int, server: str, by: User | None) -> None:
    """None by name: a server may call its tools what it likes."""
    if not count:
        return
    where = f" of the server {server}" if server else ""
    said = f"A tool{where} says" if count == 1 else f"{count} tools{where} say"
    news = _News(
        None,
        f"{said} what nobody approved yet. Agents are not offered it before an admin does.",
        _with_roles(roles.roles_with("tools.edit")) - _known({by.pk if by else None}),
        page="/tools/",
    )
    _spread(NoticeKind.ITEM_OPENED, [news])


# What is said ---------------------------------------------------------------------------------

_KIND = ReviewItem.Kind
_WAITS: dict[str, str] = {
    _KIND.GUARDRAIL_FAILURE: "A guardrail holds {what}; it waits for a decision.",
    _KIND.ESCALATION: "The score of {what} does not let it run by itself; it waits for a decision.",
    _KIND.APPROVAL: "A run asks whether it may go on.",
    _KIND.UNKNOWN_EFFECT: "Nobody knows whether {what} happened; somebody has to find out.",
    _KIND.STUCK_COMMAND: "Work of a run stops its workers; somebody has to look.",
    _KIND.RULE_CHANGE: "{what} waits for another admin.",
    _KIND.FAILED_COMPENSATION: "Undoing {what} failed; somebody has to look.",
}
_DECIDED: dict[str, str] = {
    Decision.Verdict.APPROVE: "{who} approved {what}.",
    Decision.Verdict.REJECT: "{who} rejected {what}.",
    Decision.Verdict.HAPPENED: "{who} found that {what} happened.",
    Decision.Verdict.NOT_HAPPENED: "{who} found that {what} did not happen.",
    Decision.Verdict.RETRY: "{who} let {what} run again.",
    Decision.Verdict.GIVE_UP: "{who} gave {what} up.",
    Decision.Verdict.EDIT: "{who} edited {what}.",
    Decision.Verdict.RESPOND: "{who} sent {what} back.",
}
_PLAIN: dict[str, str] = {
    _KIND.APPROVAL: "the question of a run",
    _KIND.STUCK_COMMAND: "stuck work",
}


def _what(news: "_News", declared: set[str]) -> str:
    """An agent names its action as it likes; only what an admin wrote a contract for is repeated."""
    if is_change(news.about):
        return change_of(news.about)
    if news.item and news.item.kind in _PLAIN:
        return _PLAIN[news.item.kind]
    return news.about if news.about in declared else "an action"


def _declared(news: Iterable["_News"]) -> set[str]:
    names = {one.about for one in news if one.about}
    known = Contract.objects.filter(kind=Contract.Kind.ACTION, name__in=names)
    return set(known.values_list("name", flat=True))


@dataclass(frozen=True, slots=True)
class _News:
    """One thing that happened to one item, or to an action as a whole."""

    item: ReviewItem | None
    phrase: str
    # Told unless they chose otherwise. None: it is addressed to nobody, but some chose to be told.
    people: frozenset[int] | None = None
    # A person's words, for people who are signed in.
    quote: str = ""
    # Said to those who are not "you".
    outside: str = ""
    # Of what is about no item.
    action: str = ""
    page: str = ""

    @property
    def about(self) -> str:
        return self.item.action if self.item else self.action

    @property
    def link(self) -> str:
        return f"{settings.BASE_URL}{self.page or f'/items/{self.item.pk if self.item else ""}/'}"

    def text(self, what: str) -> str:
        said = _said(self.phrase, what)
        quote = " ".join(self.quote.split())[:QUOTE_LENGTH_MAX].replace("\x00", "")
        return (f"{said} “{quote}”" if quote else said)[:TEXT_LENGTH_MAX]

    def message(self, kind: str, what: str, *, to_person: bool) -> Message:
        phrase = self.phrase if to_person or not self.outside else self.outside
        sentence, link = _said(phrase, what), self.link
        return {
            "kind": str(kind),
            "item": self.item.pk if self.item else "",
            "sentence": sentence,
            "link": link,
            "deadline": self.item.due_at.isoformat(timespec="seconds") if self.item else "",
            "at": timezone.now().isoformat(timespec="seconds"),
            # What chat tools show.
            "text": f"{sentence} {link}",
        }


def _said(phrase: str, what: str) -> str:
    if phrase.startswith(WHAT):
        what = what[:1].upper() + what[1:]
    return _MARKUP.sub("", phrase.replace(WHAT, what))


# Who is told ----------------------------------------------------------------------------------


def _known(people: Iterable[int | None]) -> frozenset[int]:
    return frozenset(person for person in people if person is not None)


def _members(item: ReviewItem) -> frozenset[int]:
    if item.team_id is None:
        return frozenset()
    return frozenset(User.objects.filter(teams=item.team_id).values_list("pk", flat=True))


def _answerable(item: ReviewItem) -> frozenset[int]:
    return _members(item) if item.team_id else _with_roles(roles.roles_with("queue.assign"))


def _deciders(item: ReviewItem) -> frozenset[int]:
    """A third person: nobody settles what they asked for, or judged themselves."""
    able = _members(item) if item.team_id else _with_roles(roles.roles_with("audits.decide"))
    judged = Decision.objects.filter(item=item.about_id).values_list("reviewer", flat=True)
    return able - _known({item.asked_by_id, *judged})


def _with_roles(names: Iterable[str]) -> frozenset[int]:
    people = User.objects.filter(groups__name__in=names, is_active=True)
    return frozenset(people.values_list("pk", flat=True))


class _Subscriber(NamedTuple):
    """An endpoint, or a person."""

    endpoint: str | None
    address: str
    person: int | None
    # Whose items an endpoint hears of: none means everybody's. The teams that a person belongs to.
    teams: list[int]
    in_app: bool
    email: bool

    def hears_of(self, news: _News) -> bool:
        team = news.item.team_id if news.item else None
        if self.endpoint is not None:
            return not self.teams or team in self.teams
        if news.people is not None:
            return self.person in news.people
        return (team is None or team in self.teams) and not (
            news.item and self.person == news.item.asked_by_id
        )


# Whoever has no role any more is told nothing, whatever they chose before.
_SUBSCRIBERS = """
    WITH person AS (
        SELECT unnest(%(people)s::integer[]) AS id
         UNION
        SELECT user_id FROM orchestrator_noticechoice
         WHERE %(to_choosers)s AND kind = %(kind)s AND (in_app OR email)
    )
    SELECT id::text, url, NULL::integer, array_remove(ARRAY[team_id], NULL), FALSE, FALSE
      FROM orchestrator_webhookendpoint
     WHERE disabled_at IS NULL AND %(kind)s = ANY(kinds)
     UNION ALL
    SELECT NULL, coalesce(a.address, ''), u.id,
           ARRAY(SELECT team_id FROM orchestrator_team_members m WHERE m.user_id = u.id),
           coalesce(c.in_app, TRUE), coalesce(c.email, FALSE) AND a.address IS NOT NULL
      FROM person p
      JOIN auth_user u ON u.id = p.id AND u.is_active
      LEFT JOIN orchestrator_noticechoice c ON c.user_id = u.id AND c.kind = %(kind)s
      LEFT JOIN orchestrator_noticeaddress a ON a.user_id = u.id
     WHERE u.is_superuser OR EXISTS (
           SELECT 1 FROM auth_user_groups m JOIN auth_group g ON g.id = m.group_id
            WHERE m.user_id = u.id AND g.name = ANY(%(roles)s))
"""


def _subscribers(kind: str, news: Sequence[_News]) -> list[_Subscriber]:
    values = {
        "kind": str(kind),
        "people": sorted({person for one in news for person in one.people or ()}),
        "to_choosers": any(one.people is None for one in news),
        "roles": roles.roles_with("queue.view"),
    }
    return [_Subscriber(*row) for row in sql.execute(_SUBSCRIBERS, values).fetchall()]


def _spread(kind: NoticeKind, news: Sequence[_News]) -> None:
    subscribers = _subscribers(kind, news) if news else []
    if not subscribers:
        return
    declared = _declared(news)
    notices: list[Notice] = []
    deliveries: list[Delivery] = []
    for one in news:
        what = _what(one, declared)
        for subscriber in subscribers:
            if subscriber.hears_of(one):
                notices += _notice(kind, one, what, subscriber)
                deliveries += _delivery(kind, one, what, subscriber)
    Notice.objects.bulk_create(notices, batch_size=outbox.STORED_AT_ONCE)
    outbox.send_later(deliveries)


def _notice(kind: str, news: _News, what: str, to: _Subscriber) -> list[Notice]:
    if to.person is None or not to.in_app:
        return []
    return [Notice(user_id=to.person, kind=kind, text=news.text(what), item=news.item)]


def _delivery(kind: str, news: _News, what: str, to: _Subscriber) -> list[Delivery]:
    if to.endpoint is not None:
        message = news.message(kind, what, to_person=False)
        return [call_of(to.endpoint, urlsplit(to.address).hostname or "", message)]
    if to.email and settings.EMAIL_URL:
        message = news.message(kind, what, to_person=True)
        return [mail_to(to.address, message, wait_s=settings.NOTICE_MAIL_WAIT_S)]
    return []
