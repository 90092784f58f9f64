"""The account through which a plan moves balances: found by name, or made once."""

from __future__ import annotations

from uuid import uuid4

from adapters.xero import answers, bodies, facts, faults
from adapters.xero.pull import ask
from adapters.xero.transport import Transport
from connector.platforms import Account, Clearing, OutOfDate, PlatformError, Refused

CLEARING_NAME = "Payment plan clearing"
CLEARING_CODES = range(640, 700)  # current assets in Xero's own charts of accounts


def every_account(transport: Transport) -> list[Account]:
    found = ask(transport, "Accounts", "get_accounts")
    return [answers.understood(facts.account, row) for row in found.Accounts or []]


def find_or_create(transport: Transport, account: str | None, country: str) -> Clearing:
    """`account`: the code or id that the bookkeeper chose; None for the default, made if missing.

    Raises Refused, which names what to change in Xero.
    """
    known = every_account(transport)
    beside = (_off_return_code(transport, country), _form(transport))
    if account:
        wanted = account.strip().lower()
        for found in known:
            if wanted in (found.id.lower(), found.code.lower()):
                return _usable(found, *beside)
        raise Refused(
            f"Xero has no account {account}. Choose another clearing account in the settings.",
            code="CLEARING_INVALID",
        )
    for found in known:
        if found.name.strip().lower() == CLEARING_NAME.lower():
            return _usable(found, *beside)
    code = _free_code(known)
    answer = transport.write(
        "PUT Accounts",
        "create_account",
        body=bodies.account_body(code, CLEARING_NAME, beside[0]),
        key=f"forbear-clearing-{uuid4()}",  # the name, not the key, keeps it from being made twice
    )
    elements = answers.elements(answer, "Accounts")
    if not elements:
        raise faults.unreadable_answer(answer, writes=True)
    return _usable(answers.understood(facts.account, elements[0]), *beside)


def _off_return_code(transport: Transport, country: str) -> str:
    """Only Australian books have a code of their own for what stays off the return."""
    if country != "AU":
        return facts.NO_TAX_CODE
    found = ask(transport, "TaxRates", "get_tax_rates")
    return answers.understood(facts.off_return_code, found.TaxRates or [])


def _form(transport: Transport) -> str:
    """The bookkeeper's own layout for installments; a plan is written without one, too."""
    try:
        found = ask(transport, "BrandingThemes", "get_branding_themes")
    except PlatformError as problem:
        if isinstance(problem, Refused | OutOfDate) or faults.lacks_scope(problem):
            return ""
        raise
    return answers.understood(facts.installment_form, found.BrandingThemes or [])


def _usable(found: Account, tax_code: str, form: str) -> Clearing:
    if not found.usable_for_clearing:
        raise Refused(
            f"Account {found.code or found.name} cannot be the clearing account: {found.why_not}. "
            "Choose another one in the settings.",
            code="CLEARING_INVALID",
        )
    return facts.clearing(found, tax_code, form)


def _free_code(known: list[Account]) -> str:
    taken = {account.code for account in known}
    for code in CLEARING_CODES:
        if str(code) not in taken:
            return str(code)
    raise Refused(
        f"Xero's account codes {CLEARING_CODES[0]} to {CLEARING_CODES[-1]} are all taken. Make a current asset "
        f"account called {CLEARING_NAME} in Xero, then try again.",
        code="CLEARING_INVALID",
    )
