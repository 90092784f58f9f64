"""Creating, updating, voiding and deleting on the pretend QuickBooks: every no that the real one says."""

from __future__ import annotations

from datetime import date

import pytest

from sandbox.documents import Ref
from tests.sandbox.quickbooks_company import Company, fault, read, sale


@pytest.fixture
def diner(company: Company) -> str:
    return company.customer("Red Rock Diner", email="till@redrock.example")


# ---- create ------------------------------------------------------------------------------------------------


def test_an_invoice_comes_back_whole(company: Company, diner: str):
    made = company.invoice(diner, "337.50", TxnDate="2026-11-02", PrivateNote="plan=PP-0001 v=1")
    assert made["Id"] == "1"
    assert made["SyncToken"] == "0"
    assert made["CustomerRef"] == {"value": diner, "name": "Red Rock Diner"}
    assert (str(made["TotalAmt"]), str(made["Balance"])) == ("337.50", "337.50")
    assert made["DueDate"] == "2026-12-02"  # the company's terms: net 30
    assert made["Line"][-1]["DetailType"] == "SubTotalLineDetail"
    assert "Id" not in made["Line"][-1]
    assert made["PrivateNote"] == "plan=PP-0001 v=1"
    assert "CustomerMemo" not in made
    assert made["MetaData"]["CreateTime"].endswith("-08:00")


def test_a_document_without_date_gets_the_servers_pacific_date(company: Company, diner: str):
    from datetime import UTC, datetime

    company.world.clock.set(datetime(2026, 11, 22, 5, 0, tzinfo=UTC))
    try:
        assert company.invoice(diner)["TxnDate"] == "2026-11-21"
    finally:
        company.world.clock.set_today(date(2026, 11, 21))


def test_the_due_date_follows_the_documents_terms_then_the_customers(company: Company):
    term = company.save("Term", {"Name": "Net 10", "DueDays": 10})
    customer = company.save("Customer", {"DisplayName": "Slow Mill", "SalesTermRef": {"value": term["Id"]}})
    assert company.invoice(customer["Id"], TxnDate="2026-11-01")["DueDate"] == "2026-11-11"
    fifteen = company.query("select * from Term where Name = 'Net 15'")["Term"][0]
    other = company.invoice(customer["Id"], TxnDate="2026-11-01", SalesTermRef={"value": fifteen["Id"]})
    assert other["DueDate"] == "2026-11-16"


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"CustomerRef": None}, "2020", "CustomerRef"),
        ({"CustomerRef": {"value": "999"}}, "2500", "999"),
        ({"Line": []}, "2020", "Line"),
        (
            {"Colour": "red"},
            "2010",
            'Unrecognized field "Colour" (class com.intuit.schema.finance.v3.Invoice)',
        ),
        ({"DocNumber": "1" * 22}, "2050", "Max:21"),
        ({"PrivateNote": "x" * 4001}, "2050", "Max:4000"),
        ({"CustomerMemo": {"value": "x" * 1001}}, "2050", "Max:1000"),
        ({"CustomerMemo": {"text": "x"}}, "2010", "MemoRef|Memo"),
        ({"TxnDate": "21/11/2026"}, "2010", "invalid date"),
        ({"ExchangeRate": "one"}, "2080", "ExchangeRate"),
        ({"Deposit": float("nan")}, "2080", "Deposit"),
        ({"EmailStatus": "NeedToSend"}, "6000", "email"),
        ({"CurrencyRef": {"value": "EUR"}}, "6000", "currenc"),
    ],
)
def test_bodies_that_are_refused(company: Company, change: dict, code: str, words: str):
    customer = company.customer("No Mail Ltd")
    answer = company.post("invoice", sale(customer, "10.00") | change)
    assert answer.status_code == 400
    assert fault(answer)["code"] == code
    assert any(word in fault(answer)["Detail"] for word in words.split("|"))
    assert company.query("select count(*) from Invoice") == {"totalCount": 0}


def test_an_unknown_property_deep_in_a_line_is_refused_too(company: Company, diner: str):
    body = sale(diner, "10.00")
    body["Line"][0]["SalesItemLineDetail"]["Price"] = 10
    answer = company.post("invoice", body)
    assert fault(answer)["code"] == "2010"
    assert "SalesItemLineDetail" in fault(answer)["Detail"]


