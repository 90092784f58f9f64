"""Money on account counts as the customer's: what it covers is not missed, not expected, and not asked for."""

import datetime as dt

import pytest

from connector.domain import assessment, findings, on_account, promises
from connector.domain.findings import Event, Receivables, Share
from connector.domain.on_account import Part
from connector.domain.policy import Policy
from connector.domain.prediction.outlook import expected_weeks, outlooks
from connector.domain.receivables import Allocation, CreditNote, Customer, Invoice, Payment, Status

TODAY = dt.date(2026, 11, 20)
WHO = Customer("c", "Brook", currency="USD")


def invoice(id: str, due: dt.date, total: int, balance: int | None = None) -> Invoice:
    left = total if balance is None else balance
    status = Status.OPEN if left == total else Status.PARTLY_PAID if left else Status.PAID
    return Invoice(id, id, "c", due - dt.timedelta(30), due, "USD", total, left, status)


def money(day: dt.date, amount: int, id: str = "p", currency: str = "USD") -> Payment:
    return Payment(id, "c", day, currency, amount, amount)


def credit(day: dt.date, amount: int) -> CreditNote:
    return CreditNote("k", "K1", "c", day, "USD", amount, amount)


def due(month: int, day: int = 1) -> dt.date:
    return dt.date(2026, month, day)


# Eleven months, 1,000.00 each, the first due on 1 January; all were paid on time by one transfer a month.
ELEVEN = [invoice(f"{n:02}", due(n), 100_000) for n in range(1, 12)]


def test_the_oldest_is_covered_first_and_what_is_left_goes_on() -> None:
    held = on_account.held(ELEVEN, [money(due(10), 250_000)], [], TODAY)
    assert held == {
        "01": (Part(due(10), 100_000, False),),
        "02": (Part(due(10), 100_000, False),),
        "03": (Part(due(10), 50_000, False),),
    }


def test_a_sum_of_exactly_one_invoice_is_for_that_invoice() -> None:
    invoices = [invoice("old", due(6), 100_000), invoice("new", due(9), 32_150)]
    held = on_account.held(invoices, [money(due(9, 3), 32_150)], [], TODAY)
    assert held == {"new": (Part(due(9, 3), 32_150, False),)}


def test_other_currencies_voided_money_and_money_dated_ahead_cover_nothing() -> None:
    void = Payment("v", "c", due(9), "USD", 100_000, 100_000, void=True)
    euros, ahead = money(due(9), 100_000, "e", "EUR"), money(due(12), 100_000, "f")
    assert on_account.held(ELEVEN, [void, euros, ahead], [], TODAY) == {}


def test_what_was_given_back_covers_nothing() -> None:
    held = on_account.held(ELEVEN, [money(due(9), 100_000), money(due(10), -60_000, "r")], [], TODAY)
    assert held == {"01": (Part(due(9), 40_000, False),)}


def test_it_is_never_held_against_a_disputed_invoice() -> None:
    invoices = (invoice("old", due(6), 100_000), invoice("new", due(9), 50_000))
    events = (Event("disputed", due(6, 10), "old"),)
    known = Receivables(WHO, invoices, (money(due(9), 60_000),), events=events)
    assert known.held(TODAY) == {"new": (Part(due(9), 50_000, False),)}


@pytest.mark.parametrize("surplus", [0, 250_000])
def test_who_has_as_much_on_account_as_they_owe_is_in_no_trouble(surplus: int) -> None:
    payments = tuple(money(i.due, i.total + (surplus if i.id == "11" else 0), f"p{i.id}") for i in ELEVEN)
    known = Receivables(WHO, tuple(ELEVEN), payments, book={"USD": Share(1_100_000, 9)})
    found = {f.kind: f for f in findings.detect(known, Policy(), TODAY)}
    assert set(found) == {"unapplied"}
    assert found["unapplied"].text.endswith("apply it before reminding: it covers all that is open.")
    assessed = assessment.assess(known, Policy(), TODAY)
    assert (assessed.segment, assessed.path, assessed.priority) == ("reliable", "none", 0.0)


