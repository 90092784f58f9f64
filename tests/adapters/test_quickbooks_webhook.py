"""QuickBooks' webhook bodies, in all the forms that Intuit has published."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from connector.domain.receivables import Kind
from connector.mirroring.inbox import Change
from tests.conftest import shared
from webhooks import quickbooks
from webhooks.shapes import UnknownShape


def an_event(**changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "88cd52aa",
        "source": "intuit.x",
        "type": "qbo.invoice.updated.v1",
        "datacontenttype": "application/json",
        "time": "2026-11-20T21:31:25.179851517Z",
        "intuitentityid": "147",
        "intuitaccountid": "310687",
        "data": {},
    } | changes


def read(body: Any) -> list[Change]:
    return quickbooks.changes(json.dumps(body).encode())


def test_a_cloud_event_names_company_record_and_time() -> None:
    (change,) = read([an_event()])
    assert change == Change(
        "quickbooks",
        "310687",
        Kind.INVOICE,
        "147",
        "updated",
        datetime(2026, 11, 20, 21, 31, 25, 179851, tzinfo=UTC),
        "88cd52aa",
    )


@pytest.mark.parametrize(
    ("type", "kind", "verb"),
    [
        ("qbo.payment.created.v1", Kind.PAYMENT, "created"),
        ("qbo.creditmemo.deleted.v1", Kind.CREDIT, "deleted"),
        ("qbo.invoice.void.v1", Kind.INVOICE, "voided"),
        ("qbo.invoice.Voided.v1", Kind.INVOICE, "voided"),
        ("QBO.Invoice.Emailed.v1", Kind.INVOICE, "emailed"),
        ("qbo.invoice.something_new.v2", Kind.INVOICE, "updated"),
        ("qbo.class.created.v1", None, "created"),
        ("qbo.preferences.updated.v1", None, "updated"),
    ],
)
def test_every_verb_and_kind_wakes(type: str, kind: Kind | None, verb: str) -> None:
    (change,) = read([an_event(type=type)])
    assert (change.kind, change.verb) == (kind, verb)


def test_journals_and_deposits_carry_our_own_ids() -> None:
    journal, deposit = read(
        [an_event(type="qbo.journalentry.updated.v1"), an_event(type="qbo.deposit.updated.v1")]
    )
    assert (journal.kind, journal.record_id) == (Kind.PAYMENT, "JournalEntry:147")
    assert (deposit.kind, deposit.record_id) == (Kind.PAYMENT, "Deposit:147")


def test_one_delivery_may_name_several_companies() -> None:
    changes = read([an_event(), an_event(id="2", intuitaccountid="999")])
    assert [c.external_id for c in changes] == ["310687", "999"]


def test_a_merge_also_deletes_the_record_that_vanished() -> None:
    event = an_event(type="qbo.customer.merged.v1", data={"deletedid": "27"})
    stays, gone = read([event])
    assert (stays.record_id, stays.verb) == ("147", "merged")
    assert (gone.record_id, gone.verb) == ("27", "deleted")
    assert stays.event_key != gone.event_key


def test_missing_data_and_content_type_do_not_matter() -> None:
    event = an_event()
    del event["data"], event["datacontenttype"], event["source"]
    assert len(read([event])) == 1
    assert len(read(event)) == 1  # without its array


def test_the_older_form_is_still_read() -> None:
    entities = [
        {"name": "Invoice", "id": "1", "operation": "Void", "lastUpdated": "2015-10-05T14:42:19-0700"},
        {
            "name": "Customer",
            "id": "5",
            "operation": "Merge",
            "lastUpdated": "2015-10-05T14:42:19.000Z",
            "deletedId": "6",
        },
    ]
    body = {"eventNotifications": [{"realmId": "1", "dataChangeEvent": {"entities": entities}}]}
    void, merge, gone = read(body)
    assert (void.verb, void.occurred_at) == ("voided", datetime(2015, 10, 5, 21, 42, 19, tzinfo=UTC))
    assert (merge.verb, merge.record_id, gone.verb, gone.record_id) == ("merged", "5", "deleted", "6")
    assert len({void.event_key, merge.event_key, gone.event_key}) == 3
    assert read(body) == [void, merge, gone]


@pytest.mark.parametrize("body", [b"", b"\xff", b"no json", b"17", b'"text"', b'{"eventNotifications": 3}'])
def test_a_body_that_is_nothing_of_the_kind_is_an_unknown_shape(body: bytes) -> None:
    with pytest.raises(UnknownShape):
        quickbooks.changes(body)


def test_one_odd_event_does_not_hide_the_others() -> None:
    odd = [{}, an_event(intuitaccountid=None), an_event(type="xyz"), 5]
    with pytest.raises(UnknownShape) as caught:
        read([an_event(), *odd, an_event(id="2")])
    assert [c.event_key for c in caught.value.readable] == ["88cd52aa", "2"]
    assert "310687" not in str(caught.value)


def test_an_event_without_a_readable_time_or_id_still_counts() -> None:
    (change,) = read([an_event(time="yesterday", id="")])
    assert change.occurred_at is None
    assert change.event_key


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("blog-cloudevents-account-created", 1),
        ("blog-legacy-account-create", 1),
        ("net-cloudevents-class-created", 1),
        ("net-legacy-two-entities", 2),
        ("thirdparty-cloudevents-salesreceipt-and-merge", 3),
    ],
)
def test_published_samples_are_read(name: str, count: int) -> None:
    body = shared(f"contracts/qbo-samples/webhooks/{name}.json").read_bytes()
    assert len(quickbooks.changes(body)) == count
