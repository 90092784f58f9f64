"""QuickBooks' records become ours: exact money, derived states, money told from credit."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from adapters.quickbooks import facts, settlement, translate
from adapters.quickbooks.settlement import Joined
from connector.domain.receivables import Allocation, Kind, Link, Status

META = {"LastUpdatedTime": "2026-11-20T12:00:00-08:00"}


def an_invoice(**changes: Any) -> dict[str, Any]:
    return {
        "Id": "147",
        "SyncToken": "4",
        "MetaData": META,
        "DocNumber": "1001",
        "TxnDate": "2026-08-01",
        "DueDate": "2026-08-31",
        "CustomerRef": {"value": "58", "name": "Rose & Daughters"},
        "CurrencyRef": {"value": "USD", "name": "United States Dollar"},
        "TotalAmt": Decimal("1150.00"),
        "Balance": 850,
        "TxnTaxDetail": {"TotalTax": 150},
        "PrivateNote": "Ring before noon",
        "EmailStatus": "EmailSent",
        "Line": [],
        "LinkedTxn": [],
    } | changes


def a_payment(total: Any, *lines: tuple[Any, str, str], unapplied: Any = 0, **changes: Any) -> dict[str, Any]:
    return {
        "Id": "70",
        "SyncToken": "0",
        "MetaData": META,
        "TxnDate": "2026-09-10",
        "CustomerRef": {"value": "58"},
        "TotalAmt": total,
        "UnappliedAmt": unapplied,
        "Line": [{"Amount": a, "LinkedTxn": [{"TxnId": id, "TxnType": kind}]} for a, kind, id in lines],
    } | changes


def test_an_invoice_keeps_what_the_ledger_states() -> None:
    invoice = translate.invoice(an_invoice(), "USD")
    assert (invoice.number, invoice.customer_id, invoice.version) == ("1001", "58", "4")
    assert (invoice.total, invoice.balance, invoice.tax) == (115000, 85000, 15000)
    assert (invoice.date, invoice.due) == (date(2026, 8, 1), date(2026, 8, 31))
    assert invoice.status is Status.PARTLY_PAID
    assert invoice.updated_at == datetime(2026, 11, 20, 20, 0, tzinfo=UTC)
    assert invoice.emailed is True
    assert invoice.marker == ""


@pytest.mark.parametrize(
    ("total", "balance", "note", "status"),
    [
        (100, 100, "", Status.OPEN),
        (100, Decimal("99.99"), "", Status.PARTLY_PAID),
        (100, 0, "", Status.PAID),
        (0, 0, "Voided", Status.VOID),
        (0, 0, "Voided - Ring before noon", Status.VOID),
        (0, 0, "Free sample", Status.PAID),
        (100, 0, "Voided by mistake, then restored", Status.PAID),
    ],
)
def test_a_status_is_derived(total: Any, balance: Any, note: str, status: Status) -> None:
    raw = an_invoice(TotalAmt=total, Balance=balance, PrivateNote=note)
    assert translate.invoice(raw, "USD").status is status


@pytest.mark.parametrize(
    ("currency", "amount", "minor"),
    [
        ("JPY", 1150, 1150),
        ("JPY", Decimal("1150.00"), 1150),
        ("KWD", Decimal("1.155"), 1155),
        ("USD", "7.1", 710),
    ],
)
def test_amounts_follow_the_currency(currency: str, amount: Any, minor: int) -> None:
    assert translate.money(amount, currency) == minor


@pytest.mark.parametrize("amount", [None, True, 1.5, Decimal("0.001"), {}])
def test_an_amount_that_is_missing_or_not_exact_is_refused(amount: Any) -> None:
    with pytest.raises(ValueError):
        translate.money(amount, "USD")


def test_a_document_without_currency_is_in_the_home_currency() -> None:
    raw = an_invoice()
    del raw["CurrencyRef"]
    assert translate.invoice(raw, "CAD").currency == "CAD"


def test_a_foreign_invoice_keeps_its_own_rate() -> None:
    raw = an_invoice(CurrencyRef={"value": "EUR"}, ExchangeRate=Decimal("1.1234567"))
    assert translate.invoice(raw, "USD").rate == "1.1234567"


def test_an_invoice_without_a_number_is_known_by_its_day() -> None:
    """Where a company numbers by hand, the field may be empty; a customer has never seen QuickBooks' own id."""
    bare = an_invoice()
    del bare["DocNumber"]
    assert translate.invoice(bare, "USD").number == "2026-08-01"
    assert translate.document(Kind.INVOICE, bare, "USD").number == "2026-08-01"


