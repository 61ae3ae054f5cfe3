"""Writing rules in the browser: rows and text, checks, trials, and what happens when two write at once."""

import re
from collections.abc import Callable
from time import process_time
from typing import Any

import pytest
from django.test import Client

from orchestrator.actions import contracts
from orchestrator.actions.actor import Actor
from orchestrator.models import Proposal, RuleVersion
from tests.conftest import Cast
from tests.web.conftest import HTMX
from tests.web.rules import FORM, write
from tests.web.test_rules import words_of

Propose = Callable[..., Proposal]
NEW, EDIT = "/rules/new/", "/rules/refund-limit/edit/"


def form(**changes: Any) -> dict[str, Any]:
    return dict(FORM) | changes


def text(condition: str, **changes: Any) -> dict[str, Any]:
    return form(mode="text", condition=condition, **changes)


def saved() -> RuleVersion:
    return RuleVersion.objects.select_related("rule").latest("pk")


# Saving -----------------------------------------------------------------------------------------


def test_rows_are_saved_as_a_draft(ada: Client) -> None:
    response = ada.post(NEW, form(note="A first limit.", owner="payments", tiers=["high"]))
    assert response["Location"] == "/rules/refund-limit/1/"
    version = saved()
    assert version.condition == "proposal.args.amount_minor <= 50000"
    assert version.applies_to == {"actions": ["refund.create"], "tiers": ["high"]}
    assert (version.stage, version.note, version.rule.owner) == (
        "draft",
        "A first limit.",
        "payments",
    )
    assert "backtest it next" in ada.get(response["Location"]).text


def test_text_is_saved_as_it_was_written(ada: Client) -> None:
    ada.post(NEW, text("size(proposal.args.note) < 100 ||\r\nproposal.args.vip == true"))
    assert saved().condition == "size(proposal.args.note) < 100 ||\nproposal.args.vip == true"


def test_saying_the_same_again_makes_no_version(ada: Client, cast: Cast) -> None:
    ada.post(NEW, form())
    response = ada.post(EDIT, form(base="1"), follow=True)
    assert saved().number == 1
    assert "says exactly that already" in response.text


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"slug": ""}, "This field is required."),
        ({"slug": "no such name"}, "valid"),
        ({"slug": "new"}, "address of this house"),
        ({"title": ""}, "This field is required."),
        ({"effect": "explode"}, "Select a valid choice."),
        ({"row_field": [""]}, "Write a field"),
        ({"row_value": [""]}, "Give a value"),
        ({"row_operator": ["one_of"], "row_value": [""]}, "Give at least one value."),
        ({"row_field": [], "row_operator": [], "row_value": []}, "Say what has to be true."),
        ({"actions": "refund*"}, "a star stands alone"),
        ({"title": "a\0b"}, "Null characters are not allowed."),
    ],
)
def test_what_is_wrong_is_said_and_everything_kept(
    ada: Client, changes: dict[str, Any], problem: str
) -> None:
    response = ada.post(NEW, form(note="Keep <this>.", **changes))
    assert response.status_code == 422
    assert problem in response.text
    assert "Keep &lt;this&gt;." in response.text
    assert RuleVersion.objects.count() == 0


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ("proposal.args.amount_minor <=", "line 1, column"),
        ("proposel.args.x == 1", "did you mean proposal?"),
        ("'text'", "true or false"),
        ("", "Say what has to be true."),
    ],
)
def test_a_text_that_cannot_work_is_refused_with_its_place(
    ada: Client, condition: str, problem: str
) -> None:
    response = ada.post(NEW, text(condition))
    assert response.status_code == 422
    assert problem in words_of(response.text)
    assert RuleVersion.objects.count() == 0


def test_only_admins_write(rita: Client, max_: Client) -> None:
    for client in (rita, max_):
        assert client.post(NEW, form()).status_code == 403
    assert RuleVersion.objects.count() == 0


def test_who_saved_meanwhile_is_told_and_saving_again_is_allowed(ada: Client, cast: Cast) -> None:
    write(cast.ada)
    page = ada.get(EDIT)
    assert page.context["form"]["base"].value() == 1
    write(cast.ada, condition="proposal.args.amount_minor <= 75000", effect="block")
    mine = form(base="1", row_value=["60000"], note="Mine.")
    response = ada.post(EDIT, mine)
    assert response.status_code == 409
    words = words_of(response.text)
    assert "Somebody wrote version 2 of refund-limit while you wrote yours" in words
    assert "50000 becomes 75000" in words
    assert 'value="60000"' in response.text
    assert "Mine." in response.text
    assert saved().number == 2
    again = ada.post(EDIT, mine | {"base": response.context["form"]["base"].value()})
    assert again.status_code == 302
    assert (saved().number, saved().condition) == (3, "proposal.args.amount_minor <= 60000")