@pytest.mark.parametrize(
    ("quantity", "price", "amount", "taken"),
    [
        (3, 33.335, 100.01, True),  # 100.005 rounds half up
        (3, 33.335, 100.00, False),  # half even would be taken
        (1, 850.00, 850.00, True),
        (0, 0, 850.00, False),  # what the SDK sends by itself
        (2, 1.115, 2.23, True),
    ],
)
def test_amount_is_quantity_times_price_rounded_half_up(
    company: Company, diner: str, quantity: float, price: float, amount: float, taken: bool
):
    body = sale(diner, "1")
    body["Line"][0]["Amount"] = amount
    body["Line"][0]["SalesItemLineDetail"] |= {"Qty": quantity, "UnitPrice": price}
    answer = company.post("invoice", body)
    if taken:
        assert float(answer.json()["Invoice"]["TotalAmt"]) == amount
    else:
        assert fault(answer)["code"] == "6070"
        assert fault(answer)["Detail"].startswith(
            "Amount calculation incorrect in the request : Amount is not equal to UnitPrice * Qty. Supplied value:"
        )


def test_totals_that_are_sent_are_overwritten(company: Company, diner: str):
    made = company.invoice(diner, "10.00", TotalAmt=999, Balance=1, HomeBalance=5)
    assert (made["TotalAmt"], made["Balance"]) == (10, 10)


def test_a_us_company_knows_no_global_tax_calculation(company: Company, diner: str):
    made = company.invoice(diner, "10.00", GlobalTaxCalculation="TaxExcluded", AllowIPNPayment=True)
    assert "GlobalTaxCalculation" not in made
    assert made["AllowIPNPayment"] is False


def test_a_duplicate_number_is_refused_while_the_preference_is_on(company: Company, diner: str):
    first = company.invoice(diner, DocNumber="INV-7")
    answer = company.post("invoice", sale(diner, "5", DocNumber="INV-7"))
    assert fault(answer)["code"] == "6140"
    assert (
        f"DocNumber=INV-7 is assigned to TxnType=Invoice with TxnId={first['Id']}" in fault(answer)["Detail"]
    )
    allowed = company.save("Invoice", sale(diner, "5", DocNumber="INV-7"), include="allowduplicatedocnum")
    assert allowed["DocNumber"] == "INV-7"
    preferences = read(company.get("preferences"))["Preferences"]
    pair = {"Name": "WarnDuplicateCheckNumber", "Value": "false"}
    company.save(
        "Preferences",
        {
            "Id": "1",
            "SyncToken": preferences["SyncToken"],
            "sparse": True,
            "OtherPrefs": {"NameValue": [pair]},
        },
    )
    assert company.invoice(diner, DocNumber="INV-7")["DocNumber"] == "INV-7"


def test_numbers_are_given_unless_they_are_set_by_hand(company: Company, diner: str):
    assert company.invoice(diner)["DocNumber"] == "1001"
    company.save(
        "Preferences", {"SyncToken": "0", "sparse": True, "SalesFormsPrefs": {"CustomTxnNumbers": True}}
    )
    assert "DocNumber" not in company.invoice(diner)


def test_numbers_as_text_can_be_switched_off(company: Company, diner: str):
    body = sale(diner, "1")
    body["Line"][0]["Amount"] = "300.10"
    assert str(company.save("Invoice", body)["TotalAmt"]) == "300.10"
    company.switch("strings_as_decimals", "refuse")
    assert company.refused("invoice", body) == "2010"


# ---- names -------------------------------------------------------------------------------------------------


def test_one_name_space_for_customers_vendors_and_employees(company: Company, diner: str):
    company.books.organization.extra["other_names"] = ["Acme Supplies"]
    assert company.refused("customer", {"DisplayName": "red rock diner"}) == "6240"
    assert company.refused("customer", {"DisplayName": "Acme Supplies"}) == "6240"
    assert (
        company.refused("customer", {"Id": diner, "SyncToken": "0", "DisplayName": "Acme Supplies"}) == "6240"
    )
    assert company.refused("customer", {"DisplayName": "Red:Rock"}) == "6000"
    assert company.refused("customer", {"CompanyName": "No name"}) == "2020"
    assert company.refused("customer", {"DisplayName": "x" * 501}) == "2050"
    assert company.refused("customer", {"DisplayName": "M", "Suffix": "x" * 17}) == "2050"


