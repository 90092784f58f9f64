"""Findings from what happened beside the documents, where a books file cannot tell the story."""

from dataclasses import replace
from datetime import date

from connector.domain.assessment import assess
from connector.domain.findings import Event, Evidence, Receivables, detect
from connector.domain.policy import Policy
from connector.domain.receivables import Allocation, Customer, Invoice, Payment, Status

TODAY = date(2026, 11, 20)
CUSTOMER = Customer("58", "Brook Café", currency="USD")
OPEN = Invoice("1", "1001", "58", date(2026, 9, 1), date(2026, 10, 1), "USD", 50000, 50000, Status.OPEN)


def found(*events, invoices=(OPEN,), payments=()):
    receivables = Receivables(CUSTOMER, invoices, payments, events=events)
    return {f.kind: f for f in detect(receivables, Policy(), TODAY)}


def test_a_kept_plan_is_worth_saying_for_two_months():
    assert found(Event("plan_kept", date(2026, 11, 2)))["kept_plan"].since == date(2026, 11, 2)
    assert "kept_plan" not in found(Event("plan_kept", date(2026, 9, 2)))


def test_a_promise_for_everything_is_broken_when_nothing_came():
    promise = Event("promise", date(2026, 11, 1), "", date(2026, 11, 10))
    broken = found(promise)["broken_promise"]
    assert (broken.since, broken.text) == (
        date(2026, 11, 11),
        "They promised to pay by 10 November 2026, and the money did not come.",
    )
    other = Invoice("2", "1002", "58", date(2026, 9, 1), date(2026, 10, 1), "USD", 700, 0, Status.PAID)
    payment = Payment("p", "58", date(2026, 11, 8), "USD", 700, 0, (Allocation("2", 700),))
    broken = found(promise, invoices=(OPEN, other), payments=(payment,))["broken_promise"]
    assert broken.evidence == (Evidence("", date(2026, 11, 10), 50000),)
    paid = replace(OPEN, balance=0, status=Status.PAID)
    newer = Invoice("3", "1003", "58", date(2026, 11, 2), date(2026, 12, 2), "USD", 900, 900, Status.OPEN)
    whole = Payment("q", "58", date(2026, 11, 9), "USD", 50000, 0, (Allocation("1", 50000),))
    assert "broken_promise" not in found(promise, invoices=(paid, newer), payments=(whole,))
    slow = replace(whole, date=date(2026, 11, 19))
    assert "broken_promise" in found(promise, invoices=(paid, newer), payments=(slow,))
    cent = replace(OPEN, balance=1, status=Status.PARTLY_PAID)
    all_but = replace(whole, amount=49999, allocations=(Allocation("1", 49999),))
    assert "broken_promise" not in found(promise, invoices=(cent,), payments=(all_but,))
    ahead = Payment("u", "58", date(2026, 11, 9), "USD", 50000, 50000)
    assert "broken_promise" not in found(promise, payments=(ahead,))


def test_a_promise_of_a_part_is_kept_by_that_part():
    promise = Event("promise", date(2026, 11, 1), "1", date(2026, 11, 10), 20000)
    partly = Invoice(
        "1", "1001", "58", date(2026, 9, 1), date(2026, 10, 1), "USD", 50000, 30000, Status.PARTLY_PAID
    )
    payment = Payment("p", "58", date(2026, 11, 10), "USD", 20000, 0, (Allocation("1", 20000),))
    assert "broken_promise" not in found(promise, invoices=(partly,), payments=(payment,))
    late = Payment("p", "58", date(2026, 11, 16), "USD", 20000, 0, (Allocation("1", 20000),))
    assert found(promise, invoices=(partly,), payments=(late,))["broken_promise"].evidence[0].amount == 20000


def test_a_dispute_that_was_closed_and_opened_again_counts_from_the_second_time():
    events = (
        Event("disputed", date(2026, 9, 5), "1"),
        Event("dispute_closed", date(2026, 9, 20), "1"),
        Event("disputed", date(2026, 10, 12), "1"),
    )
    assert found(*events)["disputed"].since == date(2026, 10, 12)


def test_a_word_breaks_the_silence():
    assert found()["silent"].since == date(2026, 11, 15)
    assert "silent" not in found(Event("replied", date(2026, 10, 30)))


def test_a_silence_names_all_that_is_overdue():
    newer = Invoice("2", "1002", "58", date(2026, 10, 1), date(2026, 10, 31), "USD", 700, 700, Status.OPEN)
    silent = found(invoices=(OPEN, newer))["silent"]
    assert silent.text == "No payment and no word on record for 50 days, while 507.00 USD is overdue."
    assert sum(e.amount for e in silent.evidence) == 50700


def test_parts_that_came_are_not_said_to_be_nothing():
    partly = Invoice(
        "1", "1001", "58", date(2026, 9, 1), date(2026, 10, 1), "USD", 50000, 1000, Status.PARTLY_PAID
    )
    payment = Payment("p", "58", date(2026, 9, 20), "USD", 49000, 0, (Allocation("1", 49000),))
    said = assess(Receivables(CUSTOMER, (partly,), (payment,)), Policy(), TODAY)
    assert said.reasons[0] == "No invoice has been paid in full so far; three make a first judgement."


def test_the_latest_and_the_earlier_invoices_are_told_apart_in_english():
    days = [date(2025, month, 1) for month in range(1, 9)]
    late = {days[2]: date(2025, 5, 1), days[5]: date(2025, 8, 10)}
    before = [Invoice(f"i{d}", "", "58", d, d, "USD", 700, 0, Status.PAID) for d in days]
    money = [Payment(f"p{d}", "58", late.get(d, d), "USD", 700, 0, (Allocation(f"i{d}", 700),)) for d in days]
    said = assess(Receivables(CUSTOMER, (*before, OPEN), tuple(money)), Policy(), TODAY)
    assert said.reasons[:2] == (
        "The latest invoice was late, by 50 days, and is still open.",
        "Of the earlier 8 invoices, 2 were late, by up to 70 days.",
    )


def test_a_dispute_says_whether_anything_else_is_overdue():
    since = (Event("disputed", date(2026, 10, 5), "1"),)
    alone = assess(Receivables(CUSTOMER, (OPEN,), events=since), Policy(), TODAY)
    assert alone.reasons == ("500.00 USD is in dispute; nothing else is overdue.",)
    other = Invoice("2", "1002", "58", date(2026, 9, 1), date(2026, 10, 1), "USD", 700, 700, Status.OPEN)
    both = assess(Receivables(CUSTOMER, (OPEN, other), events=since), Policy(), TODAY)
    assert both.reasons == ("500.00 USD is in dispute; what else is overdue is no more than that.",)