@pytest.mark.parametrize("base", ["0", "1", "7", "many", ""])
@pytest.mark.parametrize("value", ["50000", "60000"])
def test_a_new_rule_of_a_taken_name_is_refused_and_kept(
    ada: Client, cast: Cast, base: str, value: str
) -> None:
    write(cast.ada)
    response = ada.post(NEW, form(base=base, row_value=[value], owner="me", note="Mine."))
    assert response.status_code == 422
    (problem,) = response.context["form"].errors["slug"]
    assert problem == "“refund-limit” is taken; open that rule to write a new version of it."
    assert list(response.context["form"].errors) == ["slug"]
    for kept in (f'value="{value}"', "Mine.", "<h1>New rule</h1>"):
        assert kept in response.text
    assert (saved().number, saved().rule.owner) == (1, "")
    assert ada.post(NEW, form(slug="refund-limit-2", base=base)).status_code == 302


def test_a_name_that_is_taken_while_it_is_saved_is_refused(
    ada: Client, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(cast.ada)
    monkeypatch.setattr("orchestrator.rule_queries.exists", lambda slug: False)
    response = ada.post(NEW, form(row_value=["60000"]))
    assert response.status_code == 422
    assert "is taken" in str(response.context["form"].errors["slug"])
    assert saved().number == 1


@pytest.mark.parametrize("base", ["7", "9" * 30])
def test_a_version_begun_with_one_that_never_was_is_a_clash(
    ada: Client, cast: Cast, base: str
) -> None:
    write(cast.ada)
    response = ada.post(EDIT, form(base=base, row_value=["60000"]))
    assert response.status_code == 409
    assert 'value="60000"' in response.text


def test_an_older_version_can_be_begun_with(ada: Client, cast: Cast) -> None:
    write(cast.ada)
    write(cast.ada, condition="proposal.args.amount_minor <= 75000")
    assert 'value="50000"' in ada.get(f"{EDIT}?from=1").text
    assert 'value="75000"' in ada.get(EDIT).text


# Rows and text ----------------------------------------------------------------------------------


def press(client: Client, sent: dict[str, Any], button: str, **options: Any) -> str:
    response = client.post(NEW, sent | {"do": button}, **options)
    assert response.status_code == 200
    return response.text


def test_rows_become_text_and_text_becomes_rows(ada: Client) -> None:
    page = press(ada, form(), "to_text")
    assert 'name="mode" value="text"' in page
    assert "proposal.args.amount_minor &lt;= 50000</textarea>" in page
    page = press(ada, text("context.vip == true || context.age_days > 30"), "to_rows")
    assert 'name="mode" value="rows"' in page
    assert 'value="context.vip"' in page
    assert re.search(r'value="any"\s+checked', page)


def test_text_that_rows_cannot_show_stays_text(ada: Client) -> None:
    page = words_of(press(ada, text("size(proposal.args.note) < 5"), "to_rows"))
    assert "It stays text: rows cannot show this, because rows have no size()" in page


def test_rows_that_are_not_right_stay_rows(ada: Client) -> None:
    page = press(ada, form(row_field=["amount minor"]), "to_text")
    assert 'name="mode" value="rows"' in page
    assert "Write a field such as" in page
    assert 'value="amount minor"' in page


def test_a_stored_text_that_rows_cannot_show_opens_as_text(ada: Client, cast: Cast) -> None:
    write(cast.ada, condition="size(proposal.args.note) < 5")
    assert 'name="mode" value="text"' in ada.get(EDIT).text


def test_rows_are_added_and_removed_without_scripts(ada: Client) -> None:
    page = press(ada, form(), "add_row")
    assert page.count('name="row_field"') == 2
    assert "<html" in page
    page = press(ada, form(row_field=["a.b", "c.d"], row_operator=["is", "is"], row_value=["1", "2"]), "remove_row 0")  # fmt: skip
    assert 'value="c.d"' in page
    assert 'value="a.b"' not in page
    digits = "9" * 5_000
    for button in ("remove_row 99", "remove_row x", "nonsense", "remove_row -1", f"remove_row {digits}", f"remove_window {digits}"):  # fmt: skip
        press(ada, form(), button)


def test_scripts_get_the_part_alone(ada: Client) -> None:
    page = press(ada, form(), "add_row", headers=HTMX)
    assert "<html" not in page
    assert page.strip().startswith('<section class="card" id="wording">')


def test_nothing_is_lost_by_a_button(ada: Client) -> None:
    sent = form(title="Kept & safe", note="Why", owner="me", agents="bot-*", tiers=["low", "high"])
    page = press(ada, sent, "add_row")
    for kept in ("Kept &amp; safe", "Why", 'value="me"', 'value="bot-*"'):
        assert kept in page
    assert len(re.findall(r'name="tiers"[^>]*checked', page)) == 2
    assert "This field is required" not in page


# History ----------------------------------------------------------------------------------------

WINDOW = {
    "window_name": ["refunds_today"],
    "window_measure": ["count"],
    "window_sum": [""],
    "window_same": ["agent, args.customer_id"],
    "window_actions": ["refund.create"],
    "window_status": ["accepted"],
    "window_within": ["24h"],
}


def test_windows_are_saved_and_shown(ada: Client) -> None:
    rows = {"row_field": ["history.refunds_today"], "row_operator": ["below"], "row_value": ["3"]}
    ada.post(NEW, form(**WINDOW, **rows))
    version = saved()
    assert version.history == {
        "refunds_today": {
            "count": {
                "actions": ["refund.create"],
                "same": ["agent", "args.customer_id"],
                "status": "accepted",
            },
            "within": "24h",
        }
    }
    page = ada.get(EDIT).text
    for kept in ('value="refunds_today"', 'value="agent, args.customer_id"', 'value="24h"'):
        assert kept in page
    assert "how many proposals of refund.create" in ada.get("/rules/refund-limit/1/").text


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"window_within": ["soon"]}, "duration"),
        ({"window_name": [""]}, "a name is made of"),
        ({"window_same": ["colour"]}, "colour is not"),
        ({"window_measure": ["sum"]}, "is not an argument"),
    ],
)
def test_windows_that_cannot_be_read_are_refused(
    ada: Client, changes: dict[str, Any], problem: str
) -> None:
    response = ada.post(NEW, form(**(WINDOW | changes)))
    assert response.status_code == 422
    assert problem in response.text


