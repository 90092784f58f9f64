"""What the customer's own page shows, and what customers may do there without waiting for a person."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, replace
from decimal import Decimal

from connector.domain.codec import WrongValue

INK = "#2447A5"  # the accent where the client chose none


@dataclass(frozen=True, slots=True)
class HelpSource:
    """Free help for people in difficulty: who, where, what confirms the address, and when that was looked up."""

    country: str
    name: str
    reach: str  # address of a page, or a telephone number
    source: str = ""
    listed_on: dt.date | None = None


@dataclass(frozen=True, slots=True)
class PagePolicy:
    """Off until somebody switches it on. Amounts are whole units of whatever currency the documents are in."""

    on: bool = False
    link_days: int = 60
    promise_days: int = 30  # the furthest day that counts as promised without a person
    broken_promises: int = 2  # after so many broken ones within a year a person answers first
    plans_alone: bool = False  # a plan within the rails needs no approval by a person
    plans_alone_up_to: Decimal = Decimal(2500)
    plans_alone_months: int = 6
    business_only: bool = True  # alone only where the ledger says that the customer is a company
    answer_days: int = 2  # business days within which a person answers
    color: str = INK
    call_hours: str = ""  # e.g. "Monday to Friday, 9:00 to 16:00"
    help: tuple[HelpSource, ...] = ()  # in place of ours for these countries
    holdout_percent: int = 0  # customers whose first contact waits a week, to measure what contact does
    holdout_since: dt.date | None = None

    def measured_from(self, before: PagePolicy, today: dt.date) -> PagePolicy:
        """Another share that waits is another measurement: it begins today."""
        if self.holdout_percent == before.holdout_percent:
            return self
        return replace(self, holdout_since=today if self.holdout_percent else None)

    def __post_init__(self) -> None:
        for field, low, high, unit in (
            ("link_days", 1, 365, "days"),
            ("promise_days", 1, 90, "days"),
            ("broken_promises", 1, 12, "promises"),
            ("plans_alone_months", 1, 24, "months"),
            ("answer_days", 1, 10, "days"),
            ("holdout_percent", 0, 50, "percent"),
        ):
            value: int = getattr(self, field)
            if not low <= value <= high:
                raise WrongValue(field, f"should be between {low} and {high} {unit}.")
        if not 0 <= self.plans_alone_up_to <= 10**9:
            raise WrongValue("plans_alone_up_to", "should be zero or more.")
        if not re.fullmatch(r"#[0-9A-Fa-f]{6}", self.color):
            raise WrongValue("color", "Write the color as # and six digits, such as #2447A5.")
        if contrast(self.color) < 4.5:
            raise WrongValue("color", "White words on this color are hard to read. Choose a darker one.")
        if len(self.call_hours) > 120:
            raise WrongValue("call_hours", "should be at most 120 characters.")


def contrast(color: str) -> float:
    """White on `color`, as the Web Content Accessibility Guidelines 2.2 count it."""
    parts = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


# Each address was looked up on the day named, in what `source` says: the service's own pages, or who sends people
# there. What could not be confirmed is not listed. Not advice, not complete: look before going live.
_SEEN = dt.date(2026, 11, 22)
SOURCES = (
    HelpSource("US", "National Foundation for Credit Counseling", "https://www.nfcc.org", "nfcc.org, questions and answers", _SEEN),
    HelpSource("GB", "Business Debtline", "https://www.businessdebtline.org", "businessdebtline.org, fact sheets", _SEEN),
    HelpSource("IE", "MABS", "https://www.mabs.ie", "Irish Times; MABS money management guide", _SEEN),
    HelpSource("AU", "National Debt Helpline", "https://ndh.org.au", "ndh.org.au; financialcounsellingaustralia.org.au", _SEEN),
    HelpSource("AU", "Small Business Debt Helpline", "https://sbdh.org.au", "financialcounsellingaustralia.org.au", _SEEN),
    HelpSource("NZ", "MoneyTalks", "https://www.moneytalks.co.nz", "New Zealand Herald", _SEEN),
    HelpSource("CA", "Financial Consumer Agency of Canada", "https://www.canada.ca/en/financial-consumer-agency/services/debt/debt-help.html", "canada.ca", _SEEN),
    HelpSource("DE", "Meine Schulden, Beratungsstellensuche", "https://meine-schulden.de", "meine-schulden.de, Ablauf einer Beratung", _SEEN),
    HelpSource("FR", "Mes questions d'argent, Banque de France", "https://www.mesquestionsdargent.fr", "clcv.org", _SEEN),
)  # fmt: skip


def help_for(country: str, policy: PagePolicy) -> tuple[HelpSource, ...]:
    """The sources of a country: the policy's own where it names any, ours otherwise."""
    code = country.upper().partition("-")[0]
    own = tuple(h for h in policy.help if h.country == code)
    return own or tuple(h for h in SOURCES if h.country == code)
