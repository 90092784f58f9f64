"""The real python-quickbooks against the pretend QuickBooks, its traps included."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from quickbooks import exceptions
from quickbooks.batch import batch_create
from quickbooks.cdc import change_data_capture
from quickbooks.objects.account import Account
from quickbooks.objects.attachable import Attachable
from quickbooks.objects.base import Ref as SdkRef
from quickbooks.objects.company_info import CompanyInfo
from quickbooks.objects.creditmemo import CreditMemo
from quickbooks.objects.customer import Customer
from quickbooks.objects.detailline import SalesItemLine, SalesItemLineDetail
from quickbooks.objects.invoice import Invoice
from quickbooks.objects.item import Item
from quickbooks.objects.payment import Payment
from quickbooks.objects.preferences import Preferences
from quickbooks.objects.term import Term

from sandbox.faults import Fault
from tests.sandbox.quickbooks_company import Company, payment, sale


def test_the_sdks_objects_read_the_company(company: Company, diner: str):
    made = company.invoice(diner, "337.50")
    assert CompanyInfo.get(company.realm, qb=company.qb).CompanyName == "Harbour Supplies"
    assert Preferences.get(qb=company.qb).CurrencyPrefs.HomeCurrency.value == "USD"
    assert Customer.get(diner, qb=company.qb).DisplayName == "Red Rock Diner"
    invoice = Invoice.get(made["Id"], qb=company.qb)
    assert invoice.TotalAmt == Decimal("337.50")
    assert [i.Id for i in Invoice.filter(DocNumber="1001", qb=company.qb)] == [made["Id"]]
    assert Invoice.count(qb=company.qb) == 1
    assert {item.Name for item in Item.all(qb=company.qb)} == {"Goods", "Delivery", "Late fee"}
    assert "Net 30" in {term.Name for term in Term.all(qb=company.qb)}
    assert Account.where("AccountType = 'Accounts Receivable'", qb=company.qb)[0].Classification == "Asset"


def test_whole_amounts_come_as_whole_numbers_and_others_as_decimals(company: Company, diner: str):
    made = company.invoice(diner, "100.00")
    raw = company.qb.get_single_object("Invoice", made["Id"])["Invoice"]
    assert (type(raw["Balance"]), type(raw["Line"][0]["Amount"])) == (int, Decimal)


def test_plain_bodies_through_the_sdks_transport(company: Company, diner: str):
    made = company.qb.create_object("Invoice", json.dumps(sale(diner, "10.00")), request_id="k-1")["Invoice"]
    again = company.qb.create_object("Invoice", json.dumps(sale(diner, "10.00")), request_id="k-1")["Invoice"]
    assert again == made
    change = {"Id": made["Id"], "SyncToken": "0", "sparse": True, "PrivateNote": "x"}
    assert company.qb.update_object("Invoice", json.dumps(change))["Invoice"]["SyncToken"] == "1"
    gone = company.qb.delete_object("Invoice", json.dumps({"Id": made["Id"], "SyncToken": "1"}))
    assert gone["Invoice"]["status"] == "Deleted"
    found = company.qb.query("select * from Invoice")
    assert found["QueryResponse"] == {}


def test_a_credit_is_applied_through_the_sdks_transport(company: Company, diner: str):
    invoice, credit = company.invoice(diner, "30.00"), company.credit(diner, "30.00")
    body = payment(diner, "0", ("Invoice", invoice["Id"], "30"), ("CreditMemo", credit["Id"], "30"))
    company.qb.create_object("Payment", json.dumps(body))
    assert Invoice.get(invoice["Id"], qb=company.qb).Balance == 0
    assert CreditMemo.get(credit["Id"], qb=company.qb).RemainingCredit == 0


def an_sdk_invoice(customer: str, amount: str) -> Invoice:
    line = SalesItemLine()
    line.Amount = float(amount)
    line.SalesItemLineDetail = SalesItemLineDetail()
    line.SalesItemLineDetail.ItemRef = SdkRef()
    line.SalesItemLineDetail.ItemRef.value = "2"
    invoice = Invoice()
    invoice.CustomerRef = SdkRef()
    invoice.CustomerRef.value = customer
    invoice.Line = [line]
    return invoice


def test_the_sdks_own_invoice_trips_over_its_zero_quantity(company: Company, diner: str):
    """It sends Qty 0 and UnitPrice 0 beside the Amount."""
    with pytest.raises(exceptions.QuickbooksException) as refused:
        an_sdk_invoice(diner, "10.00").save(qb=company.qb)
    assert refused.value.error_code == 6070
    honest = an_sdk_invoice(diner, "10.00")
    honest.Line[0].SalesItemLineDetail.Qty, honest.Line[0].SalesItemLineDetail.UnitPrice = 1, 10
    saved = honest.save(qb=company.qb)
    assert (saved.TotalAmt, saved.AllowIPNPayment) == (10, False)


def test_void_send_and_pdf(company: Company, diner: str):
    invoice = Invoice.get(company.invoice(diner, "10.00")["Id"], qb=company.qb)
    sent = invoice.send(qb=company.qb, send_to="till+1@redrock.example")
    assert sent["Invoice"]["BillEmail"]["Address"] == "till+1@redrock.example"
    assert invoice.download_pdf(qb=company.qb).startswith(b"%PDF")
    fresh = Invoice.get(invoice.Id, qb=company.qb)
    fresh.void(qb=company.qb)
    assert Invoice.get(invoice.Id, qb=company.qb).Balance == 0
    other = company.invoice(diner, "10.00")
    paid = Payment.get(company.pay(diner, "10", ("Invoice", other["Id"], "10"))["Id"], qb=company.qb)
    paid.void(qb=company.qb)
    assert Invoice.get(other["Id"], qb=company.qb).Balance == 10


def test_delete(company: Company, diner: str):
    memo = CreditMemo.get(company.credit(diner)["Id"], qb=company.qb)
    memo.delete(qb=company.qb)
    with pytest.raises(exceptions.ObjectNotFoundException):
        CreditMemo.get(memo.Id, qb=company.qb)


def test_a_file_and_a_note(company: Company, diner: str):
    file = Attachable()
    file.FileName, file.ContentType, file._FileBytes = "plan.txt", "text/plain", b"three installments"
    file.save(qb=company.qb)
    assert company.get(f"download/{file.Id}").content == b"three installments"
    note = Attachable()
    note.Note = "Reminder 1"
    note.save(qb=company.qb)
    assert Attachable.get(note.Id, qb=company.qb).Note == "Reminder 1"


def test_batches_and_changes(company: Company, diner: str):
    customers = []
    for n in range(35):
        customer = Customer()
        customer.DisplayName = "Red Rock Diner" if n == 7 else f"Customer {n}"
        customers.append(customer)
    outcome = batch_create(customers, qb=company.qb)
    assert (len(outcome.successes), len(outcome.faults)) == (34, 1)
    assert outcome.faults[0].Error[0].code == "6240"
    changed = change_data_capture([Customer, Invoice], "2026-11-20T00:00:00-08:00", qb=company.qb)
    assert len(changed.Customer) == 35
    assert not hasattr(changed, "Invoice")


@pytest.mark.parametrize(
    ("status", "variant", "error", "code"),
    [
        (401, "json", exceptions.AuthorizationException, 401),
        (403, "json", exceptions.QuickbooksException, 10000),  # lower case: the real code is lost
        (429, "json", exceptions.ValidationException, 3001),
        (429, "xml", exceptions.QuickbooksException, 10000),
        (500, "html", exceptions.QuickbooksException, 10000),
        (200, "json", exceptions.SevereException, 10000),
        (400, "lowercase", exceptions.QuickbooksException, 10000),
    ],
)
def test_how_the_sdk_reports_each_outage(company: Company, status: int, variant: str, error: type, code: int):
    company.world.faults.add(Fault(action="status", status=status, variant=variant, platform="quickbooks"))
    with pytest.raises(error) as raised:
        Preferences.get(qb=company.qb)
    assert raised.value.error_code == code


def test_the_faults_the_sdk_itself_stumbles_over(company: Company):
    """Why an application parses faults itself."""
    company.world.faults.add(Fault(action="status", status=400, variant="word_code", platform="quickbooks"))
    with pytest.raises(ValueError):
        company.qb.query("select * from Invoice")
    company.world.faults.add(
        Fault(action="status", status=400, variant="empty_errors", platform="quickbooks")
    )
    assert company.qb.query("select * from Invoice") is None
    company.world.faults.add(Fault(action="status", status=400, variant="no_code", platform="quickbooks"))
    with pytest.raises(TypeError):
        company.qb.query("select * from Invoice")


def test_a_stale_token_and_a_duplicate_name(company: Company, diner: str):
    one, two = Customer.get(diner, qb=company.qb), Customer.get(diner, qb=company.qb)
    one.Notes = "first"
    one.save(qb=company.qb)
    two.Notes = "second"
    with pytest.raises(exceptions.QuickbooksException) as stale:
        two.save(qb=company.qb)
    assert stale.value.error_code == 5010
    double = Customer()
    double.DisplayName = "Red Rock Diner"
    with pytest.raises(exceptions.QuickbooksException) as taken:
        double.save(qb=company.qb)
    assert taken.value.error_code == 6240