def test_an_invoice_without_due_date_is_due_at_once() -> None:
    raw = an_invoice()
    del raw["DueDate"]
    assert translate.invoice(raw, "USD").due == date(2026, 8, 1)


@pytest.mark.parametrize("missing", ["TotalAmt", "Balance", "TxnDate", "CustomerRef", "Id"])
def test_an_invoice_without_an_essential_cannot_be_read(missing: str) -> None:
    raw = an_invoice()
    del raw[missing]
    with pytest.raises(ValueError, match=missing):
        translate.invoice(raw, "USD")


def test_our_marker_is_known_at_the_start_and_after_a_void_only() -> None:
    ours = "plan=PP-0007 v=1 role=inst n=1 src=147 h=9c01aa42"
    assert translate.marker_of(an_invoice(PrivateNote=ours)) == ours
    assert translate.marker_of(an_invoice(PrivateNote=f"Voided - {ours}")) == ours
    assert translate.marker_of(an_invoice(PrivateNote=f"{ours}\nand a remark")) == ours
    assert translate.marker_of(an_invoice(PrivateNote=f"See {ours}")) == ""


def test_a_time_without_offset_is_pacific_time() -> None:
    assert translate.moment("2026-11-20T12:00:00") == datetime(2026, 11, 20, 20, 0, tzinfo=UTC)
    assert translate.moment("never") is None
    # The hour that comes twice in autumn is the first one: a sweep that starts there misses nothing.
    assert translate.moment("2026-11-01T01:30:00") == datetime(2026, 11, 1, 8, 30, tzinfo=UTC)
    assert translate.moment("2026-11-01T01:30:00-08:00") == datetime(2026, 11, 1, 9, 30, tzinfo=UTC)


def test_money_over_two_invoices_with_a_rest() -> None:
    raw = a_payment(Decimal("300.00"), (200, "Invoice", "1"), (55, "Invoice", "2"), unapplied=45)
    payment = translate.payment(raw, "USD", settlement.settlement(raw, "USD").money)
    assert payment is not None
    assert (payment.amount, payment.unapplied) == (30000, 4500)
    assert [(a.invoice_id, a.amount) for a in payment.allocations] == [("1", 20000), ("2", 5500)]


def test_a_zero_payment_is_an_allocation_of_the_credit_and_no_money() -> None:
    raw = a_payment(0, (300, "Invoice", "67"), (300, "CreditMemo", "68"))
    settled = settlement.settlement(raw, "USD")
    assert settled.money == ()
    assert translate.payment(raw, "USD", settled.money) is None
    joined = Joined()
    joined.add(raw, settled)
    joined.add(raw, settled)  # seen twice, counted once
    assert joined.of_credit("68") == [Allocation("67", 30000, date(2026, 9, 10), "70")]


def test_one_line_that_names_both_documents_means_the_same() -> None:
    raw = a_payment(0)
    raw["Line"] = [
        {
            "Amount": 300,
            "LinkedTxn": [{"TxnId": "67", "TxnType": "Invoice"}, {"TxnId": "68", "TxnType": "CreditMemo"}],
        }
    ]
    settled = settlement.settlement(raw, "USD")
    assert settled.credits == {("CreditMemo", "68"): (Allocation("67", 30000, date(2026, 9, 10), "70"),)}


def test_credit_and_money_in_one_payment() -> None:
    raw = a_payment(120, (100, "Invoice", "1"), (50, "Invoice", "2"), (30, "CreditMemo", "68"))
    settled = settlement.settlement(raw, "USD")
    assert [(a.invoice_id, a.amount) for a in settled.credits["CreditMemo", "68"]] == [("1", 3000)]
    assert [(a.invoice_id, a.amount) for a in settled.money] == [("1", 7000), ("2", 5000)]
    assert sum(a.amount for a in settled.money) == 12000


def test_a_credit_refunded_by_check_settles_no_invoice() -> None:
    raw = a_payment(0, (40, "Check", "90"), (40, "CreditMemo", "68"))
    settled = settlement.settlement(raw, "USD")
    assert settled.money == ()
    assert settled.credits["CreditMemo", "68"] == ()
    assert settled.used["CreditMemo", "68"] == 4000


