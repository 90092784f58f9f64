"""Aging by due date and by contract age: the same total, never younger (I11)."""

from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from connector.domain.aging import BUCKETS, Debt, bucket, buckets, contract_debts, debts, weekly
from connector.domain.receivables import Invoice, Status
from tests.domain.story import APPROVAL, INVOICE_1001, example, source


def an_invoice(id="147", due=date(2026, 8, 31), balance=85000, **more):
    values = {
        "number": "1001",
        "customer_id": "58",
        "date": date(2026, 8, 1),
        "currency": "USD",
        "total": 115000,
        "status": Status.PARTLY_PAID,
    } | more
    return Invoice(id=id, due=due, balance=balance, **values)


def test_the_example_before_the_plan():
    late_fee = an_invoice("151", date(2026, 10, 1), 5000, total=5000, status=Status.OPEN)
    assert buckets(debts([an_invoice(), late_fee]), APPROVAL) == {
        "USD": {"current": 0, "1-30": 0, "31-60": 5000, "61-90": 85000, "90+": 0}
    }


def test_where_each_bucket_ends():
    due = date(2026, 8, 31)
    days = {
        0: "current",
        1: "1-30",
        30: "1-30",
        31: "31-60",
        60: "31-60",
        61: "61-90",
        90: "61-90",
        91: "90+",
    }
    for late, name in days.items():
        assert bucket(due, date.fromordinal(due.toordinal() + late)) == name
    assert bucket(due, date(2026, 8, 1)) == "current"
    assert bucket(due, date(2030, 1, 1)) == "90+"


def test_what_is_paid_void_or_a_draft_is_no_debt_and_currencies_stay_apart():
    invoices = [
        an_invoice("1", balance=0, status=Status.PAID),
        an_invoice("2", status=Status.VOID),
        an_invoice("3", status=Status.DRAFT),
        an_invoice("4", currency="EUR", balance=7),
        an_invoice("5", balance=8),
    ]
    assert {c: sum(b.values()) for c, b in buckets(debts(invoices), APPROVAL).items()} == {"EUR": 7, "USD": 8}


def test_installments_keep_the_age_of_the_original_invoice():
    plan = example()
    rows = {r.n: an_invoice(f"i{r.n}", r.due, r.principal, total=r.principal) for r in plan.rows}
    contract = {
        f"i{n}": found for n, found in contract_debts(plan, {n: i.balance for n, i in rows.items()}).items()
    }
    by_due_date = buckets(debts(rows.values()), APPROVAL)["USD"]
    by_contract = buckets(debts(rows.values(), contract), APPROVAL)["USD"]
    assert by_due_date == {"current": 85000, "1-30": 0, "31-60": 0, "61-90": 0, "90+": 0}
    assert by_contract == {"current": 0, "1-30": 0, "31-60": 0, "61-90": 85000, "90+": 0}


def test_money_pays_the_oldest_part_of_an_installment_first():
    older = replace(source(INVOICE_1001), invoice_id="99", number="0977", due=date(2026, 7, 1), balance=10000)
    newer = replace(source(INVOICE_1001), balance=75000)
    plan = replace(example(), sources=(newer, older))
    assert contract_debts(plan, {1: 28333})[1] == [
        Debt("USD", date(2026, 7, 1), 10000),
        Debt("USD", date(2026, 8, 31), 18333),
    ]
    assert contract_debts(plan, {1: 18000})[1] == [Debt("USD", date(2026, 8, 31), 18000)]
    assert contract_debts(plan, {})[1] == []


def test_past_weeks_add_back_what_was_settled_since():
    invoice = an_invoice(due=date(2026, 11, 10))
    later = an_invoice("148", date(2026, 12, 1), 500, date=date(2026, 11, 18), total=500, status=Status.OPEN)
    void = an_invoice("149", status=Status.VOID)
    history = weekly([invoice, later, void], [("147", date(2026, 11, 10), 30000)], APPROVAL, 3)["USD"]
    assert [(day, row["current"], row["1-30"]) for day, row in history] == [
        (date(2026, 11, 7), 115000, 0),
        (date(2026, 11, 14), 0, 85000),
        (date(2026, 11, 21), 500, 85000),
    ]


@given(st.lists(st.tuples(st.integers(-400, 400), st.integers(1, 10**8)), max_size=20))
def test_the_buckets_hold_all_that_is_owed(owed):
    found = buckets((Debt("USD", date.fromordinal(APPROVAL.toordinal() - d), a) for d, a in owed), APPROVAL)
    assert sum(found.get("USD", dict.fromkeys(BUCKETS, 0)).values()) == sum(a for _, a in owed)
