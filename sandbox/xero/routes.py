"""Which endpoint answers which address below /api.xro/2.0. The first part of the path decides the scope."""

from __future__ import annotations

from sandbox.xero import account_changes, contact_changes, notes, payments, reading, sales, statements
from sandbox.xero.request import View

ROOT = "/api.xro/2.0"
_INVOICE = reading.find_invoice
_CREDIT_NOTE = reading.find_credit_note
_CONTACT = reading.find_contact
_PAYMENT = reading.find_payment
_OVERPAYMENT = reading.find_advance("overpayment")
_PREPAYMENT = reading.find_advance("prepayment")


def _with_history(kind: str, plural: str, find: reading.Find) -> list[tuple[str, str, View]]:
    path = f"/{plural}/<identity>/History"
    return [
        ("GET", path, reading.history_of(kind, find)),
        ("PUT", path, notes.add_notes(kind, find)),
        ("POST", path, notes.add_notes(kind, find)),
    ]


def _with_files(kind: str, plural: str, find: reading.Find) -> list[tuple[str, str, View]]:
    path = f"/{plural}/<identity>/Attachments"
    return [
        ("GET", path, reading.attachments_of(kind, find)),
        ("GET", f"{path}/<name>", reading.attachment_content(kind, find)),
        ("PUT", f"{path}/<name>", notes.attach(kind, find)),
        ("POST", f"{path}/<name>", notes.attach(kind, find)),
    ]


ROUTES: list[tuple[str, str, View]] = [
    ("GET", "/Organisation", reading.organisation),
    ("GET", "/Accounts", reading.accounts),
    ("PUT", "/Accounts", account_changes.save_account),
    ("GET", "/Accounts/<identity>", reading.account),
    ("POST", "/Accounts/<identity>", account_changes.save_account),
    ("GET", "/TaxRates", reading.tax_rates),
    ("GET", "/Currencies", reading.currency_list),
    ("GET", "/BrandingThemes", reading.branding_themes),
    ("GET", "/Users", reading.users),
    ("GET", "/InvoiceReminders/Settings", reading.reminder_settings),
    ("GET", "/Contacts", reading.list_of(reading.CONTACTS)),
    ("PUT", "/Contacts", contact_changes.save_contacts),
    ("POST", "/Contacts", contact_changes.save_contacts),
    ("GET", "/Contacts/<identity>", reading.one_of(reading.CONTACTS, _CONTACT)),
    ("POST", "/Contacts/<identity>", contact_changes.save_contacts),
    *_with_history("Contact", "Contacts", _CONTACT),
    *_with_files("Contact", "Contacts", _CONTACT),
    ("GET", "/Invoices", reading.list_of(reading.INVOICES)),
    ("PUT", "/Invoices", sales.save(sales.INVOICE)),
    ("POST", "/Invoices", sales.save(sales.INVOICE)),
    ("GET", "/Invoices/<identity>", reading.one_of(reading.INVOICES, _INVOICE)),
    ("POST", "/Invoices/<identity>", sales.save(sales.INVOICE)),
    ("POST", "/Invoices/<identity>/Email", notes.send_email),
    ("GET", "/Invoices/<identity>/OnlineInvoice", reading.online_invoice),
    *_with_history("Invoice", "Invoices", _INVOICE),
    *_with_files("Invoice", "Invoices", _INVOICE),
    ("GET", "/CreditNotes", reading.list_of(reading.CREDIT_NOTES)),
    ("PUT", "/CreditNotes", sales.save(sales.CREDIT_NOTE)),
    ("POST", "/CreditNotes", sales.save(sales.CREDIT_NOTE)),
    ("GET", "/CreditNotes/<identity>", reading.one_of(reading.CREDIT_NOTES, _CREDIT_NOTE)),
    ("POST", "/CreditNotes/<identity>", sales.save(sales.CREDIT_NOTE)),
    ("PUT", "/CreditNotes/<identity>/Allocations", payments.allocate("credit_note")),
    ("DELETE", "/CreditNotes/<identity>/Allocations/<allocation>", payments.deallocate("credit_note")),
    *_with_history("CreditNote", "CreditNotes", _CREDIT_NOTE),
    *_with_files("CreditNote", "CreditNotes", _CREDIT_NOTE),
    ("GET", "/Payments", reading.list_of(reading.PAYMENTS)),
    ("PUT", "/Payments", payments.save_payments),
    ("POST", "/Payments", payments.save_payments),
    ("GET", "/Payments/<identity>", reading.one_of(reading.PAYMENTS, _PAYMENT)),
    ("POST", "/Payments/<identity>", payments.change_payment),
    *_with_history("Payment", "Payments", _PAYMENT),
    ("GET", "/BatchPayments", reading.batch_payments),
    ("GET", "/BatchPayments/<identity>", reading.batch_payment),
    ("GET", "/Overpayments", reading.list_of(reading.OVERPAYMENTS)),
    ("GET", "/Overpayments/<identity>", reading.one_of(reading.OVERPAYMENTS, _OVERPAYMENT)),
    ("PUT", "/Overpayments/<identity>/Allocations", payments.allocate("overpayment")),
    ("DELETE", "/Overpayments/<identity>/Allocations/<allocation>", payments.deallocate("overpayment")),
    *_with_history("Overpayment", "Overpayments", _OVERPAYMENT),
    ("GET", "/Prepayments", reading.list_of(reading.PREPAYMENTS)),
    ("GET", "/Prepayments/<identity>", reading.one_of(reading.PREPAYMENTS, _PREPAYMENT)),
    ("PUT", "/Prepayments/<identity>/Allocations", payments.allocate("prepayment")),
    ("DELETE", "/Prepayments/<identity>/Allocations/<allocation>", payments.deallocate("prepayment")),
    *_with_history("Prepayment", "Prepayments", _PREPAYMENT),
    ("GET", "/Reports/TrialBalance", statements.trial_balance_report),
    ("GET", "/Reports/AgedReceivablesByContact", statements.aged_receivables_report),
]


def resource(rule: str) -> str:
    """The part of an address that a scope is about: its first word, and a report's name too."""
    words = rule.strip("/").lower().split("/")
    return "/".join(words[:2]) if words[0] == "reports" else words[0]
