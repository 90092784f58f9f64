"""What an approved plan writes, word by word and in order."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain import money, plan_words, plan_writes
from connector.domain.calendar import Rhythm, due_dates
from connector.domain.installments import draft_rows
from connector.domain.plan import Plan, Source, load, portions
from connector.domain.plan_words import Words, document_number, named, next_version, plan_note
from connector.domain.plan_writes import Account, Attachment, Written
from connector.domain.policy import Method, Mode
from connector.domain.proof import as_documents
from connector.domain.receivables import Document, Kind, Status
from connector.domain.writes import (
    AttachmentDraft,
    CreditDraft,
    DueDateDraft,
    InvoiceDraft,
    LinkDraft,
    NoteDraft,
    RemoveDraft,
)
from tests.domain.story import APPROVAL, BOOKS, INVOICE_1001, WORDS, example, source

PLAN = example()


def approve(plan=PLAN, books=BOOKS, **more):
    return plan_writes.approve(plan, books, posted_on=APPROVAL, approved_by="J. Doe", **more)


def test_a_split_is_written_in_the_order_that_keeps_the_books_whole():
    drafts = approve().drafts
    assert [type(d).__name__ for d in drafts] == [
        "CreditDraft",
        "LinkDraft",  # the waiver
        "CreditDraft",
        "InvoiceDraft",
        "InvoiceDraft",
        "InvoiceDraft",
        "LinkDraft",
        "NoteDraft",
    ]
    waiver, waiver_link, credit, *installments, link, note = drafts
    assert (waiver.number, waiver.amount, waiver.account_id) == ("LF-1001-W", 5000, "41")
    assert (waiver_link.credit_id, waiver_link.invoice_id, waiver_link.amount) == ("@LF-1001-W", "151", 5000)
    assert (credit.number, credit.amount, credit.account_id) == ("1001-P1C", 85000, "90")
    assert [(i.number, i.amount, i.due) for i in installments] == [
        ("1001-P1.1", 28333, date(2026, 12, 21)),
        ("1001-P1.2", 28333, date(2027, 1, 21)),
        ("1001-P1.3", 28334, date(2027, 2, 22)),
    ]
    assert {d.date for d in drafts if not isinstance(d, NoteDraft)} == {APPROVAL}  # I8
    assert (link.credit_id, link.invoice_id, link.amount) == ("@1001-P1C", "147", 85000)
    assert note.document_id == "147"
    assert note.text == (
        "2026-11-21 Payment plan PP-0007 v1: 3 x 297.50 USD from 2026-12-21 (approved by J. Doe)."
    )


def test_the_words_say_that_nothing_here_is_a_sale_or_a_tax_document():
    _, _, credit, first, *_ = approve().drafts
    assert first.description == "Installment request 1 of 3 for invoice 1001. Not a tax invoice."
    assert first.message == (
        "Installment request 1 of 3 for invoice 1001. Not a tax invoice. Tax was charged on invoice 1001 "
        "dated 2026-08-01. Please do not record it as a new purchase."
    )
    assert credit.description == (
        "Balance of invoice 1001 moved to payment plan PP-0007. Not a credit note for VAT/GST/sales tax."
    )
    assert credit.message == (
        "Reschedules the balance of invoice 1001; it does not reduce the price. "
        "This is not a credit note for VAT/GST/sales tax."
    )
    assert first.item_id == "12"
    assert first.tax_code == "NON"


def test_each_ledger_and_country_hears_its_own_words():
    books = replace(BOOKS, words=Words("credit memo", "US"))
    assert "not a credit memo" in approve(books=books).drafts[2].message
    british = replace(BOOKS, words=Words("credit note", "GB"))
    assert approve(books=british).drafts[3].message.startswith("Instalment request 1 of 3")


def test_an_untaxed_sale_is_not_said_to_be_taxed():
    plan = replace(PLAN, sources=(replace(PLAN.sources[0], tax=0),))
    assert "The sale is documented on invoice 1001 dated 2026-08-01." in approve(plan).drafts[3].message


def test_every_document_carries_our_marker():
    drafts = approve().drafts
    assert drafts[2].marker == f"plan=PP-0007 v=1 role=credit src=147 h={PLAN.digest}"
    assert drafts[3].marker == f"plan=PP-0007 v=1 role=inst n=1 src=147 h={PLAN.digest}"
    assert len({d.marker for d in drafts}) == len(drafts)
    assert replace(PLAN, rows=PLAN.rows[:2]).digest != PLAN.digest
    assert example(method=Method.EQUAL).digest != PLAN.digest  # interest counts, too


@pytest.mark.parametrize(
    ("original", "suffix", "number"),
    [
        ("1001", "-P1.2", "1001-P1.2"),
        ("123456789012", "-P1.2", "123456789012-P1.2"),
        ("INV-2026-000123", "-P1.12i", "-2026-000123"),
        ("INV-2026-000123", "-P10.12i", "2026-000123"),
    ],
)
def test_numbers_fit_into_twenty_one_characters(original, suffix, number):
    made = document_number(original, suffix)
    assert len(made) <= 21
    assert made.startswith(number)
    assert made.endswith(suffix)


def test_long_numbers_with_the_same_end_stay_apart():
    assert document_number("NORTH-2026-000123", "-P1C") != document_number("SOUTH-2026-000123", "-P1C")


def test_a_later_plan_on_the_same_invoice_takes_numbers_of_its_own():
    sources = PLAN.sources
    assert next_version([], sources) == 1
    assert next_version(["1001"], sources) == 1
    assert next_version(["1001-P1.3", "1001-P2C"], sources) == 3
    assert next_version(["1001-P10.1"], sources) == 1


def test_several_invoices_get_one_credit_each_and_pooled_installments():
    older = replace(source(INVOICE_1001), invoice_id="99", number="0977", due=date(2026, 7, 1), balance=15000)
    sources = (source(INVOICE_1001), older)
    rows = draft_rows(100000, due_dates(date(2026, 12, 21), Rhythm.MONTHLY, 3, "US"), start=APPROVAL)
    plan = replace(PLAN, sources=sources, rows=rows, waivers=())
    drafts = approve(plan).drafts
    credits_ = [d for d in drafts if isinstance(d, CreditDraft)]
    invoices = [d for d in drafts if isinstance(d, InvoiceDraft)]
    links = [d for d in drafts if isinstance(d, LinkDraft)]
    assert [(c.number, c.amount) for c in credits_] == [("1001-P1C", 85000), ("0977-P1C", 15000)]
    assert [i.number for i in invoices] == ["0977-P1.1", "0977-P1.2", "0977-P1.3"]
    assert "for invoices 1001 and 0977" in invoices[0].message
    assert [(x.credit_id, x.invoice_id, x.amount) for x in links] == [
        ("@1001-P1C", "147", 85000),
        ("@0977-P1C", "99", 15000),
    ]
    assert [[(s.number, a) for s, a in row] for row in portions(sources, [r.principal for r in rows])] == [
        [("0977", 15000), ("1001", 18333)],
        [("1001", 33333)],
        [("1001", 33334)],
    ]
    notes = [d for d in drafts if isinstance(d, NoteDraft)]
    assert [n.document_id for n in notes] == ["147", "99"]
    assert "for invoices 1001 and 0977" in notes[0].text


def test_invoices_that_share_a_number_or_have_none_get_different_credits():
    a, b = source(INVOICE_1001), replace(source(INVOICE_1001), invoice_id="148")
    nameless = replace(source(INVOICE_1001), invoice_id="149", number="")
    plan = replace(PLAN, sources=(a, b, nameless), waivers=())
    numbers = [plan_words.credit_number(plan, s) for s in plan.sources]
    assert numbers == ["1001.147-P1C", "1001.148-P1C", "149-P1C"]


def test_many_invoices_are_counted_instead_of_listed():
    many = [replace(source(INVOICE_1001), number=str(n)) for n in range(1001, 1013)]
    assert named(many) == "12 invoices (1001 to 1012)"
    assert "Tax was charged on 12 invoices" in plan_words.installment_message(
        replace(PLAN, sources=tuple(many)), PLAN.rows[0], WORDS
    )


def test_notes_fit_into_xeros_limit_and_stay_readable():
    rows = draft_rows(85001, due_dates(date(2026, 12, 21), Rhythm.WEEKLY, 12, "US"), start=APPROVAL)
    assert "12 payments, 850.01 USD in all, from 2026-12-21 to 2027-03-08" in plan_note(
        replace(PLAN, rows=rows), APPROVAL, "J. Doe"
    )
    uneven = replace(
        PLAN, rows=draft_rows(85000, due_dates(date(2026, 12, 21), Rhythm.MONTHLY, 3, "US"), start=APPROVAL)
    )
    assert "283.33 on 2026-12-21, 283.33 on 2027-01-21, 283.34 on 2027-02-22 (USD)" in plan_note(
        uneven, APPROVAL, "J. Doe"
    )
    long = [replace(source(INVOICE_1001), number="X" * 30 + str(n)) for n in range(8)]
    assert len(plan_note(replace(uneven, sources=tuple(long)), APPROVAL, "J" * 99)) == 250


def test_the_agreement_hangs_on_each_invoice():
    drafts = approve(attachment=Attachment("PP-0007-v1.pdf", "JVBERi0=")).drafts
    assert [d.document_id for d in drafts if isinstance(d, AttachmentDraft)] == ["147"]


def test_a_split_needs_its_account_and_a_mirror_is_never_written():
    with pytest.raises(ValueError, match="clearing account"):
        approve(books=replace(BOOKS, clearing_account=""))
    with pytest.raises(ValueError, match="mirror"):
        approve(replace(PLAN, mode=Mode.MIRROR))


# Notes mode


NOTES = example(mode=Mode.NOTES, waived=False)


def test_notes_mode_writes_no_document_at_all():
    written = approve(NOTES)
    assert [type(d) for d in written.drafts] == [NoteDraft]
    assert written.tasks == ()


def test_notes_mode_moves_the_date_to_the_next_installment_where_it_may():
    drafts = approve(NOTES, replace(BOOKS, movable=frozenset({"147"}))).drafts
    assert isinstance(drafts[0], DueDateDraft)
    assert (drafts[0].due, drafts[0].version) == (date(2026, 12, 21), "4")
    assert plan_writes.next_dates(NOTES, {1: 0, 2: 28333, 3: 28334}) == {"147": date(2027, 1, 21)}


def test_a_frozen_xero_invoice_becomes_a_task_for_a_person():
    written = approve(NOTES, replace(BOOKS, by_hand=frozenset({s.invoice_id for s in NOTES.sources})))
    assert [type(d) for d in written.drafts] == [NoteDraft]
    assert written.tasks[0].startswith("The ledger does not let an app edit invoice 1001")
    assert "2026-12-21" in written.tasks[0]


def test_an_invoice_with_no_row_left_keeps_its_date():
    empty = replace(
        NOTES, sources=(*NOTES.sources, replace(source(INVOICE_1001), invoice_id="9", due=date(2026, 10, 1)))
    )
    written = approve(empty, replace(BOOKS, movable=frozenset({"147", "9"})))
    assert [d.invoice_id for d in written.drafts if isinstance(d, DueDateDraft)] == ["147"]


# What can follow


def in_ledger(plan: Plan, paid: dict[int, int] | None = None) -> dict[int, Document]:
    documents, _ = as_documents(approve(plan).drafts)
    invoices = [d for d in documents if d.kind is Kind.INVOICE]
    return {
        n: replace(d, id=f"i{n}", balance=d.total - (paid or {}).get(n, 0), version=f"v{n}")
        for n, d in enumerate(invoices, 1)
    }


def test_renegotiating_credits_the_open_rest_and_issues_it_again():
    sources = plan_writes.renegotiation_sources(PLAN, in_ledger(PLAN, {1: 28333}))
    assert [(s.invoice_id, s.number, s.balance) for s in sources] == [
        ("i2", "1001-P1.2", 28333),
        ("i3", "1001-P1.3", 28334),
    ]
    assert {s.contract_due for s in sources} == {date(2026, 8, 31)}  # never younger
    day = date(2027, 1, 15)
    dates = due_dates(date(2027, 2, 15), Rhythm.MONTHLY, 4, "US")
    new = Plan(
        id="PP-0007",
        version=2,
        customer_id="58",
        currency="USD",
        mode=Mode.SPLIT,
        sources=sources,
        rows=draft_rows(56667, dates, start=day),
        drafted_on=day,
        supersedes=1,
        originals=PLAN.sources,
    )
    drafts = plan_writes.approve(new, BOOKS, posted_on=day, approved_by="J. Doe").drafts
    credit, *invoices = [d for d in drafts if isinstance(d, CreditDraft | InvoiceDraft)]
    assert (credit.number, credit.amount) == ("1001-P2C", 56667)
    assert [(i.number, i.amount) for i in invoices] == [
        ("1001-P2.1", 14166),
        ("1001-P2.2", 14167),
        ("1001-P2.3", 14167),
        ("1001-P2.4", 14167),
    ]
    assert "for invoice 1001." in invoices[0].message
    links = [d for d in drafts if isinstance(d, LinkDraft)]
    assert [(x.credit_id, x.invoice_id, x.amount) for x in links] == [
        ("@1001-P2C", "i2", 28333),
        ("@1001-P2C", "i3", 28334),
    ]
    assert plan_writes.numbers(new) == {
        Kind.CREDIT: ("1001-P2C",),
        Kind.INVOICE: ("1001-P2.1", "1001-P2.2", "1001-P2.3", "1001-P2.4"),
    }


def test_cancelling_the_same_day_takes_back_installments_then_links_then_credits():
    written = Written(
        {"LF-1001-W": "c1", "1001-P1C": "c2", "1001-P1.1": "i1", "1001-P1.2": "i2", "1001-P1.3": "i3"},
        {("1001-P1C", "147"): "l1", ("LF-1001-W", "151"): "l2"},
    )
    drafts = plan_writes.cancel(PLAN, written, today=APPROVAL).drafts
    assert [
        (d.what, d.document_id, d.link_id, d.credit_id) for d in drafts if isinstance(d, RemoveDraft)
    ] == [
        ("invoice", "i1", "", ""),
        ("invoice", "i2", "", ""),
        ("invoice", "i3", "", ""),
        ("link", "147", "l1", "c2"),
        ("link", "151", "l2", "c1"),
        ("credit", "c2", "", ""),
        ("credit", "c1", "", ""),
    ]
    assert isinstance(drafts[-1], NoteDraft)
    assert drafts[-1].text == "2026-11-21 Payment plan PP-0007 v1 cancelled; the invoice is due as before."
    assert len({d.marker for d in drafts}) == len(drafts)


def test_a_half_written_plan_is_undone_as_far_as_it_came_and_the_waiver_may_stay():
    drafts = plan_writes.cancel(
        PLAN, Written({"1001-P1C": "c2", "1001-P1.1": "i1"}), today=APPROVAL, with_waivers=False
    ).drafts
    assert [(d.what, d.document_id) for d in drafts if isinstance(d, RemoveDraft)] == [
        ("invoice", "i1"),
        ("credit", "c2"),
    ]
    notes_only = plan_writes.cancel(NOTES, Written({}), today=APPROVAL).drafts
    assert [type(d) for d in notes_only] == [NoteDraft]


def test_acceleration_moves_dates_and_posts_nothing():
    day = date(2027, 1, 21)
    books = replace(BOOKS, movable=frozenset({"i3"}))
    written = plan_writes.accelerate(
        PLAN, in_ledger(PLAN, {1: 28333, 2: 100}), books, today=day, why="installment 2 was missed"
    )
    assert [(type(d), d.invoice_id, d.due) for d in written.drafts] == [(DueDateDraft, "i3", day)]
    frozen = plan_writes.accelerate(PLAN, in_ledger(PLAN, {3: 100}), BOOKS, today=day, why="missed")
    assert [type(d) for d in frozen.drafts] == [NoteDraft]
    assert frozen.tasks == ("Set the due date of 1001-P1.3 to 2027-01-21 in the ledger.",)


def test_interest_is_billed_when_it_is_earned_and_never_after_the_end():
    assert plan_writes.interest_due(PLAN, today=date(2026, 12, 20)) == []
    assert [r.n for r in plan_writes.interest_due(PLAN, today=date(2026, 12, 21))] == [1]
    late = plan_writes.interest_due(PLAN, today=date(2027, 3, 1), billed=frozenset({1}))
    assert [r.n for r in late] == [2, 3]
    paid_off = plan_writes.interest_due(PLAN, today=date(2027, 3, 1), ended_on=date(2026, 12, 28))
    assert [r.n for r in paid_off] == [1]
    assert plan_writes.interest_due(example(method=Method.EQUAL), today=date(2027, 3, 1)) == []


def test_the_interest_invoice_has_its_own_account_and_number():
    draft = plan_writes.interest(
        PLAN, PLAN.rows[0], Account("70", "7", "EXEMPT"), WORDS, posted_on=date(2026, 12, 21)
    )
    assert (draft.number, draft.amount, draft.account_id, draft.tax_code) == (
        "1001-P1.1i",
        1417,
        "70",
        "EXEMPT",
    )
    assert (draft.date, draft.due) == (date(2026, 12, 21), date(2026, 12, 21))
    assert (
        draft.message == "Interest with installment 1 of 3 of payment plan PP-0007 (invoice 1001), as agreed."
    )


def test_a_settlement_discount_comes_off_the_last_installments():
    open_ = in_ledger(PLAN, {1: 28333})
    drafts = plan_writes.discount(PLAN, open_, 30000, Account("80"), posted_on=date(2026, 12, 28)).drafts
    assert (drafts[0].number, drafts[0].amount, drafts[0].account_id) == ("1001-P1D", 30000, "80")
    assert [(d.invoice_id, d.amount) for d in drafts[1:]] == [("i3", 28334), ("i2", 1666)]
    for amount in (0, 56668):
        with pytest.raises(ValueError, match="at most what is open"):
            plan_writes.discount(PLAN, open_, amount, Account("80"), posted_on=APPROVAL)


def test_links_learn_the_ids_of_what_was_written_before():
    link = approve().drafts[-2]
    assert plan_writes.filled(link, {"1001-P1C": "c9"}).credit_id == "c9"
    with pytest.raises(KeyError):
        plan_writes.filled(link, {})
    note = approve().drafts[-1]
    assert plan_writes.filled(note, {}) is note


def test_a_plan_survives_storage():
    assert load(PLAN.to_json()) == PLAN


# Properties

balances = st.lists(st.integers(1, 10**8), min_size=1, max_size=5)


@given(balances, st.integers(1, 12), st.sampled_from(["JPY", "USD", "KWD"]))
def test_credits_installments_and_links_add_up_to_the_balance(amounts, count, currency):
    sources = tuple(
        Source(str(k), str(1000 + k), date(2026, 8, 1), date(2026, 8, k + 1), b, 0, b)
        for k, b in enumerate(amounts)
    )
    whole = sum(amounts)
    dates = due_dates(date(2026, 12, 21), Rhythm.MONTHLY, min(count, whole), "US")
    plan = replace(
        PLAN, currency=currency, sources=sources, rows=draft_rows(whole, dates, start=APPROVAL), waivers=()
    )
    drafts = approve(plan).drafts
    for cls in (CreditDraft, InvoiceDraft, LinkDraft):
        assert sum(d.amount for d in drafts if isinstance(d, cls)) == whole  # I6
    numbers = [d.number for d in drafts if isinstance(d, CreditDraft | InvoiceDraft)]
    assert len(set(numbers)) == len(numbers)
    assert max(map(len, numbers)) <= 21


@given(st.integers(3, 10**8), st.data())
def test_renegotiation_keeps_what_is_owed(balance, data):
    """I16: the new rows are the open rests, and the paid parts are untouched."""
    dates = due_dates(date(2026, 12, 21), Rhythm.MONTHLY, 3, "US")
    whole = replace(PLAN.sources[0], balance=balance, total=balance)
    plan = replace(PLAN, sources=(whole,), rows=draft_rows(balance, dates, start=APPROVAL), waivers=())
    paid = {r.n: data.draw(st.integers(0, r.principal)) for r in plan.rows}
    open_ = balance - sum(paid.values())
    sources = plan_writes.renegotiation_sources(plan, in_ledger(plan, paid))
    assert sum(s.balance for s in sources) == open_
    if open_ < 2:
        return
    new = replace(
        plan,
        version=2,
        sources=sources,
        originals=plan.sources,
        supersedes=1,
        rows=draft_rows(open_, dates[:2], start=APPROVAL),
    )
    drafts = approve(new).drafts
    linked = {d.invoice_id: d.amount for d in drafts if isinstance(d, LinkDraft)}
    assert linked == {f"i{n}": r - paid[n] for n, r in enumerate(money.split(balance, 3), 1) if r > paid[n]}
    credit = next(d for d in drafts if isinstance(d, CreditDraft))
    assert credit.amount == open_ == sum(d.amount for d in drafts if isinstance(d, InvoiceDraft))


@given(st.dates(date(2026, 11, 21), date(2027, 6, 1)), st.dates(date(2026, 11, 21), date(2027, 6, 1)))
def test_billed_interest_never_exceeds_what_was_earned(today, ended):
    """I14: cumulative billed ≤ cumulative earned on any date, and nothing after the end."""
    billed = plan_writes.interest_due(PLAN, today=today, ended_on=ended)
    earned = [r for r in PLAN.rows if r.due <= min(today, ended)]
    assert sum(r.interest for r in billed) <= sum(r.interest for r in earned)
    assert all(r.due <= ended for r in billed)


def test_a_voided_installment_is_no_source_of_the_next_version():
    ledger = in_ledger(PLAN)
    ledger[2] = replace(ledger[2], balance=0, status=Status.VOID)
    del ledger[3]
    assert [s.number for s in plan_writes.renegotiation_sources(PLAN, ledger)] == ["1001-P1.1"]