def test_an_inactive_name_is_free_again(company: Company, diner: str):
    gone = company.save("Customer", {"Id": diner, "SyncToken": "0", "sparse": True, "Active": False})
    assert (gone["Active"], gone["DisplayName"]) == (False, "Red Rock Diner (deleted)")
    again = company.save("Customer", {"DisplayName": "Red Rock Diner"})
    assert again["Id"] != diner
    assert company.refused("invoice", sale(diner, "1")) == "610"


def test_names_of_accounts_items_and_terms_are_unique(company: Company):
    account = {"Name": "Payment plan clearing", "AccountType": "Other Current Liability"}
    made = company.save("Account", account)
    assert (made["Classification"], made["AccountSubType"]) == ("Liability", "OtherCurrentLiabilities")
    assert company.refused("account", account) == "6240"
    item = {"Name": "Installment", "Type": "Service", "IncomeAccountRef": {"value": made["Id"]}}
    company.save("Item", item)
    assert company.refused("item", item) == "6240"
    other = company.save("Item", item | {"Name": "Interest"})
    rename = {"Id": other["Id"], "SyncToken": "0", "sparse": True, "Name": "installment"}
    assert company.refused("item", rename) == "6240"
    company.save("Term", {"Name": "Net 7", "DueDays": 7})
    assert company.refused("term", {"Name": "net 7", "DueDays": 7}) == "6240"
    assert company.refused("term", {"Name": "x" * 32, "DueDays": 7}) == "2050"
    assert company.refused("term", {"Name": "Net 1000", "DueDays": 1000}) == "2080"


def test_a_clearing_account_behind_an_item(company: Company):
    for kind in ("Other Current Liability", "Other Current Asset"):
        account = company.save("Account", {"Name": f"Clearing {kind}", "AccountType": kind})
        item = {"Name": f"Plan {kind}", "Type": "Service", "IncomeAccountRef": {"value": account["Id"]}}
        assert company.save("Item", item)["IncomeAccountRef"]["value"] == account["Id"]
    receivable = company.ids("select * from Account where AccountType = 'Accounts Receivable'")[0]
    wrong = {"Name": "Wrong", "Type": "Service", "IncomeAccountRef": {"value": receivable}}
    assert company.refused("item", wrong) == "6430"
    payable = company.save("Account", {"Name": "Payables", "AccountType": "Accounts Payable"})
    assert company.refused("item", wrong | {"IncomeAccountRef": {"value": payable["Id"]}}) == "6430"
    assert company.refused("item", {"Name": "Nothing", "Type": "Service"}) == "2020"
    assert company.refused("item", wrong | {"IncomeAccountRef": {"value": "99"}}) == "2500"
    company.switch("item_account", "income")
    late = wrong | {"Name": "Late", "IncomeAccountRef": {"value": account["Id"]}}
    assert company.refused("item", late) == "6430"


def test_lists_cannot_be_deleted(company: Company, diner: str):
    assert company.refused("customer", {"Id": diner, "SyncToken": "0"}, operation="delete") == "500"


def test_sub_customers(company: Company, diner: str):
    child = company.save(
        "Customer", {"DisplayName": "55 Twin Lane", "Job": True, "ParentRef": {"value": diner}}
    )
    assert child["FullyQualifiedName"] == "Red Rock Diner:55 Twin Lane"
    company.invoice(child["Id"], "30.00")
    company.invoice(diner, "12.50")
    parent = company.read("Customer", diner)
    assert (str(parent["Balance"]), str(parent["BalanceWithJobs"])) == ("12.50", "42.50")


def test_a_company_of_one_currency_takes_no_foreign_customer(company: Company):
    assert (
        company.refused("customer", {"DisplayName": "Lyon SARL", "CurrencyRef": {"value": "EUR"}}) == "6000"
    )


