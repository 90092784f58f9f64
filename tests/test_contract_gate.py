"""The gate itself: it has its schemas, and it notices what is wrong."""

import json
import os
from pathlib import Path
from typing import Any

import flask
import pytest

from sandbox.recording import recorded
from tests.contract_gate import QUICKBOOKS_XSD, XERO_SPEC, Recorder, Sent, violations

SCHEMAS = QUICKBOOKS_XSD.exists() and XERO_SPEC.exists()
needs_schemas = pytest.mark.skipif(not SCHEMAS, reason="../shared/contracts is not on this machine")
TENANT = "b2c885a9-4bb9-4a00-9b6e-6c2bf60b1a2b"


def test_the_ledgers_schemas_are_here():
    if not SCHEMAS and os.environ.get("CI") == "true":
        pytest.fail("without ../shared/contracts nothing that we send is checked")
    if not SCHEMAS:
        pytest.skip("NOTHING THAT WE SEND IS CHECKED: ../shared/contracts is not on this machine")


def to_quickbooks(resource: str, body: Any) -> list[str]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return violations(
        Sent("POST", f"/quickbooks/v3/company/9130/{resource}", (), {"content-type": "application/json"}, raw)
    )


def to_xero(method: str, path: str, body: Any = None, **query: str) -> list[str]:
    headers = {
        "content-type": "application/json",
        "xero-tenant-id": TENANT,
        "authorization": "Bearer t",
    }
    raw = b"" if body is None else json.dumps(body).encode()
    return violations(Sent(method, f"/xero/api.xro/2.0{path}", tuple(query.items()), headers, raw))


def an_invoice(**changed: Any) -> dict[str, Any]:
    line = {
        "Amount": 283.33,
        "DetailType": "SalesItemLineDetail",
        "SalesItemLineDetail": {"ItemRef": {"value": "7"}, "TaxCodeRef": {"value": "NON"}},
    }
    base = {"CustomerRef": {"value": "1"}, "TxnDate": "2026-11-21", "DocNumber": "1001-P1.1", "Line": [line]}
    return base | changed


@needs_schemas
def test_right_requests_to_quickbooks_pass():
    assert to_quickbooks("invoice", an_invoice()) == []
    assert (
        to_quickbooks("invoice", {"Id": "12", "SyncToken": "0", "sparse": True, "DueDate": "2026-12-21"})
        == []
    )
    assert (
        to_quickbooks(
            "batch", {"BatchItemRequest": [{"bId": "1", "operation": "create", "Invoice": an_invoice()}]}
        )
        == []
    )


@needs_schemas
@pytest.mark.parametrize(
    ("resource", "body", "complaint"),
    [
        ("invoice", an_invoice(DocNumbr="1"), "Invoice.DocNumbr: a Invoice has no such field"),
        ("invoice", an_invoice(TxnDate="21/11/2026"), "Invoice.TxnDate: '21/11/2026' is no date"),
        (
            "invoice",
            an_invoice(CustomerRef="1"),
            "Invoice.CustomerRef: a ReferenceType is an object, not '1'",
        ),
        ("invoice", an_invoice(Line={}), "Invoice.Line: must be a list"),
        (
            "invoice",
            an_invoice(Line=[{"Amount": "283.33"}]),
            "Invoice.Line[0].Amount: '283.33' is no decimal",
        ),
        ("invoice", an_invoice(Line=[{"DetailType": "Odd"}]), "Invoice.Line[0].DetailType: 'Odd' is none of"),
        ("invoice", an_invoice(DueDate=None), "Invoice.DueDate: null"),
        ("nothing", {}, "Intuit's schema has no entity 'nothing'"),
        ("invoice", b"{", "the body is not JSON"),
        ("batch", {"BatchItemRequest": [{"Invoice": {"X": 1}}]}, "BatchItemRequest[0].Invoice.X"),
    ],
)
def test_wrong_requests_to_quickbooks_are_named(resource: str, body: Any, complaint: str):
    found = to_quickbooks(resource, body)
    assert [words for words in found if words.startswith(complaint)], found


@needs_schemas
def test_right_requests_to_xero_pass():
    note = {"HistoryRecords": [{"Details": "Reminder 1"}]}
    assert to_xero("PUT", f"/Invoices/{TENANT}/History", note) == []
    assert (
        to_xero("GET", "/Invoices", page="1", pageSize="1000", order="InvoiceID ASC", summaryOnly="true")
        == []
    )


@needs_schemas
@pytest.mark.parametrize(
    ("method", "path", "body", "query"),
    [
        ("PUT", f"/Invoices/{TENANT}/History", {"HistoryRecords": [{"Detail": "x"}]}, {}),
        ("PUT", "/Invoices", {"Invoices": [{"Type": "ACCREC", "HasAttachments": False}]}, {}),
        ("PUT", "/Invoices", {"Invoices": [{"Type": "ACCREC", "LineItem": []}]}, {}),
        ("PUT", f"/CreditNotes/{TENANT}/Allocations", {"Allocations": [{"Amount": 1.0}]}, {}),
        ("PUT", "/CreditNotes", {"CreditNotes": "x"}, {}),
        ("GET", "/Invoices", None, {"page": "one"}),
        ("PUT", "/NoSuchThing", {}, {}),
    ],
)
def test_wrong_requests_to_xero_are_named(method: str, path: str, body: Any, query: dict[str, str]):
    assert to_xero(method, path, body, **query)


@needs_schemas
def test_what_reaches_a_sandbox_in_another_process_is_checked_too(tmp_path: Path):
    file = tmp_path / "sent.jsonl"
    app = flask.Flask("ledger")
    app.add_url_rule("/<path:_any>", view_func=lambda _any: flask.request.get_data(), methods=["POST"])
    app.wsgi_app = recorded(app.wsgi_app, file)  # type: ignore[method-assign]
    recorder, client = Recorder(file), app.test_client()

    answer = client.post(
        "/quickbooks/v3/company/9130/invoice?minorversion=75",
        json=an_invoice(DocNumbr="1"),
        headers={"Authorization": "Bearer secret"},
    )
    client.post("/quickbooks/oauth2/v1/tokens/bearer", data={"grant_type": "x"})

    assert json.loads(answer.data) == an_invoice(DocNumbr="1")  # the body still reached the ledger
    [sent] = recorder.by_children()
    assert violations(sent) == ["Invoice.DocNumbr: a Invoice has no such field"]
    assert (sent.query, sent.headers["authorization"]) == ((("minorversion", "75"),), "Bearer -")
    assert recorder.by_children() == []


def test_other_addresses_are_not_the_gates_business():
    assert violations(Sent("POST", "/xero/connect/token", (), {}, b"grant_type=x")) == []
