"""What the pretend Xero lets an app write, and where it says no: invoices, credit notes, payments, allocations."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from sandbox.documents import Account, Advance, Line, Link, Payment, Ref
from tests.sandbox.xero_office import TENANT, TODAY, Office, credit_note, invoice, office

FROZEN = "This document cannot be edited as it has a payment or credit note allocated to it."
ZERO = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def xero() -> Iterator[Office]:
    with office() as found:
        yield found


def pay(xero: Office, number: str, amount: float, **fields: Any) -> dict[str, Any]:
    body = {
        "Invoice": {"InvoiceNumber": number},
        "Account": {"Code": "090"},
        "Date": "2026-11-21",
        "Amount": amount,
    }
    row: dict[str, Any] = xero.put("/Payments", {"Payments": [{**body, **fields}]})["Payments"][0]
    return row


def shown(xero: Office, number: str, *names: str) -> list[Any]:
    (row,) = xero.get(f"/Invoices/{number}")["Invoices"]
    return [row.get(name) for name in names]


# the whole of a plan


def test_a_plan_settles_the_original_and_makes_installments(xero: Office) -> None:
    original = xero.authorise("INV-9001", "1000.00")

    credit = xero.put(
        "/CreditNotes", {"CreditNotes": [credit_note(xero.harbour, "INV-9001-P1C", "1150.00")]}
    )["CreditNotes"][0]
    link = xero.put(
        f"/CreditNotes/{credit['CreditNoteID']}/Allocations",
        {
            "Allocations": [
                {"Invoice": {"InvoiceID": original["InvoiceID"]}, "Amount": 1150.0, "Date": "2026-11-21"}
            ]
        },
    )["Allocations"][0]
    parts = [
        invoice(
            xero.harbour,
            f"INV-9001-P1.{n}",
            amount,
            LineAmountTypes="NoTax",
            Date="2026-11-21",
            LineItems=[
                {"Description": "Part", "Quantity": 1, "UnitAmount": float(amount), "AccountCode": "850"}
            ],
        )
        for n, amount in ((1, "383.34"), (2, "383.33"), (3, "383.33"))
    ]
    made = xero.put("/Invoices?summarizeErrors=false", {"Invoices": parts})["Invoices"]

    assert credit["RemainingCredit"] == Decimal("1150.00")
    assert (link["Amount"], link["Date"]) == (Decimal("1150.00"), "/Date(1795219200000+0000)/")
    assert shown(
        xero, "INV-9001", "Status", "AmountDue", "AmountPaid", "AmountCredited", "FullyPaidOnDate"
    ) == [
        "PAID",
        Decimal("0.00"),
        Decimal("0.00"),
        Decimal("1150.00"),
        "/Date(1795219200000+0000)/",
    ]
    (applied,) = shown(xero, "INV-9001", "CreditNotes")[0]
    assert (applied["CreditNoteNumber"], applied["AppliedAmount"]) == ("INV-9001-P1C", Decimal("1150.00"))
    (note,) = xero.get(f"/CreditNotes/{credit['CreditNoteID']}")["CreditNotes"]
    assert (note["Status"], note["RemainingCredit"], len(note["Allocations"])) == ("PAID", Decimal("0.00"), 1)
    assert [(row["StatusAttributeString"], row["Total"]) for row in made] == [
        ("OK", Decimal("383.34")),
        ("OK", Decimal("383.33")),
        ("OK", Decimal("383.33")),
    ]
    assert sum(row["TotalTax"] for row in made) == 0

    # and back: the link, the installments, the credit note
    undone = xero.call("DELETE", f"/CreditNotes/{credit['CreditNoteID']}/Allocations/{link['AllocationID']}")
    assert undone.json() == {
        "AllocationID": link["AllocationID"],
        "Date": "/Date(1795219200000+0000)/",
        "Invoice": {"InvoiceID": original["InvoiceID"]},
        "IsDeleted": True,
    }
    for row in made:
        xero.post(f"/Invoices/{row['InvoiceID']}", {"Status": "VOIDED"})
    xero.post(f"/CreditNotes/{credit['CreditNoteID']}", {"Status": "VOIDED"})
    assert shown(xero, "INV-9001", "Status", "AmountDue") == ["AUTHORISED", Decimal("1150.00")]
    assert shown(xero, "INV-9001-P1.1", "Status", "AmountDue") == ["VOIDED", Decimal("0.00")]
    assert xero.ledger.balance(xero.harbour) == 115_000


# creating


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"Status": "PAID"}, "Invoice not of valid status for creation"),
        ({"Status": "VOIDED"}, "Invoice not of valid status for creation"),
        ({"LineItems": []}, "One or more line items must be specified"),
        ({"Contact": {}}, "A Contact must be specified for this type of transaction"),
        ({"InvoiceNumber": "INV-1"}, "Invoice # must be unique."),
        ({"DueDate": None}, "The Due Date must be specified for an approved invoice."),
        ({"CurrencyCode": "JPY"}, "Users Organisation is not subscribed to currency JPY"),
        ({"Reference": "x" * 256}, "The field Reference must be a string with a maximum length of 255."),
        ({"Type": "SALE"}, "A valid Type must be specified for the Invoice."),
        ({"Date": "soon"}, "The string 'soon' is not a valid date for Date."),
    ],
)
def test_a_bad_invoice_is_refused_with_its_sentence(
    xero: Office, fields: dict[str, Any], sentence: str
) -> None:
    xero.authorise("INV-1", "1.00")

    body = {**invoice(xero.harbour, "INV-2", "10.00"), **fields}

    assert xero.refused("PUT", "/Invoices", {"Invoices": [body]}) == [sentence]
    assert len(xero.ledger.invoices) == 1


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("777", "Account code '777' is not a valid code for this document."),
        ("090", "Account code '090' is not a valid code for this document."),  # a bank account
        ("610", "Account code '610' is not a valid code for this document."),  # receivables
        ("820", "Account code '820' is not a valid code for this document."),  # tax
        (
            "990",
            "Account code '990' has been archived, or has been deleted. Each line item must reference a valid account.",
        ),
    ],
)
def test_accounts_that_lines_may_not_use(xero: Office, code: str, sentence: str) -> None:
    line = {"Description": "x", "Quantity": 1, "UnitAmount": 10.0, "AccountCode": code}

    for path, body in (
        ("/Invoices", invoice(xero.harbour, "INV-2", "10.00", LineItems=[line])),
        ("/CreditNotes", credit_note(xero.harbour, "CN-2", "10.00", LineItems=[line])),
    ):
        assert xero.refused("PUT", path, body) == [sentence]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            {"TaxType": "VAT99"},
            "The TaxType code 'VAT99' does not exist or cannot be used for this type of transaction.",
        ),
        ({"LineAmount": 99.0}, "The line total 99.0 does not match the expected line total 10.00"),
        (
            {"Description": "x" * 4001},
            "The field Description must be a string with a maximum length of 4000.",
        ),
        ({"Quantity": -1}, "The quantity cannot be negative."),
        ({"Tracking": [{}, {}, {}]}, "No more than two tracking categories can be used on a line."),
        ({"AccountCode": None}, "Account code or ID must be specified."),
    ],
)
def test_lines_that_do_not_hold(xero: Office, line: dict[str, Any], sentence: str) -> None:
    good = {"Description": "x", "Quantity": 1, "UnitAmount": 10.0, "AccountCode": "200"}

    assert xero.refused(
        "PUT", "/Invoices", invoice(xero.harbour, "I", "1", LineItems=[{**good, **line}])
    ) == [sentence]


def test_discounts_are_for_invoices_only(xero: Office) -> None:
    line = {
        "Description": "x",
        "Quantity": 2,
        "UnitAmount": 50.0,
        "DiscountRate": 10,
        "AccountCode": "850",
        "TaxType": "NONE",
    }

    made = xero.put("/Invoices", invoice(xero.harbour, "I", "1", LineItems=[line]))["Invoices"][0]

    assert (made["Total"], made["IsDiscounted"]) == (Decimal("90.00"), True)
    refused = xero.refused("PUT", "/CreditNotes", credit_note(xero.harbour, "C", "1", LineItems=[line]))
    assert refused == ["Discounts cannot be applied to credit notes."]


@pytest.mark.parametrize(
    ("mode", "net", "tax", "total"),
    [
        ("Exclusive", "99.99", "15.00", "114.99"),
        ("Inclusive", "86.95", "13.04", "99.99"),
        ("NoTax", "99.99", "0.00", "99.99"),
    ],
)
def test_tax_follows_how_amounts_were_entered(
    xero: Office, mode: str, net: str, tax: str, total: str
) -> None:
    row = xero.authorise("INV-1", "99.99", LineAmountTypes=mode)

    assert (row["TotalTax"], row["Total"]) == (Decimal(tax), Decimal(total))
    assert row["Total"] - row["TotalTax"] == Decimal(net)
    assert row["LineItems"][0]["LineAmount"] == Decimal("99.99")


def test_exclusive_is_what_is_meant_when_nothing_is_said(xero: Office) -> None:
    row = xero.authorise("INV-1", "100.00")

    assert (row["LineAmountTypes"], row["Total"]) == ("Exclusive", Decimal("115.00"))


def test_missing_numbers_and_dates_are_filled(xero: Office) -> None:
    body = invoice(xero.harbour, "", "10.00", Status="DRAFT")
    for name in ("InvoiceNumber", "Date", "DueDate"):
        body.pop(name)

    row = xero.put("/Invoices", body)["Invoices"][0]

    # noon UTC on the 21st is the 22nd in Auckland
    assert (row["InvoiceNumber"], row["DateString"], row["Status"]) == (
        "INV-0001",
        "2026-11-22T00:00:00",
        "DRAFT",
    )


def test_one_bad_element_refuses_all_unless_asked_otherwise(xero: Office) -> None:
    good, bad = (
        invoice(xero.harbour, "INV-1", "10.00"),
        invoice(xero.harbour, "INV-2", "10.00", Status="PAID"),
    )

    xero.refused("PUT", "/Invoices", {"Invoices": [good, bad]})
    assert len(xero.ledger.invoices) == 0
    rows = xero.put("/Invoices?summarizeErrors=false", {"Invoices": [good, bad]})["Invoices"]

    assert [(row["InvoiceNumber"], row["StatusAttributeString"]) for row in rows] == [
        ("INV-1", "OK"),
        ("INV-2", "ERROR"),
    ]
    assert (rows[1]["InvoiceID"], rows[1]["HasErrors"]) == (ZERO, True)
    assert rows[1]["ValidationErrors"] == [{"Message": "Invoice not of valid status for creation"}]
    assert len(xero.ledger.invoices) == 1


def test_the_same_number_twice_in_one_request(xero: Office) -> None:
    twice = [invoice(xero.harbour, "INV-1", "10.00"), invoice(xero.harbour, "INV-1", "20.00")]

    assert xero.refused("PUT", "/Invoices", {"Invoices": twice}) == ["Invoice # must be unique."]
    assert len(xero.ledger.invoices) == 0


def test_post_overwrites_what_put_refuses(xero: Office) -> None:
    first = xero.authorise("INV-1", "10.00")

    row = xero.post("/Invoices", {"Invoices": [invoice(xero.harbour, "INV-1", "20.00")]})["Invoices"][0]

    assert (row["InvoiceID"], row["Total"]) == (first["InvoiceID"], Decimal("23.00"))
    assert xero.refused("PUT", "/Invoices", invoice(xero.harbour, "INV-1", "20.00")) == [
        "Invoice # must be unique."
    ]


def test_purchases_are_not_kept_here(xero: Office) -> None:
    answer = xero.call("PUT", "/Invoices", invoice(xero.harbour, "B-1", "1.00", Type="ACCPAY"))

    assert (answer.status_code, answer.json()["ErrorNumber"]) == (501, 20)


# life cycle


@pytest.mark.parametrize(
    ("start", "target", "allowed"),
    [
        ("DRAFT", "SUBMITTED", True),
        ("DRAFT", "AUTHORISED", True),
        ("DRAFT", "DELETED", True),
        ("DRAFT", "VOIDED", False),
        ("SUBMITTED", "DRAFT", True),
        ("SUBMITTED", "AUTHORISED", True),
        ("SUBMITTED", "DELETED", True),
        ("SUBMITTED", "PAID", False),
        ("AUTHORISED", "VOIDED", True),
        ("AUTHORISED", "DRAFT", False),
        ("AUTHORISED", "SUBMITTED", False),
        ("AUTHORISED", "DELETED", False),
        ("AUTHORISED", "PAID", False),
    ],
)
def test_transitions(xero: Office, start: str, target: str, allowed: bool) -> None:
    xero.authorise("INV-1", "10.00", Status=start)

    answer = xero.call("POST", "/Invoices/INV-1", {"Status": target})

    assert answer.status_code == (200 if allowed else 400)
    assert shown(xero, "INV-1", "Status") == [target if allowed else start]


@pytest.mark.parametrize("end", ["VOIDED", "DELETED"])
def test_nothing_comes_after_the_end(xero: Office, end: str) -> None:
    xero.authorise("INV-1", "10.00", Status="AUTHORISED" if end == "VOIDED" else "DRAFT")
    (row,) = xero.get("/Invoices/INV-1")["Invoices"]
    xero.post("/Invoices/INV-1", {"Status": end})

    refused = xero.refused("POST", f"/Invoices/{row['InvoiceID']}", {"Reference": "late"})

    assert refused == ["Invoice not of valid status for modification"]


def test_a_paid_invoice_goes_back_when_its_payment_is_deleted(xero: Office) -> None:
    xero.authorise("INV-1", "100.00")
    payment = pay(xero, "INV-1", 115.00)
    assert shown(xero, "INV-1", "Status", "AmountPaid", "AmountDue") == [
        "PAID",
        Decimal("115.00"),
        Decimal("0.00"),
    ]

    gone = xero.post(f"/Payments/{payment['PaymentID']}", {"Status": "DELETED"})["Payments"][0]

    assert gone["Status"] == "DELETED"
    assert shown(xero, "INV-1", "Status", "AmountPaid", "AmountDue") == [
        "AUTHORISED",
        Decimal("0.00"),
        Decimal("115.00"),
    ]
    refused = xero.refused("POST", f"/Payments/{payment['PaymentID']}", {"Status": "DELETED"})
    assert refused == ["The payment has already been deleted."]


def test_a_part_paid_invoice_is_frozen_but_for_its_words(xero: Office) -> None:
    row = xero.authorise("INV-1", "100.00")
    pay(xero, "INV-1", 15.00)
    line = row["LineItems"][0]["LineItemID"]

    for change in (
        {"Date": "2026-11-19"},
        {"ExpectedPaymentDate": "2026-12-01"},
        {"LineAmountTypes": "NoTax"},
        {"Status": "VOIDED"},
        {"LineItems": [{"LineItemID": line, "UnitAmount": 90.0}]},
        {"LineItems": [{"Description": "New", "Quantity": 1, "UnitAmount": 100.0, "AccountCode": "200"}]},
        {"Contact": {"ContactID": xero.customer("Totara School")}},
    ):
        assert xero.refused("POST", "/Invoices/INV-1", change) == [FROZEN], change
    xero.post(
        "/Invoices/INV-1",
        {
            "Reference": "see plan",
            "DueDate": "2027-01-20",
            "Url": "https://example.com/1",
            "LineItems": [{"LineItemID": line, "Description": "Kitchen", "AccountCode": "210"}],
        },
    )

    assert shown(xero, "INV-1", "Reference", "DueDateString", "Url", "AmountDue") == [
        "see plan",
        "2027-01-20T00:00:00",
        "https://example.com/1",
        Decimal("100.00"),
    ]
    (changed,) = shown(xero, "INV-1", "LineItems")[0]
    assert (changed["LineItemID"], changed["Description"], changed["AccountCode"]) == (line, "Kitchen", "210")


def test_sending_a_part_paid_invoice_back_unchanged_is_no_edit(xero: Office) -> None:
    xero.authorise("INV-1", "100.00")
    pay(xero, "INV-1", 15.00)
    before = xero.get("/Invoices/INV-1")["Invoices"][0]

    xero.post(
        "/Invoices/INV-1", {"Date": "2026-11-20", "DueDate": "2026-12-20", "LineAmountTypes": "Exclusive"}
    )

    assert xero.get("/Invoices/INV-1")["Invoices"][0]["UpdatedDateUTC"] == before["UpdatedDateUTC"]


def test_an_allocated_credit_note_is_frozen_and_cannot_be_voided(xero: Office) -> None:
    row = xero.authorise("INV-1", "100.00")
    credit = xero.put("/CreditNotes", credit_note(xero.harbour, "CN-1", "50.00"))["CreditNotes"][0]
    allocate(xero, credit, row, 20.0)

    assert xero.refused("POST", "/CreditNotes/CN-1", {"Date": "2026-11-20"}) == [FROZEN]
    assert xero.refused("POST", "/CreditNotes/CN-1", {"Status": "VOIDED"}) == [FROZEN]
    assert xero.refused("POST", "/Invoices/INV-1", {"Status": "VOIDED"}) == [FROZEN]


def test_lines_left_out_are_deleted_and_lines_without_id_are_new(xero: Office) -> None:
    lines = [
        {"Description": d, "Quantity": 1, "UnitAmount": 10.0, "AccountCode": "200"} for d in ("one", "two")
    ]
    row = xero.authorise("INV-1", "1", LineItems=lines)
    first, second = (line["LineItemID"] for line in row["LineItems"])

    changed = xero.post(
        "/Invoices/INV-1",
        {"LineItems": [{"LineItemID": second, "Quantity": 3}, {**lines[0], "Description": "three"}]},
    )["Invoices"][0]

    kept, new = changed["LineItems"]
    assert (kept["LineItemID"], kept["Description"], kept["LineAmount"]) == (second, "two", Decimal("30.00"))
    assert new["LineItemID"] not in (first, second)
    assert changed["SubTotal"] == Decimal("40.00")


def test_due_date_changes_of_part_paid_invoices_are_quiet(xero: Office) -> None:
    xero.authorise("INV-1", "100.00")
    xero.authorise("INV-2", "100.00")
    pay(xero, "INV-1", 15.00)
    (before,) = shown(xero, "INV-1", "UpdatedDateUTC")

    xero.post("/Invoices/INV-1", {"DueDate": "2027-01-20"})
    assert shown(xero, "INV-1", "DueDateString", "UpdatedDateUTC") == ["2027-01-20T00:00:00", before]
    xero.post("/Invoices/INV-1", {"SentToContact": True})
    assert shown(xero, "INV-1", "SentToContact", "UpdatedDateUTC") == [True, before]
    (before2,) = shown(xero, "INV-2", "UpdatedDateUTC")
    xero.post("/Invoices/INV-2", {"DueDate": "2027-01-20"})
    assert shown(xero, "INV-2", "UpdatedDateUTC") != [before2]
    xero.world.set_switch("xero.frozen_dates_bump", True)
    xero.post("/Invoices/INV-1", {"DueDate": "2027-02-20"})
    assert shown(xero, "INV-1", "UpdatedDateUTC") != [before]


# lock dates


@pytest.mark.parametrize(
    ("which", "words"), [("closed_until", "period lock date"), ("year_closed_until", "end of year lock date")]
)
def test_a_locked_date_refuses_every_write(xero: Office, which: str, words: str) -> None:
    xero.authorise("INV-1", "100.00", Date="2026-10-15", DueDate="2026-10-30")
    payment = pay(xero, "INV-1", 10.0, Date="2026-10-20")
    setattr(xero.ledger.organization, which, dt.date(2026, 10, 31))
    sentence = f"The document date cannot be before the {words}, currently set at 31 October 2026"

    late = {"Date": "2026-10-31"}
    assert xero.refused("PUT", "/Invoices", invoice(xero.harbour, "INV-2", "1.00", **late)) == [sentence]
    assert xero.refused("PUT", "/CreditNotes", credit_note(xero.harbour, "CN-2", "1.00", **late)) == [
        sentence
    ]
    assert xero.refused("POST", "/Invoices/INV-1", {"Reference": "x"}) == [sentence]
    assert xero.refused("POST", f"/Payments/{payment['PaymentID']}", {"Status": "DELETED"}) == [sentence]
    body = {
        "Invoice": {"InvoiceNumber": "INV-1"},
        "Account": {"Code": "090"},
        "Date": "2026-10-31",
        "Amount": 1,
    }
    assert xero.refused("PUT", "/Payments", body) == [sentence]
    xero.put("/CreditNotes", credit_note(xero.harbour, "CN-3", "1.00", Date="2026-11-01"))


def test_an_adviser_passes_the_period_lock_only(xero: Office) -> None:
    xero.ledger.organization.closed_until = dt.date(2026, 10, 31)
    xero.world.set_switch("xero.lock_date_bypass", True)
    xero.put("/Invoices", invoice(xero.harbour, "INV-1", "1.00", Date="2026-10-31"))
    assert xero.get("/Organisation")["Organisations"][0]["PeriodLockDate"] == "/Date(1793404800000+0000)/"
    xero.ledger.organization.year_closed_until = dt.date(2026, 10, 31)

    (sentence,) = xero.refused("PUT", "/Invoices", invoice(xero.harbour, "INV-2", "1.00", Date="2026-10-31"))

    assert "end of year lock date" in sentence


# payments


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"Amount": 115.01}, "Payment amount exceeds the amount outstanding on this document"),
        ({"Amount": 0}, "The payment amount must be greater than zero."),
        (
            {"Account": {"Code": "200"}},
            "The account 200 is no bank account and payments to it are not enabled.",
        ),
        ({"Account": {"Code": "999"}}, "Account could not be found"),
        ({"Invoice": {"InvoiceNumber": "NO"}}, "The Invoice of the payment could not be found."),
        (
            {"Invoice": {}},
            "A payment must be for exactly one Invoice, CreditNote, Prepayment or Overpayment.",
        ),
    ],
)
def test_payments_that_are_refused(xero: Office, fields: dict[str, Any], sentence: str) -> None:
    xero.authorise("INV-1", "100.00")
    good = {
        "Invoice": {"InvoiceNumber": "INV-1"},
        "Account": {"Code": "090"},
        "Date": "2026-11-21",
        "Amount": 1,
    }

    assert xero.refused("PUT", "/Payments", {"Payments": [{**good, **fields}]}) == [sentence]


@pytest.mark.parametrize("status", ["DRAFT", "SUBMITTED", "VOIDED", "PAID"])
def test_only_authorised_documents_can_be_paid(xero: Office, status: str) -> None:
    xero.authorise("INV-1", "100.00", Status=status if status in ("DRAFT", "SUBMITTED") else "AUTHORISED")
    if status == "VOIDED":
        xero.post("/Invoices/INV-1", {"Status": "VOIDED"})
    if status == "PAID":
        pay(xero, "INV-1", 115.0)

    body = {
        "Invoice": {"InvoiceNumber": "INV-1"},
        "Account": {"Code": "090"},
        "Date": "2026-11-21",
        "Amount": 1,
    }

    assert xero.refused("PUT", "/Payments", body) == [
        "Payments can only be made against Authorised documents"
    ]


def test_two_payments_of_one_request_share_what_is_open(xero: Office) -> None:
    xero.authorise("INV-1", "100.00")
    body = {
        "Invoice": {"InvoiceNumber": "INV-1"},
        "Account": {"Code": "090"},
        "Date": "2026-11-21",
        "Amount": 60,
    }

    refused = xero.refused("PUT", "/Payments", {"Payments": [body, body]})

    assert refused == ["Payment amount exceeds the amount outstanding on this document"]
    assert len(xero.ledger.payments) == 0


def test_an_account_that_takes_payments_can_settle_an_invoice(xero: Office) -> None:
    xero.authorise("INV-1", "100.00")
    xero.put(
        "/Accounts", {"Code": "851", "Name": "Clearing", "Type": "CURRENT", "EnablePaymentsToAccount": True}
    )

    payment = pay(xero, "INV-1", 115.0, Account={"Code": "851"})

    assert payment["Account"]["Code"] == "851"
    assert shown(xero, "INV-1", "Status", "AmountPaid", "AmountCredited") == [
        "PAID",
        Decimal("115.00"),
        Decimal("0.00"),
    ]


def test_payments_are_listed_and_found(xero: Office) -> None:
    row = xero.authorise("INV-1", "100.00")
    pay(xero, "INV-1", 15.0, Reference="first")
    second = pay(xero, "INV-1", 20.0, Reference="second")

    listed = xero.get("/Payments", page=1, where=f'Invoice.InvoiceID==guid("{row["InvoiceID"]}")')["Payments"]
    (one,) = xero.get(f"/Payments/{second['PaymentID']}")["Payments"]

    assert [(p["Reference"], p["Amount"], p["PaymentType"]) for p in listed] == [
        ("first", Decimal("15.00"), "ACCRECPAYMENT"),
        ("second", Decimal("20.00"), "ACCRECPAYMENT"),
    ]
    assert (one["Invoice"]["InvoiceNumber"], one["Invoice"]["CurrencyCode"]) == ("INV-1", "NZD")
    assert [p["Amount"] for p in shown(xero, "INV-1", "Payments")[0]] == [Decimal("15.00"), Decimal("20.00")]


def test_deleted_payments_come_back_in_lists_or_do_not(xero: Office) -> None:
    xero.authorise("INV-1", "100.00")
    payment = pay(xero, "INV-1", 15.0)
    xero.world.clock.advance(minutes=1)
    xero.post(f"/Payments/{payment['PaymentID']}", {"Status": "DELETED"})

    def statuses() -> list[str]:
        answer = xero.call("GET", "/Payments?page=1", headers={"If-Modified-Since": "2026-11-21T12:00:30"})
        return [row["Status"] for row in answer.json()["Payments"]]

    assert statuses() == ["DELETED"]
    xero.world.set_switch("xero.deleted_payments_listed", False)
    assert statuses() == []


def test_payments_of_a_batch_are_not_deleted_alone(xero: Office) -> None:
    row = xero.authorise("INV-1", "100.00")
    batch = "b54aa50c-794c-461b-89d1-846e1b84d9c0"
    paid = Payment(
        customer=xero.harbour,
        date=TODAY,
        amount=500,
        batch=batch,
        links=[Link(Ref("invoice", row["InvoiceID"]), 500)],
    )
    xero.ledger.add_payment(paid)

    assert xero.refused("POST", f"/Payments/{paid.id}", {"Status": "DELETED"}) == [
        "A payment that is part of a batch cannot be deleted by itself."
    ]
    (listed,) = xero.get("/BatchPayments")["BatchPayments"]
    assert (listed["BatchPaymentID"], listed["TotalAmount"], listed["Type"]) == (
        batch,
        Decimal("5.00"),
        "RECBATCH",
    )
    (inside,) = xero.get("/Payments", page=1)["Payments"]
    assert inside["BatchPayment"]["TotalAmount"] == Decimal("5.00")
    assert inside["BatchPayment"]["IsReconciled"] is False


def test_batch_totals_as_texts(xero: Office) -> None:
    row = xero.authorise("INV-1", "100.00")
    link = Link(Ref("invoice", row["InvoiceID"]), 500)
    batch = "b54aa50c-794c-461b-89d1-846e1b84d9c0"
    xero.ledger.add_payment(Payment(customer=xero.harbour, date=TODAY, amount=500, batch=batch, links=[link]))
    xero.world.set_switch("xero.batch_strings", True)

    (inside,) = xero.get("/Payments", page=1)["Payments"]

    assert (inside["BatchPayment"]["TotalAmount"], inside["BatchPayment"]["IsReconciled"]) == (
        "5.00",
        "false",
    )
    xero.misfits.clear()  # Xero's own example does not fit its document here


def test_money_given_back_is_a_payment_of_the_credit_note(xero: Office) -> None:
    credit = xero.put("/CreditNotes", credit_note(xero.harbour, "CN-1", "50.00"))["CreditNotes"][0]
    body = {
        "CreditNote": {"CreditNoteID": credit["CreditNoteID"]},
        "Account": {"Code": "090"},
        "Date": "2026-11-21",
        "Amount": 20,
    }

    row = xero.put("/Payments", body)["Payments"][0]

    assert (row["PaymentType"], row["Invoice"]["Type"], row["Invoice"]["InvoiceNumber"]) == (
        "ARCREDITPAYMENT",
        "ACCRECCREDIT",
        "CN-1",
    )
    (note,) = xero.get("/CreditNotes/CN-1")["CreditNotes"]
    assert (note["RemainingCredit"], note["Allocations"], len(note["Payments"])) == (Decimal("30.00"), [], 1)


def test_money_given_back_can_be_taken_back(xero: Office) -> None:
    credit = xero.put("/CreditNotes", credit_note(xero.harbour, "CN-1", "50.00"))["CreditNotes"][0]
    target = {"CreditNote": {"CreditNoteID": credit["CreditNoteID"]}, "Account": {"Code": "090"}}
    row = xero.put("/Payments", {**target, "Date": "2026-11-21", "Amount": 20})["Payments"][0]

    xero.post(f"/Payments/{row['PaymentID']}", {"Status": "DELETED"})

    (note,) = xero.get("/CreditNotes/CN-1")["CreditNotes"]
    assert (note["RemainingCredit"], note["Payments"]) == (Decimal("50.00"), [])


@pytest.mark.parametrize(
    "change",
    [{"LineItems": "x"}, {"LineItems": ["x"]}, {"Contact": "x"}, {"InvoiceID": 7}, {"Status": "OPEN"}],
)
def test_values_of_the_wrong_kind_are_refused_in_words(xero: Office, change: dict[str, Any]) -> None:
    xero.refused("POST", "/Invoices", {**invoice(xero.harbour, "INV-1", "1.00"), **change})
    wrong = {"Invoice": "x", "Account": {"Code": "090"}, "Amount": 1}
    assert xero.refused("PUT", "/Payments", wrong) == ["The field Invoice must be an object."]


# allocations


def allocate(xero: Office, credit: Any, row: Any, amount: float, **options: Any) -> Any:
    body = {
        "Allocations": [{"Invoice": {"InvoiceID": row["InvoiceID"]}, "Amount": amount, "Date": "2026-11-21"}]
    }
    return xero.put(f"/CreditNotes/{credit['CreditNoteID']}/Allocations", body, **options)


def test_allocations_that_are_refused(xero: Office) -> None:
    row = xero.authorise("INV-1", "100.00")
    draft = xero.authorise("INV-2", "100.00", Status="DRAFT")
    school = xero.put("/Invoices", invoice(xero.customer("Totara School"), "INV-3", "100.00"))["Invoices"][0]
    foreign = xero.authorise("INV-4", "100.00", CurrencyCode="AUD", CurrencyRate=0.9)
    credit = xero.put("/CreditNotes", credit_note(xero.harbour, "CN-1", "200.00"))["CreditNotes"][0]

    def refused(target: Any, amount: float, **fields: Any) -> str:
        body = {
            "Invoice": {"InvoiceID": target["InvoiceID"]},
            "Amount": amount,
            "Date": "2026-11-21",
            **fields,
        }
        path = f"/CreditNotes/{credit['CreditNoteID']}/Allocations"
        (sentence,) = xero.refused("PUT", path, {"Allocations": [body]})
        return sentence

    assert "exceeds the amount outstanding" in refused(row, 115.01)
    assert "must be authorised" in refused(draft, 1)
    assert "same contact" in refused(school, 1)
    assert "same currency" in refused(foreign, 1)
    assert "greater than zero" in refused(row, 0)
    assert "Date of the allocation" in refused(row, 1, Date=None)
    nowhere = xero.refused("PUT", f"/CreditNotes/{ZERO}/Allocations", {"Allocations": [{"Amount": 1}]})
    assert nowhere == ["An existing Credit Note with the specified CreditNoteID could not be found"]
    assert xero.ledger.allocations == {}


def test_the_allocation_date_may_be_left_to_xero(xero: Office) -> None:
    row = xero.authorise("INV-1", "100.00")
    credit = xero.put("/CreditNotes", credit_note(xero.harbour, "CN-1", "50.00"))["CreditNotes"][0]
    xero.world.set_switch("xero.allocation_date", "read_only")
    body = {"Amount": 20, "Invoice": {"InvoiceID": row["InvoiceID"]}}

    made = xero.put(f"/CreditNotes/{credit['CreditNoteID']}/Allocations", body)["Allocations"][0]

    assert made["Date"] == "/Date(1795219200000+0000)/"


@pytest.mark.parametrize("kind", ["overpayment", "prepayment"])
def test_money_in_advance_lowers_what_is_due_without_a_payment(xero: Office, kind: Any) -> None:
    row = xero.authorise("INV-1", "100.00")
    clearing = xero.ledger.account_by_code("850")
    assert isinstance(clearing, Account)
    line = Line(net=4_000, account=clearing.id, description="Deposit", tax_code="NONE")
    advance = Advance(type=kind, customer=xero.harbour, date=TODAY, amount=4_000, lines=[line])
    xero.ledger.add_advance(advance)
    plural = f"{kind.capitalize()}s"
    body = {"Allocations": [{"Invoice": {"InvoiceID": row["InvoiceID"]}, "Amount": 15, "Date": "2026-11-21"}]}

    made = xero.put(f"/{plural}/{advance.id}/Allocations", body)["Allocations"][0]

    assert shown(xero, "INV-1", "AmountDue", "AmountPaid", "AmountCredited", "Payments") == [
        Decimal("100.00"),
        Decimal("0.00"),
        Decimal("15.00"),
        [],
    ]
    (applied,) = shown(xero, "INV-1", plural)[0]
    assert applied["AppliedAmount"] == Decimal("15.00")
    (listed,) = xero.get(f"/{plural}", page=1)[plural]
    assert (listed["Type"], listed["RemainingCredit"]) == (f"RECEIVE-{kind.upper()}", Decimal("25.00"))
    assert (
        xero.call("DELETE", f"/{plural}/{advance.id}/Allocations/{made['AllocationID']}").status_code == 200
    )
    assert shown(xero, "INV-1", "AmountDue") == [Decimal("115.00")]


# contacts, accounts, notes, mail


def test_contact_names_are_unique_among_the_active(xero: Office) -> None:
    sentence = (
        "The contact name Harbour Cafe is already assigned to another contact. "
        "The contact name must be unique across all active contacts."
    )

    assert xero.refused("PUT", "/Contacts", {"Contacts": [{"Name": "Harbour Cafe"}]}) == [sentence]
    assert xero.refused("PUT", "/Contacts", {"Name": "X", "EmailAddress": "nobody"}) == [
        "Email address must be valid."
    ]
    xero.post(f"/Contacts/{xero.harbour}", {"ContactStatus": "ARCHIVED"})
    made = xero.put("/Contacts", {"Contacts": [{"Name": "Harbour Cafe", "EmailAddress": "a@b.co"}]})[
        "Contacts"
    ][0]
    assert made["EmailAddress"] == "a@b.co"


def test_contact_fields_inside_an_invoice_change_the_contact(xero: Office) -> None:
    harbour = xero.harbour
    person = {"FirstName": "Ana", "EmailAddress": "ana@example.com", "IncludeInEmails": True}
    xero.post(f"/Contacts/{harbour}", {"ContactPersons": [person]})

    body = invoice(harbour, "INV-1", "1.00", Contact={"ContactID": harbour, "Name": "Harbour Bistro"})
    xero.put("/Invoices", body)

    (contact,) = xero.get(f"/Contacts/{harbour}")["Contacts"]
    assert (contact["Name"], contact["ContactPersons"]) == ("Harbour Bistro", [])


def test_an_archived_contact_gets_no_new_documents(xero: Office) -> None:
    harbour = xero.harbour
    xero.post(f"/Contacts/{harbour}", {"ContactStatus": "ARCHIVED"})

    (sentence,) = xero.refused("PUT", "/Invoices", invoice(harbour, "INV-1", "1.00"))

    assert "archived" in sentence


def test_accounts_are_made_renamed_and_archived(xero: Office) -> None:
    body = {"Code": "852", "Name": "Instalment clearing", "Type": "CURRENT", "TaxType": "NONE"}
    made = xero.put("/Accounts", body)["Accounts"][0]

    assert (made["Class"], made["Status"], made["TaxType"]) == ("ASSET", "ACTIVE", "NONE")
    assert xero.refused("PUT", "/Accounts", {**body, "Code": "853"}) == ["Please enter a unique Name."]
    assert xero.refused("PUT", "/Accounts", {**body, "Name": "Other"}) == ["Please enter a unique Code."]
    archived = xero.post(f"/Accounts/{made['AccountID']}", {"Status": "ARCHIVED"})["Accounts"][0]
    assert archived["Status"] == "ARCHIVED"


def test_notes_are_kept_newest_first_and_limited(xero: Office) -> None:
    row = xero.authorise("INV-1", "1.00")
    path = f"/Invoices/{row['InvoiceID']}/History"

    xero.put(path, {"HistoryRecords": [{"Details": "one"}, {"Details": "x" * 2500}]})

    notes = xero.get(path)["HistoryRecords"]
    assert [note["Details"][:3] for note in notes] == ["xxx", "one", "Rec"]
    assert (notes[1]["Changes"], notes[1]["User"]) == ("Note", "System Generated")
    too_long = ["The field Details must be a string with a maximum length of 2500."]
    assert xero.refused("PUT", path, {"HistoryRecords": [{"Details": "x" * 2501}]}) == too_long
    xero.world.set_switch("xero.note_limit", 250)
    xero.refused("PUT", path, {"HistoryRecords": [{"Details": "x" * 251}]})


@pytest.mark.parametrize("plural", ["CreditNotes", "Contacts", "Payments"])
def test_notes_go_on_other_records_too(xero: Office, plural: str) -> None:
    row = xero.authorise("INV-1", "1.00")
    ids = {
        "CreditNotes": lambda: xero.put("/CreditNotes", credit_note(xero.harbour, "C", "1.00"))[
            "CreditNotes"
        ][0]["CreditNoteID"],
        "Contacts": lambda: row["Contact"]["ContactID"],
        "Payments": lambda: pay(xero, "INV-1", 0.5)["PaymentID"],
    }
    path = f"/{plural}/{ids[plural]()}/History"

    xero.put(path, {"HistoryRecords": [{"Details": "called"}]})

    assert xero.get(path)["HistoryRecords"][0]["Details"] == "called"


def test_files_are_attached_and_fetched(xero: Office) -> None:
    row = xero.authorise("INV-1", "1.00")
    path = f"/Invoices/{row['InvoiceID']}/Attachments"

    made = xero.call("PUT", f"{path}/plan.pdf", data=b"%PDF-1.7", headers={"Content-Type": "application/pdf"})

    assert made.json()["Attachments"][0]["ContentLength"] == 8
    assert [a["FileName"] for a in xero.get(path)["Attachments"]] == ["plan.pdf"]
    assert xero.call("GET", f"{path}/plan.pdf").content == b"%PDF-1.7"
    (shown_row,) = xero.get("/Invoices/INV-1")["Invoices"]
    assert (shown_row["HasAttachments"], shown_row["Attachments"][0]["MimeType"]) == (True, "application/pdf")


def test_an_invoice_is_emailed(xero: Office) -> None:
    row = xero.authorise("INV-1", "1.00")

    answer = xero.call("POST", f"/Invoices/{row['InvoiceID']}/Email", {})

    assert (answer.status_code, answer.content) == (204, b"")
    assert shown(xero, "INV-1", "SentToContact") == [True]


@pytest.mark.parametrize(("plan", "allowed"), [("DEMO", 0), ("TRIAL", 20)])
def test_small_plans_may_send_little_mail(xero: Office, plan: str, allowed: int) -> None:
    xero.ledger.organization.extra["Class"] = plan
    xero.authorise("INV-1", "1.00")

    answers = [xero.call("POST", "/Invoices/INV-1/Email", {}).status_code for _ in range(allowed + 1)]

    assert answers == [204] * allowed + [400]
    xero.world.clock.advance(days=1)
    assert xero.call("POST", "/Invoices/INV-1/Email", {}).status_code == (204 if allowed else 400)


def test_mail_needs_an_approved_invoice_and_an_address(xero: Office) -> None:
    xero.authorise("INV-1", "1.00", Status="DRAFT")
    xero.authorise("INV-2", "1.00")
    xero.post(f"/Contacts/{xero.harbour}", {"EmailAddress": ""})

    assert xero.refused("POST", "/Invoices/INV-1/Email", {}) == [
        "Only submitted, approved and paid invoices can be emailed."
    ]
    assert xero.refused("POST", "/Invoices/INV-2/Email", {}) == ["The contact has no email address."]


def test_the_online_invoice_has_an_address_once_approved(xero: Office) -> None:
    xero.authorise("INV-1", "1.00")
    xero.authorise("INV-2", "1.00", Status="DRAFT")

    (found,) = xero.get("/Invoices/INV-1/OnlineInvoice")["OnlineInvoices"]

    assert found["OnlineInvoiceUrl"].startswith("https://in.xero.com/")
    assert xero.call("GET", "/Invoices/INV-2/OnlineInvoice").status_code == 400


def test_foreign_documents_keep_the_rate_they_were_sent_with(xero: Office) -> None:
    row = xero.authorise("INV-1", "100.00", CurrencyCode="AUD", CurrencyRate=0.9123)

    assert (row["CurrencyCode"], row["CurrencyRate"]) == ("AUD", Decimal("0.912300"))
    kept = xero.ledger.invoices[row["InvoiceID"]]
    assert abs(kept.rate - 1 / Decimal("0.9123")) < Decimal("1e-9")


def test_the_trial_balance_report_balances(xero: Office) -> None:
    xero.authorise("INV-1", "100.00")
    pay(xero, "INV-1", 15.0)

    (report,) = xero.get("/Reports/TrialBalance", date="2026-11-21")["Reports"]

    rows = {
        row["Cells"][0]["Value"]: [cell["Value"] for cell in row["Cells"][3:]]
        for section in report["Rows"]
        for row in section.get("Rows", [])
    }
    assert rows["Accounts Receivable (610)"] == ["100.00", ""]
    assert rows["Sales (200)"] == ["", "100.00"]
    assert rows["Sales Tax (820)"] == ["", "15.00"]
    assert rows["Total"] == ["115.00", "115.00"]


def test_the_aged_receivables_report_lists_a_contacts_open_invoices(xero: Office) -> None:
    xero.authorise("INV-1", "100.00")
    pay(xero, "INV-1", 15.0)

    (report,) = xero.get("/Reports/AgedReceivablesByContact", contactId=xero.harbour)["Reports"]

    (row,) = report["Rows"][1]["Rows"]
    assert [cell["Value"] for cell in row["Cells"]][1:] == [
        "INV-1", "2026-12-20T00:00:00", "NZD", "115.00", "15.00", "", "100.00",
    ]  # fmt: skip


def test_changes_announce_themselves(xero: Office) -> None:
    told: list[tuple[str, str]] = []
    xero.ledger.listeners.append(lambda organization, kind, id, verb: told.append((kind, verb)))
    xero.authorise("INV-1", "100.00")

    pay(xero, "INV-1", 15.0)
    assert told == [("invoice", "created"), ("payment", "created"), ("invoice", "updated")]
    told.clear()
    xero.world.set_switch("xero.payment_raises_invoice_update", False)
    pay(xero, "INV-1", 15.0)
    xero.world.set_switch("xero.payment_raises_invoice_update", None)
    assert told == [("payment", "created")]
    assert xero.ledger.organization.id == TENANT
