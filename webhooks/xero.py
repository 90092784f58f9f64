"""Xero's webhook: a list of events, possibly of several organizations; empty for the intent to receive.

Categories and shapes: contracts of Xero's `xero-webhooks.yaml`. Xero sends CREATE and UPDATE only; archiving,
voiding and deleting are UPDATEs. Payments have no category: they show as an invoice's update, or in the sweep.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from connector.domain.receivables import Kind
from connector.mirroring.inbox import Change
from webhooks.shapes import UnknownShape

SIGNATURE_HEADER = "x-xero-signature"

_KINDS = {
    "CONTACT": Kind.CUSTOMER,
    "INVOICE": Kind.INVOICE,
    "CREDITNOTE": Kind.CREDIT,
    "PREPAYMENT": Kind.PAYMENT,
    "OVERPAYMENT": Kind.PAYMENT,
}
_VERBS = {"CREATE": "created", "UPDATE": "updated"}
_SUPPLIER_TYPES = ("ACCPAY", "SPEND-", "APPREPAYMENT", "APOVERPAYMENT")  # money we owe: not a receivable


def changes(body: bytes) -> list[Change]:
    """The changes that a signed body names; [] for the intent to receive. Raises UnknownShape."""
    try:
        envelope = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UnknownShape("the body is not JSON") from None
    if not isinstance(envelope, dict):
        raise UnknownShape("the body is not an object")
    events = envelope.get("events") or []
    if not isinstance(events, list):
        raise UnknownShape("`events` is not a list")
    found: list[Change] = []
    odd = 0
    for event in events:
        if not _has_tenant(event):
            odd += 1
        elif _concerns_receivables(event):
            found.append(_change(event))
    if odd:
        raise UnknownShape(f"{odd} of {len(events)} events name no organization", found)
    return found


def _has_tenant(event: Any) -> bool:
    return isinstance(event, dict) and isinstance(event.get("tenantId"), str) and bool(event["tenantId"])


def _concerns_receivables(event: dict[str, Any]) -> bool:
    if event.get("tenantType") == "APPLICATION":  # SUBSCRIPTION events are about our app, not about books
        return False
    data = event.get("data")
    kind_of_document = data.get("Type") if isinstance(data, dict) else None
    return not (isinstance(kind_of_document, str) and kind_of_document.startswith(_SUPPLIER_TYPES))


def _change(event: dict[str, Any]) -> Change:
    def text(name: str) -> str:
        value = event.get(name)
        return value if isinstance(value, str) else ""

    names = ("tenantId", "eventCategory", "resourceId", "eventType", "eventDateUtc")
    return Change(
        platform="xero",
        external_id=text("tenantId"),
        kind=_KINDS.get(text("eventCategory").upper()),
        record_id=text("resourceId"),
        verb=_VERBS.get(text("eventType").upper(), "updated"),
        occurred_at=_utc(text("eventDateUtc")),
        event_key=":".join(text(name) for name in names),
    )


def _utc(value: str) -> datetime | None:
    """Xero writes UTC without saying so: 2025-05-01T14:32:04.198."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
