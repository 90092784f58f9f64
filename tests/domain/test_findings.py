"""Findings are facts with evidence: what is overdue, what was paid in part."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from connector.domain.findings import Evidence, Receivables, detect
from connector.domain.policy import FindingPolicy, Policy
from connector.domain.receivables import Allocation, CreditNote, Customer, Invoice, Payment, Status

POLICY = Policy()
TODAY = date(2026, 11, 21)
CUSTOMER = Customer("58", "Brook Café")


def an_invoice(
    id="147", due=date(2026, 8, 31), total=115000, balance=85000, currency="USD", number="1001", **more
):
    status = more.pop("status", Status.OPEN)
    return Invoice(id, number, "58", date(2026, 8, 1), due, currency, total, balance, status, **more)


def a_payment(amount=30000, invoice_id="147", day=date(2026, 9, 20), **more):
    return Payment(
        more.pop("id", "p1"), "58", day, "USD", amount, 0, (Allocation(invoice_id, amount),), **more
    )


def found(*invoices, payments=(), credits=(), today=TODAY, policy=POLICY, **more):
    receivables = Receivables(CUSTOMER, invoices, tuple(payments), tuple(credits), **more)
    return [f for f in detect(receivables, policy, today) if f.kind in ("overdue", "partly_paid")]


def kinds(findings):
    return [f.kind for f in findings]


def test_the_example_is_overdue_and_partly_paid():
    overdue, partly = found(an_invoice(), payments=[a_payment()])
    assert (overdue.kind, overdue.since, overdue.currency) == ("overdue", date(2026, 9, 1), "USD")
    assert overdue.evidence == (Evidence("147", date(2026, 8, 31), 85000),)
    assert overdue.text == "850.00 USD is overdue on invoice 1001, 82 days past its due date."
    assert (partly.kind, partly.since) == ("partly_paid", date(2026, 9, 20))
    assert partly.evidence == (Evidence("147", date(2026, 9, 20), 30000),)
    assert partly.text == "300.00 USD of 1,150.00 USD was paid on invoice 1001; 850.00 USD is still open."


def test_several_invoices_are_one_finding_per_currency_oldest_first():
    findings = found(
        an_invoice("2", date(2026, 11, 20), 5000, 5000, number="1002"),
        an_invoice("1", date(2026, 8, 31), 5000, 5000),
        an_invoice("3", date(2026, 10, 1), 700, 700, "EUR", number=""),
    )
    assert [(f.currency, f.text) for f in findings] == [
        ("EUR", "7.00 EUR is overdue on invoice 3, 51 days past its due date."),
        ("USD", "100.00 USD is overdue on 2 invoices; the oldest, 1001, fell due 82 days ago."),
    ]
    assert [e.invoice for e in findings[1].evidence] == ["1", "2"]


def test_what_is_no_longer_or_not_yet_owed_is_no_finding():
    assert found(an_invoice(balance=0, status=Status.PAID)) == []
    assert found(an_invoice(total=85000, status=Status.VOID)) == []
    assert found(an_invoice(total=85000, status=Status.DRAFT)) == []
    assert found(an_invoice(total=85000, due=TODAY)) == []


def test_a_due_date_on_a_weekend_may_be_paid_on_monday():
    saturday = an_invoice(total=85000, due=date(2026, 11, 14))
    assert found(saturday, today=date(2026, 11, 16)) == []
    (finding,) = found(saturday, today=date(2026, 11, 17))
    assert finding.since == date(2026, 11, 15)
    assert (
        found(an_invoice(total=85000, due=date(2026, 11, 26)), today=date(2026, 11, 27), country="US") == []
    )


def test_grace_and_small_balances_are_the_policys():
    graced = Policy(findings=FindingPolicy(grace_days=3))
    friday = an_invoice(total=85000, due=date(2026, 11, 20))
    assert found(friday, today=date(2026, 11, 23), policy=graced) == []
    assert kinds(found(friday, today=date(2026, 11, 24), policy=graced)) == ["overdue"]
    one_day = found(friday)
    assert one_day[0].text.endswith("1 day past its due date.")
    small = Policy(findings=FindingPolicy(minimum_balance=5))
    assert found(an_invoice(total=499, balance=499), policy=small) == []
    assert kinds(found(an_invoice(total=500, balance=500), policy=small)) == ["overdue"]


def test_a_date_agreed_in_a_plan_counts_instead():
    invoice = an_invoice(total=85000)
    assert found(invoice, agreed={"147": date(2026, 12, 21)}) == []
    (late,) = found(invoice, agreed={"147": date(2026, 11, 10)})
    assert (late.since, late.evidence[0].date) == (date(2026, 11, 11), date(2026, 11, 10))


def test_a_credit_note_alone_is_no_part_payment():
    credit = CreditNote("c", "C", "58", date(2026, 9, 20), "USD", 30000, 0, (Allocation("147", 30000),))
    assert kinds(found(an_invoice(), credits=[credit])) == ["overdue"]
    void = CreditNote(
        "c", "C", "58", date(2026, 9, 20), "USD", 30000, 0, (Allocation("147", 30000),), void=True
    )
    assert kinds(found(an_invoice(), credits=[void])) == ["overdue", "partly_paid"]


def test_what_the_ledger_says_without_saying_when_is_still_a_part_payment():
    _, partly = found(an_invoice())
    assert partly.evidence == (Evidence("147", date(2026, 8, 1), 30000),)


def test_payments_that_are_void_or_still_to_come_are_none():
    coming = a_payment(day=date(2026, 11, 30))
    void = a_payment(void=True)
    assert kinds(found(an_invoice(total=85000), payments=[coming, void])) == ["overdue"]
    assert kinds(found(an_invoice(total=85000, balance=85000), payments=[a_payment()])) == ["overdue"]


def test_a_payment_of_today_counts():
    _, partly = found(an_invoice(), payments=[a_payment(day=TODAY)])
    assert partly.evidence == (Evidence("147", TODAY, 30000),)


def test_part_payments_on_several_invoices():
    payments = [a_payment(), a_payment(5000, "148", date(2026, 9, 3), id="p2")]
    _, partly = found(
        an_invoice(), an_invoice("148", total=10000, balance=5000, number="1002"), payments=payments
    )
    assert partly.since == date(2026, 9, 3)
    assert partly.text == "350.00 USD of 1,250.00 USD was paid on 2 invoices; 900.00 USD is still open."
    assert [e.invoice for e in partly.evidence] == ["148", "147"]


invoices = st.lists(
    st.tuples(st.dates(date(2026, 1, 1), date(2026, 12, 31)), st.integers(1, 10**6), st.integers(0, 100)),
    min_size=1,
    max_size=6,
)


@given(invoices, st.randoms(use_true_random=False))
def test_the_same_facts_in_any_order_give_the_same_findings(facts, random):
    books, payments = [], []
    for n, (due, total, percent) in enumerate(facts):
        paid = total * percent // 100
        books.append(an_invoice(str(n), due, total, total - paid, number=f"N{n}"))
        if paid:
            payments.append(a_payment(paid, str(n), id=f"p{n}"))
    before = found(*books, payments=payments)
    random.shuffle(books)
    random.shuffle(payments)
    assert found(*books, payments=payments) == before
    for finding in before:
        if finding.kind == "overdue":
            owed = {b.id: b.balance for b in books}
            assert all(owed[e.invoice] == e.amount and e.date < TODAY for e in finding.evidence)
