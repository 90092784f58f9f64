"""Which consent each endpoint needs: Xero's granular scopes, and the broad ones they replace."""

from __future__ import annotations

from collections.abc import Collection

_FOR_RESOURCE = {
    "invoices": "accounting.invoices",
    "creditnotes": "accounting.invoices",
    "payments": "accounting.payments",
    "batchpayments": "accounting.payments",
    "overpayments": "accounting.payments",
    "prepayments": "accounting.payments",
    "contacts": "accounting.contacts",
    "accounts": "accounting.settings",
    "brandingthemes": "accounting.settings",
    "currencies": "accounting.settings",
    "invoicereminders": "accounting.settings",
    "organisation": "accounting.settings",
    "taxrates": "accounting.settings",
    "users": "accounting.settings",
    "reports/trialbalance": "accounting.reports.trialbalance",
    "reports/agedreceivablesbycontact": "accounting.reports.aged",
}
_BROAD = {
    "accounting.invoices": "accounting.transactions",
    "accounting.payments": "accounting.transactions",
    "accounting.reports.trialbalance": "accounting.reports",
    "accounting.reports.aged": "accounting.reports",
}
GRANULAR = tuple(
    scope + ending
    for scope in sorted(set(_FOR_RESOURCE.values()))
    for ending in ((".read",) if ".reports." in scope else ("", ".read"))
)


def allowed(granted: Collection[str], resource: str, writing: bool) -> bool:
    """Whether a token with these scopes may read, or write, `resource` (the path's first part, lower case)."""
    scope = _FOR_RESOURCE.get(resource)
    if scope is None:
        return True
    names = [scope, _BROAD.get(scope, scope)]
    if not writing:
        names += [f"{name}.read" for name in names]
    return any(name in granted for name in names)
