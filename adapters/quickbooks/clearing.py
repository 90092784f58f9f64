"""The clearing account and the Service item in front of it: found by name, made once, checked every time.

A Service item that posts to an Other Current Liability is the pair that Intuit's own retainer recipe uses;
receivable and payable accounts are never used (contract 3.2).
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from adapters.quickbooks import bodies, facts, rows, translate
from adapters.quickbooks.retry_key import request_id
from adapters.quickbooks.transport import Json, Transport
from connector.domain.receivables import Organization
from connector.platforms import Account, Clearing, OutOfDate, Refused

ACCOUNT = "Payment plan clearing"
ITEM = "Payment plan installment (not a sale)"


_OFF_RETURN = tuple(  # how QuickBooks calls it in its countries, the surest first
    re.compile(name, re.IGNORECASE)
    for name in (r"out[ -]of[ -]scope\b.*", r"bas excluded", r"hors champ\b.*", r"no (vat|gst|gst/hst|tax)")
)

QUESTIONS = tuple(
    (entity, rows.any_of("Name", [name, f"{name} (deleted)"]))
    for entity, name in (("Account", ACCOUNT), ("Item", ITEM))
)  # also when it was made inactive: QuickBooks then renames it


@dataclass(frozen=True, slots=True)
class Pair:
    """What was found of the default account and item a moment ago, together with other things."""

    accounts: list[Json]
    items: list[Json]


def find_or_create(
    transport: Transport,
    wanted: str | None,
    organization: Organization,
    today: date,
    pair: Pair | None = None,
) -> Clearing:
    """The pair, usable. `wanted`: an account's id, number or name; None for the default, made if missing.
    `pair`: what `QUESTIONS` brought just now.

    Raises Refused, which names what to change in QuickBooks.
    """
    pair = pair or Pair([], [])
    raw = _named_account(transport, wanted) if wanted else _default_account(transport, today, pair.accounts)
    account = facts.account(raw, organization.home_currency)
    if not account.usable_for_clearing:
        raise Refused(
            f"The account {account.name} cannot be used for payment plans. {account.why_not} "
            "Choose another account in Settings, or change this one in QuickBooks.",
            code="CLEARING_INVALID",
        )
    us = organization.country == "US"
    item = _item(transport, account, us, today, pair.items)
    return Clearing(
        account_id=account.id,
        code=account.code,
        name=account.name,
        item_id=translate.id_of(item),
        tax_code=off_return_code(transport, organization),
        balance=account.balance,
    )


def off_return_code(transport: Transport, organization: Organization) -> str:
    """The company's own tax code for what is on no return; "" where it has none, or takes no tax at all.

    Never a zero-rated or exempt one: those count as turnover.
    """
    if organization.country == "US":
        return bodies.US_NO_TAX
    if organization.sales_tax_basis_hint == "none":
        return ""
    try:
        codes = [raw for page in rows.pages(transport, "TaxCode") for raw in page]
    except Refused:  # an edition without tax codes
        return ""
    usable = [raw for raw in codes if raw.get("Active") is not False]
    for name in _OFF_RETURN:
        for raw in usable:
            if name.fullmatch(translate.text(raw, "Name").strip()):
                return translate.id_of(raw)
    return ""


def _named_account(transport: Transport, wanted: str) -> Json:
    found = [raw for page in rows.pages(transport, "Account") for raw in page]
    for field in ("Id", "AcctNum", "Name"):
        for raw in found:
            if str(raw.get(field) or "") == wanted:
                return raw
    raise Refused(
        f"QuickBooks has no account {wanted}. Choose the clearing account in Settings.",
        code="CLEARING_INVALID",
    )


def _default_account(transport: Transport, today: date, known: list[Json]) -> Json:
    found = _live_first(known) or _by_name(transport, "Account", ACCOUNT)
    if found is None:
        _create(transport, "Account", bodies.clearing_account(ACCOUNT), today)
        found = _by_name(transport, "Account", ACCOUNT)
    if found is None:
        raise Refused(
            f'QuickBooks did not make the account "{ACCOUNT}". Make it in QuickBooks, of type '
            "Other Current Liability, and try again.",
            code="CLEARING_INVALID",
        )
    return found


def _item(transport: Transport, account: Account, us: bool, today: date, known: list[Json]) -> Json:
    """The item that posts to `account`. An older item for another account is left as it is."""
    for name in (ITEM, f"{ITEM} {account.id}"):
        found = _live_first(known) if name == ITEM else None
        found = found or _by_name(transport, "Item", name)
        if found is None:
            _create(transport, "Item", bodies.clearing_item(name, account.id, us), today)
            found = _by_name(transport, "Item", name)
        if found is not None and translate.ref(found, "IncomeAccountRef") == account.id:
            if found.get("Active") is False or translate.text(found, "Type") != "Service":
                raise Refused(
                    f'The product or service "{name}" was made inactive or changed in QuickBooks. '
                    "Make it active again as a Service, then try again.",
                    code="CLEARING_INVALID",
                )
            return found
    raise Refused(
        f'The product or service "{ITEM}" in QuickBooks posts to another account than {account.name}. '
        "Rename it in QuickBooks, then try again.",
        code="CLEARING_INVALID",
    )


def _by_name(transport: Transport, entity: str, name: str) -> Json | None:
    """The account or item of this name, also when it was made inactive: QuickBooks then renames it."""
    return _live_first(rows.by_ids(transport, entity, "Name", [name, f"{name} (deleted)"]))


def _live_first(found: list[Json]) -> Json | None:
    return min(found, key=lambda raw: raw.get("Active") is False, default=None)


def _create(transport: Transport, entity: str, body: Json, today: date) -> None:
    """Make it; another process that was quicker, or a name that is taken, shows when it is looked for.

    The day is part of the retry key: what was made and then renamed long ago is not answered again.
    """
    key = request_id("clearing", entity, today.isoformat(), *map(str, body.values()))
    with suppress(OutOfDate):
        transport.create(entity, body, key)
