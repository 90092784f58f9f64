"""A promise is judged from the books: kept when the money is there, broken after its grace, else it rests reminders."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from connector.domain.policy import PlanPolicy, Policy, ReminderPolicy
from connector.domain.promises import Promise, state
from connector.domain.receivables import Allocation, Invoice, Payment, Status

MADE, DAY = date(2026, 11, 16), date(2026, 11, 20)


def an_invoice(id="1", balance=40000, due=date(2026, 11, 1)):
    return Invoice(id, id, "58", date(2026, 10, 1), due, "USD", 40000, balance, Status.OPEN)


def paid(amount, day, invoice="1"):
    allocations = (Allocation(invoice, amount),) if invoice else ()
    return Payment(f"p{day}", "58", day, "USD", amount, 0 if invoice else amount, allocations)


def judged(promise, today, invoices=None, payments=(), tolerance=0):
    policy = Policy(
        plan=PlanPolicy(tolerance_amount=Decimal(tolerance)), reminders=ReminderPolicy(promise_grace_days=2)
    )
    return state(promise, invoices if invoices is not None else [an_invoice()], payments, today, policy)


def test_it_rests_until_its_day_and_grace_are_over():
    promise = Promise(MADE, DAY, "1")
    assert judged(promise, DAY) == "pending"
    assert judged(promise, date(2026, 11, 22)) == "pending"
    assert judged(promise, date(2026, 11, 23)) == "broken"


def test_the_invoice_is_settled():
    assert judged(Promise(MADE, DAY, "1"), date(2026, 11, 30), [an_invoice(balance=0)]) == "kept"


def test_a_voided_document_keeps_no_promise():
    voided = replace(
        an_invoice("2", balance=0), total=0, status=Status.VOID
    )  # an installment that was taken back
    promise = Promise(MADE, DAY, "2")
    assert judged(promise, DAY, [an_invoice(), voided]) == "pending"
    assert judged(promise, date(2026, 11, 23), [an_invoice(), voided]) == "broken"


def test_a_part_was_promised_and_came():
    part = Promise(MADE, DAY, "1", 10000, "USD")
    assert judged(part, date(2026, 11, 18), payments=[paid(9999, date(2026, 11, 17))]) == "pending"
    assert judged(part, date(2026, 11, 18), payments=[paid(10000, date(2026, 11, 17))]) == "kept"
    assert (
        judged(part, date(2026, 11, 30), payments=[paid(10000, date(2026, 11, 23))]) == "broken"
    )  # too late
    assert (
        judged(part, date(2026, 11, 30), payments=[paid(10000, date(2026, 11, 10))]) == "broken"
    )  # before it
    assert judged(part, date(2026, 11, 30), payments=[paid(10000, date(2026, 11, 18), "2")]) == "broken"


def test_a_promise_for_everything():
    everything = Promise(MADE, DAY)
    later = an_invoice("2", due=date(2026, 12, 24))
    assert judged(everything, date(2026, 11, 18), [an_invoice(balance=0), later]) == "kept"
    assert judged(everything, date(2026, 11, 23), [an_invoice(), later]) == "broken"
    sum_ = Promise(MADE, DAY, "", 10000, "USD")
    assert judged(sum_, date(2026, 11, 18), payments=[paid(10000, date(2026, 11, 17), "")]) == "kept"


def test_a_promise_that_is_kept_but_for_a_trifle_is_kept():
    after, day = date(2026, 11, 30), date(2026, 11, 18)
    all_but = {n: [an_invoice(balance=n)] for n in (100, 101)}
    for promise in (Promise(MADE, DAY, "1"), Promise(MADE, DAY)):
        assert judged(promise, after, all_but[100], tolerance=1) == "kept"
        assert judged(promise, after, all_but[101], tolerance=1) == "broken"
    for promise, on in ((Promise(MADE, DAY, "1", 10000, "USD"), "1"), (Promise(MADE, DAY, "", 10000), "")):
        assert judged(promise, after, payments=[paid(9900, day, on)], tolerance=1) == "kept"
        assert judged(promise, after, payments=[paid(9899, day, on)], tolerance=1) == "broken"
    small = Promise(MADE, DAY, "1", 1000, "USD")  # a tenth of it is no trifle, whatever the policy says
    assert judged(small, after, payments=[paid(900, day)], tolerance=1) == "broken"
