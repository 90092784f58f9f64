"""QuickBooks' webhook: an array of CloudEvents, possibly of several companies; or the form used until 2026.

Names and ids only, never values. The verb of a void is spelled in two ways by Intuit's own sources; a verb
that we do not know counts as an update. The content type is not relied on (`application/cloudevents+json`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from connector.domain.receivables import Kind
from connector.mirroring.inbox import Change
from webhooks.shapes import UnknownShape

SIGNATURE_HEADER = "intuit-signature"

_KINDS = {
    "customer": Kind.CUSTOMER,
    "invoice": Kind.INVOICE,
    "payment": Kind.PAYMENT,
    "creditmemo": Kind.CREDIT,
    "deposit": Kind.PAYMENT,
    "journalentry": Kind.PAYMENT,
    "refundreceipt": Kind.PAYMENT,
}
_PREFIXES = {"deposit": "Deposit:", "journalentry": "JournalEntry:", "refundreceipt": "RefundReceipt:"}
_VERBS = {
    "create": "created",
    "created": "created",
    "delete": "deleted",
    "deleted": "deleted",
    "merge": "merged",
    "merged": "merged",
    "void": "voided",
    "voided": "voided",
    "emailed": "emailed",
}


def changes(body: bytes) -> list[Change]:
    """The changes that a signed body names, in its order. Raises UnknownShape."""
    try:
        envelope = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UnknownShape("the body is not JSON") from None
    found: list[Change] = []
    odd = 0
    if isinstance(envelope, dict) and "eventNotifications" in envelope:
        events = _older_events(envelope["eventNotifications"])
    else:
        events = _cloud_events(envelope)
    for event in events:
        if event is None:
            odd += 1
        else:
            found.extend(_changes(*event))
    if odd:
        raise UnknownShape(f"{odd} events could not be read", found)
    return found


# company, entity, verb, id, id that vanished in a merge, time, key
_Event = tuple[str, str, str, str, str, str, str]


def _cloud_events(envelope: Any) -> Iterator[_Event | None]:
    if isinstance(envelope, dict):  # one event without its array
        envelope = [envelope]
    if not isinstance(envelope, list):
        raise UnknownShape("the body is neither a list of events nor the older form")
    for event in envelope:
        named = re.match(r"(?i)qbo\.(\w+)\.(\w+)", _text(event, "type"))
        company = _text(event, "intuitaccountid")
        if named is None or not company:
            yield None
            continue
        data = event.get("data")
        gone = _text(data, "deletedid") or _text(data, "deletedId")
        key = _text(event, "id") or ":".join(
            _text(event, part) for part in ("intuitaccountid", "type", "intuitentityid", "time")
        )
        yield (company, named[1], named[2], _text(event, "intuitentityid"), gone, _text(event, "time"), key)


def _older_events(notifications: Any) -> Iterator[_Event | None]:
    if not isinstance(notifications, list):
        raise UnknownShape("`eventNotifications` is not a list")
    for notification in notifications:
        company = _text(notification, "realmId")
        change = notification.get("dataChangeEvent") if isinstance(notification, dict) else None
        entities = change.get("entities") if isinstance(change, dict) else None
        if not company or not isinstance(entities, list):
            yield None
            continue
        for entity in entities:
            name, verb = _text(entity, "name"), _text(entity, "operation")
            record, time = _text(entity, "id"), _text(entity, "lastUpdated")
            if not name:
                yield None
                continue
            key = ":".join((company, name, record, verb, time))
            yield (company, name, verb, record, _text(entity, "deletedId"), time, key)


def _changes(
    company: str, entity: str, verb: str, record: str, gone: str, time: str, key: str
) -> Iterator[Change]:
    """One change, and for a merge a second one: the record that vanished."""
    kind = _KINDS.get(entity.lower())
    prefix = _PREFIXES.get(entity.lower(), "")
    when = _moment(time)
    word = _VERBS.get(verb.lower(), "updated")
    yield Change("quickbooks", company, kind, prefix + record if record else "", word, when, key)
    if gone:
        yield Change("quickbooks", company, kind, prefix + gone, "deleted", when, f"{key}:{gone}")


def _text(holder: Any, name: str) -> str:
    value = holder.get(name) if isinstance(holder, dict) else None
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


def _moment(text: str) -> datetime | None:
    """`2025-09-10T21:31:25.179851517Z`, `….000Z` or `2015-10-05T14:42:19-0700`; None when unreadable."""
    text = re.sub(r"(\.\d{6})\d+", r"\1", text)  # nanoseconds
    text = re.sub(r"([+-]\d{2})(\d{2})$", r"\1:\2", text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment.astimezone(UTC)
