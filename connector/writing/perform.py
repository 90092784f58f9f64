"""One write, once in effect, whatever crashes between any two lines of this file.

1. Claim it (one conditional update, committed).
2. Look it up in the ledger by number and marker, unless it was never sent and its number was seen free a
   moment ago. Found and identical: adopt. Found and different: stop.
3. Make it, with the ledger's retry key.
4. Compare what the ledger answered, to the cent.
5. Store the ledger's id, and the document in our mirror.
No transaction is open during 2, 3 and 4. A crash leaves the write `sending`: the next worker starts at 2.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from sqlalchemy.engine import Engine

from connector import db, leases, logs
from connector.customer_page.customer_links import Maker
from connector.domain import codec, proof
from connector.domain.receivables import Document, Kind, Status
from connector.domain.writes import (
    AttachmentDraft,
    CreditDraft,
    Draft,
    DueDateDraft,
    InvoiceDraft,
    LinkDraft,
    NoteDraft,
    RemoveDraft,
    SendDraft,
)
from connector.mirroring import mirror
from connector.platforms import Ledger, OutOfDate, PlatformError, Reconnect, Refused, TryLater
from connector.writing import outbox
from connector.writing.outbox import Write

log = logging.getLogger(__name__)

FIRST_WAIT = 5.0  # seconds; doubled with each attempt
LONGEST_WAIT = 15 * 60.0
LARGEST_GROUP = 30  # what one QuickBooks batch takes
SURE_AFTER = dt.timedelta(minutes=3)  # longer than a ledger works on a call whose connection broke

_Made = tuple[Write, CreditDraft | InvoiceDraft, Document]  # a write, and what the ledger made of it


class Stopped(Exception):
    """A write cannot be made as intended: a person, or an undo, is next. `code` is for programs and the record."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code, self.sentence = code, sentence


class Taken(Exception):
    """Another worker claimed the write first: leave it to them."""


