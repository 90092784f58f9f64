"""Balances on the pretend QuickBooks: payments, credits, deposits, voids, automatic application, currencies, tax."""

from __future__ import annotations

import pytest

from sandbox import reports
from tests.sandbox.quickbooks_company import Company, fault, found, payment, read, sale


def balance(company: Company, id: str) -> str:
    return str(company.read("Invoice", id)["Balance"])


def owes(company: Company, customer: str) -> str:
    return str(company.read("Customer", customer)["Balance"])


# ---- payments ----------------------------------------------------------------------------------------------


def test_a_part_payment(company: Company, diner: str):
    invoice = company.invoice(diner, "100.00")
    paid = company.pay(diner, "55.00", ("Invoice", invoice["Id"], "55.00"), PaymentRefNum="CH-1")
    assert (paid["TotalAmt"], paid["UnappliedAmt"], paid["PaymentRefNum"]) == (55, 0, "CH-1")
    line = paid["Line"][0]
    assert (str(line["Amount"]), line["LinkedTxn"]) == (
        "55.00",
        [{"TxnId": invoice["Id"], "TxnType": "Invoice"}],
    )
    extra = {entry["value"]["Name"]: entry["value"]["Value"] for entry in line["LineEx"]["any"]}
    assert extra == {"txnId": invoice["Id"], "txnOpenBalance": "100.00", "txnReferenceNumber": "1001"}
    for absent in ("DueDate", "Balance", "DocNumber"):
        assert absent not in paid
    undeposited = company.query("select * from Account where AccountSubType = 'UndepositedFunds'")["Account"][
        0
    ]
    assert paid["DepositToAccountRef"]["value"] == undeposited["Id"]
    after = company.read("Invoice", invoice["Id"])
    assert (after["Balance"], after["LinkedTxn"]) == (45, [{"TxnId": paid["Id"], "TxnType": "Payment"}])
    assert owes(company, diner) == "45"


def test_money_on_account_lowers_the_customer_but_no_invoice(company: Company, diner: str):
    invoice = company.invoice(diner, "55.00")
    paid = company.pay(diner, "300.00")
    assert (paid["TotalAmt"], paid["UnappliedAmt"], paid["Line"]) == (300, 300, [])
    assert (balance(company, invoice["Id"]), owes(company, diner)) == ("55", "-245")
    body = payment(
        diner, "300.00", ("Invoice", invoice["Id"], "55.00"), Id=paid["Id"], SyncToken="0", sparse=True
    )
    applied = company.save("Payment", body)
    assert (applied["UnappliedAmt"], balance(company, invoice["Id"])) == (245, "0")
    kept = company.save(
        "Payment", {"Id": paid["Id"], "SyncToken": "1", "sparse": True, "PrivateNote": "called"}
    )
    assert (kept["UnappliedAmt"], kept["PrivateNote"]) == (245, "called")
    freed = company.save("Payment", payment(diner, "300.00", Id=paid["Id"], SyncToken="2", sparse=True))
    assert (freed["UnappliedAmt"], balance(company, invoice["Id"])) == (300, "55")


@pytest.mark.parametrize(
    ("total", "amount", "code"),
    [
        ("100.01", "100.01", "6000"),  # more than is open
        ("40.00", "50.00", "6000"),  # more than was paid
        ("-5.00", "5.00", "2240"),
        ("5.00", "-5.00", "2240"),
    ],
)
def test_payments_that_do_not_add_up(company: Company, diner: str, total: str, amount: str, code: str):
    invoice = company.invoice(diner, "100.00")
    assert company.refused("payment", payment(diner, total, ("Invoice", invoice["Id"], amount))) == code
    assert balance(company, invoice["Id"]) == "100"


def test_payments_that_point_nowhere(company: Company, diner: str):
    other = company.customer("Mill Software")
    theirs = company.invoice(other, "10.00")
    assert company.refused("payment", payment(diner, "10.00", ("Invoice", theirs["Id"], "10.00"))) == "6000"
    assert company.refused("payment", payment(diner, "10.00", ("Invoice", "999", "10.00"))) == "610"
    assert company.refused("payment", payment(diner, "10.00", ("Bill", theirs["Id"], "10.00"))) == "620"
    assert company.refused("payment", {"CustomerRef": {"value": diner}}) == "2020"
    income = company.ids("select * from Account where AccountType = 'Income'")[0]
    assert company.refused("payment", payment(diner, "1.00", DepositToAccountRef={"value": income})) == "6430"


