"""An organisation's own facts in Xero's words: name, country, time zone, tax basis, lock dates, plan."""

from __future__ import annotations

import datetime as dt

from sandbox.organization import Organization
from sandbox.xero.envelope import Json, day, moment, without_nulls

TIME_ZONES = {
    "Africa/Johannesburg": "SOUTHAFRICASTANDARDTIME",
    "America/Chicago": "CENTRALSTANDARDTIME",
    "America/Denver": "MOUNTAINSTANDARDTIME",
    "America/Los_Angeles": "PACIFICSTANDARDTIME",
    "America/New_York": "EASTERNSTANDARDTIME",
    "America/Sao_Paulo": "ESOUTHAMERICASTANDARDTIME",
    "America/Toronto": "EASTERNSTANDARDTIME",
    "America/Vancouver": "PACIFICSTANDARDTIME",
    "Asia/Hong_Kong": "CHINASTANDARDTIME",
    "Asia/Kolkata": "INDIASTANDARDTIME",
    "Asia/Singapore": "SINGAPORESTANDARDTIME",
    "Asia/Tokyo": "TOKYOSTANDARDTIME",
    "Australia/Adelaide": "CENAUSTRALIASTANDARDTIME",
    "Australia/Brisbane": "EAUSTRALIASTANDARDTIME",
    "Australia/Melbourne": "AUSEASTERNSTANDARDTIME",
    "Australia/Perth": "WAUSTRALIASTANDARDTIME",
    "Australia/Sydney": "AUSEASTERNSTANDARDTIME",
    "Europe/Amsterdam": "WEUROPESTANDARDTIME",
    "Europe/Berlin": "WEUROPESTANDARDTIME",
    "Europe/Dublin": "GMTSTANDARDTIME",
    "Europe/London": "GMTSTANDARDTIME",
    "Europe/Madrid": "ROMANCESTANDARDTIME",
    "Europe/Paris": "ROMANCESTANDARDTIME",
    "Europe/Rome": "WEUROPESTANDARDTIME",
    "Pacific/Auckland": "NEWZEALANDSTANDARDTIME",
    "UTC": "UTC",
}
COMMON_CURRENCIES = ("AUD", "CAD", "EUR", "GBP", "NZD", "USD")
VERSIONS = {"AU": "AU", "NZ": "NZ", "GB": "UK", "US": "US"}
TAX_BASES = {
    "cash": {"AU": "CASH", "NZ": "PAYMENTS", "GB": "CASH", "US": "CASH"},
    "accrual": {"AU": "ACCRUALS", "NZ": "INVOICE", "GB": "ACCRUAL", "US": "ACCRUAL"},
}


def organisation_row(organization: Organization, created: dt.datetime) -> Json:
    """The one row of GET /Organisation."""
    country = organization.country
    return without_nulls(
        {
            "OrganisationID": organization.id,
            "Name": organization.name,
            "LegalName": organization.legal_name or organization.name,
            "PaysTax": organization.tax_basis != "none",
            "Version": VERSIONS.get(country, "GLOBAL"),
            "OrganisationType": "COMPANY",
            "BaseCurrency": organization.home_currency,
            "CountryCode": country,
            "IsDemoCompany": plan(organization) == "DEMO",
            "OrganisationStatus": "ACTIVE",
            "FinancialYearEndDay": 31,
            "FinancialYearEndMonth": 12,
            "SalesTaxBasis": tax_basis(organization),
            "SalesTaxPeriod": "NONE" if organization.tax_basis == "none" else "QUARTERLY",
            "DefaultSalesTax": "Tax Exclusive",
            "DefaultPurchasesTax": "Tax Exclusive",
            "PeriodLockDate": day(organization.closed_until) if organization.closed_until else None,
            "EndOfYearLockDate": day(organization.year_closed_until)
            if organization.year_closed_until
            else None,
            "CreatedDateUTC": moment(created),
            "OrganisationEntityType": "COMPANY",
            "Timezone": TIME_ZONES.get(organization.timezone, "UTC"),
            "ShortCode": "!" + organization.id[:5],
            "Edition": "BUSINESS",
            "Class": plan(organization),
            "Addresses": [],
            "Phones": [],
            "ExternalLinks": [],
            "PaymentTerms": {},
        }
    )


def plan(organization: Organization) -> str:
    """Xero's Class: what the organisation pays for. DEMO and TRIAL may send hardly any mail."""
    return str(organization.extra.get("Class", "PREMIUM"))


def tax_basis(organization: Organization) -> str:
    """SalesTaxBasis in the words of the organisation's country."""
    if organization.tax_basis == "none":
        return "NONE"
    words = TAX_BASES[organization.tax_basis]
    return words.get(organization.country, "CASH" if organization.tax_basis == "cash" else "ACCRUAL")


def currencies(organization: Organization) -> list[str]:
    """The currencies this organisation has switched on; only one when it is not subscribed to more."""
    if not organization.multicurrency:
        return [organization.home_currency]
    known = organization.extra.get("currencies", COMMON_CURRENCIES)
    return sorted({organization.home_currency, *known})
