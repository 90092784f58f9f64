"""What QuickBooks says about a company and its accounts → the facts and accounts of the port. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.core import get_global
from babel.numbers import get_territory_currencies

from adapters.quickbooks.translate import Raw, day, id_of, inner, money, ref, text
from connector.domain.receivables import Organization
from connector.platforms import Account

CLEARING_TYPES = ("Other Current Liability", "Other Current Asset")
_SYSTEM_SUBTYPES = (  # accounts that QuickBooks itself posts to
    "UndepositedFunds",
    "Inventory",
    "SalesTaxPayable",
    "GlobalTaxPayable",
    "GlobalTaxSuspense",
    "PayrollClearing",
    "PayrollTaxPayable",
    "DirectDepositPayable",
    "AllowanceForBadDebts",
)
# Where a country has several zones and the company names none: the last zone to see midnight, so that
# nobody is called overdue a few hours too early.
_LATEST_ZONES = {
    "US": "America/Los_Angeles",
    "CA": "America/Vancouver",
    "AU": "Australia/Perth",
    "NZ": "Pacific/Auckland",
    "BR": "America/Rio_Branco",
    "MX": "America/Tijuana",
    "ES": "Atlantic/Canary",
    "PT": "Atlantic/Azores",
}


def organization(realm: str, company: Raw, preferences: Raw) -> Organization:
    """The facts of one company; what QuickBooks does not say stays None."""
    country = country_of(text(company, "Country") or inner(company, "CompanyAddr", "Country"))
    forms = _group(preferences, "SalesFormsPrefs")
    closed = text(_group(preferences, "AccountingInfoPrefs"), "BookCloseDate")
    applies = [forms[name] for name in ("AutoApplyCredit", "AutoApplyPayments") if name in forms]
    taxed = _group(preferences, "TaxPrefs").get("UsingSalesTax")
    return Organization(
        id=realm,
        name=text(company, "CompanyName") or text(company, "LegalName") or f"QuickBooks company {realm}",
        country=country,
        home_currency=home_currency(preferences, country),
        timezone=_zone(text(company, "DefaultTimeZone"), country),
        sales_tax_basis_hint="none" if taxed is False else None,
        income_basis_hint=text(_group(preferences, "ReportPrefs"), "ReportBasis") or None,
        closed_until=day(closed) if closed else None,
        auto_apply_credits=any(_true(value) for value in applies) if applies else None,
        plan=_named(company, "OfferingSku"),
    )


def home_currency(preferences: Raw, country: str) -> str:
    """The company's own currency: as preferences say, else the country's. Raises ValueError for neither."""
    named = ref(_group(preferences, "CurrencyPrefs"), "HomeCurrency")
    if named:
        return named
    current: list[str] = get_territory_currencies(country) if country else []
    if not current:
        raise ValueError("QuickBooks gave no home currency and no country")
    return current[-1]


def country_of(name: str) -> str:
    """ISO code of a country given as a code or as its English name; "" when unknown."""
    name = name.strip()
    if len(name) == 2:
        return name.upper()
    known = {"USA": "US", "U.S.A.": "US", "UK": "GB", "GREAT BRITAIN": "GB"}
    territories: Mapping[str, str] = Locale("en").territories
    known |= {v.upper(): k for k, v in territories.items() if len(k) == 2 and k.isalpha()}
    return known.get(name.upper(), "")


def _zone(named: str, country: str) -> str:
    try:
        return ZoneInfo(named).key if named else _zone_of(country)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return _zone_of(country)


def _zone_of(country: str) -> str:
    if country in _LATEST_ZONES:
        return _LATEST_ZONES[country]
    zones = sorted(zone for zone, territory in get_global("zone_territories").items() if territory == country)
    return str(zones[0]) if len(zones) == 1 else "UTC"


def _group(raw: Raw, name: str) -> Raw:
    value = raw.get(name)
    return value if isinstance(value, Mapping) else {}


def _true(value: object) -> bool:
    return value is True or str(value).lower() == "true"


def _named(company: Raw, name: str) -> str:
    pairs = company.get("NameValue") or []
    return next((text(p, "Value") for p in pairs if isinstance(p, Mapping) and p.get("Name") == name), "")


def account(raw: Raw, home: str) -> Account:
    kind = text(raw, "AccountType")
    currency = ref(raw, "CurrencyRef") or home
    why_not = ""
    if raw.get("Active") is False:
        why_not = "It is inactive in QuickBooks."
    elif kind not in CLEARING_TYPES:
        why_not = f"It is of type {kind}; choose one of type Other Current Liability."
    elif text(raw, "AccountSubType") in _SYSTEM_SUBTYPES:
        why_not = "QuickBooks itself posts to it."
    elif currency != home:
        why_not = f"It is in {currency}, not in {home}."
    balance = raw.get("CurrentBalance")
    return Account(
        id=id_of(raw),
        code=text(raw, "AcctNum"),
        name=text(raw, "Name"),
        type=kind,
        usable_for_clearing=not why_not,
        why_not=why_not,
        active=raw.get("Active") is not False,
        balance=money(balance, home) if balance is not None and currency == home else None,
    )
