"""What Xero's deliveries mean, read from the shapes that Xero publishes and that were seen live."""

from datetime import UTC, datetime

import msgspec
import pytest

from connector.domain.receivables import Kind
from connector.mirroring.inbox import Change
from webhooks.shapes import UnknownShape
from webhooks.xero import changes

TENANT = "4e3eef5b-31cd-45fa-bec2-55c777be0c8a"
INVOICE = "fc5b5e11-d99a-4f9e-baaa-3c648c2300f3"


def an_event(**changed: object) -> dict[str, object]:
    event: dict[str, object] = {
        "resourceUrl": f"https://api.xero.com/api.xro/2.0/Invoices/{INVOICE}",
        "resourceId": INVOICE,
        "tenantId": TENANT,
        "tenantType": "ORGANISATION",
        "eventCategory": "INVOICE",
        "eventType": "UPDATE",
        "eventDateUtc": "2026-11-01T14:32:04.198",
    }
    return {k: v for k, v in (event | changed).items() if v is not ...}


def a_body(*events: object, **more: object) -> bytes:
    envelope = {
        "events": list(events),
        "firstEventSequence": 215,
        "lastEventSequence": 215,
        "entropy": "IMGU",
    }
    return msgspec.json.encode(envelope | more)


def test_an_invoice_update_is_one_change_of_one_invoice():
    assert changes(a_body(an_event())) == [
        Change(
            platform="xero",
            external_id=TENANT,
            kind=Kind.INVOICE,
            record_id=INVOICE,
            verb="updated",
            occurred_at=datetime(2026, 11, 1, 14, 32, 4, 198000, tzinfo=UTC),
            event_key=f"{TENANT}:INVOICE:{INVOICE}:UPDATE:2026-11-01T14:32:04.198",
        )
    ]


def test_the_key_tells_two_events_apart_and_a_repeat_alike():
    first, again, later = changes(
        a_body(an_event(), an_event(), an_event(eventDateUtc="2026-11-01T14:32:04.199"))
    )
    assert first.event_key == again.event_key != later.event_key


@pytest.mark.parametrize(
    ("category", "kind"),
    [
        ("CONTACT", Kind.CUSTOMER),
        ("INVOICE", Kind.INVOICE),
        ("CREDITNOTE", Kind.CREDIT),
        ("PREPAYMENT", Kind.PAYMENT),
        ("OVERPAYMENT", Kind.PAYMENT),
        ("SOMETHINGNEW", None),
    ],
)
def test_each_category_names_a_kind_and_an_unknown_one_still_wakes(category: str, kind: Kind | None):
    (change,) = changes(a_body(an_event(eventCategory=category, eventType="CREATE")))
    assert (change.kind, change.verb) == (kind, "created")


@pytest.mark.parametrize("events", [[], None, ...])
def test_the_intent_to_receive_names_nothing(events: object):
    body = {"firstEventSequence": 0, "lastEventSequence": 0, "entropy": "FMLHZNKCVK"}
    assert changes(msgspec.json.encode(body if events is ... else body | {"events": events})) == []


def test_one_delivery_may_concern_several_organizations():
    other = "aef86862-2015-4b6b-88bc-d89032cecc50"
    found = changes(a_body(an_event(), an_event(tenantId=other)))
    assert [c.external_id for c in found] == [TENANT, other]


@pytest.mark.parametrize("type_", ["ACCPAYCREDIT", "SPEND-PREPAYMENT"])
def test_what_the_business_owes_others_is_left_alone(type_: str):
    data = {"Type": type_, "Status": "DRAFT"}
    assert changes(a_body(an_event(eventCategory="CREDITNOTE", data=data))) == []


def test_what_the_business_is_owed_counts():
    data = {"Type": "RECEIVE-PREPAYMENT", "Status": "AUTHORISED"}
    assert len(changes(a_body(an_event(eventCategory="PREPAYMENT", data=data)))) == 1


def test_our_app_subscription_is_no_organization():
    assert changes(a_body(an_event(eventCategory="SUBSCRIPTION", tenantType="APPLICATION"))) == []


def test_missing_and_unreadable_fields_still_wake_the_organization():
    (change,) = changes(a_body(an_event(resourceId=..., eventType="ARCHIVE", eventDateUtc="yesterday")))
    assert (change.record_id, change.verb, change.occurred_at) == ("", "updated", None)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[]", b'"x"', b'{"events":{"a":1}}'])
def test_a_body_that_cannot_be_read_is_named_as_such(body: bytes):
    with pytest.raises(UnknownShape):
        changes(body)


def test_the_readable_part_of_an_odd_body_counts():
    with pytest.raises(UnknownShape) as odd:
        changes(a_body(an_event(), an_event(tenantId=None), 7))
    assert str(odd.value) == "2 of 3 events name no organization"
    assert [c.record_id for c in odd.value.readable] == [INVOICE]