def test_a_deposit_received_with_the_invoice_lowers_its_balance(company: Company, diner: str):
    made = company.invoice(diner, "100.00", Deposit=30)
    assert (made["TotalAmt"], made["Deposit"], made["Balance"]) == (100, 30, 70)
    assert company.refused("invoice", sale(diner, "10.00", Deposit=10.01)) == "6000"


# ---- credits -----------------------------------------------------------------------------------------------


def test_a_zero_payment_applies_a_credit_to_an_invoice(company: Company, diner: str):
    invoice, credit = company.invoice(diner, "500.00"), company.credit(diner, "300.00")
    assert (credit["RemainingCredit"], credit["Balance"], "LinkedTxn" in credit) == (300, 300, False)
    assert owes(company, diner) == "200"
    link = company.pay(diner, "0", ("Invoice", invoice["Id"], "300"), ("CreditMemo", credit["Id"], "300"))
    assert (link["TotalAmt"], link["UnappliedAmt"], "DepositToAccountRef" in link) == (0, 0, False)
    assert (balance(company, invoice["Id"]), owes(company, diner)) == ("200", "200")
    assert company.read("CreditMemo", credit["Id"])["RemainingCredit"] == 0
    again = payment(diner, "0", ("Invoice", invoice["Id"], "1"), ("CreditMemo", credit["Id"], "1"))
    assert company.refused("payment", again) == "6000"
    company.save("Payment", {"Id": link["Id"], "SyncToken": "0"}, operation="delete")
    assert balance(company, invoice["Id"]) == "500"
    assert company.read("CreditMemo", credit["Id"])["RemainingCredit"] == 300


def test_invoice_lines_less_credit_lines_may_not_exceed_the_money(company: Company, diner: str):
    invoice, credit = company.invoice(diner, "500.00"), company.credit(diner, "300.00")
    links = (("Invoice", invoice["Id"], "400"), ("CreditMemo", credit["Id"], "300"))
    assert company.refused("payment", payment(diner, "99.99", *links)) == "6000"
    paid = company.pay(diner, "120", *links)
    assert paid["UnappliedAmt"] == 20


def test_a_journal_credit_settles_an_invoice(company: Company, diner: str):
    invoice = company.invoice(diner, "40.00")
    receivable = company.ids("select * from Account where AccountType = 'Accounts Receivable'")[0]
    other = company.ids("select * from Account where AccountType = 'Expense'")[0]

    def line(side: str, account: str, **more) -> dict:
        detail = {"PostingType": side, "AccountRef": {"value": account}, **more}
        return {"Amount": 40, "DetailType": "JournalEntryLineDetail", "JournalEntryLineDetail": detail}

    entity = {"Type": "Customer", "EntityRef": {"value": diner}}
    assert (
        company.refused("journalentry", {"Line": [line("Debit", other), line("Credit", receivable)]})
        == "6000"
    )
    journal = company.save(
        "JournalEntry", {"Line": [line("Debit", other), line("Credit", receivable, Entity=entity)]}
    )
    assert owes(company, diner) == "0"
    company.pay(diner, "0", ("Invoice", invoice["Id"], "40"), ("JournalEntry", journal["Id"], "40"))
    assert balance(company, invoice["Id"]) == "0"
    assert journal["Line"][1]["JournalEntryLineDetail"]["Entity"]["EntityRef"]["value"] == diner


