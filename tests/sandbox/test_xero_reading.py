"""The pretend Xero's lists and single documents, over plain HTTP."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.xero_office import Office, add_invoices, credit_note, invoice, office


@pytest.fixture
def xero() -> Iterator[Office]:
    with office() as found:
        yield found


def test_a_reply_is_printed_as_xero_prints(xero: Office) -> None:
    xero.authorise("INV-9001", "1000.00", Reference="R1")

    answer = xero.call("GET", "/Invoices/INV-9001")
    text = answer.text

    assert text.startswith('{\r\n  "Id": "')
    assert '"Total": 1150.00,' in text
    assert '"Quantity": 1.0000,' in text
    assert '"CurrencyRate": 1.000000,' in text
    assert '"DateString": "2026-11-20T00:00:00",' in text
    assert '"Date": "/Date(1795132800000+0000)/",' in text
    assert '"Payments": [],' in text
    assert len(answer.headers["Xero-Correlation-Id"]) == 36
    assert "SentToContact" not in answer.json()["Invoices"][0]


def test_an_invoice_shows_its_amounts_lines_and_tax(xero: Office) -> None:
    made = xero.authorise("INV-9001", "1000.00")

    (row,) = xero.get(f"/Invoices/{made['InvoiceID']}")["Invoices"]

    amounts = {
        name: row[name]
        for name in ("SubTotal", "TotalTax", "Total", "AmountDue", "AmountPaid", "AmountCredited")
    }
    assert amounts == {
        "SubTotal": Decimal("1000.00"),
        "TotalTax": Decimal("150.00"),
        "Total": Decimal("1150.00"),
        "AmountDue": Decimal("1150.00"),
        "AmountPaid": Decimal("0.00"),
        "AmountCredited": Decimal("0.00"),
    }
    assert (row["Status"], row["CurrencyCode"], row["Contact"]["Name"]) == (
        "AUTHORISED",
        "NZD",
        "Harbour Cafe",
    )
    (line,) = row["LineItems"]
    assert (line["TaxType"], line["TaxAmount"], line["AccountCode"]) == ("OUTPUT2", Decimal("150.00"), "200")


def test_without_page_a_list_has_no_line_items(xero: Office) -> None:
    xero.authorise("INV-9001", "10.00")

    plain, paged = xero.get("/Invoices"), xero.get("/Invoices", page=1)

    assert ("pagination" in plain, plain["Invoices"][0]["LineItems"]) == (False, [])
    assert paged["pagination"] == {"page": 1, "pageSize": 100, "pageCount": 1, "itemCount": 1}
    assert len(paged["Invoices"][0]["LineItems"]) == 1


def test_a_summary_is_paged_and_short(xero: Office) -> None:
    xero.authorise("INV-9001", "10.00")

    found = xero.get("/Invoices", summaryOnly="true")

    assert found["pagination"]["itemCount"] == 1
    assert not {"Payments", "LineItems", "HasAttachments"} & set(found["Invoices"][0])


def test_pages_follow_the_time_of_change(xero: Office) -> None:
    add_invoices(xero.ledger, 250)

    pages = [xero.get("/Invoices", page=page, pageSize=100) for page in (1, 2, 3, 4)]

    assert [len(page["Invoices"]) for page in pages] == [100, 100, 50, 0]
    assert pages[0]["pagination"] == {"page": 1, "pageSize": 100, "pageCount": 3, "itemCount": 250}
    numbers = [row["InvoiceNumber"] for page in pages for row in page["Invoices"]]
    assert numbers == [f"B-{number:06d}" for number in range(250)]
    xero.post("/Invoices/B-000000", {"Reference": "changed"})
    assert xero.get("/Invoices", page=3, pageSize=100)["Invoices"][-1]["InvoiceNumber"] == "B-000000"


def test_a_page_is_at_most_a_thousand(xero: Office) -> None:
    add_invoices(xero.ledger, 1001)

    found = xero.get("/Invoices", page=1, pageSize=5000)

    assert (found["pagination"]["pageSize"], len(found["Invoices"])) == (1000, 1000)


@pytest.mark.parametrize(
    ("parameters", "numbers"),
    [
        ({"where": 'Status=="AUTHORISED" AND AmountDue>=100'}, ["A-2"]),
        ({"where": "Date==DateTime(2026,11,01)"}, ["A-1"]),
        ({"where": 'InvoiceNumber=="A-3"'}, ["A-3"]),
        ({"InvoiceNumbers": "A-1,A-3"}, ["A-1", "A-3"]),
        ({"Statuses": "DRAFT"}, ["A-3"]),
        ({"order": "InvoiceNumber DESC"}, ["A-3", "A-2", "A-1"]),
        ({"searchTerm": "a-2"}, ["A-2"]),
    ],
)
def test_lists_are_narrowed(xero: Office, parameters: dict[str, str], numbers: list[str]) -> None:
    xero.authorise("A-1", "10.00", Date="2026-11-01")
    xero.authorise("A-2", "200.00")
    xero.authorise("A-3", "300.00", Status="DRAFT")

    found = xero.get("/Invoices", page=1, **parameters)

    assert [row["InvoiceNumber"] for row in found["Invoices"]] == numbers


def test_lists_are_narrowed_by_ids_and_contacts(xero: Office) -> None:
    first = xero.authorise("A-1", "10.00")
    school = xero.customer("Totara School")
    xero.put("/Invoices", invoice(school, "A-2", "20.00"))

    by_id = xero.get("/Invoices", page=1, IDs=first["InvoiceID"])
    by_contact = xero.get("/Invoices", page=1, ContactIDs=school)
    by_where = xero.get("/Invoices", page=1, where=f'Contact.ContactID==guid("{school}")')

    assert [row["InvoiceNumber"] for row in by_id["Invoices"]] == ["A-1"]
    assert [row["InvoiceNumber"] for row in by_contact["Invoices"]] == ["A-2"]
    assert [row["InvoiceNumber"] for row in by_where["Invoices"]] == ["A-2"]


def test_an_unknown_field_in_where_is_refused(xero: Office) -> None:
    answer = xero.call("GET", "/Invoices", params={"where": 'Colour=="red"'})

    assert (answer.status_code, answer.json()["Type"]) == (400, "QueryParseException")


@pytest.mark.parametrize(
    "since", ["2026-11-21T12:00:30", "2026-11-21T12:00:30Z", "Sat, 21 Nov 2026 12:00:30 GMT"]
)
def test_if_modified_since_keeps_what_changed(xero: Office, since: str) -> None:
    xero.authorise("A-1", "10.00")
    xero.world.clock.advance(seconds=30)
    xero.authorise("A-2", "10.00")

    def numbers(header: str) -> list[str]:
        answer = xero.call("GET", "/Invoices?page=1", headers={"If-Modified-Since": header})
        return [row["InvoiceNumber"] for row in answer.json()["Invoices"]]

    assert numbers(since) == ["A-2"]
    assert numbers("2026-11-21T12:00:00") == ["A-1", "A-2"]
    xero.world.set_switch("xero.modified_since_inclusive", False)
    assert numbers(since) == []


def test_a_time_that_is_none_fails_the_precondition(xero: Office) -> None:
    answer = xero.call("GET", "/Invoices", headers={"If-Modified-Since": "yesterday"})

    assert answer.status_code == 412


def test_only_what_my_app_made(xero: Office) -> None:
    add_invoices(xero.ledger, 1)
    xero.authorise("A-1", "10.00")

    found = xero.get("/Invoices", page=1, createdByMyApp="true")

    assert [row["InvoiceNumber"] for row in found["Invoices"]] == ["A-1"]


def test_unit_amounts_have_two_or_four_decimals(xero: Office) -> None:
    line = {
        "Description": "Screws",
        "Quantity": 1000,
        "UnitAmount": 0.0525,
        "AccountCode": "200",
        "TaxType": "NONE",
    }
    body = invoice(xero.harbour, "A-1", "1", LineItems=[line])
    xero.put("/Invoices", body, params={"unitdp": "4"})
    xero.put("/Invoices", {**body, "InvoiceNumber": "A-2"})

    four, two = xero.call("GET", "/Invoices/A-1?unitdp=4").text, xero.call("GET", "/Invoices/A-1").text

    assert '"UnitAmount": 0.0525,' in four
    assert '"UnitAmount": 0.05,' in two
    assert '"Total": 52.50,' in two
    assert '"Total": 50.00,' in xero.call("GET", "/Invoices/A-2").text


def test_contacts_show_what_they_owe(xero: Office) -> None:
    xero.authorise("A-1", "100.00", DueDate="2026-11-20")
    xero.authorise("A-2", "200.00")
    xero.put("/CreditNotes", credit_note(xero.harbour, "CN-1", "30.00"))

    found = xero.get("/Contacts", page=1, where='Name=="Harbour Cafe"')["Contacts"][0]

    # 115.00 + 230.00 owed, 30.00 of credit waiting; only the first is past due
    assert found["Balances"]["AccountsReceivable"] == {
        "Outstanding": Decimal("315.00"),
        "Overdue": Decimal("115.00"),
    }
    assert found["PaymentTerms"] == {"Sales": {"Day": 30, "Type": "DAYSAFTERBILLDATE"}}
    assert found["IsCustomer"] is True


def test_archived_contacts_are_asked_for(xero: Office) -> None:
    xero.post(f"/Contacts/{xero.harbour}", {"ContactStatus": "ARCHIVED"})

    shown = [row["Name"] for row in xero.get("/Contacts", page=1)["Contacts"]]
    everyone = [row["Name"] for row in xero.get("/Contacts", page=1, includeArchived="true")["Contacts"]]

    assert shown == ["Totara School", "Sydney Fit-outs"]
    assert everyone == ["Totara School", "Sydney Fit-outs", "Harbour Cafe"]


def test_the_organisation_states_its_facts(xero: Office) -> None:
    xero.ledger.organization.closed_until = dt.date(2026, 9, 30)

    (row,) = xero.get("/Organisation")["Organisations"]

    facts = {
        name: row[name]
        for name in ("Name", "BaseCurrency", "CountryCode", "Version", "Timezone", "SalesTaxBasis")
    }
    assert facts == {
        "Name": "Kauri Joinery",
        "BaseCurrency": "NZD",
        "CountryCode": "NZ",
        "Version": "NZ",
        "Timezone": "NEWZEALANDSTANDARDTIME",
        "SalesTaxBasis": "INVOICE",
    }
    assert (row["PeriodLockDate"], "EndOfYearLockDate" in row) == ("/Date(1790726400000+0000)/", False)


def test_the_settings_are_listed(xero: Office) -> None:
    accounts = {row["Code"]: row for row in xero.get("/Accounts")["Accounts"]}
    banks = xero.get("/Accounts", where='Type=="BANK"')["Accounts"]
    rates = {row["TaxType"]: row["EffectiveRate"] for row in xero.get("/TaxRates")["TaxRates"]}

    assert (accounts["610"]["SystemAccount"], accounts["990"]["Status"]) == ("DEBTORS", "ARCHIVED")
    assert "SystemAccount" not in accounts["850"]
    assert [row["Code"] for row in banks] == ["090"]
    assert rates == {"OUTPUT2": 15, "ZERORATEDOUTPUT": 0, "EXEMPTOUTPUT": 0, "NONE": 0}
    assert "NZD" in [row["Code"] for row in xero.get("/Currencies")["Currencies"]]
    assert xero.get("/InvoiceReminders/Settings")["InvoiceReminders"] == [{"Enabled": False}]
    assert [row["Name"] for row in xero.get("/BrandingThemes")["BrandingThemes"]] == [
        "Standard",
        "Instalment request",
    ]
    assert xero.get("/Users")["Users"][0]["FirstName"] == "Robin"


def test_what_is_not_there_is_a_plain_404(xero: Office) -> None:
    answer = xero.call("GET", "/Invoices/INV-404")
    nowhere = xero.call("GET", "/Quotes")

    assert (answer.status_code, answer.text) == (404, "The resource you're looking for cannot be found")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert nowhere.status_code == 404
    xero.world.set_switch("xero.not_found_json", True)
    assert xero.call("GET", "/Invoices/INV-404").json()["Status"] == 404


def test_who_does_not_ask_for_json_gets_xml(xero: Office) -> None:
    answer = xero.call("GET", "/Organisation", headers={"Accept": "*/*"})

    assert answer.headers["Content-Type"].startswith("text/xml")
    assert "<Name>Kauri Joinery</Name>" in answer.text
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.text)


def test_slow_questions_over_many_records_are_refused(xero: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.xero.lists.SLOW_FROM", 3)
    add_invoices(xero.ledger, 4)

    def status(**parameters: Any) -> int:
        return xero.call("GET", "/Invoices", params=parameters).status_code

    assert status() == 400
    assert status(page=1) == 200
    assert status(page=1, where='Status=="PAID"') == 200
    assert status(page=1, where='Status=="PAID" OR Status=="DRAFT"') == 400
    assert status(page=1, where='CurrencyCode=="NZD"') == 400
    assert status(page=1, order="DueDate ASC") == 400
    xero.world.set_switch("xero.refuse_slow_queries", False)
    assert status(page=1, order="DueDate ASC") == 200
