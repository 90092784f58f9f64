"""Every refusal, and the table "Which way" of docs/accounting.md."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from connector.domain.calendar import Rhythm, due_dates
from connector.domain.installments import Change, draft_rows, edit_rows
from connector.domain.plan import Installment, Waiver
from connector.domain.policy import Answers, Basis, InterestPolicy, Method, Mode, PlanPolicy
from connector.domain.rails import approves_itself, cautions, problems, risen, rows_within
from connector.domain.receivables import Status
from connector.domain.refusals import Covered, Facts, already_planned, changed, choose_mode, refusals
from tests.domain.story import (
    ACCRUAL,
    APPROVAL,
    CUSTOMER,
    INVOICE_1001,
    ORGANIZATION,
    example,
)

FACTS = Facts(ORGANIZATION, ACCRUAL, CUSTOMER, (INVOICE_1001,), APPROVAL)
CASH = Answers(Basis.CASH, Basis.NONE)
PLAN = example(method=Method.EQUAL, waived=False)
POLICY = PlanPolicy()


def codes(found):
    return [r.code for r in found]


def organization(**changes):
    return replace(FACTS, organization=replace(ORGANIZATION, **changes))


# The decision table


def test_accrual_books_split_by_default_and_may_choose_notes():
    choice = choose_mode(FACTS)
    assert (choice.mode, choice.offered) == (Mode.SPLIT, (Mode.SPLIT, Mode.NOTES))
    assert choose_mode(FACTS, "notes").mode is Mode.NOTES
    assert choose_mode(FACTS, "split").why == "As chosen."


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (replace(FACTS, answers=Answers()), "BASIS_UNKNOWN"),
        (replace(FACTS, answers=Answers(Basis.ACCRUAL)), "BASIS_UNKNOWN"),
        (replace(FACTS, answers=CASH), "CASH_BASIS_CLEARING"),
        (replace(FACTS, answers=Answers(Basis.ACCRUAL, Basis.CASH)), "CASH_BASIS_CLEARING"),
        (replace(FACTS, answers=Answers(Basis.UNKNOWN, Basis.CASH)), "CASH_BASIS_CLEARING"),
        (organization(sales_tax_basis_hint="CASH"), "CASH_BASIS_CLEARING"),
        (organization(sales_tax_basis_hint="Payments"), "CASH_BASIS_CLEARING"),
        (organization(sales_tax_basis_hint="FLATRATECASH"), "CASH_BASIS_CLEARING"),
        (organization(sales_tax_basis_hint="FLATRATEACCRUAL"), "CASH_BASIS_CLEARING"),
        (organization(income_basis_hint="Cash"), "CASH_BASIS_CLEARING"),
        (organization(home_currency="GBP"), "FOREIGN_CURRENCY"),
        (organization(country="BE"), "EINVOICE_MANDATE"),
        (organization(country="FR"), "EINVOICE_MANDATE"),
        (organization(country="PL"), "EINVOICE_MANDATE"),
        (organization(auto_apply_credits=True), "AUTO_APPLY_ON"),
        (organization(closed_until=APPROVAL), "PERIOD_LOCKED"),
        (replace(FACTS, clearing_problem="It is archived."), "CLEARING_INVALID"),
        (
            replace(FACTS, invoices=(replace(INVOICE_1001, flags=frozenset({"cis"})),)),
            "UNMIRRORABLE_LINE",
        ),
        (replace(FACTS, customer=replace(CUSTOMER, active=False)), "CUSTOMER_INACTIVE"),
    ],
)
def test_these_books_get_notes_only_and_hear_why(facts, code):
    choice = choose_mode(facts, "split")
    assert choice.mode is Mode.NOTES
    assert codes(choice.refused[Mode.SPLIT]) == [code]
    assert choice.why == choice.refused[Mode.SPLIT][0].sentence
    assert choice.refused[Mode.NOTES] == ()


def test_ordinary_hints_do_not_refuse():
    for hint in ("ACCRUAL", "ACCRUALS", "INVOICE", "NONE", None):
        assert choose_mode(organization(sales_tax_basis_hint=hint)).mode is Mode.SPLIT
    assert choose_mode(organization(country="FR"), "split").mode is Mode.NOTES
    before = replace(organization(country="FR"), today=date(2026, 8, 31))
    assert choose_mode(before).mode is Mode.SPLIT
    assert choose_mode(organization(closed_until=date(2026, 11, 20))).mode is Mode.SPLIT


def test_the_cash_refusal_names_the_amount():
    (refusal,) = refusals(replace(FACTS, answers=CASH), Mode.SPLIT)
    assert refusal.sentence == (
        "Crediting the invoice would show its unpaid 850.00 USD as income and tax now. Use notes-only."
    )


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (replace(FACTS, holds=frozenset({"disputed"})), "DISPUTED"),
        (replace(FACTS, holds=frozenset({"insolvency"})), "INSOLVENCY_HOLD"),
        (replace(FACTS, holds=frozenset({"breathing_space"})), "BREATHING_SPACE"),
        (replace(FACTS, holds=frozenset({"deceased"})), "DECEASED"),
        (replace(FACTS, holds=frozenset({"data_request"})), "DATA_REQUEST"),
        (replace(FACTS, customer=replace(CUSTOMER, erasure_requested=True)), "DATA_REQUEST"),
        (replace(FACTS, unapplied=12000), "OPEN_CREDITS"),
        (replace(FACTS, above=(("Fern Group", 12000),)), "OPEN_CREDITS"),
        (replace(FACTS, planned={"147": Covered("PP-0007", "running")}), "ALREADY_PLANNED"),
        (replace(FACTS, invoices=()), "NO_INVOICE"),
        (replace(FACTS, customer=replace(CUSTOMER, id="59")), "OTHER_CUSTOMER"),
        (replace(FACTS, invoices=(replace(INVOICE_1001, balance=0, status=Status.PAID),)), "NOT_OPEN"),
        (replace(FACTS, invoices=(replace(INVOICE_1001, status=Status.VOID),)), "NOT_OPEN"),
        (replace(FACTS, invoices=(replace(INVOICE_1001, flags=frozenset({"autopay"})),)), "AUTOPAY_ON"),
    ],
)
def test_these_allow_no_plan_at_all(facts, code):
    choice = choose_mode(facts)
    assert choice.mode is None
    assert codes(refusals(facts, Mode.NOTES)) == [code]
    assert choice.why == refusals(facts, Mode.NOTES)[0].sentence


def test_the_credit_to_apply_is_named():
    (refusal,) = refusals(replace(FACTS, unapplied=12000), Mode.NOTES)
    assert refusal.sentence == "Apply the 120.00 USD credit first; otherwise the plan asks for too much."


def test_money_of_a_head_office_is_said_to_be_theirs():
    (refusal,) = refusals(replace(FACTS, above=(("Fern Group", 12000),)), Mode.NOTES)
    assert refusal.sentence.startswith(
        "Fern Group, to whom this customer belongs, has 120.00 USD that is set against nothing yet."
    )


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("proposed", "is in the draft PP-0007 already, which nobody approved yet."),
        ("running", "is in plan PP-0007 already, which is running."),
        ("", "belongs to plan PP-0007, which is not on record here."),
    ],
)
def test_the_plan_that_an_invoice_is_in_is_named(state, words):
    assert words in already_planned("1001", Covered("PP-0007", state)).sentence


def test_two_currencies_make_two_plans():
    euro = replace(INVOICE_1001, id="148", currency="EUR")
    assert "MIXED_CURRENCY" in codes(refusals(replace(FACTS, invoices=(INVOICE_1001, euro)), Mode.NOTES))


def test_cash_books_without_an_invoice_still_get_a_sentence():
    found = refusals(replace(FACTS, answers=CASH, invoices=()), Mode.SPLIT)
    assert codes(found) == ["NO_INVOICE", "CASH_BASIS_CLEARING"]


def test_mirror_splits_are_never_written():
    assert codes(refusals(FACTS, Mode.MIRROR)) == ["NOT_YET"]
    british = organization(country="GB")
    assert codes(refusals(british, Mode.MIRROR)) == ["VAT_MIRROR", "NOT_YET"]
    stock = replace(
        FACTS, answers=Answers(), invoices=(replace(INVOICE_1001, flags=frozenset({"inventory"})),)
    )
    assert codes(refusals(stock, Mode.MIRROR)) == ["BASIS_UNKNOWN", "UNMIRRORABLE_LINE", "NOT_YET"]
    assert choose_mode(FACTS, "mirror").mode is Mode.SPLIT


# Consumers


def months(count, method=Method.EQUAL):
    dates = due_dates(date(2026, 12, 21), Rhythm.MONTHLY, count, "US")
    rows = draft_rows(85000, dates, method=method, flat_percent=Decimal(5), start=APPROVAL)
    return replace(PLAN, rows=rows)


@pytest.mark.parametrize(
    ("country", "plan", "allowed"),
    [
        ("US", months(4), True),
        ("US", months(5), False),
        ("US", months(3, Method.FLAT), False),
        ("GB", months(11), True),
        ("GB", months(12), False),  # Sunday 21 November moves to a day after the twelve months
        ("GB", months(3, Method.FLAT), False),
        ("DE", months(2), False),
        ("AU", months(3, Method.FLAT), False),
        ("JP", months(24, Method.FLAT), True),
    ],
)
def test_a_plan_for_a_person_may_be_regulated_credit(country, plan, allowed):
    person = replace(CUSTOMER, is_person=True, country=country)
    found = codes(refusals(replace(FACTS, customer=person), Mode.NOTES, plan))
    assert found == ([] if allowed else ["CONSUMER_CREDIT_LIMIT"])
    assert refusals(replace(FACTS, customer=person, legal_sign_off=True), Mode.NOTES, plan) == []
    company = replace(person, is_person=None)
    assert refusals(replace(FACTS, customer=company), Mode.NOTES, plan) == []


# Changed since approval


def test_an_unchanged_invoice_may_be_written():
    assert changed(PLAN, [INVOICE_1001]) == []
    assert changed(PLAN, [replace(INVOICE_1001, version="")]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"balance": 84999},
        {"total": 115001},
        {"version": "5"},
        {"currency": "EUR"},
        {"customer_id": "59"},
    ],
)
def test_any_change_since_approval_stops_the_write(change):
    (refusal,) = changed(PLAN, [replace(INVOICE_1001, **change)])
    assert refusal.code == "BALANCE_CHANGED"
    assert refusal.sentence == "Invoice 1001 changed since the plan was drawn up. Review the plan again."


def test_an_invoice_that_is_gone_stops_the_write():
    (refusal,) = changed(PLAN, [replace(INVOICE_1001, id="148")])
    assert refusal.code == "BALANCE_CHANGED"
    assert refusal.sentence.startswith("Invoice 1001 is no longer in the ledger. Turn this draft down")


# Rows


def row(k, **changes):
    return replace(PLAN, rows=tuple(replace(r, **changes) if r.n == k else r for r in PLAN.rows))


LONG = due_dates(date(2026, 12, 21), Rhythm.MONTHLY, 13, "US")


@pytest.mark.parametrize(
    ("plan", "code", "words"),
    [
        (replace(PLAN, rows=()), "NO_INSTALLMENTS", "at least one"),
        (row(1, principal=0), "ROW_NOT_POSITIVE", "Installment 1 is for 0.00 USD"),
        (row(2, principal=-28333), "ROW_NOT_POSITIVE", "Installment 2 is for -283.33 USD"),
        (row(1, interest=-1), "ROW_NOT_POSITIVE", "more than zero"),
        (row(1, principal=28334), "AMOUNT_OVER_BALANCE", "asks for 850.01 USD, but only 850.00 USD is open"),
        (row(1, principal=28332), "SUM", "covers 849.99 USD of the 850.00 USD"),
        (row(1, due=date(2026, 11, 20)), "PAST_DATE", "2026-11-20, which has passed"),
        (row(2, due=date(2026, 12, 21)), "DATES_NOT_RISING", "Installment 2 is due 2026-12-21"),
        (replace(PLAN, rows=draft_rows(85000, LONG, start=APPROVAL)), "TOO_LONG", "allows 12 months"),
        (example(waived=False), "INTEREST_NOT_ALLOWED", "clause of the contract"),
    ],
)
def test_rows_that_no_plan_may_have(plan, code, words):
    found = {r.code: r.sentence for r in problems(plan, APPROVAL, POLICY)}
    assert words in found[code]


def test_four_hundred_installments_are_too_many():
    dates = due_dates(date(2026, 12, 21), Rhythm.WEEKLY, 400, "")
    plan = replace(PLAN, rows=draft_rows(85000, dates, start=APPROVAL))
    assert codes(problems(plan, APPROVAL, POLICY)) == ["TOO_MANY_INSTALLMENTS", "TOO_LONG"]


def test_a_closed_period_and_a_sound_plan():
    assert codes(problems(PLAN, APPROVAL, POLICY, APPROVAL)) == ["PERIOD_LOCKED"]
    assert problems(PLAN, APPROVAL, POLICY, date(2026, 11, 20)) == []


def test_interest_needs_its_clause_and_stays_under_its_cap():
    flat = example(waived=False)
    high = PlanPolicy(interest=InterestPolicy(clause="Terms 7", cap=Decimal(40)))
    assert problems(flat, APPROVAL, high) == []
    assert codes(cautions(flat, APPROVAL, high)) == ["LATE_START", "INTEREST_HIGH"]
    calm = PlanPolicy(interest=InterestPolicy(clause="Terms 7", cap=Decimal(40), warn_above=Decimal(35)))
    assert codes(cautions(flat, APPROVAL, calm)) == ["LATE_START"]
    low = PlanPolicy(interest=InterestPolicy(clause="Terms 7", cap=Decimal(18)))
    (refusal,) = problems(flat, APPROVAL, low)
    assert refusal.code == "INTEREST_OVER_CAP"
    assert "the cap is 18 %" in refusal.sentence


# Cautions


def test_what_a_person_should_confirm():
    assert codes(cautions(PLAN, APPROVAL, POLICY)) == ["LATE_START"]
    soon = due_dates(date(2026, 11, 27), Rhythm.MONTHLY, 3, "US")
    assert cautions(replace(PLAN, rows=draft_rows(85000, soon, start=APPROVAL)), APPROVAL, POLICY) == []
    assert codes(cautions(months(7), APPROVAL, POLICY)) == ["OVER_SOFT_CAP", "LATE_START"]
    assert codes(cautions(months(9), APPROVAL, POLICY)) == ["OVER_APPROVAL_CAP", "LATE_START"]
    small = {n: Change(amount=3000) for n in (1, 2)}
    rows = edit_rows(
        draft_rows(85000, soon, start=APPROVAL), small, method=Method.EQUAL, start=APPROVAL, currency="USD"
    )
    assert codes(cautions(replace(PLAN, rows=rows), APPROVAL, POLICY)) == ["LARGE_END", "BELOW_MINIMUM"]
    assert cautions(replace(PLAN, rows=()), APPROVAL, POLICY) == []


def test_only_a_small_short_plain_plan_approves_itself():
    soon = due_dates(date(2026, 11, 27), Rhythm.MONTHLY, 3, "US")
    plan = replace(PLAN, rows=draft_rows(85000, soon, start=APPROVAL))
    open_policy = PlanPolicy(auto_approve_up_to=Decimal(1000))
    assert approves_itself(plan, APPROVAL, open_policy)
    assert not approves_itself(plan, APPROVAL, POLICY)
    assert not approves_itself(plan, APPROVAL, PlanPolicy(auto_approve_up_to=Decimal("849.99")))
    assert not approves_itself(
        plan, APPROVAL, PlanPolicy(auto_approve_up_to=Decimal(1000), auto_approve_months=1)
    )
    assert not approves_itself(PLAN, APPROVAL, open_policy)  # starts late: a person looks
    assert not approves_itself(example(), APPROVAL, open_policy)
    assert not approves_itself(replace(plan, waivers=example().waivers), APPROVAL, open_policy)


def test_how_many_rows_fit_into_a_year():
    assert [rows_within(12, r) for r in (Rhythm.MONTHLY, Rhythm.TWO_WEEKLY, Rhythm.WEEKLY)] == [12, 26, 52]


def test_the_reason_of_a_waived_fee_is_read_by_the_customer():
    waived = replace(PLAN, waivers=(Waiver("149", "1001-F", 5000, "4000", "goodwill for the late delivery"),))
    assert "WORDS" not in codes(refusals(FACTS, Mode.NOTES, waived))
    unfit = replace(waived.waivers[0], reason="waived once; next time we will sue")
    (refusal,) = [
        r for r in refusals(FACTS, Mode.NOTES, replace(waived, waivers=(unfit,))) if r.code == "WORDS"
    ]
    assert "next time we will sue" in refusal.sentence


@pytest.mark.parametrize(
    ("asked", "agreed", "found"),
    [
        ([14166, 14167, 14167, 14167], [28333, 28334], None),
        ([42500, 42500], [28333, 28333, 28334], (1, 28333)),
        ([40000], [10000, 10000, 10000, 10000], (1, 10000)),  # a deposit of 500.00 was paid before
        ([20000, 20000, 20000], [10000, 10000, 40000], (1, 10000)),
        ([30000, 30000], [30000], None),
        ([30000, 30001], [30000], (2, 30000)),
    ],
)
def test_a_row_that_rises_is_held_against_the_one_in_its_place(asked, agreed, found):
    day = date(2026, 12, 21)
    rows = [Installment(n, day, day, amount) for n, amount in enumerate(asked, 1)]
    told = risen(rows, agreed)
    assert (told and (told[0].n, told[1])) == found