@pytest.mark.parametrize(
    ("day", "due"), [("2026-11-03", "2026-11-15"), ("2026-11-12", "2026-12-15"), ("2026-11-20", "2026-12-15")]
)
def test_terms_by_the_day_of_the_month(company: Company, diner: str, day: str, due: str):
    """Due on the 15th; within 5 days of it, on the 15th of the next month."""
    term = company.save("Term", {"Name": "15th", "DayOfMonthDue": 15, "DueNextMonthDays": 5})
    assert term["Type"] == "DATE_DRIVEN"
    made = company.invoice(diner, TxnDate=day, SalesTermRef={"value": term["Id"]})
    assert made["DueDate"] == due


def test_sub_customers_go_four_levels_deep(company: Company, diner: str):
    parent = diner
    for n in range(1, 5):
        parent = company.save("Customer", {"DisplayName": f"Level {n}", "ParentRef": {"value": parent}})["Id"]
    assert company.refused("customer", {"DisplayName": "Level 5", "ParentRef": {"value": parent}}) == "6000"


# ---- update ------------------------------------------------------------------------------------------------


def test_a_stale_sync_token_names_the_other_user(company: Company, diner: str):
    made = company.invoice(diner)
    company.save("Invoice", {"Id": made["Id"], "SyncToken": "0", "sparse": True, "PrivateNote": "first"})
    answer = company.post(
        "invoice", {"Id": made["Id"], "SyncToken": "0", "sparse": True, "PrivateNote": "second"}
    )
    assert (answer.status_code, fault(answer)["code"]) == (400, "5010")
    assert "were working on this at the same time" in fault(answer)["Detail"]
    assert company.read("Invoice", made["Id"])["PrivateNote"] == "first"


def test_an_update_needs_a_sync_token_and_an_id_that_exists(company: Company, diner: str):
    made = company.invoice(diner)
    assert company.refused("invoice", {"Id": made["Id"], "sparse": True}) == "2020"
    assert company.refused("invoice", {"Id": "999", "SyncToken": "0", "sparse": True}) == "610"
    assert company.refused("invoice", {"Id": "abc", "SyncToken": "0", "sparse": True}) == "2030"


def test_an_update_that_changes_nothing_changes_no_token(company: Company, diner: str):
    made = company.invoice(diner, PrivateNote="as it was", CustomerMemo={"value": "Thanks"})
    again = company.save(
        "Invoice", {"Id": made["Id"], "SyncToken": "0", "sparse": True, "PrivateNote": "as it was"}
    )
    assert (again["SyncToken"], again["MetaData"]) == ("0", made["MetaData"])
    full = company.save(
        "Invoice", {k: v for k, v in made.items() if k != "sparse"} | {"TotalAmt": 1, "Line": LITERAL(made)}
    )
    assert full["SyncToken"] == "0"
    customer = company.save(
        "Customer", {"Id": diner, "SyncToken": "0", "sparse": True, "DisplayName": "Red Rock Diner"}
    )
    assert customer["SyncToken"] == "0"


def LITERAL(made: dict) -> list:
    """Lines as JSON can carry them again."""
    return [line | {"Amount": float(line["Amount"])} for line in made["Line"]]


def test_sparse_keeps_what_it_does_not_name_and_full_clears_it(company: Company, diner: str):
    made = company.invoice(
        diner, "80.00", PrivateNote="keep", CustomerMemo={"value": "Thanks"}, DueDate="2026-12-24"
    )
    sparse = company.save(
        "Invoice", {"Id": made["Id"], "SyncToken": "0", "sparse": True, "DueDate": "2027-01-15"}
    )
    assert (sparse["DueDate"], sparse["PrivateNote"], sparse["CustomerMemo"]["value"]) == (
        "2027-01-15",
        "keep",
        "Thanks",
    )
    assert [line["Amount"] for line in sparse["Line"]] == [80, 80]
    full = company.save("Invoice", sale(diner, "80.00", Id=made["Id"], SyncToken="1"))
    assert "PrivateNote" not in full
    assert "CustomerMemo" not in full


def test_a_line_array_in_a_sparse_update_replaces_all_lines(company: Company, diner: str):
    body = sale(diner, "60.00", PrivateNote="two lines")
    body["Line"].append(sale(diner, "40.00")["Line"][0])
    made = company.save("Invoice", body)
    assert made["TotalAmt"] == 100
    one = [sale(diner, "60.00")["Line"][0] | {"Id": "1"}]
    sparse = company.save("Invoice", {"Id": made["Id"], "SyncToken": "0", "sparse": True, "Line": one})
    assert (sparse["TotalAmt"], len(sparse["Line"]), sparse["PrivateNote"]) == (60, 2, "two lines")


