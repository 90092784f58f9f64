"""Writing into a pretend Xero over HTTP: what arrives, what comes back, and every way it can go wrong."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from connector.domain.receivables import Document, Kind, Status
from connector.domain.writes import (
    AttachmentDraft,
    CreditDraft,
    DueDateDraft,
    InvoiceDraft,
    LinkDraft,
    NoteDraft,
    RemoveDraft,
    SendDraft,
)
from connector.platforms import OutOfDate, Refused, TryLater
from sandbox import acts
from sandbox.documents import Account, Ref, TaxCode
from sandbox.faults import Fault
from tests.adapters.xero_books import TODAY, Xero, xero


@pytest.fixture
def ledgers(tmp_path: Path) -> Iterator[Xero]:
    with xero(tmp_path) as running:
        yield running


def bill(running: Xero, net: int = 100_000, number: str = "INV-1001") -> str:
    kea = running.customer("Kea Couriers")
    return acts.bill(
        running.books, customer=kea, net=net, day=date(2026, 9, 20), due=date(2026, 10, 20), number=number
    ).id


def mark(role: str, n: int | None = None) -> str:
    return f"plan=PP-0007 v=1 role={role}{f' n={n}' if n else ''} src=147 h=9c01aa42"


def a_credit(running: Xero, amount: int = 115_000, **changed: object) -> CreditDraft:
    draft = CreditDraft(
        number="INV-1001-P1C",
        customer_id=running.customer("Kea Couriers"),
        date=TODAY,
        currency="NZD",
        amount=amount,
        account_id="640",
        description="Reschedules the balance of INV-1001; it does not reduce the price.",
        message="This is not a credit note for GST.",
        marker=mark("credit"),
        tax_code="NONE",
    )
    return replace(draft, **changed)


def installments(running: Xero, *amounts: int) -> list[InvoiceDraft]:
    return [
        InvoiceDraft(
            number=f"INV-1001-P1.{n}",
            customer_id=running.customer("Kea Couriers"),
            date=TODAY,
            due=date(2026 + (11 + n) // 13, (11 + n - 1) % 12 + 1, 21),
            currency="NZD",
            amount=amount,
            account_id="640",
            description=f"Installment {n} of {len(amounts)} for INV-1001.",
            message="Not a tax invoice.",
            marker=mark("inst", n),
            tax_code="NONE",
        )
        for n, amount in enumerate(amounts, 1)
    ]


def ledger_calls(running: Xero) -> list[str]:
    return [f"{call.method} {call.path.split('/api.xro/2.0')[-1]}" for call in running.world.calls]


def test_the_clearing_account_is_made_once_with_a_free_code(ledgers: Xero):
    ledgers.books.add_account(Account(code="640", name="Something else", type="current_asset"))
    made = ledgers.open().clearing(None, TODAY)
    again = ledgers.open().clearing(None, TODAY)
    assert made == again
    assert (made.name, made.code, made.account_id, made.tax_code) == (
        "Payment plan clearing",
        "641",
        "641",
        "NONE",
    )
    assert len([a for a in ledgers.books.accounts if a.name == "Payment plan clearing"]) == 1


def test_installments_are_printed_in_the_theme_that_was_made_for_them(ledgers: Xero):
    ledger = ledgers.open()
    clearing = ledger.clearing(None, TODAY)
    [draft] = installments(ledgers, 28333)
    [made] = ledger.create_invoices([replace(draft, account_id=clearing.account_id, form=clearing.form)], "k")
    assert isinstance(made, Document)
    assert clearing.form
    assert ledgers.books.invoices[made.id].extra["BrandingThemeID"] == clearing.form


def test_australian_books_keep_the_account_off_the_activity_statement(ledgers: Xero):
    ledgers.books.organization.country = "AU"
    ledgers.books.add_account(Account(code="855", name="Plans", type="current_asset"))
    assert ledgers.open().clearing("855", TODAY).tax_code == "NONE"  # books without Australia's own code
    ledgers.books.add_tax_code(TaxCode(id="BASEXCLUDED", name="BAS Excluded", rate=Decimal(0)))
    assert ledgers.open().clearing(None, TODAY).tax_code == "BASEXCLUDED"


def test_a_chosen_account_is_taken_by_code_and_checked(ledgers: Xero):
    ledgers.books.add_account(Account(code="855", name="Plans", type="current_liability"))
    ledgers.books.add_account(Account(code="856", name="Old plans", type="current_asset", active=False))
    ledger = ledgers.open()
    assert ledger.clearing("855", TODAY).name == "Plans"
    for wrong, why in (("856", "archived"), ("200", "not a current"), ("099", "no account 099")):
        with pytest.raises(Refused, match=why) as refused:
            ledger.clearing(wrong, TODAY)
        assert refused.value.code == "CLEARING_INVALID"


def test_an_archived_account_of_our_name_is_told_and_not_made_again(ledgers: Xero):
    ledgers.books.add_account(
        Account(code="640", name="Payment plan clearing", type="current_asset", active=False)
    )
    with pytest.raises(Refused, match="archived"):
        ledgers.open().clearing(None, TODAY)


def test_three_installments_are_one_call(ledgers: Xero):
    bill(ledgers)
    ledger = ledgers.open()
    ledger.clearing(None, TODAY)
    before = len(ledgers.world.calls)

    made = ledger.create_invoices(installments(ledgers, 38_333, 38_333, 38_334), "PP-0007-1-inst")

    assert ledger_calls(ledgers)[before:] == ["PUT /Invoices?summarizeErrors=false"]
    assert [(d.number, d.total, d.balance, d.tax, d.status) for d in made] == [
        ("INV-1001-P1.1", 38_333, 38_333, 0, Status.OPEN),
        ("INV-1001-P1.2", 38_333, 38_333, 0, Status.OPEN),
        ("INV-1001-P1.3", 38_334, 38_334, 0, Status.OPEN),
    ]
    assert [d.due for d in made] == [date(2026, 12, 21), date(2027, 1, 21), date(2027, 2, 21)]
    assert made[0].marker == mark("inst", 1)
    assert made[0].lines[0].description == "Installment 1 of 3 for INV-1001.\nNot a tax invoice."
    assert ledgers.books.invoices[made[0].id].emailed_at is None


def test_a_plan_settles_the_original_and_can_be_taken_back(ledgers: Xero):
    original = bill(ledgers)
    ledger = ledgers.open()
    ledger.clearing(None, TODAY)
    credit = ledger.create_credit(a_credit(ledgers), "PP-0007-1-credit")
    plan = ledger.create_invoices(installments(ledgers, 57_500, 57_500), "PP-0007-1-inst")
    draft = LinkDraft(
        credit.id, original, ledgers.customer("Kea Couriers"), TODAY, "NZD", 115_000, mark("link")
    )
    link_id = ledger.link(draft, "PP-0007-1-link")

    settled = ledger.document(Kind.INVOICE, original)
    assert (settled.status, settled.balance) == (Status.PAID, 0)
    assert [(x.kind, x.id, x.amount, x.link_id) for x in settled.links] == [
        ("credit", credit.id, 115_000, link_id)
    ]
    for _ in range(2):  # a second worker may do it all again
        ledger.remove(RemoveDraft("link", original, mark("undo"), link_id, credit.id), "u-1")
        for document in plan:
            ledger.remove(RemoveDraft("invoice", document.id, mark("undo")), f"u-{document.number}")
        ledger.remove(RemoveDraft("credit", credit.id, mark("undo")), "u-3")
    assert ledger.document(Kind.INVOICE, original).balance == 115_000
    assert ledger.find(Kind.INVOICE, [d.number for d in plan]) == []
    assert ledger.document(Kind.CREDIT, credit.id).status is Status.VOID


def test_what_carries_a_payment_is_not_voided(ledgers: Xero):
    original = bill(ledgers)
    acts.pay(ledgers.books, invoice=original, amount=1_000)
    with pytest.raises(Refused) as refused:
        ledgers.open().remove(RemoveDraft("invoice", original, mark("undo")), "u-1")
    assert refused.value.code == "DOC_HAS_ALLOCATIONS"
    assert "AccountsReceivable" in str(refused.value)
    assert ledgers.books.invoices[original].status != "void"


def test_what_xero_changed_while_warning_is_told_as_xero_has_it(ledgers: Xero):
    """A 200 may carry warnings, and other contents than were sent. The outbox compares them with the draft."""
    ledger = ledgers.open()
    ledger.clearing(None, TODAY)
    draft = installments(ledgers, 38_333)[0]
    row = {
        "Type": "ACCREC",
        "InvoiceID": "5a799174-c977-5a2d-84ee-03465ee0b050",
        "InvoiceNumber": draft.number,
        "Contact": {"ContactID": draft.customer_id},
        "DateString": f"{draft.date}T00:00:00",
        "DueDateString": "2026-12-31T00:00:00",
        "Status": "AUTHORISED",
        "CurrencyCode": "NZD",
        "Total": 7.00,
        "AmountDue": 7.00,
        "Warnings": [{"Message": "The due date was moved."}],
    }
    answer = json.dumps({"Status": "OK", "Warnings": row["Warnings"], "Invoices": [row]})
    ledgers.world.faults.add(
        Fault(action="body", body=answer, content_type="application/json", method="PUT", path="/Invoices")
    )
    [changed] = ledger.create_invoices([draft], "inst-1")
    assert (changed.due, changed.total) == (date(2026, 12, 31), 700)


def test_a_taken_number_fails_alone(ledgers: Xero):
    bill(ledgers, number="INV-1001-P1.2")
    ledger = ledgers.open()
    ledger.clearing(None, TODAY)
    first, second, third = ledger.create_invoices(installments(ledgers, 100, 200, 300), "PP-0007-1-inst")
    assert isinstance(first, Document)
    assert isinstance(second, OutOfDate)
    assert (second.code, isinstance(third, Document)) == ("ALREADY_EXISTS", True)
    assert second.reference


def test_a_credit_note_with_a_taken_number_is_out_of_date(ledgers: Xero):
    ledger = ledgers.open()
    ledger.clearing(None, TODAY)
    ledger.create_credit(a_credit(ledgers), "PP-0007-1-credit")
    with pytest.raises(OutOfDate) as known:
        ledger.create_credit(a_credit(ledgers, 5), "another key")
    assert known.value.code == "ALREADY_EXISTS"


def test_more_than_fifty_documents_go_in_several_calls_with_keys_of_their_own(ledgers: Xero):
    ledger = ledgers.open()
    ledger.clearing(None, TODAY)
    drafts = [replace(installments(ledgers, 100)[0], number=f"INV-1001-P1.{n}") for n in range(1, 61)]
    before = len(ledgers.world.calls)
    made = ledger.create_invoices(drafts, "PP-0007-1-inst")
    assert [d.number for d in made] == [d.number for d in drafts]
    assert len(ledgers.world.calls) - before == 2


@pytest.mark.parametrize("status", [500, 503])
def test_a_write_whose_answer_is_an_error_is_looked_up_and_found(ledgers: Xero, status: int):
    ledger = ledgers.open()
    ledger.clearing(None, TODAY)
    ledgers.world.faults.add(
        Fault(
            action="status", status=status, variant="offline", when="after", method="PUT", path="/CreditNotes"
        )
    )
    with pytest.raises(TryLater) as later:
        ledger.create_credit(a_credit(ledgers), "PP-0007-1-credit")
    assert later.value.uncertain
    (found,) = ledger.find(Kind.CREDIT, ["INV-1001-P1C"])
    assert (found.total, found.marker) == (115_000, mark("credit"))


def test_a_dropped_write_is_sent_once_and_found(ledgers: Xero):
    ledger = ledgers.open()
    ledger.clearing(None, TODAY)
    ledgers.world.faults.add(Fault(action="drop", when="after", method="PUT", path="/Invoices"))
    before = len(ledgers.world.calls)
    with pytest.raises(TryLater) as later:
        ledger.create_invoices(installments(ledgers, 100, 200), "PP-0007-1-inst")
    assert later.value.uncertain
    assert len(ledgers.world.calls) - before == 1  # no hidden repetition
    assert len(ledger.find(Kind.INVOICE, ["INV-1001-P1.1", "INV-1001-P1.2"])) == 2


def test_the_same_key_with_other_contents_is_told_apart(ledgers: Xero):
    ledger = ledgers.open()
    ledger.clearing(None, TODAY)
    ledger.create_credit(a_credit(ledgers), "PP-0007-1-credit")
    with pytest.raises(OutOfDate) as reused:
        ledger.create_credit(a_credit(ledgers, number="INV-1001-P2C"), "PP-0007-1-credit")
    assert reused.value.code == "KEY_REUSED"


def test_a_closed_period_is_refused_with_its_day(ledgers: Xero):
    ledger = ledgers.open()
    ledger.clearing(None, TODAY)
    ledgers.books.organization.year_closed_until = date(2026, 12, 31)
    with pytest.raises(Refused) as closed:
        ledger.create_credit(a_credit(ledgers), "PP-0007-1-credit")
    assert closed.value.code == "PERIOD_LOCKED"
    assert "2026" in str(closed.value)


def test_more_than_is_open_cannot_be_linked(ledgers: Xero):
    original = bill(ledgers)
    ledger = ledgers.open()
    ledger.clearing(None, TODAY)
    credit = ledger.create_credit(a_credit(ledgers), "PP-0007-1-credit")
    acts.pay(ledgers.books, invoice=original, amount=10_000)
    kea = ledgers.customer("Kea Couriers")
    with pytest.raises((OutOfDate, Refused)):
        ledger.link(LinkDraft(credit.id, original, kea, TODAY, "NZD", 115_000, mark("link")), "l-1")
    assert ledger.document(Kind.CREDIT, credit.id).balance == 115_000


def test_notes_are_found_again_by_their_mark(ledgers: Xero):
    original = bill(ledgers)
    ledger = ledgers.open()
    note = NoteDraft(
        Kind.INVOICE, original, "Payment plan agreed.\nFirst payment on 21 December.", mark("note")
    )
    ledger.add_note(note, "n-1")
    assert ledger.notes(Kind.INVOICE, original) == [f"{note.text}\n{mark('note')}"]
    assert ledger.notes(Kind.CUSTOMER, ledgers.customer("Kea Couriers")) == []
    ledger.add_note(NoteDraft(Kind.CUSTOMER, ledgers.customer("Kea Couriers"), "Called.", ""), "n-2")
    assert ledger.notes(Kind.CUSTOMER, ledgers.customer("Kea Couriers")) == ["Called."]


def test_a_ledger_with_short_notes_gets_several(ledgers: Xero):
    original = bill(ledgers)
    ledgers.world.set_switch("xero.note_limit", 250)
    text = "\n".join(f"Payment {n}: 100.00 on the {n}th." for n in range(1, 21))
    ledger = ledgers.open()
    ledger.add_note(NoteDraft(Kind.INVOICE, original, text, mark("note")), "n-1")
    kept = ledger.notes(Kind.INVOICE, original)
    assert len(kept) > 1
    assert sorted("\n".join(kept).split("\n")) == sorted([*text.split("\n"), mark("note")])


def test_an_untouched_invoice_gets_its_new_due_date_and_the_reason(ledgers: Xero):
    original = bill(ledgers)
    ledger = ledgers.open()
    seen = ledger.document(Kind.INVOICE, original)
    draft = DueDateDraft(original, date(2026, 12, 21), seen.version, "Agreed by phone.", mark("date"))
    moved = ledger.move_due_date(draft, "d-1")
    assert (moved.due, moved.balance, len(moved.lines)) == (date(2026, 12, 21), 115_000, 1)
    again = ledger.move_due_date(draft, "d-1")  # a second worker: nothing is written twice
    assert again.due == date(2026, 12, 21)
    assert len(ledger.notes(Kind.INVOICE, original)) == 1


def test_a_changed_invoice_keeps_its_due_date(ledgers: Xero):
    original = bill(ledgers)
    ledger = ledgers.open()
    seen = ledger.document(Kind.INVOICE, original)
    acts.pay(ledgers.books, invoice=original, amount=1_000)
    with pytest.raises(OutOfDate) as changed:
        ledger.move_due_date(
            DueDateDraft(original, date(2026, 12, 21), seen.version, "", mark("date")), "d-1"
        )
    assert changed.value.code == "BALANCE_CHANGED"
    assert ledgers.books.invoices[original].due == date(2026, 10, 20)


def test_where_xero_refuses_the_page_and_the_value_are_named(ledgers: Xero):
    original = bill(ledgers)
    acts.pay(ledgers.books, invoice=original, amount=1_000)
    ledger = ledgers.open()
    seen = ledger.document(Kind.INVOICE, original)
    frozen = """{"Invoices": [{"InvoiceID": "x", "StatusAttributeString": "ERROR", "ValidationErrors": [{"Message":
        "This document cannot be edited as it has a payment or credit note allocated to it."}]}]}"""
    ledgers.world.faults.add(
        Fault(action="body", body=frozen, content_type="application/json", method="POST", path="/Invoices/")
    )
    with pytest.raises(Refused) as refused:
        ledger.move_due_date(
            DueDateDraft(original, date(2026, 12, 21), seen.version, "", mark("date")), "d-1"
        )
    assert refused.value.code == "DOC_HAS_ALLOCATIONS"
    assert str(refused.value).endswith(f"set its due date to 2026-12-21: {seen.url}")


def test_paid_and_voided_invoices_have_no_due_date_to_move(ledgers: Xero):
    paid, void = bill(ledgers), bill(ledgers, number="INV-1002")
    acts.pay(ledgers.books, invoice=paid)
    acts.void(ledgers.books, Ref("invoice", void))
    for id in (paid, void):
        with pytest.raises(OutOfDate):
            ledgers.open().move_due_date(DueDateDraft(id, date(2026, 12, 21), "", "", mark("date")), "d-1")


def test_xero_sends_the_invoice_with_its_own_template(ledgers: Xero):
    original = bill(ledgers)
    ledger = ledgers.open()
    ledger.send(SendDraft(original, mark("send")), "s-1")
    assert ledgers.books.invoices[original].emailed_at is not None


def test_a_refused_mail_is_said_in_words(ledgers: Xero):
    original = bill(ledgers)
    ledgers.books.organization.extra["Class"] = "DEMO"  # a demo company sends no mail
    with pytest.raises(Refused) as refused:
        ledgers.open().send(SendDraft(original, mark("send")), "s-1")
    assert refused.value.code == "EMAIL_REFUSED"
    assert "Nothing was sent" in str(refused.value)


def test_a_file_is_attached_under_its_name(ledgers: Xero):
    original = bill(ledgers)
    content = "JVBERi0xLjcgaGVsbG8="  # %PDF-1.7 hello
    draft = AttachmentDraft(Kind.INVOICE, original, "PP-0007 v1.pdf", content, mark("file"))
    assert ledgers.open().attach(draft, "a-1")
    (kept,) = ledgers.books.attachments_of(Ref("invoice", original))
    assert kept.file_name == "PP-0007 v1.pdf"


def test_a_key_never_exceeds_what_xero_takes(ledgers: Xero):
    ledger = ledgers.open()
    ledger.clearing(None, TODAY)
    assert ledger.create_credit(a_credit(ledgers), "k" * 200).number == "INV-1001-P1C"


def test_nothing_is_called_by_another_name(ledgers: Xero):
    with pytest.raises(ValueError, match="payment"):
        ledgers.open().remove(RemoveDraft("payment", "x", mark("undo")), "u-1")