def test_matching_the_money_changes_no_judgement() -> None:
    loose = tuple(money(i.due + dt.timedelta(20), i.total, f"p{i.id}") for i in ELEVEN[:9])
    matched = tuple(
        Payment(p.id, "c", p.date, "USD", p.amount, 0, (Allocation(i.id, p.amount, p.date),))
        for p, i in zip(loose, ELEVEN, strict=False)
    )
    before = Receivables(WHO, tuple(ELEVEN), loose)
    paid = [invoice(i.id, i.due, i.total, 0) for i in ELEVEN[:9]]
    after = Receivables(WHO, (*paid, *ELEVEN[9:]), matched)
    assert assessment.assess(before, Policy(), TODAY) == assessment.assess(after, Policy(), TODAY)
    kinds = [
        [(f.kind, f.since, f.evidence) for f in findings.detect(r, Policy(), TODAY) if f.kind != "unapplied"]
        for r in (before, after)
    ]
    assert kinds[0] == kinds[1]
    assert [k for k, _, _ in kinds[0]] == ["overdue"]


def test_a_credit_that_covers_an_invoice_says_nothing_of_how_they_pay() -> None:
    known = Receivables(WHO, (ELEVEN[0],), (), (credit(due(8), 100_000),))
    assert assessment.assess(known, Policy(), TODAY).segment == "not_enough_data"
    assert [f.kind for f in findings.detect(known, Policy(), TODAY)] == ["unapplied"]


def test_what_it_does_not_cover_is_overdue_and_the_sentence_says_what_is_there() -> None:
    known = Receivables(WHO, (invoice("7", due(10), 100_000),), (money(due(10, 20), 40_000),))
    found = {f.kind: f for f in findings.detect(known, Policy(), TODAY)}
    assert found["overdue"].text == (
        "Beside 400.00 USD on account, 600.00 USD is overdue on invoice 7, 50 days past its due date."
    )
    assert [e.amount for e in found["overdue"].evidence] == [60_000]
    assert assessment.assess(known, Policy(), TODAY).priority == pytest.approx(600 * 0.6 * 0.4)


def test_money_that_came_as_promised_keeps_the_promise_though_nobody_matched_it() -> None:
    one, paid = invoice("7", due(9), 100_000), money(due(10, 14), 100_000)
    promised = Event("promise", due(10), "7", promised=due(10, 15))
    known = Receivables(WHO, (one, *ELEVEN[10:]), (paid,), events=(promised,))
    assert "broken_promise" not in {f.kind for f in findings.detect(known, Policy(), TODAY)}
    for promise in (promises.Promise(due(10), due(10, 15), "7"), promises.Promise(due(10), due(10, 15))):
        assert promises.state(promise, [one], [paid], TODAY, Policy()) == promises.KEPT
        assert promises.state(promise, [one], [], TODAY, Policy()) == promises.BROKEN


def test_what_is_covered_is_no_longer_expected() -> None:
    paid = [invoice(f"old{n}", due(n, 10), 100_000, 0) for n in range(1, 11)]
    settled = [
        Payment(f"q{i.id}", "c", i.due, "USD", i.total, 0, (Allocation(i.id, i.total, i.due),)) for i in paid
    ]
    late, soon = invoice("late", due(10), 100_000), invoice("soon", due(11, 25), 100_000)
    there = [money(due(10, 15), 130_000)]
    said = outlooks([*paid, late, soon], [*settled, *there], [], TODAY)
    covered = said["late"]
    assert (covered.basis, covered.expected) == ("on_account", due(10, 15))
    assert (covered.late, covered.late_30) == (1.0, 0.0)  # two weeks late it was; nothing is left to guess
    assert said["soon"].basis == "history"
    held = on_account.of_book([late, soon], there, [], TODAY)
    weeks = expected_weeks([late, soon], said, TODAY, held=held)["USD"]
    assert sum(amount for _, amount in weeks) == 70_000
