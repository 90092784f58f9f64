"""Creating, renaming and archiving accounts."""

from __future__ import annotations

from sandbox.documents import Account, Ref
from sandbox.refusals import Refusal
from sandbox.xero import errors, settings
from sandbox.xero.elements import text
from sandbox.xero.envelope import ZERO_GUID, Json
from sandbox.xero.errors import Invalid
from sandbox.xero.idempotency import Reply
from sandbox.xero.request import Call


def save_account(call: Call, identity: str = "") -> Reply:
    """PUT /Accounts creates one account; POST /Accounts/{id} renames or archives it."""
    element = call.elements("Accounts")[0]
    try:
        account = _change_account(call, identity, element) if identity else _new_account(call, element)
    except (Invalid, Refusal) as problem:
        messages = problem.messages if isinstance(problem, Invalid) else (str(problem),)
        empty = {"AccountID": identity or ZERO_GUID}
        raise errors.validation(
            [{**empty, **element, "ValidationErrors": errors.problems(messages)}]
        ) from None
    return call.reply("Accounts", [settings.account_row(call.ledger, account)])


def _new_account(call: Call, element: Json) -> Account:
    name, code = text(element, "Name", 150), text(element, "Code", 10)
    kind = str(element.get("Type") or "")
    ours = settings.our_type(kind)
    if ours is None:
        raise Invalid(f"The account type '{kind}' is not valid.")
    if not name or (not code and kind != "BANK"):
        raise Invalid("The Name and the Code of the account must be specified.")
    _check_unique(call, name, code, "")
    if kind == "BANK" and not element.get("BankAccountNumber"):
        raise Invalid("The BankAccountNumber must be specified for a bank account.")
    tax = str(element.get("TaxType") or "")
    if tax and tax not in call.ledger.tax_codes:
        raise Invalid(f"The TaxType code '{tax}' does not exist or cannot be used for this account.")
    extra = {"Type": kind}
    extra |= {n: str(element[n]) for n in ("Description", "BankAccountNumber") if element.get(n)}
    return call.ledger.add_account(
        Account(
            name=name,
            code=code,
            type=ours,
            tax_code=tax,
            takes_payments=element.get("EnablePaymentsToAccount") is True,
            extra=extra,
        )
    )


def _change_account(call: Call, identity: str, element: Json) -> Account:
    account = call.ledger.accounts.get(identity.lower())
    if account is None:
        raise call.not_found()
    changes: Json = {}
    if "Status" in element:
        changes["active"] = element["Status"] == "ACTIVE"
    for theirs, ours, longest in (("Name", "name", 150), ("Code", "code", 10)):
        if theirs in element:
            changes[ours] = text(element, theirs, longest)
    if "EnablePaymentsToAccount" in element:
        changes["takes_payments"] = element["EnablePaymentsToAccount"] is True
    _check_unique(call, changes.get("name", ""), changes.get("code", ""), account.id)
    changed: Account = call.ledger.edit(Ref("account", account.id), **changes)
    return changed


def _check_unique(call: Call, name: str, code: str, own: str) -> None:
    for other in call.ledger.accounts:
        if other.id == own or not other.active:
            continue
        if name and other.name.casefold() == name.casefold():
            raise Invalid("Please enter a unique Name.")
        if code and other.code == code:
            raise Invalid("Please enter a unique Code.")