def test_the_books_are_closed_to_a_date(company: Company, diner: str):
    old = company.invoice(diner, TxnDate="2026-08-31")
    company.save(
        "Preferences",
        {"SyncToken": "0", "sparse": True, "AccountingInfoPrefs": {"BookCloseDate": "2026-09-30"}},
    )
    assert (
        read(company.get("preferences"))["Preferences"]["AccountingInfoPrefs"]["BookCloseDate"]
        == "2026-09-30"
    )
    assert company.refused("invoice", sale(diner, "5", TxnDate="2026-09-30")) == "6210"
    assert company.invoice(diner, "5", TxnDate="2026-10-01")["TotalAmt"] == 5
    note = {"Id": old["Id"], "SyncToken": "0", "sparse": True, "PrivateNote": "x"}
    assert company.refused("invoice", note) == "6210"
    assert company.refused("invoice", {"Id": old["Id"], "SyncToken": "0"}, operation="void") == "6210"
    assert company.refused("invoice", {"Id": old["Id"], "SyncToken": "0"}, operation="delete") == "6210"
    company.switch("closed_period", "silent")
    assert company.save("Invoice", note)["SyncToken"] == "0"  # 200, and nothing happened
    paid = company.pay(diner, "100.00", ("Invoice", old["Id"], "100.00"))  # dated today: allowed
    assert paid["UnappliedAmt"] == 0


def test_a_subscription_that_ended_lets_only_reading_through(company: Company, diner: str):
    company.books.organization.active = False
    assert company.refused("invoice", sale(diner, "5")) == "6190"
    nested = upload(company, "Customer", diner).json()["AttachableResponse"][0]
    assert nested["Fault"]["Error"][0]["code"] == "6190"
    assert company.read("Customer", diner)["DisplayName"] == "Red Rock Diner"


# ---- void, delete, send ------------------------------------------------------------------------------------


def test_a_void_invoice_keeps_its_lines_at_whole_zero(company: Company, diner: str):
    body = sale(diner, "1", PrivateNote="Rush order")
    body["Line"][0] |= {"Amount": 75.5, "Description": "Rosebush"}
    body["Line"][0]["SalesItemLineDetail"] |= {"Qty": 1, "UnitPrice": 75.5}
    made = company.save("Invoice", body)
    answer = company.post("invoice", {"Id": made["Id"], "SyncToken": "0"}, operation="void")
    voided = answer.json()["Invoice"]
    line = voided["Line"][0]
    assert (voided["TotalAmt"], voided["Balance"], voided["LinkedTxn"], voided["SyncToken"]) == (
        0,
        0,
        [],
        "1",
    )
    assert voided["PrivateNote"].startswith("Voided")
    assert voided["PrivateNote"].endswith("Rush order")
    assert (line["Amount"], line["SalesItemLineDetail"]["Qty"], line["Description"]) == (0, 0, "Rosebush")
    assert line["SalesItemLineDetail"]["ItemRef"] == {"value": "2", "name": "Delivery"}
    assert voided["TxnTaxDetail"] == {"TotalTax": 0}
    assert voided["Line"][1] == {"Amount": 0, "DetailType": "SubTotalLineDetail", "SubTotalLineDetail": {}}
    assert '"Amount":0,' in answer.text
    assert '"Balance":0,' in answer.text
    assert '":0.00' not in answer.text
    assert company.ids("select * from Invoice where Balance > '0'") == []
    assert company.ids("select * from Invoice") == [made["Id"]]


@pytest.mark.parametrize("entity", ["Invoice", "CreditMemo"])
def test_delete(company: Company, diner: str, entity: str):
    made = company.save(entity, sale(diner, "5"))
    path = entity.lower()
    assert company.refused(path, {"Id": made["Id"], "SyncToken": "7"}, operation="delete") == "5010"
    gone = company.save(entity, {"Id": made["Id"], "SyncToken": "0"}, operation="delete")
    assert gone == {"domain": "QBO", "status": "Deleted", "Id": made["Id"]}
    answer = company.get(f"{path}/{made['Id']}")
    assert (answer.status_code, fault(answer)["code"]) == (400, "610")
    assert company.refused(path, {"Id": made["Id"], "SyncToken": "0"}, operation="delete") == "610"


