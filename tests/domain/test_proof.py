"""The figures of docs/accounting.md, and what the proof says when the ledger is not as it was meant."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain import plan_writes, proof
from connector.domain.calendar import Rhythm, due_dates
from connector.domain.installments import draft_rows
from connector.domain.plan_writes import Account
from connector.domain.policy import Mode
from connector.domain.proof import Applied, as_documents, compare, effect, settled
from connector.domain.receivables import Allocation, CreditNote, Kind, Line, Payment, Status
from tests.domain.story import (
    APPROVAL,
    BOOKS,
    INVOICE_1001,
    LATE_FEE,
    RECEIVED,
    WORDS,
    example,
    source,
)

PLAN = example()
DRAFTS = plan_writes.approve(PLAN, BOOKS, posted_on=APPROVAL, approved_by="J. Doe").drafts
CLEARING = frozenset({"90", "12"})


def figures(drafts, receipts=(), basis="accrual"):
    documents, links = as_documents(drafts)
    result = effect(
        [INVOICE_1001, LATE_FEE],
        [RECEIVED],
        documents,
        [*links, *receipts],
        clearing=CLEARING,
        currency="USD",
        always=("Late fees", "Interest"),
    )
    return {r.account: r.after for r in result.totals(basis)}, result


ORIGINALLY = {
    "Receivable": 90000,
    "Bank": 30000,
    "Sales": -100000,
    "Tax": -15000,
    "Late fees": -5000,
    "Clearing": 0,
    "Interest": 0,
}


def test_before_the_plan():
    now, _ = figures(())
    assert now == ORIGINALLY
    on_cash, _ = figures((), basis="cash")
    assert (on_cash["Sales"], on_cash["Tax"], on_cash["Late fees"], on_cash["Bank"]) == (
        -26087,
        -3913,
        0,
        30000,
    )
    assert on_cash["Receivable"] == 0


def test_every_step_of_the_saga_keeps_receivable_plus_clearing():
    after_waiver, _ = figures(DRAFTS[:2])
    assert (after_waiver["Receivable"], after_waiver["Late fees"]) == (85000, 0)
    steps = [figures(DRAFTS[:k])[0] for k in range(3, 8)]
    assert [(s["Receivable"], s["Clearing"]) for s in steps] == [
        (0, 85000),
        (28333, 56667),
        (56666, 28334),
        (85000, 0),
        (85000, 0),
    ]
    for step in steps:
        assert step["Receivable"] + step["Clearing"] == 85000  # I5
        assert (step["Sales"], step["Tax"]) == (-100000, -15000)  # I2, I3


def test_the_accrual_books_move_only_by_the_waiver():
    _, result = figures(DRAFTS)
    changes = {r.account: r.change for r in result.totals("accrual")}
    assert changes == {
        "Receivable": -5000,
        "Sales": 0,
        "Tax": 0,
        "Clearing": 0,
        "Bank": 0,
        "Late fees": 5000,
        "Interest": 0,
    }
    assert not result.neutral
    in_august = {r.account: r for r in result.periods("accrual") if r.period == "2026-08"}
    assert in_august["Sales"].before == in_august["Sales"].after == -100000
    assert figures(DRAFTS[2:])[1].neutral


def test_a_cash_report_would_show_income_early_and_says_so_by_name():
    on_cash, result = figures(DRAFTS[2:], basis="cash")
    assert (on_cash["Sales"], on_cash["Tax"], on_cash["Receivable"]) == (-100000, -15000, 85000)
    assert (result.early_income, result.early_tax) == (73913, 11087)
    assert result.named == (
        "Income recognized early on a cash report: 739.13 USD, with tax of 110.87 USD. "
        "The credit counts as payment there.",
    )
    november = {r.account: r.change for r in result.periods("cash") if r.period == "2026-11"}
    assert (november["Sales"], november["Tax"]) == (-73913, -11087)


def test_waiving_a_fee_is_no_cash_income():
    _, result = figures(DRAFTS[:2], basis="cash")
    assert (result.early_income, result.early_tax, result.named) == (0, 0, ())


def test_notes_mode_moves_nothing_on_either_basis():
    notes = plan_writes.approve(
        example(mode=Mode.NOTES, waived=False), BOOKS, posted_on=APPROVAL, approved_by="J. Doe"
    )
    _, result = figures(notes.drafts)
    assert result.neutral
    assert all(r.change == 0 for r in result.rows)
    assert result.named == ()


def test_interest_receipt_and_payoff_of_the_golden_vector():
    interest = plan_writes.interest(
        PLAN, PLAN.rows[0], Account("Interest"), WORDS, posted_on=date(2026, 12, 21)
    )
    billed, _ = figures([*DRAFTS, interest])
    assert (billed["Receivable"], billed["Interest"]) == (86417, -1417)
    receipt = [
        Applied("@1001-P1.1", 28333, date(2026, 12, 21)),
        Applied("@1001-P1.1i", 1417, date(2026, 12, 21)),
    ]
    paid, _ = figures([*DRAFTS, interest], receipt)
    assert (paid["Receivable"], paid["Bank"]) == (56667, 59750)
    rest = [
        Applied("@1001-P1.2", 28333, date(2026, 12, 28)),
        Applied("@1001-P1.3", 28334, date(2026, 12, 28)),
    ]
    off, _ = figures([*DRAFTS, interest], receipt + rest)
    assert (off["Receivable"], off["Bank"], off["Interest"]) == (0, 116417, -1417)


def test_a_default_has_no_ledger_entry():
    documents, _ = as_documents(DRAFTS)
    invoices = dict(enumerate((d for d in documents if d.kind is Kind.INVOICE), 1))
    books = replace(BOOKS, movable=frozenset(d.id for d in invoices.values()))
    moved = plan_writes.accelerate(PLAN, invoices, books, today=date(2027, 1, 21), why="missed").drafts
    assert len(moved) == 1
    assert figures([*DRAFTS, *moved])[0] == figures(DRAFTS)[0]  # I15


def test_taking_it_all_back_leaves_the_books_as_they_were():
    # A removed document is simply not there any more: nothing of the plan is left to post.
    assert figures(())[0] == ORIGINALLY  # I17


# Read-back


def ledger():
    documents, _ = as_documents(DRAFTS)
    return [
        replace(d, id=f"x{k}", lines=(Line(d.lines[0].account_id, "", d.total),))
        for k, d in enumerate(documents)
    ]


def test_what_was_meant_is_what_is_there():
    assert compare(DRAFTS, ledger(), just_written=True) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"total": 28334}, "1001-P1.1: the total is 283.34 USD; it should be 283.33 USD."),
        ({"tax": 4250}, "1001-P1.1: tax came back as 42.50 USD instead of 0.00 USD."),
        ({"balance": 0}, "1001-P1.1: the open amount is 0.00 USD; it should be 283.33 USD."),
        ({"due": None}, "1001-P1.1: the due date is empty; it should be 2026-12-21."),
        ({"customer_id": "59"}, "1001-P1.1: the customer is 59; it should be 58."),
        ({"currency": "EUR"}, "1001-P1.1: the currency is EUR; it should be USD."),
        ({"date": date(2026, 11, 22)}, "1001-P1.1: the date is 2026-11-22; it should be 2026-11-21."),
        ({"lines": (Line("40", "", 28333),)}, "1001-P1.1: the account is 40; it should be 90."),
        (
            {"lines": (Line("40", "", 28332), Line("90", "", 1))},
            "1001-P1.1: the account is ['40', '90']; it should be 90.",
        ),
    ],
)
def test_each_difference_is_a_sentence(change, sentence):
    documents = [replace(d, **change) if d.number == "1001-P1.1" else d for d in ledger()]
    assert sentence in [d.sentence for d in compare(DRAFTS, documents, just_written=True)]


def test_a_missing_a_voided_and_a_doubled_document():
    documents = ledger()
    assert [d.sentence for d in compare(DRAFTS, documents[1:])] == [
        "LF-1001-W is not in the ledger; it should be once."
    ]
    documents[2] = replace(documents[2], status=Status.VOID)
    documents.append(replace(documents[3], id="twin"))
    assert [d.sentence for d in compare(DRAFTS, documents)] == [
        "1001-P1.1 is not in the ledger; it should be once.",
        "1001-P1.2 is in the ledger 2 times; it should be once.",
    ]


def test_later_payments_are_no_difference():
    documents = [replace(d, balance=0) for d in ledger()]
    assert compare(DRAFTS, documents) == []


def test_an_interest_invoice_may_carry_its_own_tax():
    draft = plan_writes.interest(PLAN, PLAN.rows[0], Account("70"), WORDS, posted_on=APPROVAL)
    (document,), _ = as_documents([draft])
    taxed = replace(document, tax=200, total=1617, balance=1617)
    assert compare([draft], [taxed], just_written=True) == []
    assert len(compare([draft], [replace(taxed, total=1600)])) == 1


def test_lines_that_only_name_an_item_are_not_compared():
    documents = [replace(d, lines=(Line("", "", d.total, item_id="12"),)) for d in ledger()]
    assert compare(DRAFTS, documents) == []


def test_the_original_must_be_settled():
    assert settled([replace(INVOICE_1001, balance=0)], ["147"]) == []
    assert [d.sentence for d in settled([INVOICE_1001], ["147", "148"])] == [
        "Invoice 1001 still has 850.00 USD open; the credit should have settled it.",
        "An invoice of the plan is no longer in the ledger.",
    ]


# What was settled before, from the mirror


def test_what_no_allocation_explains_counts_as_an_unknown_credit():
    payments = [
        Payment("p1", "58", date(2026, 9, 20), "USD", 20000, 0, (Allocation("147", 20000),)),
        Payment("p2", "58", date(2026, 9, 21), "USD", 9000, 0, (Allocation("147", 9000),), void=True),
        Payment("p3", "58", date(2026, 9, 21), "USD", 9000, 0, (Allocation("999", 9000),)),
    ]
    credits_ = [
        CreditNote(
            "c1", "C1", "58", date(2026, 9, 22), "USD", 4000, 0, (Allocation("147", 4000, date(2026, 10, 2)),)
        ),
        CreditNote(
            "c2", "C2", "58", date(2026, 9, 22), "USD", 4000, 0, (Allocation("147", 4000),), void=True
        ),
    ]
    found = proof.applied([INVOICE_1001], payments, credits_)
    assert found == [
        Applied("147", 20000, date(2026, 9, 20)),
        Applied("147", 4000, date(2026, 10, 2), "c1"),
        Applied("147", 6000, date(2026, 8, 1), "?"),
    ]
    result = effect([INVOICE_1001], found, [], [], clearing=CLEARING, currency="USD")
    on_cash = {r.account: r.after for r in result.totals("cash")}
    assert on_cash["Other credits"] == 10000
    assert sum(on_cash.values()) == 0


def test_tax_and_income_are_recognized_by_cumulative_rounding():
    tiny = replace(
        INVOICE_1001, total=2, tax=1, balance=0, lines=(Line("40", "", 1, 1, account_name="Sales"),)
    )
    first, second = Applied("147", 1, date(2026, 9, 20)), Applied("147", 1, date(2026, 10, 20))
    for settlements, expected in (([first], (-1, 0)), ([first, second], (-1, -1))):
        result = effect([tiny], settlements, [], [], clearing=CLEARING, currency="USD")
        on_cash = {r.account: r.after for r in result.totals("cash")}
        assert (on_cash["Sales"], on_cash["Tax"]) == expected


def test_what_is_explained_in_full_leaves_no_gap():
    payment = Payment("p1", "58", date(2026, 9, 20), "USD", 30000, 0, (Allocation("147", 30000),))
    assert proof.applied([INVOICE_1001], [payment], []) == [Applied("147", 30000, date(2026, 9, 20))]


def test_an_invoice_without_lines_counts_as_income():
    bare = replace(INVOICE_1001, lines=(Line("", "", 60000),))
    result = effect([bare], [], [], [], clearing=CLEARING, currency="USD")
    assert {r.account: r.after for r in result.totals("accrual")} == {
        "Receivable": 115000,
        "Income": -100000,
        "Tax": -15000,
        "Clearing": 0,
        "Bank": 0,
    }
    nothing = replace(INVOICE_1001, total=0, tax=0, balance=0, lines=())
    empty = effect([nothing], [Applied("147", 0, APPROVAL)], [], [], clearing=CLEARING, currency="USD")
    assert all(r.after == 0 for r in empty.rows)


@given(
    st.integers(100, 10**8),
    st.integers(0, 300),
    st.integers(0, 99),
    st.integers(1, 12),
    st.integers(0, 100),
)
def test_debits_equal_credits_and_nothing_moves_on_accrual(net, tax_rate, paid_percent, count, paid_later):
    """I1 to I5 for any invoice: whatever its tax and part-payments, and whatever is paid afterwards."""
    tax = net * tax_rate // 1000
    total = net + tax
    paid = total * paid_percent // 100
    invoice = replace(
        INVOICE_1001,
        total=total,
        tax=tax,
        balance=total - paid,
        lines=(Line("40", "", net, tax, account_name="Sales"),),
    )
    before = [Applied("147", paid, date(2026, 9, 20))] if paid else []
    dates = due_dates(date(2026, 12, 21), Rhythm.MONTHLY, min(count, total - paid), "US")
    plan = replace(
        PLAN,
        sources=(source(invoice),),
        rows=draft_rows(total - paid, dates, start=APPROVAL),
        waivers=(),
    )
    drafts = plan_writes.approve(plan, BOOKS, posted_on=APPROVAL, approved_by="J. Doe").drafts
    documents, links = as_documents(drafts)
    receipts = [
        Applied(d.id, d.total * paid_later // 100, date(2027, 1, 5))
        for d in documents
        if d.kind is Kind.INVOICE
    ]
    result = effect([invoice], before, documents, links, clearing=CLEARING, currency="USD")
    assert result.neutral
    assert result.early_income + result.early_tax == total - paid
    later = effect([invoice], before, documents, [*links, *receipts], clearing=CLEARING, currency="USD")
    for basis in ("accrual", "cash"):
        assert sum(r.after for r in later.totals(basis)) == 0
        assert sum(r.before for r in later.totals(basis)) == 0
        bank = {r.account: r.after for r in later.totals(basis)}
        assert (bank["Sales"], bank["Tax"]) == (-net, -tax)
        assert bank["Receivable"] == total - paid - sum(r.amount for r in receipts)
        assert bank["Clearing"] == 0