def test_credits_apply_themselves_when_the_preference_is_on(company: Company, diner: str):
    company.save(
        "Preferences", {"SyncToken": "0", "sparse": True, "SalesFormsPrefs": {"AutoApplyCredit": True}}
    )
    older = company.invoice(diner, "70.00", TxnDate="2026-08-01")
    newer = company.invoice(diner, "100.00", TxnDate="2026-10-01")
    credit = company.credit(diner, "100.00", TxnDate="2026-11-21")
    assert company.read("CreditMemo", credit["Id"])["RemainingCredit"] == 0
    assert (balance(company, older["Id"]), balance(company, newer["Id"])) == ("0", "70")
    ours = payment(diner, "0", ("Invoice", newer["Id"], "100"), ("CreditMemo", credit["Id"], "100"))
    assert company.refused("payment", ours) == "6000"
    made_itself = company.query("select * from Payment where TotalAmt = '0'")["Payment"]
    links = [(line["LinkedTxn"][0]["TxnType"], str(line["Amount"])) for line in made_itself[0]["Line"]]
    assert links == [("Invoice", "70.00"), ("Invoice", "30.00"), ("CreditMemo", "100.00")]


def test_payments_apply_themselves_when_the_preference_is_on(company: Company, diner: str):
    paid = company.pay(diner, "80.00")
    assert balance(company, company.invoice(diner, "50.00")["Id"]) == "50"
    company.save(
        "Preferences", {"SyncToken": "0", "sparse": True, "SalesFormsPrefs": {"AutoApplyPayments": True}}
    )
    invoice = company.invoice(diner, "60.00")
    assert invoice["Balance"] == 0
    assert company.read("Payment", paid["Id"])["UnappliedAmt"] == 20


# ---- undoing -----------------------------------------------------------------------------------------------


def test_a_void_payment(company: Company, diner: str):
    invoice = company.invoice(diner, "100.00")
    paid = company.pay(diner, "100.00", ("Invoice", invoice["Id"], "100.00"), PrivateNote="cheque")
    body = {"Id": paid["Id"], "SyncToken": "0", "sparse": True}
    voided = company.save("Payment", body, operation="update", include="void")
    assert (voided["TotalAmt"], voided["UnappliedAmt"], voided["Line"], voided["SyncToken"]) == (
        0,
        0,
        [],
        "1",
    )
    assert voided["PrivateNote"].startswith("Voided")
    assert balance(company, invoice["Id"]) == "100"
    assert company.read("Invoice", invoice["Id"])["LinkedTxn"] == []


def test_voiding_an_invoice_frees_its_payment(company: Company, diner: str):
    invoice = company.invoice(diner, "100.00")
    paid = company.pay(diner, "60.00", ("Invoice", invoice["Id"], "60.00"))
    token = company.read("Invoice", invoice["Id"])["SyncToken"]
    company.save("Invoice", {"Id": invoice["Id"], "SyncToken": token}, operation="void")
    freed = company.read("Payment", paid["Id"])
    assert (freed["UnappliedAmt"], freed["Line"]) == (60, [])
    assert owes(company, diner) == "-60"


def test_deleting_a_credit_opens_the_invoice_again(company: Company, diner: str):
    invoice, credit = company.invoice(diner, "100.00"), company.credit(diner, "100.00")
    company.pay(diner, "0", ("Invoice", invoice["Id"], "100"), ("CreditMemo", credit["Id"], "100"))
    token = company.read("CreditMemo", credit["Id"])["SyncToken"]
    company.save("CreditMemo", {"Id": credit["Id"], "SyncToken": token}, operation="delete")
    assert balance(company, invoice["Id"]) == "100"


def test_a_deposited_payment_is_locked_until_the_deposit_is_gone(company: Company, diner: str):
    invoice = company.invoice(diner, "100.00")
    paid = company.pay(diner, "100.00", ("Invoice", invoice["Id"], "100.00"))
    bank = company.ids("select * from Account where AccountType = 'Bank'")[0]
    line = {"Amount": 100, "LinkedTxn": [{"TxnId": paid["Id"], "TxnType": "Payment"}]}
    body = {"DepositToAccountRef": {"value": bank}, "Line": [line]}
    assert company.refused("deposit", body) == "2020"
    line["LinkedTxn"][0]["TxnLineId"] = "0"
    half = body | {"Line": [line | {"Amount": 50}]}
    assert company.refused("deposit", half) == "6000"
    deposit = company.save("Deposit", body)
    assert deposit["TotalAmt"] == 100
    locked = company.read("Payment", paid["Id"])
    assert locked["LinkedTxn"] == [{"TxnId": deposit["Id"], "TxnType": "Deposit"}]
    token = {"Id": paid["Id"], "SyncToken": locked["SyncToken"]}
    assert company.refused("payment", token | {"sparse": True}, operation="update", include="void") == "6540"
    assert company.refused("payment", token, operation="delete") == "6540"
    assert company.refused("payment", token | {"sparse": True, "TotalAmt": 90}) == "6540"
    assert company.refused("deposit", body) == "6540"
    company.save("Deposit", {"Id": deposit["Id"], "SyncToken": "0"}, operation="delete")
    company.save("Payment", token | {"sparse": True}, operation="update", include="void")
    assert balance(company, invoice["Id"]) == "100"