def test_two_windows_of_one_name_are_refused(ada: Client) -> None:
    twice = {name: values * 2 for name, values in WINDOW.items()}
    response = ada.post(NEW, form(**twice))
    assert response.status_code == 422
    assert "taken twice" in response.text


def test_a_declared_window_is_a_known_field(ada: Client) -> None:
    page = press(ada, form(**WINDOW), "add_window")
    assert 'value="history.refunds_today"' in page
    assert page.count('name="window_name"') == 2
    assert press(ada, form(**WINDOW), "remove_window 0").count('name="window_name"') == 0


# Checking while somebody types ------------------------------------------------------------------


def check(client: Client, sent: dict[str, Any]) -> tuple[int, Any]:
    response = client.post("/rules/check/", sent)
    return response.status_code, response.json()


def test_the_check_says_what_rows_mean(ada: Client) -> None:
    status, found = check(ada, form())
    assert (status, found["text"], found["marks"]) == (
        200,
        "proposal.args.amount_minor <= 50000",
        [],
    )


def test_the_check_marks_the_place(ada: Client) -> None:
    status, found = check(ada, text("context.ok == true &&\nproposel.args.x == 1"))
    assert status == 422
    (mark,) = found["marks"]
    assert (mark["line"], mark["column"], mark["severity"]) == (2, 1, "error")
    assert (mark["from"], mark["to"]) == (22, 30)
    assert "did you mean proposal?" in mark["suggestion"]


def test_places_are_counted_as_browsers_count(ada: Client) -> None:
    _, found = check(ada, text("context.name == '😀😀' && proposel.x == 1"))
    (mark,) = found["marks"]
    assert mark["to"] - mark["from"] == len("proposel")
    assert mark["from"] == len("context.name == '' && ") + 4


def test_the_check_says_which_row_is_wrong(ada: Client) -> None:
    sent = form(row_field=["a.b", "x y"], row_operator=["is", "is"], row_value=["1", "2"])
    status, found = check(ada, sent)
    assert status == 422
    assert found["rows"][0] == ""
    assert "Write a field" in found["rows"][1]


@pytest.mark.parametrize(
    "condition",
    ["(" * 9_000, "a" * 9_000, "a" * 2_000_00, "'", "\0", "1 +" * 3_000, "x.all(a, " * 500],
)
def test_hostile_conditions_are_answered_quickly(ada: Client, condition: str) -> None:
    status, found = check(ada, text(condition))
    assert status == 422
    assert found["marks"]
    assert ada.post(NEW, text(condition)).status_code == 422


def test_a_flood_of_rows_is_refused(ada: Client) -> None:
    many = 150
    sent = form(row_field=["a.b"] * many, row_operator=["is"] * many, row_value=["1"] * many)
    assert ada.post(NEW, sent).status_code == 422
    assert "at most 50 rows" in ada.post(NEW, sent).text