@dataclass(frozen=True, slots=True)
class Performer:
    """Performs the writes of one organization under its lease."""

    engine: Engine
    connection_id: str
    ledger: Ledger
    lease: leases.Lease
    clock: Callable[[], dt.datetime]
    today: Callable[[], dt.date]
    credit_word: str = "credit note"
    say: Callable[[str], None] = lambda text: None
    page: Maker | None = None  # names the customer's own page in what is written
    free: set[tuple[Kind, str]] = field(default_factory=set)  # numbers that this delivery saw nobody bear
    asked: set[str] = field(default_factory=set)  # what this delivery asked the ledger once already
    made: list[Document] = field(default_factory=list)  # what the ledger answered in this very delivery
    came_back: list[str] = field(default_factory=list)  # plans that the ledger, read again, did not bear out

    def writes(self, batch: str) -> list[Write]:
        """A batch as it stands now, in order."""
        with db.reading(self.engine) as tx:
            return outbox.of_batch(tx, self.connection_id, batch)

    def perform(self, group: Sequence[Write]) -> None:
        """Make one write, or one run of invoices in a single call.

        Raises Stopped, Taken, TryLater, Reconnect; whatever it raises is stored on the write first.
        """
        with logs.about(write=" ".join(str(write.id) for write in group)):
            self._perform(group)

    def _perform(self, group: Sequence[Write]) -> None:
        self.lease.keep()
        with db.transaction(self.engine) as tx:
            if not outbox.claim(tx, group, self.lease.owner, self.clock()):
                raise Taken
            drafts = [outbox.resolved(tx, write) for write in group]
        try:
            if isinstance(drafts[0], InvoiceDraft):
                self._invoices(group, drafts)
            else:
                self._one(group[0], drafts[0])
        except (Refused, OutOfDate) as refusal:
            self._fail(group, refusal)
            raise Stopped(refusal.code or "REFUSED", str(refusal)) from refusal
        except Stopped as stop:
            self._fail(group, Refused(stop.sentence, code=stop.code))
            raise
        except TryLater as wait:
            self._wait(group, wait, wait.after, uncertain=wait.uncertain)
            raise
        except Reconnect as lost:
            self._wait(group, lost, None, uncertain=True)
            raise

    # ---------------------------------------------------------------- what each kind means

    def _one(self, write: Write, draft: Draft) -> None:
        match draft:
            case CreditDraft():
                self._credit(write, draft)
            case LinkDraft():
                self._link(write, draft)
            case NoteDraft():
                self._note(write, draft)
            case DueDateDraft():
                self._due_date(write, draft)
            case RemoveDraft():
                self._remove(write, draft)
            case AttachmentDraft():
                self._attach(write, draft)
            case SendDraft():
                self.ledger.send(draft, write.key)
                self._done(write, draft.invoice_id)
            case InvoiceDraft():
                self._invoices([write], [draft])

    def _credit(self, write: Write, draft: CreditDraft) -> None:
        found = self.ledger.find(Kind.CREDIT, [draft.number]) if self._may_exist(write, draft) else ()
        document = self._known(draft, found)
        if document is None:
            try:
                document = self.ledger.create_credit(draft, write.key)
            except OutOfDate:  # the number exists after all: a document we could not see a moment ago
                document = self._known(draft, self.ledger.find(Kind.CREDIT, [draft.number]))
                if document is None:
                    raise
        self._made(write, draft, document)

    def _invoices(self, group: Sequence[Write], drafts: Sequence[Draft]) -> None:
        wanted = [(w, d) for w, d in zip(group, drafts, strict=True) if isinstance(d, InvoiceDraft)]
        doubtful = [d.number for w, d in wanted if self._may_exist(w, d)]
        found = self.ledger.find(Kind.INVOICE, doubtful) if doubtful else []
        adopted: list[_Made] = []
        missing: list[tuple[Write, InvoiceDraft]] = []
        trouble: Exception | None = None
        try:
            for write, draft in wanted:
                document = self._known(draft, found)
                if document is None:
                    missing.append((write, draft))
                else:
                    adopted.append((write, draft, document))
        finally:
            trouble = self._all_made(adopted)
        if trouble:
            raise trouble
        if missing:
            self._create(missing)

    def _create(self, missing: list[tuple[Write, InvoiceDraft]]) -> None:
        """Create them in one call; what worked is stored before the first trouble is raised."""
        first, last = missing[0][0], missing[-1][0]
        # A smaller set needs a key of its own: both ledgers refuse a known key with another body.
        key = first.key if first is last else f"{first.key}..{last.position - first.position + 1}"
        outcomes = self.ledger.create_invoices([d for _, d in missing], key[: outbox.KEY_LENGTH])
        made: list[_Made] = []
        trouble: Exception | None = None
        for (write, draft), outcome in zip(missing, outcomes, strict=True):
            try:
                if isinstance(outcome, OutOfDate):
                    document = self._known(draft, self.ledger.find(Kind.INVOICE, [draft.number]))
                    if document is None:
                        raise outcome
                    outcome = document
                if isinstance(outcome, PlatformError):
                    raise outcome
                made.append((write, draft, outcome))
            except (PlatformError, Stopped) as wrong:
                trouble = trouble or wrong
        trouble = self._all_made(made) or trouble
        if trouble:
            raise trouble

    def _link(self, write: Write, draft: LinkDraft) -> None:
        link_id = self._linked(draft) if write.attempts else None  # only then it may be there already
        if link_id is None:
            try:
                link_id = self.ledger.link(draft, write.key)
            except (Refused, OutOfDate):
                source = self.ledger.document(Kind.INVOICE, draft.invoice_id)
                if source is None or source.balance < draft.amount:
                    raise Stopped(
                        "BALANCE_CHANGED", "The invoice changed since the plan was drawn up. Review again."
                    ) from None
                raise
        self._done(write, link_id)

    def _linked(self, draft: LinkDraft) -> str | None:
        """The link that an earlier attempt made, None when it made none. Raises Stopped."""
        credit = self.ledger.document(Kind.CREDIT, draft.credit_id)
        if credit is None:
            raise Stopped("NOT_FOUND", "The plan's credit is no longer in the ledger.")
        link_id = _link_id(credit, draft)
        if link_id is None and credit.balance < draft.amount:
            raise Stopped(
                "CREDIT_USED", f"Credit {credit.number} was already set against something else in the ledger."
            )
        return link_id

    def _note(self, write: Write, draft: NoteDraft) -> None:
        again = write.attempts > 0  # it may be there: only then is a look-up worth a call
        note_id = "" if not again or not self._shows(draft) else "found"
        if not note_id:
            note_id = self.ledger.add_note(draft, write.key)
        self._done(write, note_id or "note")  # that a note gave the document a new version is the next sync's

    def _attach(self, write: Write, draft: AttachmentDraft) -> None:
        known = self.ledger.attachments(draft.kind, draft.document_id) if write.attempts else {}
        file_id = known.get(draft.filename) or self.ledger.attach(draft, write.key)
        self._done(write, file_id or "file")

    def _shows(self, draft: NoteDraft) -> bool:
        text = " ".join(draft.text.split())
        return any(
            draft.marker in note or text in " ".join(note.split())
            for note in self.ledger.notes(draft.kind, draft.document_id)
        )

    def _due_date(self, write: Write, draft: DueDateDraft) -> None:
        document = self.ledger.document(Kind.INVOICE, draft.invoice_id)
        if document is None or document.balance <= 0:
            raise Stopped("NOT_OPEN", "Nothing is open on the invoice any more, so its date stays.")
        if document.due != draft.due:
            document = self.ledger.move_due_date(replace(draft, version=document.version), write.key)
        if document.due != draft.due:
            raise Stopped("NOT_APPLIED", f"The ledger answered, but the due date is still {document.due}.")
        self._done(write, draft.invoice_id, document)

    def _remove(self, write: Write, draft: RemoveDraft) -> None:
        self.ledger.remove(draft, write.key)
        if draft.what == "link":
            credit = self.ledger.document(Kind.CREDIT, draft.credit_id) if draft.credit_id else None
            if credit and any(draft.link_id and x.link_id == draft.link_id for x in credit.links):
                raise Stopped("NOT_APPLIED", "The ledger answered, but the credit is still set against it.")
            self._done(write, draft.link_id)
            return
        kind = Kind.INVOICE if draft.what == "invoice" else Kind.CREDIT
        document = self.ledger.document(kind, draft.document_id)
        if document is not None and document.status is not Status.VOID and document.total:
            raise Stopped("NOT_APPLIED", f"The ledger answered, but {document.number} is still there.")
        if document is None:  # or what was just taken off would stand as the customer's open credit
            with db.transaction(self.engine) as tx:
                mirror.drop(tx, self.connection_id, kind, draft.document_id)
        self._done(write, draft.document_id, document)

    # ---------------------------------------------------------------- found, made, done

    def _may_exist(self, write: Write, draft: CreditDraft | InvoiceDraft) -> bool:
        """Whether an earlier attempt, or somebody else, may have made a document with this number."""
        kind = Kind.CREDIT if isinstance(draft, CreditDraft) else Kind.INVOICE
        return write.attempts > 0 or (kind, draft.number) not in self.free

    def _known(self, draft: CreditDraft | InvoiceDraft, found: Sequence[Document]) -> Document | None:
        """The one live document with the draft's number, if it is ours. Raises Stopped when it is not."""
        live = [d for d in found if d.number == draft.number and d.status is not Status.VOID]
        if not live:
            return None
        if wrong := proof.compare([draft], live):
            raise Stopped(
                "NUMBER_TAKEN",
                f"The ledger has a document {draft.number} that is not this one: {wrong[0].sentence}",
            )
        return live[0]

    def _made(self, write: Write, draft: CreditDraft | InvoiceDraft, document: Document) -> None:
        if wrong := self._all_made([(write, draft, document)]):
            raise wrong

    def _all_made(self, made: Sequence[_Made]) -> Stopped | None:
        """Store what the ledger has, then compare: a document that came out wrong must be known to be undone.

        Returns what is wrong with the first that did.
        """
        self._all_done([(write, document.id, document) for write, _, document in made])
        return next((wrong for _, draft, document in made if (wrong := unlike(draft, document))), None)

    def _done(self, write: Write, external_id: str, document: Document | None = None) -> None:
        self._all_done([(write, external_id, document)])

    def _all_done(self, finished: Sequence[tuple[Write, str, Document | None]]) -> None:
        """What one call brought, in one transaction."""
        documents = [document for _, _, document in finished if document]
        if finished:
            with db.transaction(self.engine) as tx:
                for write, external_id, document in finished:
                    answer = codec.to_json(document) if document else None
                    outbox.done(tx, write.id, external_id, self.clock(), answer)
                mirror.put_documents(tx, self.connection_id, documents)
        self.made.extend(documents)
        for write, _, _ in finished:
            log.info("write done connection=%s write=%s kind=%s", self.connection_id, write.id, write.kind)

    def _fail(self, group: Sequence[Write], error: PlatformError) -> None:
        with db.transaction(self.engine) as tx:
            for write in self._unfinished(group):
                outbox.failed(tx, write.id, self.clock(), error)
        log.warning(
            "write failed connection=%s write=%s code=%s reference=%s",
            self.connection_id,
            group[0].id,
            error.code,
            error.reference,
        )

    def _wait(
        self, group: Sequence[Write], error: PlatformError, after: float | None, *, uncertain: bool
    ) -> None:
        now = self.clock()
        with db.transaction(self.engine) as tx:
            for write in self._unfinished(group):
                wait = max(after or 0.0, backoff(write.attempts))
                outbox.later(tx, write.id, now, now + dt.timedelta(seconds=wait), error, uncertain=uncertain)

    def _unfinished(self, group: Sequence[Write]) -> list[Write]:
        with db.reading(self.engine) as tx:
            return [w for w in (outbox.get(tx, write.id) for write in group) if w.state == "sending"]

    # ---------------------------------------------------------------- after a crash

    def settle(self, write: Write) -> None:
        """Find out whether a write in doubt was carried out, without making it: done, or cancelled.

        A ledger may carry out what it had received after the connection broke. So a write that it does not show
        stays in doubt for a while, and is looked up once more.
        """
        with db.transaction(self.engine) as tx:
            try:
                draft: Draft | None = outbox.resolved(tx, write)
            except LookupError:  # it needs a document that was never written, so neither was this
                draft = None
        document: Document | None = None
        link_id: str | None = None
        if isinstance(draft, CreditDraft | InvoiceDraft):
            kind = Kind.CREDIT if isinstance(draft, CreditDraft) else Kind.INVOICE
            live = [d for d in self.ledger.find(kind, [draft.number]) if d.marker == draft.marker]
            document = live[0] if live else None
        elif isinstance(draft, LinkDraft):
            link_id = _link_id(self.ledger.document(Kind.CREDIT, draft.credit_id), draft)
        elif isinstance(draft, NoteDraft):
            link_id = "found" if self._shows(draft) else None
        if document is not None:
            self._done(write, document.id, document)
        elif link_id is not None:
            self._done(write, link_id)
        else:
            sure = write.updated_at + SURE_AFTER
            with db.transaction(self.engine) as tx:
                if sure > self.clock():
                    outbox.rest(tx, write.id, sure)
                else:
                    outbox.cancel(tx, write.id, self.clock())


