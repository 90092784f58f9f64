"""The real xero-python drives the pretend Xero, and the requests that were proved against the contract work on it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import urllib3
from xero_python.accounting import AccountingApi
from xero_python.api_client import ApiClient
from xero_python.api_client.configuration import Configuration
from xero_python.api_client.oauth2 import OAuth2Token
from xero_python.exceptions import AccountingBadRequestException, NotFoundException, RateLimitException

from tests.conftest import shared
from tests.sandbox.xero_office import (
    TENANT,
    Office,
    contract,
    credit_note,
    invoice,
    misfits_of_reply,
    misfits_of_request,
    office,
)


@pytest.fixture
def xero() -> Iterator[Office]:
    with office() as found:
        yield found


@pytest.fixture
def api(xero: Office) -> Iterator[AccountingApi]:
    """The SDK made safe: its own token object, no hidden retries, plain dicts in."""
    token = {
        "access_token": xero.token,
        "scope": ["accounting.invoices"],
        "expires_in": 1800,
        "token_type": "Bearer",
        "expires_at": dt.datetime(2100, 1, 1, tzinfo=dt.UTC).timestamp(),
    }
    configuration = Configuration()
    configuration.oauth2_token = OAuth2Token(client_id="sandbox-app", client_secret="sandbox-secret")
    client = ApiClient(configuration, pool_threads=1)
    client.oauth2_token_getter(lambda: token)
    client.oauth2_token_saver(lambda found: None)
    manager = client.rest_client.pool_manager
    manager.connection_pool_kw["retries"] = urllib3.Retry(
        total=0, redirect=0, respect_retry_after_header=False, raise_on_status=False
    )
    yield AccountingApi(client, base_url=xero.base)
    manager.clear()


def test_models_are_made_from_every_list(api: AccountingApi, xero: Office) -> None:
    xero.authorise("INV-1", "100.00")
    xero.put("/CreditNotes", credit_note(xero.harbour, "CN-1", "50.00"))
    body = {
        "Invoice": {"InvoiceNumber": "INV-1"},
        "Account": {"Code": "090"},
        "Date": "2026-11-21",
        "Amount": 15,
    }
    xero.put("/Payments", body)

    invoices = api.get_invoices(
        TENANT, page=1, page_size=1000, where='Type=="ACCREC"', order="UpdatedDateUTC ASC"
    )
    (found,) = invoices.invoices

    assert (found.invoice_number, found.amount_due, found.status) == (
        "INV-1",
        Decimal("100.00"),
        "AUTHORISED",
    )
    assert (found.date, found.due_date) == (dt.date(2026, 11, 20), dt.date(2026, 12, 20))
    assert found.payments[0].amount == Decimal("15.00")
    assert invoices.pagination.item_count == 1
    assert api.get_payments(TENANT, page=1).payments[0].payment_type == "ACCRECPAYMENT"
    assert api.get_credit_notes(TENANT, page=1).credit_notes[0].remaining_credit == Decimal("50.00")
    assert len(api.get_contacts(TENANT, page=1, summary_only="true").contacts) == 3
    assert api.get_organisations(TENANT).organisations[0].base_currency.value == "NZD"
    assert {account.code for account in api.get_accounts(TENANT).accounts} >= {"090", "200", "850"}
    assert api.get_tax_rates(TENANT).tax_rates[0].tax_type == "OUTPUT2"
    assert api.get_invoice_reminders(TENANT).invoice_reminders[0].enabled is False
    assert api.get_overpayments(TENANT).overpayments == []
    assert api.get_prepayments(TENANT).prepayments == []
    assert api.get_batch_payments(TENANT).batch_payments == []


def test_changes_since_an_aware_moment(api: AccountingApi, xero: Office) -> None:
    xero.authorise("INV-1", "100.00")
    xero.world.clock.advance(minutes=1)
    xero.authorise("INV-2", "100.00")
    since = dt.datetime(2026, 11, 21, 12, 0, 30, tzinfo=dt.UTC)

    found = api.get_invoices(TENANT, if_modified_since=since, page=1).invoices

    assert [row.invoice_number for row in found] == ["INV-2"]


def test_a_plan_is_written_with_plain_dicts(api: AccountingApi, xero: Office) -> None:
    original = xero.authorise("INV-1", "100.00")
    note = api.create_credit_notes(
        TENANT, {"CreditNotes": [credit_note(xero.harbour, "CN-1", "115.00")]}, idempotency_key="PP-1-credit"
    ).credit_notes[0]
    link = {
        "Allocations": [
            {"Invoice": {"InvoiceID": original["InvoiceID"]}, "Amount": 115.0, "Date": "2026-11-21"}
        ]
    }
    api.create_credit_note_allocation(TENANT, note.credit_note_id, link, idempotency_key="PP-1-link")
    parts = [invoice(xero.harbour, f"INV-1-P1.{n}", "57.50", LineAmountTypes="NoTax") for n in (1, 2)]
    made = api.create_invoices(
        TENANT, {"Invoices": parts}, summarize_errors="false", idempotency_key="PP-1-inst"
    )
    api.create_invoice_history(TENANT, original["InvoiceID"], {"HistoryRecords": [{"Details": "Plan PP-1"}]})

    assert api.get_invoice(TENANT, original["InvoiceID"]).invoices[0].status == "PAID"
    assert [row.total for row in made.invoices] == [Decimal("57.50"), Decimal("57.50")]
    assert api.get_invoice_history(TENANT, original["InvoiceID"]).history_records[0].details == "Plan PP-1"
    assert api.email_invoice(TENANT, made.invoices[0].invoice_id, {}) is None


def test_the_sdk_cannot_read_a_deleted_allocation(api: AccountingApi, xero: Office) -> None:
    original = xero.authorise("INV-1", "100.00")
    note = xero.put("/CreditNotes", credit_note(xero.harbour, "CN-1", "15.00"))["CreditNotes"][0]
    path = f"/CreditNotes/{note['CreditNoteID']}/Allocations"
    link = {"Invoice": {"InvoiceID": original["InvoiceID"]}, "Amount": 15, "Date": "2026-11-21"}
    made = xero.put(path, link)["Allocations"][0]

    with pytest.raises(ValueError, match="amount"):
        api.delete_credit_note_allocations(TENANT, note["CreditNoteID"], made["AllocationID"])

    assert xero.ledger.allocations == {}


def test_errors_arrive_as_the_sdk_s_own(api: AccountingApi, xero: Office) -> None:
    with pytest.raises(AccountingBadRequestException) as bad:
        api.create_invoices(TENANT, {"Invoices": [invoice(xero.harbour, "I", "1.00", Status="PAID")]})
    with pytest.raises(NotFoundException):
        api.get_invoice(TENANT, "00000000-0000-0000-0000-000000000009")
    xero.world.limits.unthrottled = False
    while xero.call("GET", "/Organisation").status_code == 200:
        pass
    with pytest.raises(RateLimitException) as limited:
        api.get_organisations(TENANT)

    assert bad.value.reason == "Invoice not of valid status for creation"
    assert limited.value.rate_limit == "minute"


# requests proved against the contract


SAMPLES = (
    "01_create_clearing_account",
    "02_create_credit_note",
    "03_allocate_credit_note",
    "04_create_instalment_invoices",
    "05_history_note",
    "06_email_invoice",
    "07_update_due_date",
    "08_void_invoice",
    "09_create_payment",
    "10_delete_payment",
    "11_create_contact",
)


@pytest.mark.parametrize("name", SAMPLES)
def test_requests_that_xero_s_contract_allows_are_carried_out(xero: Office, name: str) -> None:
    sample = json.loads(shared(f"contracts/xero-samples/requests-verified/{name}.json").read_text())
    original = xero.authorise("INV-0041", "300.00")
    note = xero.put("/CreditNotes", credit_note(xero.harbour, "CN-1", "100.00"))["CreditNotes"][0]
    pay = {
        "Invoice": {"InvoiceNumber": "INV-0041"},
        "Account": {"Code": "090"},
        "Date": "2026-11-21",
        "Amount": 1,
    }
    payment = xero.put("/Payments", pay)["Payments"][0]
    if name.startswith("08"):
        xero.post(f"/Payments/{payment['PaymentID']}", {"Status": "DELETED"})
    ids = {
        "7df8949c-b71f-40c0-bbcf-39f2f450f286": note["CreditNoteID"],
        "243216c5-369e-4056-ac67-05388f86dc81": payment["PaymentID"]
        if "/Payments/" in sample["path"]
        else original["InvoiceID"],
        "025867f1-d741-4d6b-b1af-9ac774b59ba7": xero.harbour,
        '"850"': '"852"' if name.startswith("01") else '"850"',
    }
    text = json.dumps(sample)
    for theirs, ours in ids.items():
        text = text.replace(theirs, ours)
    sample = json.loads(text)
    path = sample["path"].removeprefix("/api.xro/2.0")

    assert misfits_of_request(sample["method"], path, sample["body"], sample["query"]) == []
    answer = xero.call(sample["method"], path, sample["body"], params=sample["query"])

    assert answer.status_code in (200, 204), answer.text
    assert "ERROR" not in answer.text


def test_the_contract_s_eye_sees_what_does_not_fit(xero: Office) -> None:
    """The checks above can fail: a misspelt field, a missing one, and a reply with a wrong kind of value."""
    shared("contracts/xero-openapi/xero_accounting.yaml")
    good: dict[str, Any] = {"Allocations": [{"Invoice": {}, "Amount": 1.0, "Date": "2026-11-21"}]}
    bad: dict[str, Any] = {"Allocations": [{"Invoice": {}, "Amount": 1.0}]}
    path = "/CreditNotes/7df8949c-b71f-40c0-bbcf-39f2f450f286/Allocations"

    assert misfits_of_request("PUT", path, good) == []
    assert len(misfits_of_request("PUT", path, bad)) == 1
    assert len(misfits_of_request("PUT", "/Invoices", {"Invoices": [{"Typ": "ACCREC"}]})) == 1
    assert misfits_of_reply("GET", "/Invoices", b'{"Invoices": [{"Status": "PAID"}]}', 200) == []
    assert len(misfits_of_reply("GET", "/Invoices", b'{"Invoices": [{"Status": "SETTLED"}]}', 200)) == 1
    assert contract(strict=True) is contract(strict=True)