# ---- the plan, as it is written back ------------------------------------------------------------------------


def test_a_plan_moves_no_revenue_and_no_receivable(company: Company, diner: str):
    original = company.invoice(diner, "850.00", TxnDate="2026-08-01")
    before = reports.trial_balance(company.books)
    account = company.save(
        "Account", {"Name": "Payment plan clearing", "AccountType": "Other Current Liability"}
    )
    item = company.save(
        "Item", {"Name": "Plan installment", "Type": "Service", "IncomeAccountRef": {"value": account["Id"]}}
    )

    def plan_sale(amount: str, **more) -> dict:
        body = sale(diner, amount, **more)
        body["Line"][0]["SalesItemLineDetail"] |= {
            "ItemRef": {"value": item["Id"]},
            "Qty": 1,
            "UnitPrice": float(amount),
        }
        return body

    credit = company.save("CreditMemo", plan_sale("850.00", DocNumber="1001-P1C"))
    assert credit["TxnTaxDetail"]["TotalTax"] == 0
    items = [
        {
            "bId": str(n),
            "operation": "create",
            "Invoice": plan_sale(part, DocNumber=f"1001-P1.{n}", DueDate=due),
        }
        for n, (part, due) in enumerate(
            (("283.33", "2026-12-21"), ("283.33", "2027-01-21"), ("283.34", "2027-02-22")), 1
        )
    ]
    made = read(company.post("batch", {"BatchItemRequest": items}))["BatchItemResponse"]
    assert [str(item["Invoice"]["Balance"]) for item in made] == ["283.33", "283.33", "283.34"]
    company.pay(diner, "0", ("Invoice", original["Id"], "850"), ("CreditMemo", credit["Id"], "850"))
    assert reports.trial_balance(company.books) == before
    assert (balance(company, original["Id"]), owes(company, diner)) == ("0", "850")
    assert company.read("Account", account["Id"])["CurrentBalance"] == 0


# ---- tax and currencies ------------------------------------------------------------------------------------


def test_us_tax_is_the_companys_rate_on_lines_that_say_tax(base_and_world):
    company = found(*base_and_world, tax_rate="7.25")
    diner = company.customer()
    body = sale(diner, "33.33", tax="TAX")
    body["Line"] += [sale(diner, "33.33", tax="TAX")["Line"][0], sale(diner, "100.00", tax="NON")["Line"][0]]
    made = company.save("Invoice", body)
    assert str(made["TxnTaxDetail"]["TotalTax"]) == "4.83"  # 7.25 % of 66.66 is 4.83285
    assert str(made["TotalAmt"]) == "171.49"
    assert company.refused("invoice", sale(diner, "5", tax="5")) == "2500"
    no_code = sale(diner, "100.00")
    del no_code["Line"][0]["SalesItemLineDetail"]["TaxCodeRef"]
    assert str(company.save("Invoice", no_code)["TotalAmt"]) == "107.25"  # the item is taxable
    assert sorted(company.ids("select * from TaxCode")) == ["NON", "TAX"]


@pytest.mark.parametrize(("after_discount", "tax"), [(True, "18.00"), (False, "20.00")])
def test_tax_before_or_after_a_discount(base_and_world, after_discount: bool, tax: str):
    company = found(*base_and_world, tax_rate="10")
    body = sale(company.customer(), "200.00", tax="TAX", ApplyTaxAfterDiscount=after_discount)
    body["Line"].append({"Amount": 20, "DetailType": "DiscountLineDetail", "DiscountLineDetail": {}})
    made = company.save("Invoice", body)
    assert f"{made['TxnTaxDetail']['TotalTax']:.2f}" == tax
    assert made["ApplyTaxAfterDiscount"] is after_discount


