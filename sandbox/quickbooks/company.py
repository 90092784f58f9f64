"""Company facts and preferences, both ways, and exchange rates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from sandbox.documents import NEVER
from sandbox.quickbooks import faults, native
from sandbox.quickbooks.native import Json
from sandbox.quickbooks.rates import rate_on
from sandbox.quickbooks.terms import DEFAULT_DAYS, terms_table

if TYPE_CHECKING:
    from sandbox.ledger import Ledger

_EPOCH = {"CreateTime": native.stamp(NEVER), "LastUpdatedTime": native.stamp(NEVER)}
PREFERENCES = "quickbooks preferences"


def render_company(ledger: Ledger) -> Json:
    organization = ledger.organization
    status = "SUBSCRIBED" if organization.active else "SUSPENDED"
    facts = {
        "SubscriptionStatus": status,
        "OfferingSku": "QuickBooks Online Plus",
        "NeoEnabled": "true",
        "PayrollFeature": "false",
        "CompanyType": "Other",
    }
    body = {
        "CompanyName": organization.name,
        "LegalName": organization.legal_name or organization.name,
        "CompanyAddr": {"Id": "1", "Country": organization.country},
        "Email": {"Address": organization.email} if organization.email else None,
        "CompanyStartDate": "2015-06-05",
        "FiscalYearStartMonth": "January",
        "Country": organization.country,
        "SupportedLanguages": "en",
        "DefaultTimeZone": organization.timezone,
        "NameValue": [{"Name": name, "Value": value} for name, value in facts.items()],
        "domain": "QBO",
        "sparse": False,
        "Id": "1",
        "SyncToken": "4",
        "MetaData": _EPOCH,
    }
    return native.without_empty(body)


def render_preferences(ledger: Ledger) -> Json:
    organization = ledger.organization
    rules, state = organization.rules, _state(ledger)
    default = next((term.id for term in terms_table(ledger) if term.days == DEFAULT_DAYS), "")
    closed = organization.closed_until.isoformat() if organization.closed_until else None
    numbers = "true" if rules.unique_numbers else "false"
    return {
        "AccountingInfoPrefs": native.without_empty(
            {
                "FirstMonthOfFiscalYear": "January",
                "UseAccountNumbers": False,
                "TaxYearMonth": "January",
                "ClassTrackingPerTxn": False,
                "ClassTrackingPerTxnLine": False,
                "TrackDepartments": False,
                "CustomerTerminology": "Customers",
                "BookCloseDate": closed,
            }
        ),
        "ProductAndServicesPrefs": {"ForSales": True, "ForPurchase": True, "QuantityWithPriceAndRate": True},
        "SalesFormsPrefs": {
            "CustomTxnNumbers": state.get("CustomTxnNumbers", False),
            "DefaultTerms": {"value": default},
            "AllowDeposit": True,
            "AllowDiscount": True,
            "AllowEstimates": True,
            "AllowServiceDate": False,
            "AutoApplyCredit": rules.auto_apply_credits,
            "AutoApplyPayments": rules.auto_apply_payments,
            "ETransactionEnabledStatus": "Enabled" if takes_online_payments(ledger) else "NotApplicable",
            "ETransactionPaymentEnabled": takes_online_payments(ledger),
            "IPNSupportEnabled": False,
        },
        "TaxPrefs": {"UsingSalesTax": organization.tax_basis != "none", "PartnerTaxEnabled": False},
        "CurrencyPrefs": {
            "MultiCurrencyEnabled": organization.multicurrency,
            "HomeCurrency": {"value": organization.home_currency},
        },
        "ReportPrefs": {
            "ReportBasis": organization.income_basis.capitalize(),
            "CalcAgingReportFromTxnDate": False,
        },
        "OtherPrefs": {
            "NameValue": [
                {"Name": "WarnDuplicateCheckNumber", "Value": numbers},
                {"Name": "WarnDuplicateBillNumber", "Value": "false"},
            ]
        },
        "domain": "QBO",
        "sparse": False,
        "Id": "1",
        "SyncToken": str(state.get("version", 0)),
        "MetaData": state.get("meta", _EPOCH),
    }


def _state(ledger: Ledger) -> Json:
    state: Json = ledger.organization.extra.setdefault(PREFERENCES, {})
    return state


def takes_online_payments(ledger: Ledger) -> bool:
    """Whether the company has QuickBooks Payments: pay links need it."""
    return bool(_state(ledger).get("ETransactionPaymentEnabled", False))


def numbers_by_hand(ledger: Ledger) -> bool:
    """CustomTxnNumbers: documents without a number stay without one."""
    return bool(_state(ledger).get("CustomTxnNumbers", False))


def update_preferences(ledger: Ledger, body: Mapping[str, Any]) -> Json:
    """A sparse update of what the sandbox acts on; the rest is accepted and ignored. Raises Fault 5010, 2020."""
    organization, state = ledger.organization, _state(ledger)
    if "SyncToken" not in body:
        raise faults.missing("SyncToken")
    if str(body["SyncToken"]) != str(state.get("version", 0)):
        raise faults.stale("another user")
    before = render_preferences(ledger)
    accounting = body.get("AccountingInfoPrefs") or {}
    sales = body.get("SalesFormsPrefs") or {}
    if "BookCloseDate" in accounting:
        organization.closed_until = native.day(accounting, "BookCloseDate")
    if "AutoApplyCredit" in sales:
        organization.rules.auto_apply_credits = native.flag(sales, "AutoApplyCredit")
    if "AutoApplyPayments" in sales:
        organization.rules.auto_apply_payments = native.flag(sales, "AutoApplyPayments")
    for name in ("CustomTxnNumbers", "ETransactionPaymentEnabled"):
        if name in sales:
            state[name] = native.flag(sales, name)
    for pair in (body.get("OtherPrefs") or {}).get("NameValue") or ():
        if pair.get("Name") == "WarnDuplicateCheckNumber":
            organization.rules.unique_numbers = str(pair.get("Value")).lower() == "true"
    if render_preferences(ledger) != before:
        now = native.stamp(ledger.clock.stamp())
        state["version"] = int(state.get("version", 0)) + 1
        state["meta"] = {"CreateTime": _EPOCH["CreateTime"], "LastUpdatedTime": now}
    return render_preferences(ledger)


def render_rate(ledger: Ledger, source: str, day: date) -> Json:
    """Home units for one `source`. Raises Fault 6000 for a company that keeps one currency."""
    organization = ledger.organization
    if not organization.multicurrency:
        raise faults.no_feature("Multicurrency is not enabled.")
    return {
        "SourceCurrencyCode": source,
        "TargetCurrencyCode": organization.home_currency,
        "Rate": native.number(rate_on(source, organization.home_currency, day)),
        "AsOfDate": day.isoformat(),
        "domain": "QBO",
        "sparse": False,
        "MetaData": _EPOCH,
    }
