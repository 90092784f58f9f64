"""Drafts survive the outbox, and no two plans share a marker."""

from dataclasses import replace
from datetime import date

import pytest

from connector.domain.plan_writes import Attachment, approve
from connector.domain.policy import Mode
from connector.domain.receivables import Kind
from connector.domain.writes import (
    AttachmentDraft,
    DueDateDraft,
    RemoveDraft,
    SendDraft,
    dump,
    fingerprint,
    kind_of,
    load,
    marker,
)
from tests.domain.story import APPROVAL, BOOKS, example

SPLIT = approve(
    example(), BOOKS, posted_on=APPROVAL, approved_by="J. Doe", attachment=Attachment("a.pdf", "eA==")
)
MOVED = approve(
    example(mode=Mode.NOTES, waived=False),
    replace(BOOKS, movable=frozenset({"147"})),
    posted_on=APPROVAL,
    approved_by="J. Doe",
)
DRAFTS = [*SPLIT.drafts, *MOVED.drafts, SendDraft("147", "m"), RemoveDraft("link", "147", "m", "l1", "c1")]


@pytest.mark.parametrize("draft", DRAFTS)
def test_every_kind_of_draft_survives_the_outbox(draft):
    assert load(kind_of(draft), dump(draft)) == draft


def test_all_kinds_are_covered_above():
    assert {kind_of(d) for d in DRAFTS} == {
        "credit",
        "create_invoice",
        "link",
        "note",
        "due_date",
        "attach",
        "send",
        "remove",
    }
    assert {AttachmentDraft, DueDateDraft} <= {type(d) for d in DRAFTS}
    assert dump(SPLIT.drafts[-1])["kind"] == Kind.INVOICE


def test_the_fingerprint_is_over_dates_and_amounts():
    rows = [(date(2026, 12, 21), 28333), (date(2027, 1, 21), 28333)]
    assert fingerprint(rows) == fingerprint(list(rows))
    assert len(fingerprint(rows)) == 8
    assert fingerprint([(date(2026, 12, 22), 28333), rows[1]]) != fingerprint(rows)
    assert fingerprint([(date(2026, 12, 21), 28334), rows[1]]) != fingerprint(rows)


def test_the_marker_of_the_document_that_accounting_shows():
    assert marker("PP-0007", 1, "inst", "147", "9c01aa42", 1) == (
        "plan=PP-0007 v=1 role=inst n=1 src=147 h=9c01aa42"
    )
    assert (
        marker("PP-0007", 1, "credit", "147", "9c01aa42") == "plan=PP-0007 v=1 role=credit src=147 h=9c01aa42"
    )