def test_a_global_company_insists_on_a_tax_code(base_and_world):
    company = found(*base_and_world, country="GB", home_currency="GBP", tax_rate="20", tax_name="VAT")
    shop = company.customer("Corner Shop")
    without = sale(shop, "100.00")
    del without["Line"][0]["SalesItemLineDetail"]["TaxCodeRef"]
    answer = company.post("invoice", without)
    assert fault(answer)["code"] == "6000"
    assert "Make sure all your transactions have a VAT/GST rate" in fault(answer)["Detail"]
    made = company.save("Invoice", without | {"GlobalTaxCalculation": "NotApplicable"})
    assert (made["TotalAmt"], made["GlobalTaxCalculation"], made["TxnTaxDetail"]) == (
        100,
        "NotApplicable",
        {"TotalTax": 0},
    )
    standard = company.query("select * from TaxCode where Name LIKE 'VAT 20%'")["TaxCode"][0]["Id"]
    taxed = company.save("Invoice", sale(shop, "100.00", tax=standard, GlobalTaxCalculation="TaxExcluded"))
    assert (taxed["TotalAmt"], taxed["TxnTaxDetail"]["TotalTax"]) == (120, 20)
    assert taxed["TxnTaxDetail"]["TaxLine"][0]["TaxLineDetail"]["TaxPercent"] == 20
    assert company.refused("invoice", sale(shop, "5", tax="NON")) == "2500"


def test_a_foreign_customer(base_and_world):
    company = found(*base_and_world, multicurrency=True)
    buyer = company.save("Customer", {"DisplayName": "Lyon SARL", "CurrencyRef": {"value": "EUR"}})
    made = company.invoice(buyer["Id"], "100.00", ExchangeRate=1.25)
    assert made["CurrencyRef"] == {"value": "EUR", "name": "Euro"}
    assert (str(made["ExchangeRate"]), made["TotalAmt"], made["HomeTotalAmt"], made["HomeBalance"]) == (
        "1.25",
        100,
        125,
        125,
    )
    assert company.refused("invoice", sale(buyer["Id"], "5", CurrencyRef={"value": "USD"})) == "6000"
    body = {"Id": buyer["Id"], "SyncToken": "0", "sparse": True, "CurrencyRef": {"value": "GBP"}}
    assert company.refused("customer", body) == "6000"
    paid = company.pay(buyer["Id"], "40.00", ("Invoice", made["Id"], "40.00"), ExchangeRate=1.3)
    assert paid["CurrencyRef"]["value"] == "EUR"
    after = company.read("Invoice", made["Id"])
    assert (after["Balance"], after["HomeBalance"]) == (60, 75)
    home = company.customer("Home Cafe")
    theirs = company.invoice(home, "40.00")
    assert company.refused("payment", payment(buyer["Id"], "40", ("Invoice", theirs["Id"], "40"))) == "6000"


def test_yen_have_no_cents(base_and_world):
    company = found(*base_and_world, multicurrency=True)
    buyer = company.save("Customer", {"DisplayName": "Kyoto KK", "CurrencyRef": {"value": "JPY"}})
    made = company.invoice(buyer["Id"], "1500", ExchangeRate=0.0064)
    assert (str(made["TotalAmt"]), str(made["HomeTotalAmt"])) == ("1500", "9.60")


def test_exchange_rates(base_and_world):
    company = found(*base_and_world, multicurrency=True)
    rate = read(company.get("exchangerate", sourcecurrencycode="EUR", asofdate="2026-11-21"))["ExchangeRate"]
    assert (rate["SourceCurrencyCode"], rate["TargetCurrencyCode"], rate["AsOfDate"]) == (
        "EUR",
        "USD",
        "2026-11-21",
    )
    buyer = company.save("Customer", {"DisplayName": "Lyon SARL", "CurrencyRef": {"value": "EUR"}})
    assert company.invoice(buyer["Id"], "10", TxnDate="2026-11-21")["ExchangeRate"] == rate["Rate"]
    alone = found(*base_and_world)
    assert fault(alone.get("exchangerate", sourcecurrencycode="EUR"))["code"] == "5030"


