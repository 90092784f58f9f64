"""What the law of a country makes of a plan, as data with its source and date. This is not legal advice.

Rows are of 2026-11-21 (docs/accounting.md, "Law"); the networks of Italy, Romania, Croatia, Poland and
Greece from the laws named with them, dates as tax advisers and authorities gave them on 2026-11-22 (the first day on
which a large business must). A country without a row has no special rule.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Region:
    """The profile of one country. `consumer_*` holds for people, sole traders and small partnerships."""

    country: str
    consumer_max_installments: int | None = None
    consumer_max_months: int | None = None
    consumer_interest_allowed: bool = True
    consumer_needs_legal_review: bool = False
    einvoice_from: dt.date | None = None  # business invoices must travel the national network from this day
    installment: str = "Installment"  # as this country writes it
    source: str = ""


_EU = Region(
    "",
    consumer_interest_allowed=False,
    consumer_needs_legal_review=True,
    installment="Instalment",
    source="Consumer Credit Directive 2023/2225, national rules from 2026-11-20",
)
_EU_COUNTRIES = (
    *("AT", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "DE", "GR", "HU", "IE", "IT", "LV", "LT", "LU"),
    *("MT", "NL", "PL", "PT", "RO", "SK", "SI", "ES", "SE"),
)
_REGIONS = {code: replace(_EU, country=code) for code in _EU_COUNTRIES} | {
    "BE": replace(
        _EU,
        country="BE",
        einvoice_from=dt.date(2026, 1, 1),
        source="Structured B2B invoices and credit notes since 2026-01-01; Consumer Credit Directive 2023/2225",
    ),
    "FR": replace(
        _EU,
        country="FR",
        einvoice_from=dt.date(2026, 9, 1),
        source="E-invoicing from 2026-09-01; Consumer Credit Directive 2023/2225",
    ),
    **{
        code: replace(_EU, country=code, einvoice_from=since, source=f"{law}; {_EU.source}")
        for code, since, law in (
            (
                "IT",
                dt.date(2019, 1, 1),
                "FatturaPA between businesses since 2019-01-01: law 205/2017, article 1, 909",
            ),
            ("RO", dt.date(2024, 7, 1), "RO e-Factura alone since 2024-07-01: law 296/2023, article LIX"),
            ("HR", dt.date(2026, 1, 1), "eRačun since 2026-01-01: Fiscalization Act, NN 89/25"),
            (
                "PL",
                dt.date(2026, 2, 1),
                "KSeF since 2026-02-01, for all but the smallest from 2026-04-01: act of 2025-08-05",
            ),
            (
                "GR",
                dt.date(2026, 3, 2),
                "myDATA since 2026-03-02, for all from 2026-10-01: joint decision of 2026-02-17",
            ),
        )
    },
    "GB": Region(
        "GB",
        consumer_max_installments=12,
        consumer_max_months=12,
        consumer_interest_allowed=False,
        installment="Instalment",
        source="Exempt credit: free of interest and charges, at most 12 installments within 12 months",
    ),
    "US": Region(
        "US",
        consumer_max_installments=4,
        consumer_interest_allowed=False,
        source="Truth in Lending Act: finance charge, or a written agreement of more than four installments",
    ),
    "AU": Region(
        "AU", consumer_interest_allowed=False, installment="Instalment", source="ACCC/ASIC guideline"
    ),
    "NZ": Region("NZ", consumer_interest_allowed=False, installment="Instalment", source="CCCFA"),
    **{code: Region(code, installment="Instalment") for code in ("CA", "HK", "IN", "SG", "ZA")},
}


def region(country: str) -> Region:
    """The profile of a country (ISO 3166, a region after a hyphen is left aside)."""
    code = country.upper().partition("-")[0]
    return _REGIONS.get(code, Region(code))


def spelled(words: str, country: str) -> str:
    """Our own words as the country spells them (installment, instalment). Never for names or numbers."""
    return words.replace("nstallment", "nstalment") if region(country).installment == "Instalment" else words
