"""What Xero says about an organization, its accounts and its tax rates → the facts of the port. Pure."""

from __future__ import annotations

import re
from functools import cache

import msgspec
from babel.core import get_global

from adapters.xero import shapes
from adapters.xero.values import (
    day,
    must,
    yes,
)
from connector.domain.receivables import (
    Organization,
)
from connector.platforms import Account, Clearing


@cache
def _zones() -> dict[str, str]:
    """Xero's time zones are Windows' names in capitals without blanks and dots; CLDR maps those to IANA."""
    names = {re.sub(r"[ .-]", "", k).upper(): v for k, v in get_global("windows_zone_mapping").items()}
    return {"KAMCHATKASTANDARDTIME": "Asia/Kamchatka", "MIDATLANTICSTANDARDTIME": "Etc/GMT+2"} | names


def timezone(name: str | None) -> str:
    """The IANA name; "UTC" for a zone that nobody knows."""
    return _zones().get((name or "").upper(), "UTC")


def organization(row: msgspec.Raw, reminders_on: bool | None) -> Organization:
    o = shapes.read(row, shapes.Organisation)
    locks = [d for d in (day(o.PeriodLockDate), day(o.EndOfYearLockDate)) if d]
    return Organization(
        id=o.OrganisationID or "",
        name=o.Name or "",
        country=o.CountryCode or "",
        home_currency=must(o.BaseCurrency, "BaseCurrency"),
        timezone=timezone(o.Timezone),
        sales_tax_basis_hint=o.SalesTaxBasis or None,
        closed_until=max(locks) if locks else None,
        auto_apply_credits=False,  # Xero leaves a credit where it is until somebody allocates it
        reminders_on=reminders_on,
        short_code=o.ShortCode or "",
        plan=o.Class or "",
    )


def reminders_on(row: msgspec.Raw) -> bool | None:
    enabled = shapes.read(row, shapes.Reminder).Enabled
    return None if enabled is None else yes(enabled)


OFF_AUSTRALIAN_RETURN = "BASEXCLUDED"
_CLEARING_TYPES = ("CURRENT", "CURRLIAB")


def account(row: msgspec.Raw) -> Account:
    a = shapes.read(row, shapes.Account)
    active = a.Status == "ACTIVE"
    why_not = ""
    if not active:
        why_not = "it is archived or deleted"
    elif a.SystemAccount:
        why_not = "Xero keeps it for itself"
    elif a.Type not in _CLEARING_TYPES:
        why_not = "it is not a current asset or current liability account"
    return Account(
        id=a.Code
        or must(a.AccountID, "AccountID"),  # documents name an account by its code, where it has one
        code=a.Code or "",
        name=a.Name or "",
        type=a.Type or "",
        usable_for_clearing=not why_not,
        why_not=why_not,
        active=active,
    )


def clearing(found: Account, tax_code: str, form: str) -> Clearing:
    return Clearing(account_id=found.id, code=found.code, name=found.name, tax_code=tax_code, form=form)


_FORM = re.compile(r"instal+ment", re.IGNORECASE)


def installment_form(themes: list[msgspec.Raw]) -> str:
    """The branding theme that somebody made for installment requests, known by its name; "" where there is none.

    The standard one may print "Tax invoice" on top of what is none.
    """
    known = [shapes.read(row, shapes.BrandingTheme) for row in themes]
    return next((t.BrandingThemeID or "" for t in known if _FORM.search(t.Name or "")), "")


NO_TAX_CODE = "NONE"


def off_return_code(tax_rates: list[msgspec.Raw]) -> str:
    """The tax type that is on no return. Australia's own where the books have it: there NONE is reported."""
    known = {
        r.TaxType for r in (shapes.read(row, shapes.TaxRate) for row in tax_rates) if r.Status != "DELETED"
    }
    return OFF_AUSTRALIAN_RETURN if OFF_AUSTRALIAN_RETURN in known else NO_TAX_CODE