def unlike(draft: CreditDraft | InvoiceDraft, document: Document) -> Stopped | None:
    """What to stop with when the ledger made something else than was meant; None when it did not."""
    wrong = proof.compare([draft], [document])
    tax = [d for d in wrong if d.field == "tax"]  # tax explains a wrong total, not the other way round
    if not wrong:
        return None
    return Stopped("TAX_MISMATCH" if tax else "NOT_AS_MEANT", (tax or wrong)[0].sentence)


def backoff(attempts: int, random: Random | None = None) -> float:
    """Seconds to wait before the next attempt: doubling, with jitter, so that workers do not knock together."""
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** max(0, attempts - 1)) * (random or Random()).uniform(
        0.5, 1.0
    )


def _link_id(credit: Document | None, draft: LinkDraft) -> str | None:
    """The id of the link between this credit and this invoice, None where there is none."""
    for link in credit.links if credit else ():
        if link.kind == "invoice" and link.id == draft.invoice_id and link.amount == draft.amount:
            return link.link_id or link.id
    return None


def groups(ordered: Sequence[Write]) -> list[list[Write]]:
    """Writes as they may go out: runs of invoices together, everything else alone."""
    result: list[list[Write]] = []
    for write in ordered:
        run = result[-1] if result else []
        if (
            run
            and write.kind == "create_invoice"
            and run[-1].kind == "create_invoice"
            and len(run) < LARGEST_GROUP
        ):
            run.append(write)
        else:
            result.append([write])
    return result
