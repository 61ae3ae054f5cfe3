"""How arguments are shown: in the way their contract says, as plain values otherwise, and always inert."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.template.loader import render_to_string
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.actions import contracts
from orchestrator.actions.actor import Actor
from orchestrator.core.policy.display import KINDS, Review, Show
from orchestrator.models import ContractVersion, Proposal
from review.presentation.changed import changes_of
from review.presentation.sentences import SENTENCE_LENGTH_MAX, plain_sentence, sentence
from review.presentation.show_diff import compared, patch
from review.presentation.show_letter import letter
from review.presentation.show_sql import statement, tokens_of
from review.presentation.shows import WAYS, Row, rows
from review.presentation.sight import Part, Sight
from tests.browser.xss_payloads import PAYLOADS
from tests.conftest import SYSTEM, Cast

MONEY = Show("money", {"currency": "/currency"})


def shown(args: dict[str, Any], *, tainted: tuple[str, ...] = (), **shows: Show) -> dict[str, Row]:
    """By path; `__` stands for `/`."""
    named = {f"/{name.replace('__', '/')}": show for name, show in shows.items()}
    return {row.path: row for row in rows(args, tainted, Review(shows=named))}


def drawn(row: Row) -> str:
    return render_to_string(row.template, {"facts": row.facts})


def show(kind: str, value: Any, **parts: Any) -> str:
    """What a page has of a value that is shown like this."""
    args = {"it": value, **parts}
    row = shown(args, it=Show(kind, {name: f"/{name}" for name in parts}))["it"]
    assert row.template, row.why
    return drawn(row)


def test_every_kind_but_the_plain_one_has_a_way_and_a_template() -> None:
    assert set(WAYS) == set(KINDS) - {"value"}


# Rows ---------------------------------------------------------------------------------------------


def test_what_the_contract_names_comes_first_and_nothing_is_lost_or_told_twice() -> None:
    args = {
        "a": 1,
        "body": "Hello",
        "cc": "x@example.org",
        "currency": "EUR",
        "deep": {"inner": "SELECT 1", "other": 2},
        "fee_minor": 100,
        "lines": [{"sku": "a"}],
        "to": "y@example.org",
    }
    found = shown(
        args,
        body=Show("email", {"to": "/to", "cc": "/cc", "subject": "/missing"}),
        fee_minor=MONEY,
        deep__inner=Show("sql"),
        lines__0=Show("value"),
        gone=Show("text"),
    )
    assert list(found) == [
        "fee_minor",
        "lines.0",
        "body",
        "deep.inner",
        "a",
        "currency",
        "deep",
        "lines",
    ]
    assert found["deep"].value == {"other": 2}
    assert found["lines"].value == [{"sku": "a"}]


@pytest.mark.parametrize(
    ("kind", "value", "parts", "why"),
    [
        ("money", "5", {"currency": "EUR"}, "says that it is an amount, and it is not"),
        ("money", 5, {"currency": "QQQ"}, 'Its currency is unknown ("QQQ")'),
        ("money", 5, {"currency": 978}, "Its currency is unknown (978)"),
        ("money", 5, {}, "Its currency is unknown (null)"),
        ("diff", "no patch", {}, "a patch"),
        ("diff", 5, {"old": "a"}, "a patch"),
        ("diff", "new", {"old": 5}, "a patch"),
        ("sql", 5, {}, "a statement"),
        ("email", 5, {}, "a letter"),
        ("email", "text", {"to": 5}, "a letter"),
        ("email", "text", {"subject": ["a"]}, "a letter"),
        ("json", "{", {}, "JSON"),
        ("text", {"a": 1}, {}, "a text"),
        ("table", [{"a": 1}, 2], {}, "a list of objects"),
        ("table", [], {}, "a list of objects"),
        ("table", [{str(n): n for n in range(11)}], {}, "a list of objects"),
    ],
)
def test_what_is_not_of_its_kind_is_shown_as_it_is(
    kind: str, value: Any, parts: dict[str, Any], why: str
) -> None:
    way = Show(kind, {name: f"/{name}" for name in parts})
    found = shown({"it": value, **parts}, it=way)
    assert (found["it"].template, found["it"].value) == ("", value)
    assert why in found["it"].why
    assert set(found) == {"it", *parts}


def test_marks_of_untrusted_text_reach_what_they_are_about() -> None:
    args = {"m": {"to": "a@b", "body": "x"}, "n/o": 1, "to": "c@d", "text": "y"}
    found = shown(
        args,
        tainted=("/args/m/to", "/args/n~1o", "/args/to"),
        text=Show("email", {"to": "/to"}),
        m__body=Show("text"),
    )
    assert {path for path, row in found.items() if row.is_tainted} == {"m", "n/o"}
    assert found["text"].facts["lines"][0].is_tainted  # type: ignore[index]
    whole = shown(args, tainted=("/args",), m__body=Show("text"))
    assert all(row.is_tainted for row in whole.values())


# Kinds --------------------------------------------------------------------------------------------


def test_money_has_the_digits_of_its_currency_and_the_number_that_is_sent() -> None:
    html = show("money", 184_000, currency="EUR")
    assert "€1,840.00" in html
    assert "184,000" in html
    assert "¥184,000" in show("money", 184_000, currency="JPY")
    row = shown({"fee": 500}, fee=Show("money", {"currency": "CHF"}))["fee"]
    assert "5.00 CHF" in drawn(row)


PATCH = "--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n one\n-- two\n+++ two\n three\n@@ -9 +9 @@\n-a\n+b\n"


def test_a_patch_is_signed_line_by_line() -> None:
    facts = patch(Sight(PATCH))
    assert facts is not None
    assert [line.sign for line in facts["lines"]] == [*"@@@ -+ @-+"]
    # Inside a hunk these are lines of the file and no names of files.
    assert facts["lines"][4].text == "- two"
    assert facts["lines"][5].text == "++ two"
    assert (facts["added"], facts["removed"]) == (2, 2)
    assert "<ins>" in show("diff", PATCH)


def test_lines_beyond_a_hunk_are_still_seen_to_add() -> None:
    facts = patch(Sight("@@ -1 +1 @@\n-a\n+b\n+c\n"))
    assert facts is not None
    assert facts["added"] == 2


def test_two_texts_are_compared() -> None:
    html = show("diff", "one\n2\nthree", old="one\ntwo\nthree")
    assert "<ins><bdi" in html
    assert "1 line added, 1 removed" in html
    assert "They are the same" in show("diff", "x", old="x")
    # Two line ends that look alike are a difference.
    assert [line.sign for line in compared("a\r\nb", "a\nb")] == ["@", "-", "+", " "]


def test_long_texts_are_compared_in_no_time() -> None:
    old = "\n".join(f"{n % 7}" for n in range(20_000))
    new = "\n".join(f"{n % 5}" for n in range(20_000))
    started = time.process_time()
    assert compared(old, new)
    small = "\n".join("ab"[n % 2] for n in range(499))
    assert compared(small, "\n".join("ba"[n % 3 == 0] for n in range(499)))
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ("DELETE FROM orders", ["DELETE without WHERE: it touches every row of orders"]),
        ("delete from orders where id = 1", []),
        ("UPDATE ONLY a.b SET x = 1 -- where id = 1", ["UPDATE without WHERE: it touches every row of a.b"]),
        ("UPDATE t SET a = (SELECT x FROM y WHERE z)", ["UPDATE without WHERE: it touches every row of t"]),
        ("DELETE FROM t WHERE 1 = 1", ["DELETE without WHERE: it touches every row of t"]),
        ("DELETE FROM t WHERE true RETURNING id", ["DELETE without WHERE: it touches every row of t"]),
        ("WITH d AS (DELETE FROM t RETURNING *) SELECT 1 FROM d WHERE a = 1", ["DELETE without WHERE: it touches every row of t"]),
        ("WITH d AS (DELETE FROM t WHERE id = 2) SELECT 1", []),
        ("DROP TABLE IF EXISTS a.b", ["DROP removes the table a.b itself"]),
        ("TRUNCATE orders", ["TRUNCATE removes every row of orders"]),
        ("ALTER TABLE x DROP COLUMN y", ["ALTER changes the table x itself"]),
        ("GRANT SELECT, DELETE ON t TO bob", ["GRANT gives rights away"]),
        ("SELECT 1; DROP TABLE x;", ["DROP removes the table x itself", "It is more than one statement"]),
        ("SELECT * FROM t FOR UPDATE;", []),
        ("INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = 1", []),
        ("SELECT 'DELETE FROM x', $$ DROP $$, \"DROP\" -- DROP", []),
        ("SELECT E'a\\'; DROP TABLE x'", ["It has a backslash before a quote, which databases read differently"]),
        ("DELETE FROM t /* /* */ WHERE a = 1 */", ["It has a comment inside a comment, which databases read differently"]),
        ("SELECT 1 /*! DROP */", ["It has a comment that MySQL would run"]),
        ("SELECT 'abc", ["It has a text or a comment that does not end"]),
        ("SELECT 1 /* x", ["It has a text or a comment that does not end"]),
    ],
)  # fmt: skip
def test_a_statement_says_what_it_would_do_to_everything(text: str, warnings: list[str]) -> None:
    facts = statement(Sight(text))
    assert facts is not None
    assert facts["warnings"] == warnings


def test_the_words_of_a_statement_have_their_colours() -> None:
    html = show("sql", "DELETE FROM t -- all 'of' them\n")
    assert "<mark>DELETE</mark>" in html
    assert "<b>FROM</b>" in html
    assert '<span class="comment">-- all &#x27;of&#x27; them</span>' in html


@settings(deadline=None)
@given(st.text(alphabet="abE 'DELETE\"$;-/*()\\\n1.,WHRUPDATROM", max_size=80))
def test_a_coloured_statement_is_the_whole_statement(text: str) -> None:
    assert "".join(token.text for token in tokens_of(text)) == text
    facts = statement(Sight(text))
    assert (facts is None) == (not text.strip())


@pytest.mark.parametrize(
    "part", ["'", "$", "$a$", "/*", "DELETE ", "(", "e'", "\\'", "a.", '"', "--"]
)
def test_hostile_statements_cost_little(part: str) -> None:
    started = time.process_time()
    statement(Sight("DELETE FROM " + part * (60_000 // len(part))))
    assert time.process_time() - started < 2


def test_a_letter_lists_addresses_and_where_links_lead() -> None:
    body = "See https://bank.example@evil.example/x, www.plain.example or javascript:alert(1). Also https://bаnk.example."
    html = show("email", body, to="a@x.example; b@y.example", cc=["c@z.example"], subject="Hi")
    for text in (
        "a@x.example",
        "b@y.example",
        "c@z.example",
        "evil.example",
        "no host",
        "odd letters",
    ):
        assert text in html
    assert "<a " not in html
    facts = letter(Sight(body))
    assert facts is not None
    assert [link.host for link in facts["links"]] == [
        "evil.example",
        "www.plain.example",
        "",
        "bаnk.example",
    ]


def test_a_letter_may_be_one_object() -> None:
    message = {"to": ["a@b"], "subject": "Hi", "body": "Hello", "bcc": "c@d"}
    html = show("email", message)
    for text in ("a@b", "Hi", "Hello", "bcc", "c@d"):
        assert text in html
    facts = letter(Sight({"to": "a@b", "body": "x"}, is_tainted=True))
    assert facts is not None
    assert facts["lines"][0].is_tainted


def test_hostile_letters_cost_little() -> None:
    started = time.process_time()
    for part in ("http://", "a:", "www.", "://", "javascript:", ";"):
        letter(Sight(part * 40_000, parts={"to": Part("/to", part * 1_000)}))
    assert time.process_time() - started < 3


def test_json_folds_and_keeps_types() -> None:
    html = show("json", {"a": {"b": [1, "1", None]}, "many": list(range(20))})
    assert html.count("<details") == 3
    assert html.count('<details class="fold" open>') == 2
    assert 'data-type="number">1<' in html
    assert "It is sent as a text" in show("json", '{"a": 1}')


def test_text_keeps_its_lines_and_long_text_is_all_there() -> None:
    assert 'class="written"' in show("text", "a\nb")
    assert f"{'x' * 5_000}" in show("text", "x" * 5_000)


def test_a_table_has_a_column_for_every_name() -> None:
    html = show(
        "table", [{"sku": "a", "price_minor": 500, "currency": "EUR"}, {"sku": "b", "note": None}]
    )
    for text in ("sku", "price_minor", "note", "€5.00", "left out", "null"):
        assert text in html
    assert "and 50 more rows" in show("table", [{"a": n} for n in range(150)])


@pytest.mark.parametrize("kind", WAYS)
def test_hostile_text_stays_text_in_every_kind(kind: str) -> None:
    for payload in PAYLOADS:
        values: list[Any] = [payload, {payload: payload, "body": payload}, [{payload: payload}], 5]
        for value in values:
            parts = dict.fromkeys(KINDS[kind].parts, payload)
            way = Show(kind, {name: f"/{name}" for name in parts})
            for row in shown({"it": value, payload: payload, **parts}, it=way).values():
                html = drawn(row) if row.template else ""
                assert "hacked" not in html or not set("\x1b\x08\u202e\u2067\u200b") & set(html)
                assert not any(
                    f"<{tag}" in html.lower()
                    for tag in ("script", "img", "iframe", "a ", "style", "form")
                )


# Sentences ----------------------------------------------------------------------------------------

Save = Callable[..., ContractVersion]


@pytest.fixture
def save(cast: Cast) -> Save:
    def as_ada(review: dict[str, Any], **more: Any) -> ContractVersion:
        schema = {
            "type": "object",
            "properties": {
                "amount": {},
                "unit": {},
                "who": {"type": "object", "properties": {"name": {}}},
                "ok": {},
                "statement": {},
            },
        }
        named = {"kind": "action", "name": "pay.out", "timeout_s": 60, "schema": schema} | more
        return contracts.save(Actor(cast.ada), review=review, **named)

    return as_ada


HEADING = {
    "heading": "Pay {amount} to {who/name} ({ok}) for {target}, says {agent}",
    "shows": {"/amount": {"as": "money", "currency": "/unit"}},
}


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (
            {"amount": 5, "unit": "EUR", "who": {"name": "Ana\nBo\u202e"}, "ok": True},
            "Pay €0.05 to Ana BoU+202E (yes) for order/1, says payer",
        ),
        (
            {"amount": 5, "unit": "EUR", "who": {"name": "x" * 90}, "ok": 1_200},
            f"Pay €0.05 to {'x' * 59}… (1200) for order/1, says payer",
        ),
        ({"amount": 5, "unit": "QQQ", "who": {"name": "Ana"}, "ok": 1}, "Run pay.out on order/1"),
        ({"amount": 5, "unit": "EUR", "who": {"name": ""}, "ok": 1}, "Run pay.out on order/1"),
        ({"amount": 5, "unit": "EUR", "who": {"name": ["a"]}, "ok": 1}, "Run pay.out on order/1"),
        ({}, "Run pay.out on order/1"),
    ],
)
def test_the_heading_is_the_contracts_with_the_agents_values(
    save: Save, propose: Callable[..., Proposal], args: dict[str, Any], text: str
) -> None:
    save(HEADING)
    made = propose(agent="payer", action="pay.out", target="order/1", args=args, confidence=0.1)
    assert plain_sentence(made) == text
    assert len(plain_sentence(made)) <= SENTENCE_LENGTH_MAX


def test_a_heading_marks_what_others_wrote(save: Save, propose: Callable[..., Proposal]) -> None:
    save({"heading": "Ask {who/name}"})
    made = propose(action="pay.out", args={"who": {"name": "<i>"}}, confidence=0.1)
    assert sentence(made) == 'Ask <bdi class="said" hx-ignore>&lt;i&gt;</bdi>'


def test_long_values_share_the_room(save: Save, propose: Callable[..., Proposal]) -> None:
    save({"heading": "{target} {who/name} {amount} {unit} {agent} {action}"})
    args = {"who": {"name": "w" * 500}, "amount": "a" * 500, "unit": "u" * 500}
    made = propose(action="pay.out", target="t" * 500, agent="g" * 100, args=args, confidence=0.1)
    text = plain_sentence(made)
    assert len(text) <= SENTENCE_LENGTH_MAX
    assert text.count("…") == 5


def test_a_proposal_keeps_the_heading_it_came_under(
    save: Save, propose: Callable[..., Proposal]
) -> None:
    save({"heading": "First {target}"})
    made = propose(action="pay.out", target="a/1", args={}, confidence=0.1)
    save({"heading": "Second {target}"})
    assert plain_sentence(made) == "First a/1"
    assert (
        plain_sentence(propose(action="pay.out", target="a/1", args={}, confidence=0.1))
        == "Second a/1"
    )


def test_the_page_of_a_proposal_shows_its_arguments_by_the_contract(
    save: Save, propose: Callable[..., Proposal], rita: Client
) -> None:
    save({"shows": {"/statement": {"as": "sql"}, "/amount": {"as": "money", "currency": "/unit"}}})
    args = {"statement": "DELETE FROM <b>t</b>", "amount": "5", "unit": "EUR"}
    made = propose(action="pay.out", args=args, tainted=["/args/statement"], confidence=0.1)
    page = rita.get(f"/proposals/{made.pk}/").text
    assert "<mark>DELETE</mark>" in page
    assert "it touches every row of what it names" in page
    assert "says that it is an amount, and it is not" in page
    assert "<b>t" not in page


# Changes ------------------------------------------------------------------------------------------


def test_changes_are_told_field_by_field() -> None:
    old = {"amount_minor": 500, "currency": "EUR", "body": "a\nb", "gone": None}
    new = {"amount_minor": 5_000, "currency": "EUR", "body": "a\nc", "<i>new</i>": "5"}
    found = changes_of(old, new, tainted=["/args/body"])
    html = render_to_string("review/changed.html", {"changes": found})
    for text in (
        "€5.00",
        "€50.00",
        "left out before",
        "&lt;i&gt;new",
        'data-type="none"',
        "untrusted",
        "<ins>",
    ):
        assert text in html
    assert [(row.path, bool(row.lines)) for row in found.rows] == [
        ("<i>new</i>", False),
        ("amount_minor", False),
        ("body", True),
        ("gone", False),
    ]
    same = render_to_string("review/changed.html", {"changes": changes_of(old, old)})
    assert "The arguments are the same" in same


# Saving -------------------------------------------------------------------------------------------


def test_what_says_nothing_keeps_the_hash_it_had(save: Save) -> None:
    plain = save({})
    said = save({"undo_s": 30})
    assert (plain.number, said.number) == (1, 2)
    assert plain.content_hash != said.content_hash
    assert save({"undo_s": 30}).number == 2
    wording = contracts.Wording(
        schema=plain.schema, timeout_s=60, idempotency="required", tier="normal", owner="",
        description="", masked=[], error_budget_bp=100, review={},
    )  # fmt: skip
    assert wording.content_hash == plain.content_hash


def test_a_change_of_it_is_in_the_audit_log_and_on_the_page(save: Save, ada: Client) -> None:
    save({})
    save(HEADING | {"verbs": ["approve", "reject"], "undo_s": 0})
    page = ada.get("/contracts/action/pay.out/").text
    for text in (
        "How people meet it",
        "approve, reject",
        "not at all",
        "as money (currency /unit)",
        "the usual sentence",
    ):
        assert text in page
    assert "review" in ada.get("/audit-log/").text


def test_only_actions_are_met_by_people(ada: Client) -> None:
    with pytest.raises(contracts.ContractInvalid, match="belongs to actions"):
        contracts.save(SYSTEM, kind="event", name="x", schema={}, timeout_s=1, review={"undo_s": 1})
    assert "How people meet it" in ada.get("/contracts/new/").text


def form(**changes: Any) -> dict[str, Any]:
    return {
        "schema": '{"type": "object", "properties": {"amount": {}, "unit": {}}}',
        "tier": "normal",
        "timeout_s": "60",
        "idempotency": "required",
        "budget": "1",
        "note": "because",
        "based_on": "1",
        "heading": "",
        "verbs": ["approve", "edit", "respond", "reject"],
        "undo_s": "",
        "shows_place": ["/amount", "", ""],
        "shows_kind": ["money", "money", "money"],
        "shows_parts": ["currency=/unit", "", ""],
    } | changes


EDIT = "/contracts/action/pay.out/edit/"


def test_the_form_says_and_keeps_it(save: Save, ada: Client) -> None:
    schema = {"type": "object", "properties": {"amount": {}, "unit": {}}}
    save({}, schema=schema)
    answer = ada.post(EDIT, form(heading="Pay {amount}", undo_s="30", verbs=["approve", "reject"]))
    assert answer.status_code == 302
    stored = ContractVersion.objects.get(number=2).review
    assert stored == {
        "heading": "Pay {amount}",
        "shows": {"/amount": {"as": "money", "currency": "/unit"}},
        "verbs": ["approve", "reject"],
        "undo_s": 30,
    }
    page = ada.get(EDIT).text
    for text in ('value="Pay {amount}"', 'value="/amount"', 'value="currency=/unit"', 'value="30"'):
        assert text in page
    plain = form(shows_place=[], shows_kind=[], shows_parts=[], based_on="2")
    assert ada.post(EDIT, plain).status_code == 302
    assert ContractVersion.objects.get(number=3).review == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"heading": "Pay {amout}"}, "names “amout”, but"),
        ({"shows_place": ["/amout"]}, "/amout"),
        ({"shows_parts": ["currency=/unti"]}, "Did you mean “unit”"),
        ({"shows_parts": ["currncy=/unit"]}, "does not belong here"),
        ({"shows_place": ["/amount"] * 2, "shows_kind": ["text"] * 2, "shows_parts": ["", ""]}, "has two rows"),
        ({"verbs": []}, "has no “approve”"),
        ({"verbs": ["approve", "drop"]}, "drop"),
        ({"undo_s": "9999"}, "less than or equal to 3600"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_and_what_was_typed_stays(
    save: Save, ada: Client, changes: dict[str, Any], said: str
) -> None:
    save({}, schema={"type": "object", "properties": {"amount": {}, "unit": {}}})
    answer = ada.post(EDIT, form(**changes))
    assert answer.status_code == 422
    assert said in answer.text
    assert 'value="/am' in answer.text
