"""Xero's records as we read them, and our drafts as Xero gets them; every shape as Xero publishes it."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import available_timezones

import msgspec
import pytest

from adapters.xero import bodies, documents, facts, shapes, translate, values
from adapters.xero.translate import Gone, NotOurs
from connector.domain.receivables import Allocation, Kind, Line, Link, Status
from connector.domain.writes import CreditDraft, InvoiceDraft, LinkDraft

INVOICE = "a03ffcd2-5d91-4c7e-b483-318584e9e439"
CONTACT = "430fa14a-f945-44d3-9f97-5df5e28441b8"
PAYMENT = "99ea7f6b-c513-4066-bc27-b7c65dcd76c2"
CREDIT = "249f15fa-f2a7-4acc-8769-0984103f2225"
MARKER = "plan=PP-0007 v=1 role=inst n=1 src=147 h=9c01aa42"


def raw(record: dict[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode({k: v for k, v in record.items() if v is not ...}))


def an_invoice(**changed: Any) -> msgspec.Raw:
    return raw(
        {
            "Type": "ACCREC",
            "InvoiceID": INVOICE,
            "InvoiceNumber": "INV-0006",
            "Reference": "Tour",
            "Payments": [],
            "CreditNotes": [],
            "Prepayments": [],
            "Overpayments": [],
            "AmountDue": 34.50,
            "AmountPaid": 0.00,
            "CurrencyRate": 1.0000000000,
            "Contact": {"ContactID": CONTACT, "Name": "Ridgeway University"},
            "DateString": "2026-03-07T00:00:00",
            "Date": "/Date(1772841600000+0000)/",
            "DueDateString": "2026-03-13T00:00:00",
            "DueDate": "/Date(1773360000000+0000)/",
            "Status": "AUTHORISED",
            "LineAmountTypes": "Exclusive",
            "LineItems": [
                {
                    "Description": "Mic stand",
                    "UnitAmount": 30.00,
                    "TaxType": "OUTPUT2",
                    "TaxAmount": 4.50,
                    "LineAmount": 30.00,
                    "AccountCode": "200",
                    "Quantity": 1.0000,
                }
            ],
            "SubTotal": 30.00,
            "TotalTax": 4.50,
            "Total": 34.50,
            "UpdatedDateUTC": "/Date(1772870346157+0000)/",
            "CurrencyCode": "NZD",
        }
        | changed
    )


def no_url(kind: Kind, id: str) -> str:
    return f"{kind}/{id}"


def test_a_sales_invoice():
    found = translate.invoice(an_invoice())
    assert (found.id, found.number, found.customer_id) == (INVOICE, "INV-0006", CONTACT)
    assert (found.date, found.due) == (date(2026, 3, 7), date(2026, 3, 13))
    assert (found.currency, found.total, found.balance, found.tax) == ("NZD", 3450, 3450, 450)
    assert (found.status, found.rate, found.reference, found.marker) == (Status.OPEN, "1", "Tour", "")
    assert found.emailed is False  # absent when false
    assert found.version == "2026-03-07T07:59:06.157+00:00 2026-03-13 3450"
    assert found.updated_at == datetime(2026, 3, 7, 7, 59, 6, 157000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("says", "due", "status", "balance"),
    [
        ("DRAFT", 34.5, Status.DRAFT, 0),
        ("SUBMITTED", 34.5, Status.DRAFT, 0),
        ("AUTHORISED", 34.5, Status.OPEN, 3450),
        ("AUTHORISED", 4.5, Status.PARTLY_PAID, 450),
        ("PAID", 0.0, Status.PAID, 0),
        ("VOIDED", 34.5, Status.VOID, 0),
    ],
)
def test_what_an_invoice_still_owes_follows_its_status(says: str, due: float, status: Status, balance: int):
    found = translate.invoice(an_invoice(Status=says, AmountDue=due))
    assert (found.status, found.balance, found.total) == (status, balance, 3450)


def test_the_version_tells_also_what_xeros_time_of_change_hides():
    seen = translate.invoice(an_invoice()).version
    assert translate.invoice(an_invoice()).version == seen
    assert translate.invoice(an_invoice(DueDateString="2026-04-13T00:00:00")).version != seen
    assert translate.invoice(an_invoice(AmountDue=30.00)).version != seen
    assert translate.invoice(an_invoice(UpdatedDateUTC="/Date(1772870346158+0000)/")).version != seen


def test_a_deleted_invoice_is_gone_and_a_bill_is_none_of_our_business():
    assert translate.invoice(an_invoice(Status="DELETED")) == Gone(INVOICE)
    assert isinstance(translate.invoice(an_invoice(Type="ACCPAY")), NotOurs)


def test_a_date_can_come_without_its_text():
    found = translate.invoice(an_invoice(DateString=..., DueDateString=...))
    assert (found.date, found.due) == (date(2026, 3, 7), date(2026, 3, 13))


def test_a_draft_without_a_due_date_is_due_on_its_date():
    found = translate.invoice(an_invoice(Status="DRAFT", DueDate=..., DueDateString=None))
    assert found.due == date(2026, 3, 7)


def test_unknown_fields_enums_and_types_elsewhere_do_no_harm():
    found = translate.invoice(
        an_invoice(
            RoundingAmount="x", LineAmountTypes=None, BrandingThemeID=7, Payments=None, Reference=None, New={}
        )
    )
    assert (found.id, found.reference) == (INVOICE, "")


@pytest.mark.parametrize(
    "changed",
    [
        {"Status": "FROZEN"},
        {"Type": ...},
        {"CurrencyCode": None},
        {"InvoiceID": ...},
        {"Contact": {}},
        {"AmountDue": "abc"},
        {"AmountDue": None},
        {"Total": ...},
        {"AmountDue": 34.505},
        {"Total": [1]},
        {"Date": "soon", "DateString": ...},
    ],
)
def test_what_must_not_be_guessed_is_refused(changed: dict[str, Any]):
    with pytest.raises((ValueError, msgspec.DecodeError, ArithmeticError)):
        translate.invoice(an_invoice(**changed))


def test_amounts_keep_every_cent_and_follow_the_currency():
    assert translate.invoice(an_invoice(AmountDue=1148062.76, Total=1148062.76)).total == 114806276
    yen = translate.invoice(an_invoice(CurrencyCode="JPY", Total=5000.00, AmountDue=5000.00, TotalTax=0))
    assert (yen.total, yen.balance) == (5000, 5000)
    assert (
        translate.invoice(an_invoice(CurrencyRate=0.8)).rate == "1.25"
    )  # Xero: foreign units for one of ours


def test_our_own_marker_is_recognized_and_other_references_are_not():
    assert translate.invoice(an_invoice(Reference=MARKER)).marker == MARKER
    assert translate.invoice(an_invoice(Reference="plan=B")).marker == ""


def test_an_invoice_in_full_shows_its_lines_and_what_is_set_against_it():
    document = documents.invoice_document(
        an_invoice(
            AmountDue=4.5,
            Payments=[{"PaymentID": PAYMENT, "Amount": 10.00, "Date": "/Date(1773360000000+0000)/"}],
            CreditNotes=[{"CreditNoteID": CREDIT, "CreditNoteNumber": "CN-5", "AppliedAmount": 12.00}],
            Overpayments=[{"OverpaymentID": "o-1", "AppliedAmount": 5.00}],
            Prepayments=[{"ID": "p-1", "AppliedAmount": 3.00}],
            CISDeduction=2.00,
            IsDiscounted=True,
        ),
        no_url,
    )
    assert document.lines == (Line("200", "Mic stand", 3000, 450, "OUTPUT2"),)
    assert document.links == (
        Link("payment", PAYMENT, 1000, PAYMENT),
        Link("credit", CREDIT, 1200),
        Link("payment", "o-1", 500),
        Link("payment", "p-1", 300),
    )
    assert (document.tax, document.balance, document.status) == (450, 450, Status.PARTLY_PAID)
    assert document.flags == {"cis", "discount"}
    assert document.url == f"invoice/{INVOICE}"


def test_the_net_of_a_line_leaves_out_the_tax_that_its_amount_includes():
    line = {"Description": "x", "LineAmount": 34.5, "TaxAmount": 4.5, "AccountID": "acc"}
    document = documents.invoice_document(an_invoice(LineAmountTypes="Inclusive", LineItems=[line]), no_url)
    assert document.lines == (Line("acc", "x", 3000, 450),)


def a_credit(**changed: Any) -> msgspec.Raw:
    return raw(
        {
            "Type": "ACCRECCREDIT",
            "CreditNoteID": CREDIT,
            "CreditNoteNumber": "CN-0002",
            "Contact": {"ContactID": CONTACT},
            "DateString": "2026-12-16T00:00:00",
            "Date": "/Date(1797379200000+0000)/",
            "Status": "AUTHORISED",
            "SubTotal": 86.96,
            "TotalTax": 13.04,
            "Total": 100.00,
            "UpdatedDateUTC": "/Date(1797379261547+0000)/",
            "CurrencyCode": "NZD",
            "RemainingCredit": 40.00,
            "Allocations": [
                {
                    "AllocationID": "b12335f4-a1e5-4431-aeb4-488e5547558e",
                    "Amount": 60.00,
                    "Date": "/Date(1797379200000+0000)/",
                    "Invoice": {"InvoiceID": INVOICE, "InvoiceNumber": "INV-0001"},
                }
            ],
        }
        | changed
    )


def test_a_credit_note_and_where_it_went():
    found = translate.credit_note(a_credit())
    assert (found.number, found.total, found.remaining, found.void) == ("CN-0002", 10000, 4000, False)
    allocation = Allocation(INVOICE, 6000, date(2026, 12, 16), "b12335f4-a1e5-4431-aeb4-488e5547558e")
    assert found.allocations == (allocation,)
    document = documents.credit_document(a_credit(), no_url)
    assert document.links == (Link("invoice", INVOICE, 6000, "b12335f4-a1e5-4431-aeb4-488e5547558e"),)
    assert (document.balance, document.tax, document.status) == (4000, 1304, Status.PARTLY_PAID)


def test_a_voided_or_draft_credit_note_reduces_nothing():
    for status in ("VOIDED", "DRAFT", "SUBMITTED"):
        found = translate.credit_note(a_credit(Status=status))
        assert (found.void, found.remaining, found.allocations) == (True, 0, ())
    assert translate.credit_note(a_credit(Status="DELETED")) == Gone(CREDIT)
    assert isinstance(translate.credit_note(a_credit(Type="ACCPAYCREDIT")), NotOurs)


def test_a_removed_allocation_does_not_count():
    gone = {"AllocationID": "x", "Amount": 60, "Invoice": {"InvoiceID": INVOICE}, "IsDeleted": True}
    assert translate.credit_note(a_credit(Allocations=[gone])).allocations == ()


def test_a_credit_that_does_not_say_what_is_left_of_it_is_not_taken_for_used():
    with pytest.raises(ValueError, match="RemainingCredit"):
        translate.credit_note(a_credit(Status="AUTHORISED", RemainingCredit=...))


def a_payment(**changed: Any) -> msgspec.Raw:
    return raw(
        {
            "PaymentID": PAYMENT,
            "BatchPayment": {"TotalAmount": "600.00", "IsReconciled": "true"},  # strings, as Xero sends them
            "Date": "/Date(1793923200000+0000)/",
            "BankAmount": 46.00,
            "Amount": 46.00,
            "CurrencyRate": 1.0000000000,
            "PaymentType": "ACCRECPAYMENT",
            "Status": "AUTHORISED",
            "UpdatedDateUTC": "/Date(1793953792690+0000)/",
            "Reference": "INV-0002",
            "Invoice": {
                "Type": "ACCREC",
                "InvoiceID": INVOICE,
                "Contact": {"ContactID": CONTACT, "Name": "x"},
            },
        }
        | changed
    )


def test_a_payment_pays_one_invoice():
    found = translate.payment(a_payment(), "NZD", {})
    assert (found.id, found.customer_id, found.currency) == (PAYMENT, CONTACT, "NZD")
    assert (found.amount, found.unapplied, found.flavor) == (4600, 0, "payment")
    assert found.allocations == (Allocation(INVOICE, 4600, date(2026, 11, 6), PAYMENT),)


def test_a_deleted_payment_is_gone_and_a_refund_or_supplier_payment_is_not_ours():
    assert translate.payment(a_payment(Status="DELETED"), "NZD", {}) == Gone(PAYMENT)
    for kind in ("ACCPAYPAYMENT", "ARCREDITPAYMENT", "AROVERPAYMENTPAYMENT", "SOMETHINGNEW"):
        assert isinstance(translate.payment(a_payment(PaymentType=kind), "NZD", {}), NotOurs)


def test_a_record_that_does_not_say_what_it_is_is_no_suppliers():
    with pytest.raises(ValueError, match="PaymentType is missing"):
        translate.payment(a_payment(PaymentType=None), "NZD", {})
    nameless = raw({"Status": "AUTHORISED", "CreditNoteID": "k", "OverpaymentID": "o"})
    for read in (translate.credit_note, translate.advance):
        with pytest.raises(ValueError, match="Type is missing"):
            read(nameless)


def test_a_foreign_payment_is_in_its_invoices_currency():
    foreign = a_payment(CurrencyRate=0.75)
    assert translate.paid(foreign) == translate.Paid(INVOICE, foreign=True, nameless=False)
    assert translate.payment(foreign, "NZD", {INVOICE: "USD"}).currency == "USD"
    assert translate.paid(a_payment()) == translate.Paid(INVOICE, foreign=False, nameless=False)


def test_an_overpayment_and_a_prepayment_are_unapplied_money():
    base = {
        "Contact": {"ContactID": CONTACT},
        "DateString": "2026-03-12T00:00:00",
        "Status": "AUTHORISED",
        "Total": 500.00,
        "RemainingCredit": 120.00,
        "CurrencyCode": "NZD",
        "Allocations": [{"Amount": 380.00, "Invoice": {"InvoiceID": INVOICE}}],
        "UpdatedDateUTC": "/Date(1772870346157+0000)/",
    }
    over = translate.advance(raw({"OverpaymentID": "o-1", "Type": "RECEIVE-OVERPAYMENT"} | base))
    assert (over.id, over.flavor, over.amount, over.unapplied) == ("o-1", "overpayment", 50000, 12000)
    assert over.allocations == (Allocation(INVOICE, 38000),)
    pre = translate.advance(
        raw({"PrepaymentID": "p-1", "Type": "ARPREPAYMENT"} | base | {"Status": "VOIDED"})
    )
    assert (pre.flavor, pre.unapplied, pre.void, pre.allocations) == ("prepayment", 0, True, ())
    spent = raw({"OverpaymentID": "o-2", "Type": "SPEND-OVERPAYMENT"} | base)
    assert isinstance(translate.advance(spent), NotOurs)


def a_contact(**changed: Any) -> msgspec.Raw:
    return raw(
        {
            "ContactID": CONTACT,
            "ContactStatus": "ACTIVE",
            "Name": "Acme Parts Co.",
            "EmailAddress": "accounts@acme.example",
            "Phones": [
                {"PhoneType": "DDI", "PhoneNumber": "", "PhoneAreaCode": "345", "PhoneCountryCode": "4"},
                {"PhoneType": "DEFAULT", "PhoneNumber": "408-0914", "PhoneAreaCode": "604"},
            ],
            "Addresses": [
                {"AddressType": "STREET", "Country": ""},
                {"AddressType": "POBOX", "Country": "nz"},
            ],
            "DefaultCurrency": "USD",
            "PaymentTerms": {"Sales": {"Day": 14, "Type": "DAYSAFTERBILLDATE"}},
            "Balances": {"AccountsReceivable": {"Outstanding": 118.90, "Overdue": 36.90}},
            "UpdatedDateUTC": "/Date(1772870346157+0000)/",
        }
        | changed
    )


def test_a_contact():
    found = translate.customer(a_contact(), "NZD")
    assert (found.id, found.name, found.email) == (CONTACT, "Acme Parts Co.", "accounts@acme.example")
    assert (found.phone, found.country, found.currency) == ("604 408-0914", "NZ", "USD")
    assert (found.active, found.terms_days, found.ledger_balance) == (True, 14, {"NZD": 11890})
    assert translate.customer(a_contact(Balances=...), "NZD").ledger_balance == {"NZD": 0}
    assert translate.customer(a_contact()).ledger_balance is None


def test_archived_merged_and_erased_contacts():
    assert translate.customer(a_contact(ContactStatus="ARCHIVED")).active is False
    merged = translate.customer(a_contact(ContactStatus="ARCHIVED", MergedToContactID="other"))
    assert merged.merged_into == "other"
    erased = translate.customer(a_contact(ContactStatus="GDPRREQUEST"))
    assert (erased.erasure_requested, erased.active) == (True, False)


@pytest.mark.parametrize("type_", ["DAYSAFTERBILLMONTH", "OFCURRENTMONTH", "OFFOLLOWINGMONTH", "NEWKIND"])
def test_terms_that_depend_on_the_month_are_no_number_of_days(type_: str):
    assert translate.customer(a_contact(PaymentTerms={"Sales": {"Day": 5, "Type": type_}})).terms_days is None


def test_an_organization():
    found = facts.organization(
        raw(
            {
                "OrganisationID": "org",
                "Name": "Harbour Bikes",
                "BaseCurrency": "NZD",
                "CountryCode": "NZ",
                "Timezone": "NEWZEALANDSTANDARDTIME",
                "SalesTaxBasis": "PAYMENTS",
                "PeriodLockDate": "/Date(1767139200000+0000)/",
                "EndOfYearLockDate": "/Date(1774915200000+0000)/",
                "ShortCode": "!mBdtL",
                "Class": "SOMENEWPLAN",
            }
        ),
        reminders_on=True,
    )
    assert (found.name, found.country, found.home_currency) == ("Harbour Bikes", "NZ", "NZD")
    assert (found.timezone, found.closed_until) == ("Pacific/Auckland", date(2026, 3, 31))
    assert (found.sales_tax_basis_hint, found.auto_apply_credits) == ("PAYMENTS", False)
    assert (found.reminders_on, found.plan) == (True, "SOMENEWPLAN")
    open_books = facts.organization(raw({"BaseCurrency": "AUD"}), reminders_on=None)
    assert (open_books.closed_until, open_books.timezone) == (None, "UTC")


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("AUSEASTERNSTANDARDTIME", "Australia/Sydney"),
        ("ESOUTHAMERICASTANDARDTIME", "America/Sao_Paulo"),
        ("CENTRALSTANDARDTIME(MEXICO)", "America/Mexico_City"),
        ("GMTSTANDARDTIME", "Europe/London"),
        ("UTC+12", "Etc/GMT-12"),
        ("UTC02", "Etc/GMT+2"),
        ("KAMCHATKASTANDARDTIME", "Asia/Kamchatka"),
        ("MARSTANDARDTIME", "UTC"),
    ],
)
def test_xeros_time_zones_have_names_that_python_knows(name: str, zone: str):
    assert facts.timezone(name) == zone
    assert zone in available_timezones()


@pytest.mark.parametrize(
    ("says", "means"),
    [
        ("/Date(1772841600000+0000)/", date(2026, 3, 7)),
        ("/Date(1772841600000)/", date(2026, 3, 7)),
        ("/Date(1772794800000+1300)/", date(2026, 3, 7)),
        ("/Date(-86400000+0000)/", date(1969, 12, 31)),
        ("2026-03-07T00:00:00", date(2026, 3, 7)),
        ("2026-03-07", date(2026, 3, 7)),
    ],
)
def test_calendar_dates(says: str, means: date):
    assert values.day(says) == means


def test_accounts_that_can_carry_a_plan():
    def usable(**changed: Any) -> bool:
        base = {"AccountID": "a", "Code": "640", "Name": "n", "Type": "CURRENT", "Status": "ACTIVE"}
        return facts.account(raw(base | changed)).usable_for_clearing

    assert usable()
    assert usable(Type="CURRLIAB", SystemAccount="")
    assert not usable(Type="BANK")
    assert not usable(Type="REVENUE")
    assert not usable(SystemAccount="DEBTORS")
    assert not usable(Status="ARCHIVED")


def test_history_is_read_oldest_first_whatever_order_xero_gives():
    found = documents.history(
        [
            raw({"Changes": "Note", "Details": "second", "DateUTC": "/Date(1772870346157+0000)/"}),
            raw({"Changes": "Created", "Details": "by itself", "DateUTC": "/Date(1772841600000+0000)/"}),
            raw({"Changes": "Note", "DateUTC": "/Date(1772841600000+0000)/"}),
            raw({"Details": "first", "DateUTC": "/Date(1772841600000+0000)/"}),
            raw({"Changes": "Remark", "Details": f"ours {MARKER}", "DateUTC": "/Date(1772870346158+0000)/"}),
        ]
    )
    assert found == ["first", "second", f"ours {MARKER}"]


def test_only_the_element_itself_says_whether_it_was_carried_out():
    odd_success = {
        "CreditNoteID": CREDIT,
        "StatusAttributeString": "OK",
        "ValidationErrors": [{"Message": "x"}],
    }
    assert documents.carried_out(raw(odd_success))
    assert documents.carried_out(raw({"InvoiceID": INVOICE, "HasErrors": False}))
    assert not documents.carried_out(raw({"InvoiceID": INVOICE, "StatusAttributeString": "ERROR"}))
    assert not documents.carried_out(raw({"InvoiceID": INVOICE, "HasErrors": True}))
    assert not documents.carried_out(raw({"InvoiceID": "00000000-0000-0000-0000-000000000000"}))


# ---------------------------------------------------------------- to Xero


def an_invoice_draft(**changed: Any) -> InvoiceDraft:
    values: dict[str, Any] = {
        "number": "INV-0006-P1.1",
        "customer_id": CONTACT,
        "date": date(2026, 11, 21),
        "due": date(2026, 12, 21),
        "currency": "NZD",
        "amount": 28333,
        "account_id": "640",
        "description": "Installment 1 of 3 for INV-0006.",
        "message": "Not a tax invoice.",
        "marker": MARKER,
    }
    return InvoiceDraft(**(values | changed))


def test_an_installment_is_a_no_tax_invoice_that_was_not_sent():
    assert bodies.invoice_element(an_invoice_draft(tax_code="NONE")) == {
        "Type": "ACCREC",
        "InvoiceNumber": "INV-0006-P1.1",
        "DueDate": "2026-12-21",
        "SentToContact": False,
        "Contact": {"ContactID": CONTACT},
        "Date": "2026-11-21",
        "LineAmountTypes": "NoTax",
        "CurrencyCode": "NZD",
        "Reference": MARKER,
        "Status": "AUTHORISED",
        "LineItems": [
            {
                "Description": "Installment 1 of 3 for INV-0006.\nNot a tax invoice.",
                "Quantity": 1,
                "UnitAmount": 283.33,
                "AccountCode": "640",
                "TaxType": "NONE",
            }
        ],
    }


def test_a_taxed_document_keeps_its_total():
    element = bodies.invoice_element(an_invoice_draft(tax_code="OUTPUT2"))
    assert (element["LineAmountTypes"], element["LineItems"][0]["TaxType"]) == ("Inclusive", "OUTPUT2")


def test_an_account_without_a_code_is_named_by_its_id():
    element = bodies.invoice_element(an_invoice_draft(account_id="5690f1e8-1d02-4893-90c2-ee1a69eff942"))
    assert "AccountCode" not in element["LineItems"][0]
    assert element["LineItems"][0]["AccountID"] == "5690f1e8-1d02-4893-90c2-ee1a69eff942"


def test_a_credit_note_and_its_allocation():
    draft = CreditDraft(
        number="INV-0006-P1C",
        customer_id=CONTACT,
        date=date(2026, 11, 21),
        currency="NZD",
        amount=85000,
        account_id="640",
        description="Reschedules INV-0006.",
        message="",
        marker=MARKER,
    )
    (note,) = bodies.credit_body(draft)["CreditNotes"]
    assert (note["Type"], note["CreditNoteNumber"], note["Status"]) == (
        "ACCRECCREDIT",
        "INV-0006-P1C",
        "AUTHORISED",
    )
    assert note["LineItems"][0]["UnitAmount"] == 850.0
    assert "TaxType" not in note["LineItems"][0]
    link = LinkDraft(CREDIT, INVOICE, CONTACT, date(2026, 11, 21), "NZD", 85000, MARKER)
    assert bodies.link_body(link) == {
        "Allocations": [{"Invoice": {"InvoiceID": INVOICE}, "Amount": 850.0, "Date": "2026-11-21"}]
    }


def test_a_note_that_is_too_long_is_cut_and_keeps_its_mark():
    (record,) = bodies.notes_body("x" * 5000, MARKER, 2500)["HistoryRecords"]
    assert len(record["Details"]) == 2500
    assert record["Details"].endswith(f"x…\n{MARKER}")


def test_where_records_are_short_a_note_becomes_several_and_loses_nothing():
    lines = [f"Payment {n} of 100.00 is due on the {n}th of the month." for n in range(1, 21)]
    records = [r["Details"] for r in bodies.notes_body("\n".join(lines), MARKER, 250)["HistoryRecords"]]
    assert all(len(record) <= 250 for record in records)
    assert "\n".join(records).split("\n") == [*lines, MARKER]
    unbroken = [r["Details"] for r in bodies.notes_body("y" * 501, "", 250)["HistoryRecords"]]
    assert [len(record) for record in unbroken] == [250, 250, 1]


def test_an_envelope_keeps_its_rows_apart():
    body = b'{"Status": "OK", "Invoices": [{"a": 1}, {"b": {}}], "pagination": {"pageCount": 2}}\r\n'
    found = shapes.envelope(body)
    assert [bytes(row) for row in found.Invoices] == [b'{"a": 1}', b'{"b": {}}']
    assert found.pagination.pageCount == 2
    assert found.Payments is None