def test_a_journal_line_is_money_owed_or_owing_as_the_sum_tells() -> None:
    owing = a_payment(0, (25, "Invoice", "1"), (25, "JournalEntry", "12"))
    assert settlement.settlement(owing, "USD").used == {("JournalEntry", "12"): 2500}
    owed = a_payment(25, (25, "JournalEntry", "12"))
    assert settlement.settlement(owed, "USD").used == {("JournalEntry", "12"): -2500}


def journal_line(amount: int, posting: str, account: str, customer: str) -> dict[str, Any]:
    return {
        "Amount": amount,
        "JournalEntryLineDetail": {
            "PostingType": posting,
            "AccountRef": {"value": account},
            "Entity": {"Type": "Customer", "EntityRef": {"value": customer}},
        },
    }


def test_a_journal_entry_touches_each_customer_it_names() -> None:
    raw = {
        "Id": "12",
        "TxnDate": "2026-10-01",
        "Line": [
            journal_line(100, "Credit", "84", "58"),
            journal_line(100, "Debit", "84", "59"),
            journal_line(500, "Debit", "79", "58"),  # not a receivable account
        ],
    }
    joined = Joined()
    applied = a_payment(0, (60, "Invoice", "1"), (60, "JournalEntry", "12"))
    joined.add(applied, settlement.settlement(applied, "USD"))
    first, second = settlement.receivable_lines("JournalEntry", raw, "USD", {"84"}, joined)
    assert (first.id, first.customer_id, first.amount, first.unapplied) == (
        "JournalEntry:12",
        "58",
        10000,
        4000,
    )
    assert first.flavor == "journal"
    assert (second.id, second.customer_id, second.amount) == ("JournalEntry:12/2", "59", -10000)


def test_a_deposit_line_on_receivables_is_money_of_its_customer() -> None:
    detail = {"Entity": {"value": "58", "type": "CUSTOMER"}, "AccountRef": {"value": "84"}}
    raw = {
        "Id": "31",
        "TxnDate": "2026-10-02",
        "Line": [
            {"Amount": 75, "DetailType": "DepositLineDetail", "DepositLineDetail": detail},
            {"Amount": 20, "LinkedTxn": [{"TxnId": "70", "TxnType": "Payment", "TxnLineId": "0"}]},
        ],
    }
    (one,) = settlement.receivable_lines("Deposit", raw, "USD", {"84"}, Joined())
    assert (one.id, one.amount, one.unapplied, one.flavor) == ("Deposit:31", 7500, 7500, "deposit")


def test_a_deposit_that_was_booked_as_income_lowers_nothing_and_is_seen() -> None:
    def line(amount: Any, customer: str, kind: str = "CUSTOMER", account: str = "1") -> dict[str, Any]:
        entity = {"value": customer, "type": kind}
        return {"Amount": amount, "DepositLineDetail": {"Entity": entity, "AccountRef": {"value": account}}}

    lines = [line(75, "58"), line(5, "58"), line(9, "61", "VENDOR"), line(20, "59", account="84")]
    raw = {"Id": "31", "TxnDate": "2026-10-02", "Line": [*lines, {"Amount": 3, "DepositLineDetail": {}}]}
    found = settlement.receivable_lines("Deposit", raw, "USD", {"84"}, Joined())
    assert [(p.id, p.customer_id, p.amount, p.unapplied, p.flavor) for p in found] == [
        ("Deposit:31", "59", 2000, 2000, "deposit"),
        ("Deposit:31/u1", "58", 8000, 0, "unmatched"),
    ]


def test_a_refund_receipt_never_touches_a_receivable() -> None:
    raw = an_invoice(Id="9", TotalAmt=25)
    refund = translate.refund(raw, "USD")
    assert (refund.id, refund.amount, refund.unapplied, refund.flavor) == (
        "RefundReceipt:9",
        -2500,
        0,
        "refund",
    )


def test_a_voided_payment_is_kept_as_void() -> None:
    raw = a_payment(0, PrivateNote="Voided")
    payment = translate.payment(raw, "USD", ())
    assert payment is not None
    assert payment.void


