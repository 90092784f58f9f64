"""Attachables: notes and files on documents, both ways. They raise no webhook."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from email.message import Message
from email.parser import BytesParser
from typing import TYPE_CHECKING, Any

from sandbox.documents import Attachment, Ref
from sandbox.quickbooks import faults, native
from sandbox.quickbooks.native import Json

if TYPE_CHECKING:
    from sandbox.ledger import Ledger

KINDS = {
    "invoice": "invoice",
    "creditmemo": "credit_note",
    "payment": "payment",
    "customer": "customer",
    "deposit": "deposit",
    "journalentry": "journal",
    "refundreceipt": "refund",
    "item": "item",
    "account": "account",
}
_TYPES = {
    "invoice": "Invoice",
    "credit_note": "CreditMemo",
    "payment": "Payment",
    "customer": "Customer",
    "deposit": "Deposit",
    "journal": "JournalEntry",
    "refund": "RefundReceipt",
    "item": "Item",
    "account": "Account",
}
# One attachable can be on several documents: a query fits when any of them does.
COLUMNS: dict[str, Any] = {
    "AttachableRef.EntityRef.Type": lambda ledger, r: [_TYPES[ref.kind] for ref in r.refs],
    "AttachableRef.EntityRef.value": lambda ledger, r: [ref.id for ref in r.refs],
    "FileName": lambda ledger, r: r.file_name or None,
    "Note": lambda ledger, r: r.note or None,
}


def render(ledger: Ledger, attachment: Attachment) -> Json:
    body = native.head(attachment) | {
        "FileName": attachment.file_name,
        "Note": attachment.note,
        "ContentType": attachment.mime_type,
        "AttachableRef": [
            {
                "EntityRef": {"type": _TYPES[ref.kind], "value": ref.id},
                "IncludeOnSend": attachment.include_on_send,
            }
            for ref in attachment.refs
        ],
    }
    if attachment.file_name:
        path = f"/v3/company/{ledger.organization.id}/download/{attachment.id}"
        body |= {"FileAccessUri": path, "TempDownloadUri": path, "Size": len(attachment.content)}
    return native.without_empty(body)


def read(ledger: Ledger, body: Mapping[str, Any], content: bytes = b"", filename: str = "") -> Attachment:
    """The neutral attachment of a body. Raises Fault 6000 when it is empty or its document is not there."""
    note = native.text(body, "Note")
    name = filename or native.text(body, "FileName")
    if not note and not name:
        raise faults.business("You must have at least a note string or file attachment")
    sent = body.get("AttachableRef") or ()
    return Attachment(
        note=note,
        file_name=name,
        mime_type=native.text(body, "ContentType"),
        content=content,
        refs=[_ref(ledger, entry.get("EntityRef") or {}) for entry in sent if entry.get("EntityRef")],
        include_on_send=any(native.flag(entry, "IncludeOnSend") for entry in sent),
    )


def _ref(ledger: Ledger, entry: Mapping[str, Any]) -> Ref:
    kind, id = str(entry.get("type", "")), str(entry.get("value", ""))
    ours = KINDS.get(kind.lower())
    if ours is None or id not in ledger.table(ours):
        raise faults.business(f"The entity {kind} {id} that you are trying to link does not exist.")
    return Ref(ours, id)


Part = tuple[Json, bytes, str]  # (metadata, content, file name)


def parts(content_type: str, body: bytes) -> list[Part]:
    """The files of a multipart upload, each with the metadata part of its number. Raises Fault 2010 or 2020.

    Read as mail is, because clients encode a file as base64 and say so in the part's own header.
    """
    message = BytesParser().parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    named: dict[str, Message] = {}
    for part in message.get_payload() if message.is_multipart() else ():
        if isinstance(part, Message):
            named[str(part.get_param("name", "", "Content-Disposition"))] = part
    found: list[Part] = []
    for name, part in named.items():
        if not name.startswith("file_content"):
            continue
        metadata = named.get(name.replace("content", "metadata"))
        facts = _metadata(_content(metadata)) if metadata else {}
        found.append((facts, _content(part), part.get_filename("") or ""))
    if not found:
        raise faults.missing("file_content_01")
    return found


def _content(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _metadata(text: bytes) -> Json:
    try:
        facts: Json = json.loads(text, parse_float=Decimal)
    except ValueError:
        raise faults.malformed("failed to parse json object; a property specified is unsupported or invalid")
    return facts
