"""What is not known for sure about Xero, each with the value assumed here; tests turn them both ways."""

from __future__ import annotations

from typing import Any

SWITCHES: dict[str, tuple[Any, str]] = {
    "missing_scope": (401, "status when the consent does not cover an endpoint: 401 with a header, or 403"),
    "allocation_date": (
        "required",
        "required: an allocation must state its Date; read_only: it is worked out",
    ),
    "payment_raises_invoice_update": (True, "a payment, or taking it back, raises the INVOICE webhook"),
    "frozen_dates_bump": (False, "DueDate and SentToContact of a part-paid invoice change UpdatedDateUTC"),
    "deleted_payments_listed": (True, "deleted payments come back in lists, with status DELETED"),
    "batch_strings": (False, "BatchPayment.TotalAmount and IsReconciled inside payments are texts"),
    "not_found_json": (False, "404 is JSON instead of plain text"),
    "note_limit": (2500, "longest history note in characters; an older page says 250"),
    "modified_since_inclusive": (True, "If-Modified-Since includes the second it names"),
    "lock_date_bypass": (False, "the period lock date does not bind this user (adviser role)"),
    "advance_events": (True, "PREPAYMENT and OVERPAYMENT webhooks are sent"),
    "starter_app": (False, "the app is on the Starter plan: 1,000 calls a day per organisation"),
    "refuse_slow_queries": (True, "filters and orders that are not optimised are refused over 100,000 rows"),
}


def assumed(name: str) -> Any:
    """The value a switch has until someone turns it."""
    return SWITCHES[name][0]