ODD = ["[" * 200_000, "{" * 200_000, "9" * 200_000, "x" + " " * 200_000 + "x", "\0", '"' * 200_000]


@pytest.mark.parametrize("operator", ["is", "one_of", "matches", "given"])
@pytest.mark.parametrize("odd", ODD)
def test_odd_rows_are_answered_quickly(ada: Client, odd: str, operator: str) -> None:
    began = process_time()
    for changes in ({"row_value": [odd]}, {"row_field": [odd]}):
        sent = form(row_operator=[operator], **changes)
        assert check(ada, sent)[0] in {200, 422}
        assert ada.post(NEW, sent).status_code in {302, 422}
    assert process_time() - began < 5


@pytest.mark.parametrize("button", ["check", "scope", "try", "save"])
def test_a_nul_among_the_actions_is_no_failure(ada: Client, button: str) -> None:
    response = ada.post(NEW, form(do=button, actions="refund.create, a\0b"))
    assert response.status_code == (422 if button == "save" else 200)


def test_a_scope_of_very_many_actions_is_read_in_part(
    ada: Client, django_assert_max_num_queries: Any
) -> None:
    sent = form(actions=",".join(f"a{n}.b" for n in range(500)))
    for button in ("check", "scope"):
        with django_assert_max_num_queries(100):
            press(ada, sent, button)


@pytest.mark.parametrize("actions", ["", "refund.*", "refund.create, invoice.pay"])
def test_fields_that_nobody_promised_are_not_called_known(
    ada: Client, cast: Cast, actions: str
) -> None:
    promise(cast)
    sent = form(actions=actions, row_field=["agent.version"], row_operator=["is_not"])
    assert check(ada, sent)[1]["is_whole"] is False
    words = words_of(press(ada, sent, "check"))
    assert "It compiles. Its arguments were not checked: not every action" in words
    assert "its fields are known" not in words


def test_fields_that_a_contract_promises_are_known(ada: Client, cast: Cast) -> None:
    promise(cast)
    assert check(ada, form())[1]["is_whole"] is True
    assert "It compiles, and its fields are known." in words_of(press(ada, form(), "check"))


def promise(cast: Cast) -> None:
    """A contract of refund.create, and of nothing else."""
    contracts.save(
        Actor(cast.ada),
        kind="action",
        name="refund.create",
        schema={
            "type": "object",
            "properties": {"amount_minor": {"type": "integer"}},
            "required": ["amount_minor"],
        },
        timeout_s=60,
    )


# Trying -----------------------------------------------------------------------------------------


def test_what_is_not_saved_can_be_tried(ada: Client, propose: Propose) -> None:
    big = propose()
    page = words_of(press(ada, form(proposal=big.pk), "try"))
    assert "this proposal waits for a person" in page
    assert "proposal.args.amount_minor 184,000" in page
    assert "is over the limit" in page
    assert RuleVersion.objects.count() == 0


def test_a_condition_that_cannot_work_is_not_tried(ada: Client, propose: Propose) -> None:
    page = press(ada, text("proposal.", proposal=propose().pk), "try")
    assert "Its condition is not right yet." in page


def test_outside_the_scope_is_said(ada: Client, propose: Propose) -> None:
    page = press(ada, form(proposal=propose().pk, actions="invoice.pay"), "try")
    assert "outside the rule’s scope" in page


def test_a_rule_with_history_is_tried_as_of_then(ada: Client, propose: Propose) -> None:
    first, second = (propose(target=f"order/{number}") for number in range(2))
    window = WINDOW | {"window_same": ["agent"], "window_status": ["any"]}
    rows = {"row_field": ["history.refunds_today"], "row_operator": ["below"], "row_value": ["1"]}
    assert "It holds" in press(ada, form(**window, **rows, proposal=first.pk), "try")
    page = words_of(press(ada, form(**window, **rows, proposal=second.pk), "try"))
    assert "It does not hold" in page
    assert "history.refunds_today 1" in page


# Fields -----------------------------------------------------------------------------------------


def test_fields_come_from_recent_proposals_where_there_is_no_contract(
    ada: Client, propose: Propose
) -> None:
    propose(args={"amount_minor": 5, "due-date": "x"}, context={"customer": {"age_days": 3}})
    page = press(ada, form(), "scope", headers=HTMX)
    for path in ("proposal.args.amount_minor", "context.customer.age_days"):
        assert f'<option value="{path}"' in page
    assert 'value="proposal.args[&quot;due-date&quot;]"' in page