def test_wrong_shapes_of_void(company: Company, diner: str):
    credit = company.credit(diner)
    assert company.refused("creditmemo", {"Id": credit["Id"], "SyncToken": "0"}, operation="void") == "500"
    assert company.refused("creditmemo", {"operation": "void", "Id": credit["Id"]}) == "2010"
    accounts = company.ids("select * from Account where AccountType = 'Income'")
    lines = [
        {"Amount": 5, "JournalEntryLineDetail": {"PostingType": side, "AccountRef": {"value": account}}}
        for side, account in zip(("Debit", "Credit"), accounts, strict=False)
    ]
    journal = company.save("JournalEntry", {"Line": lines})
    answer = company.post("journalentry", {"Id": journal["Id"], "SyncToken": "0"}, operation="void")
    assert (answer.status_code, answer.json()["BatchItemResponse"]) == (200, [])
    assert company.read("JournalEntry", journal["Id"])["SyncToken"] == "0"
    invoice = company.invoice(diner, "9.00")
    like_a_payment = {"Id": invoice["Id"], "SyncToken": "0", "sparse": True}
    untouched = company.save("Invoice", like_a_payment, operation="update", include="void")
    assert (untouched["TotalAmt"], untouched["SyncToken"]) == (9, "0")
    paid = company.pay(diner, "9.00", ("Invoice", invoice["Id"], "9.00"))
    assert company.refused("payment", {"Id": paid["Id"], "SyncToken": "0"}, operation="void") == "500"


def test_send_marks_the_invoice_and_can_change_the_address(company: Company, diner: str):
    made = company.invoice(diner)
    octets = {"Content-Type": "application/octet-stream"}
    answer = company.call("POST", f"invoice/{made['Id']}/send", headers=octets)
    assert fault(answer)["code"] == "6000"
    answer = company.call(
        "POST", f"invoice/{made['Id']}/send", params={"sendTo": "a+b@redrock.example"}, headers=octets
    )
    sent = read(answer)["Invoice"]
    assert (sent["EmailStatus"], sent["BillEmail"]) == ("EmailSent", {"Address": "a+b@redrock.example"})
    assert sent["DeliveryInfo"]["DeliveryType"] == "Email"
    assert sent["DeliveryInfo"]["DeliveryTime"].endswith("-08:00")
    assert sent["SyncToken"] == "1"


def test_pdf(company: Company, diner: str):
    made = company.invoice(diner)
    answer = company.call("GET", f"invoice/{made['Id']}/pdf", headers={"Accept": "application/pdf"})
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-1.4")


def test_the_pay_link_needs_payments_online_payment_and_an_address(company: Company, diner: str):
    body = sale(diner, "5", AllowOnlineACHPayment=True, BillEmail={"Address": "till@redrock.example"})
    made = company.save("Invoice", body, include="invoiceLink")
    assert "InvoiceLink" not in made
    company.save(
        "Preferences",
        {"SyncToken": "0", "sparse": True, "SalesFormsPrefs": {"ETransactionPaymentEnabled": True}},
    )
    linked = read(company.get(f"invoice/{made['Id']}", include="invoiceLink"))["Invoice"]
    assert linked["InvoiceLink"].startswith("https://connect.intuit.com/")
    assert "InvoiceLink" not in company.read("Invoice", made["Id"])
    assert "InvoiceLink" not in company.save(
        "Invoice", sale(diner, "6", AllowOnlineACHPayment=True), include="invoiceLink"
    )


# ---- notes and files ---------------------------------------------------------------------------------------