def test_discounts(company: Company, diner: str):
    body = sale(diner, "200.00")
    body["Line"].append(
        {
            "DetailType": "DiscountLineDetail",
            "DiscountLineDetail": {"PercentBased": True, "DiscountPercent": 10},
        }
    )
    made = company.save("Invoice", body)
    assert made["TotalAmt"] == 180
    assert [line["DetailType"] for line in made["Line"]] == [
        "SalesItemLineDetail",
        "SubTotalLineDetail",
        "DiscountLineDetail",
    ]
    assert made["Line"][2]["Amount"] == 20


# ---- refunds and reports -----------------------------------------------------------------------------------


def test_a_refund_receipt_gives_money_back_without_touching_receivables(company: Company, diner: str):
    bank = company.ids("select * from Account where AccountType = 'Bank'")[0]
    made = company.save("RefundReceipt", sale(diner, "25.00", DepositToAccountRef={"value": bank}))
    assert (made["TotalAmt"], made["Balance"], made["CustomerRef"]["value"]) == (25, 0, diner)
    assert owes(company, diner) == "0"
    services = next(a.id for a in company.books.accounts if a.name == "Services")
    assert reports.trial_balance(company.books) == {bank: -2500, services: 2500}
    assert company.ids("select * from RefundReceipt") == [made["Id"]]
    assert company.query("select count(*) from CreditMemo") == {"totalCount": 0}
    assert company.ids("select * from CreditMemo") == []
    company.save("RefundReceipt", {"Id": made["Id"], "SyncToken": "0"}, operation="delete")
    since = {"entities": "CreditMemo,RefundReceipt", "changedSince": "2026-11-20T00:00:00Z"}
    blocks = read(company.get("cdc", **since))["CDCResponse"][0]["QueryResponse"]
    assert blocks[0] == {}
    assert [(row["Id"], row["status"]) for row in blocks[1]["RefundReceipt"]] == [(made["Id"], "Deleted")]
    assert reports.trial_balance(company.books) == {}


def test_trial_balance_on_both_bases(company: Company, diner: str):
    invoice = company.invoice(diner, "100.00", TxnDate="2026-08-01")
    company.pay(diner, "30.00", ("Invoice", invoice["Id"], "30.00"), TxnDate="2026-09-20")

    def rows(**asked: str) -> dict:
        report = read(company.get("reports/TrialBalance", **asked))
        assert report["Header"]["ReportName"] == "TrialBalance"
        cells = [row["ColData"] for row in report["Rows"]["Row"] if row["type"] == "Data"]
        return {cell[0]["value"]: (cell[1]["value"], cell[2]["value"]) for cell in cells}

    accrual = rows(accounting_method="Accrual", end_date="2026-11-21")
    assert accrual["Services"] == ("", "100.00")
    assert accrual["Accounts Receivable (A/R)"] == ("70.00", "")
    assert rows(accounting_method="Cash")["Services"] == ("", "30.00")
    assert rows(accounting_method="Accrual", start_date="2026-09-01")["Undeposited Funds"] == ("30.00", "")
    assert "Services" not in rows(accounting_method="Accrual", start_date="2026-09-01")


def test_aged_receivables(company: Company, diner: str):
    company.invoice(diner, "50.00", TxnDate="2026-09-01", DueDate="2026-10-01")
    company.invoice(diner, "850.00", TxnDate="2026-08-01", DueDate="2026-08-31")
    company.pay(diner, "10.00")
    report = read(company.get("reports/AgedReceivables", report_date="2026-11-21"))
    titles = [column["ColTitle"] for column in report["Columns"]["Column"]]
    assert titles == ["", "Current", "1 - 30", "31 - 60", "61 - 90", "91 and over", "Total"]
    cells = [cell["value"] for cell in report["Rows"]["Row"][0]["ColData"]]
    assert cells == ["Red Rock Diner", "-10.00", "", "50.00", "850.00", "", "890.00"]