def test_a_document_shows_its_lines_and_leaves_out_the_subtotal() -> None:
    detail = {"ItemRef": {"value": "11"}, "TaxCodeRef": {"value": "NON"}}
    raw = an_invoice(
        Line=[
            {
                "Amount": 850,
                "DetailType": "SalesItemLineDetail",
                "Description": "x",
                "SalesItemLineDetail": detail,
            },
            {"DetailType": "DescriptionOnly", "Description": "Thank you"},
            {"Amount": 10, "DetailType": "DiscountLineDetail", "DiscountLineDetail": {}},
            {"Amount": 850, "DetailType": "SubTotalLineDetail", "SubTotalLineDetail": {}},
        ],
        TxnRetainageDetail={"x": 1},
    )
    document = translate.document(Kind.INVOICE, raw, "USD", accounts_of_items={"11": ("91", "Landscaping")})
    assert [(line.account_id, line.account_name, line.net, line.item_id) for line in document.lines] == [
        ("91", "Landscaping", 85000, "11"),
        ("", "", -1000, ""),
    ]
    assert document.flags == {"retainage", "discount"}


def test_links_of_an_invoice_tell_credit_from_money() -> None:
    joining = a_payment(0, (300, "Invoice", "67"), (300, "CreditMemo", "68"), Id="71")
    paying = a_payment(50, (50, "Invoice", "67"), Id="72")
    assert settlement.links_of_invoice("67", [joining, paying], "USD") == [
        Link("credit", "68", 30000, "71"),
        Link("payment", "72", 5000, "72"),
    ]


def test_facts_of_a_company() -> None:
    company = {"CompanyName": "Rose LLC", "Country": "US", "DefaultTimeZone": "America/Chicago"}
    preferences = {
        "AccountingInfoPrefs": {"BookCloseDate": "2025-12-31"},
        "SalesFormsPrefs": {"AutoApplyCredit": False, "AutoApplyPayments": True},
        "CurrencyPrefs": {"HomeCurrency": {"value": "USD"}, "MultiCurrencyEnabled": False},
        "ReportPrefs": {"ReportBasis": "Accrual"},
    }
    facts_ = facts.organization("9130", company, preferences)
    assert (facts_.country, facts_.home_currency, facts_.timezone) == ("US", "USD", "America/Chicago")
    assert facts_.closed_until == date(2025, 12, 31)
    assert facts_.auto_apply_credits is True
    assert facts_.income_basis_hint == "Accrual"


def test_what_a_company_does_not_say_stays_unknown() -> None:
    found = facts.organization("9130", {"Country": "United Kingdom"}, {})
    assert (found.country, found.home_currency, found.timezone) == ("GB", "GBP", "Europe/London")
    assert found.auto_apply_credits is None
    assert found.closed_until is None
    assert found.name == "QuickBooks company 9130"


def test_without_a_time_zone_nobody_is_late_too_early() -> None:
    assert facts.organization("1", {"Country": "US"}, {}).timezone == "America/Los_Angeles"
    assert (
        facts.organization("1", {"Country": "US", "DefaultTimeZone": "../etc"}, {}).timezone
        == "America/Los_Angeles"
    )


@pytest.mark.parametrize(
    ("raw", "usable"),
    [
        ({"AccountType": "Other Current Liability"}, True),
        ({"AccountType": "Other Current Asset"}, True),
        ({"AccountType": "Other Current Asset", "AccountSubType": "UndepositedFunds"}, False),
        ({"AccountType": "Accounts Receivable"}, False),
        ({"AccountType": "Income"}, False),
        ({"AccountType": "Other Current Liability", "Active": False}, False),
        ({"AccountType": "Other Current Liability", "CurrencyRef": {"value": "EUR"}}, False),
    ],
)
def test_which_accounts_can_hold_a_plan(raw: dict[str, Any], usable: bool) -> None:
    account = facts.account({"Id": "91", "Name": "Clearing"} | raw, "USD")
    assert account.usable_for_clearing is usable
    assert bool(account.why_not) is not usable


@pytest.mark.parametrize(("said", "limit"), [("2500", 250000), ("0", None), (None, None)])
def test_a_customers_credit_limit_is_read(said: str | None, limit: int | None) -> None:
    raw = {"Id": "7", "DisplayName": "Rose", "CreditLimit": Decimal(said) if said else None}
    assert translate.customer(raw, "USD", {}, with_balance=False).credit_limit == limit