def test_a_note_on_an_invoice_is_found_by_query(company: Company, diner: str):
    made = company.invoice(diner)
    before = company.read("Invoice", made["Id"])
    ref = {"EntityRef": {"type": "Invoice", "value": made["Id"]}, "IncludeOnSend": False}
    note = company.save("Attachable", {"Note": "Reminder 1 sent", "AttachableRef": [ref]})
    where = f"AttachableRef.EntityRef.Type = 'Invoice' and AttachableRef.EntityRef.value = '{made['Id']}'"
    rows = company.query(f"select * from Attachable where {where}")["Attachable"]
    assert [(row["Id"], row["Note"], row["AttachableRef"]) for row in rows] == [
        (note["Id"], "Reminder 1 sent", [ref])
    ]
    assert company.read("Invoice", made["Id"]) == before


def test_a_note_that_is_empty_too_long_or_on_nothing(company: Company):
    empty = company.post("attachable", {"AttachableRef": []})
    assert (fault(empty)["code"], "at least a note string or file" in fault(empty)["Detail"]) == (
        "6000",
        True,
    )
    ref = {"EntityRef": {"type": "Estimate", "value": "75"}}
    nowhere = company.post("attachable", {"Note": "x", "AttachableRef": [ref]})
    assert "The entity Estimate 75 that you are trying to link does not exist." in fault(nowhere)["Detail"]
    assert company.refused("attachable", {"Note": "x" * 2001}) == "2050"


def upload(company: Company, type: str, id: str):
    ref = f'{{"AttachableRef":[{{"EntityRef":{{"type":"{type}","value":"{id}"}}}}],"FileName":"plan.pdf","ContentType":"application/pdf"}}'
    files = {
        "file_metadata_01": (None, ref, "application/json"),
        "file_content_01": ("plan.pdf", b"%PDF-1.4 \x00\xff\r\nbytes", "application/pdf"),
    }
    return company.call("POST", "upload", files=files)


def test_a_file_on_an_invoice(company: Company, diner: str):
    made = company.invoice(diner)
    answer = upload(company, "Invoice", made["Id"])
    file = answer.json()["AttachableResponse"][0]["Attachable"]
    assert (file["FileName"], file["ContentType"], file["Size"]) == ("plan.pdf", "application/pdf", 18)
    assert file["AttachableRef"][0]["EntityRef"] == {"type": "Invoice", "value": made["Id"]}
    assert company.get(f"download/{file['Id']}").content == b"%PDF-1.4 \x00\xff\r\nbytes"


def test_a_file_on_nothing_is_a_fault_nested_in_a_200(company: Company):
    answer = upload(company, "Estimate", "75")
    assert answer.status_code == 200
    error = answer.json()["AttachableResponse"][0]["Fault"]["Error"][0]
    assert (error["code"], "Estimate 75" in error["Detail"]) == ("6000", True)


def test_bodies_that_are_no_json_object(company: Company):
    for body in (b"{", b"[1]", b""):
        answer = company.call("POST", "invoice", data=body, headers={"Content-Type": "application/json"})
        assert fault(answer)["code"] == "2010"


def test_voiding_a_bill_is_a_fault_in_a_200(company: Company):
    answer = company.post("bill", {"Id": "1", "SyncToken": "0"}, operation="void")
    assert (answer.status_code, fault(answer)["code"]) == (200, "10000")


def test_paths_that_lead_nowhere(company: Company):
    for method, path in (
        ("GET", "nothing/1"),
        ("POST", "nothing"),
        ("GET", "invoice"),
        ("POST", "taxcode"),
        ("GET", "reports/Nope"),
    ):
        answer = company.call(method, path, data=b"{}" if method == "POST" else None)
        assert (answer.status_code, fault(answer)["code"]) == (400, "500")


def test_a_merged_customer_is_gone_and_its_invoices_are_the_survivors(company: Company, diner: str):
    double = company.customer("Red Rock Diner Ltd")
    made = company.invoice(double, "15.00")
    company.books.merge_customers(double, diner)
    assert company.read("Invoice", made["Id"])["CustomerRef"]["value"] == diner
    assert company.ids("select * from Customer where Active IN (true, false)") == [diner]
    assert fault(company.get(f"customer/{double}"))["code"] == "610"


def test_editing_a_void_invoice_is_refused(company: Company, diner: str):
    made = company.invoice(diner)
    company.books.void(Ref("invoice", made["Id"]))
    assert (
        company.refused(
            "invoice", {"Id": made["Id"], "SyncToken": "1", "sparse": True, "DueDate": "2027-01-01"}
        )
        == "6000"
    )
