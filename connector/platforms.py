"""THE PORT: what Forbear asks of a ledger, and the four ways a ledger can say no.

An adapter is a folder plus one line in pyproject.toml (entry point group `connector.platforms`). It inherits
nothing: the shared contract test (tests/adapters/test_contract.py) keeps all adapters alike.
Amounts are whole minor units; dates are calendar dates in the organization's time zone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

from connector.domain.receivables import CreditNote, Customer, Document, Invoice, Kind, Organization, Payment
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


class PlatformError(Exception):
    """A ledger said no. `str()` is a plain sentence for a bookkeeper; never holds a token.

    `code` and `words` are the ledger's own (scrubbed of tokens and names of other users); `reference` is
    the ledger's id of the call (Intuit's `intuit_tid`, Xero's correlation id).
    """

    def __init__(self, sentence: str, *, code: str = "", words: str = "", reference: str = "") -> None:
        super().__init__(sentence)
        self.code, self.words, self.reference = code, words, reference


class TryLater(PlatformError):
    """Wait: a limit, an outage, a dropped connection. `after` is seconds, when the ledger said so.

    `uncertain` is true when the call may have been carried out: look up before repeating a write.
    """

    def __init__(
        self, sentence: str, *, after: float | None = None, uncertain: bool = False, **more: str
    ) -> None:
        super().__init__(sentence, **more)
        self.after, self.uncertain = after, uncertain


class Reconnect(PlatformError):
    """The permission is gone: a bookkeeper must reconnect."""


class OutOfDate(PlatformError):
    """The document changed, vanished, or already exists: read again, then decide anew."""


class Refused(PlatformError):
    """A closed period, a validation, a missing feature: a person must look."""


@dataclass(frozen=True, slots=True)
class Token:
    """One permission's secrets. Never logged; stored encrypted. `expires_at` is UTC."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: datetime
    refresh_expires_at: datetime | None = None
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed in, by the ledger's own word (OpenID Connect). Match on issuer and subject, never e-mail."""

    issuer: str
    subject: str
    email: str
    email_verified: bool | None  # None: the ledger does not say (Xero)
    name: str


@dataclass(frozen=True, slots=True)
class OrganizationRef:
    """One organization that a permission reaches. `connection_ref` is what disconnecting needs (Xero)."""

    external_id: str  # realmId, tenantId
    name: str
    connection_ref: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """What one consent gave us."""

    token: Token
    identity: Identity | None
    organizations: tuple[OrganizationRef, ...]


class Access(Protocol):
    """The current access token of one connection, kept fresh by `connections` under its lock."""

    def token(self) -> str:
        """A valid access token; refreshes first when it is about to end. Raises Reconnect."""

    def renew(self, rejected: str) -> str:
        """The ledger refused `rejected` with a 401: a newer token. Raises Reconnect when there is none."""


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP call to a ledger, for budgets and cost. No customer data."""

    operation: str  # e.g. "query Invoice", "PUT Invoices"
    writes: bool
    status: int  # 0: no answer
    bytes_in: int
    bytes_out: int
    seconds: float
    reference: str = ""
    retry_after: float | None = None
    limits: Mapping[str, int] = field(default_factory=dict)  # what the ledger says is left, by window


class Gate(Protocol):
    """The budget of one organization: asked before each call, told after it."""

    def before(self, operation: str, *, writes: bool) -> None:
        """Wait a moment for a free place, or raise TryLater when the budget of the window is spent."""

    def after(self, call: Call) -> None: ...


class OpenGate:
    """No budget: for tests and one-off commands."""

    def before(self, operation: str, *, writes: bool) -> None:
        return

    def after(self, call: Call) -> None:
        return


Cursor = dict[str, Any]  # opaque to everyone but its adapter; plain JSON


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record we could not understand: set aside with its raw body, shown to the bookkeeper."""

    kind: Kind
    id: str
    reason: str
    raw: str


@dataclass(frozen=True, slots=True)
class Batch:
    """One page of what a pull brought. Store it and `cursor` (when set) in one transaction."""

    customers: tuple[Customer, ...] = ()
    invoices: tuple[Invoice, ...] = ()
    payments: tuple[Payment, ...] = ()
    credits: tuple[CreditNote, ...] = ()
    removed: tuple[tuple[Kind, str], ...] = ()  # deleted in the ledger
    unreadable: tuple[Unreadable, ...] = ()
    cursor: Cursor | None = None  # None: not yet a safe point to go on from
    complete: frozenset[Kind] = frozenset()  # set on the last batch: kinds that this pull brought in full,
    # so a record of that kind not seen in this pull is gone
    what: str = ""  # for progress: "invoices"
    done: int = 0
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the ledger's chart, and why it cannot serve for clearing."""

    id: str
    code: str
    name: str
    type: str  # the ledger's own word
    usable_for_clearing: bool
    why_not: str = ""
    active: bool = True
    balance: int | None = None  # home currency minor units, where the ledger tells


@dataclass(frozen=True, slots=True)
class Clearing:
    """Where plan documents post: the account, and the item in front of it where the ledger needs one."""

    account_id: str
    code: str
    name: str
    item_id: str = ""
    tax_code: str = ""
    balance: int | None = (
        None  # what stands on the account now, home currency; None: the ledger does not tell
    )
    form: str = ""  # the layout that the bookkeeper made for installments, which are no tax invoices


@dataclass(frozen=True, slots=True)
class Standing:
    """What a plan stands on, read together right before its first write."""

    organization: Organization
    invoices: tuple[Document, ...]  # those that were asked for, in full; one that is gone is left out
    payments: tuple[Payment, ...]  # the customer's, with money that is set against nothing
    credits: tuple[CreditNote, ...]  # the customer's, with something left
    taken: frozenset[tuple[Kind, str]] = frozenset()  # numbers that a live document bears already; a ledger
    # that refuses a number twice need not look
    customer: Customer | None = None  # as they stand now, where they came along


class Ledger(Protocol):
    """One organization's books, opened. Not shared between threads. Every method may raise the four errors."""

    freezes_settled: bool  # an app may not edit a document that money or a credit is set against

    def organization(self, *, reminders: bool = True) -> Organization:
        """The facts of the books. `reminders=False`: without the ledger's own reminders, where they cost a call."""

    def pull(self, cursor: Cursor | None, kinds: frozenset[Kind] | None = None) -> Iterator[Batch]:
        """What changed since `cursor` (None: everything), in as few calls as the ledger allows.

        `kinds` narrows it to what a webhook named. The last batch carries the next cursor.
        """

    def document(self, kind: Kind, id: str) -> Document | None:
        """One document in full, read now; None when the ledger has none (or only a deleted one)."""

    def find(self, kind: Kind, numbers: Sequence[str]) -> list[Document]:
        """Live documents with these numbers, read now: the look-up before any create or retry."""

    def find_together(
        self, customer_id: str, numbers: Mapping[Kind, Sequence[str]], made: Sequence[Document] = ()
    ) -> list[Document]:
        """`find` for several kinds of one customer's documents, in as few calls as the ledger allows.

        `made`: whole documents that this ledger answered a moment ago. One need not be asked for again where
        the others show all that can have changed about it.
        """

    def standing(
        self, customer_id: str, invoices: Mapping[str, str], numbers: Mapping[Kind, Sequence[str]]
    ) -> Standing:
        """What a plan of this customer stands on, in as few calls as the ledger allows.

        `invoices`: id → number of those to read; `numbers`: those that the plan's own documents will bear.
        """

    def customer(self, id: str) -> Customer | None: ...

    def customer_money(
        self, id: str, *, invoices: bool = True
    ) -> tuple[list[Invoice], list[Payment], list[CreditNote]]:
        """Everything open of one customer right now: open invoices, unapplied payments, open credits.

        `invoices=False` leaves the invoices out.
        """

    def pay_link(self, invoice_id: str) -> str:
        """Where its customer sees the invoice online, and pays it where the ledger takes payments; "" for nowhere.

        A call for each invoice, so asked only for those that a customer hears of.
        """

    def balances(self) -> dict[str, dict[str, int]]:
        """The ledger's own open balance: customer id → currency → minor units; the completeness proof."""

    def open_invoices(self) -> dict[str, dict[str, int]]:
        """How many open invoices the ledger itself lists: customer id → currency → count; the same proof."""

    def accounts(self) -> list[Account]: ...

    def clearing(self, account: str | None, today: date, known: Clearing | None = None) -> Clearing:
        """Find or create the clearing account (and item). `account`: an id or code, None for the default.

        Safe to repeat: found by name before it is created. Raises Refused when the account cannot serve.
        `known`: what this very question found not long ago; may be answered where looking again costs a call
        and the ledger refuses documents on an account that cannot serve any more.
        """

    def create_credit(self, draft: CreditDraft, key: str) -> Document: ...

    def create_invoices(self, drafts: Sequence[InvoiceDraft], key: str) -> list[Document | PlatformError]:
        """Create several invoices in as few calls as possible; one outcome per draft, in order."""

    def link(self, draft: LinkDraft, key: str) -> str:
        """Apply a credit note to an invoice; returns the link id (see `Link.link_id`)."""

    def add_note(self, draft: NoteDraft, key: str) -> str: ...

    def notes(self, kind: Kind, id: str) -> list[str]:
        """The remarks on a document, newest last; for the look-up before a note is repeated."""

    def attach(self, draft: AttachmentDraft, key: str) -> str: ...

    def attachments(self, kind: Kind, id: str) -> dict[str, str]:
        """The files on a document, name → id; for the look-up before one is attached again."""

    def move_due_date(self, draft: DueDateDraft, key: str) -> Document: ...

    def send(self, draft: SendDraft, key: str) -> None: ...

    def remove(self, draft: RemoveDraft, key: str) -> None:
        """Void or delete what we wrote. Already gone counts as done."""

    def deep_link(self, kind: Kind, id: str) -> str: ...


class Platform(Protocol):
    """One provider of ledgers. Stateless; built once from the settings."""

    name: str  # "quickbooks"
    label: str  # "QuickBooks", as pages say it
    credit_word: str  # "credit memo", "credit note"

    def authorization_url(self, *, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """The consent page: sign-in and data access in one consent. `verifier` is PKCE's secret."""

    def exchange(self, answer: Mapping[str, str], *, redirect_uri: str, nonce: str, verifier: str) -> Grant:
        """Turn the callback's query into a grant. Raises Refused (denied, replayed code, bad id token)."""

    def refresh(self, token: Token) -> Token: ...

    def revoke(self, token: Token, organization: OrganizationRef) -> None: ...

    def organizations(self, token: Token) -> list[OrganizationRef]:
        """Which organizations this permission reaches now (Xero); [] where the ledger cannot say."""

    def open(
        self, organization: OrganizationRef, access: Access, gate: Gate, timezone: str = "UTC"
    ) -> Ledger: ...


@cache
def names() -> tuple[str, ...]:
    """The platforms that this installation knows."""
    return tuple(sorted(_entries()))


@cache
def _entries() -> dict[str, EntryPoint]:
    """By name; looked up once, because it reads the metadata of every installed package."""
    return {e.name: e for e in entry_points(group="connector.platforms")}


def find(name: str, config: Any) -> Platform:
    """The platform called `name`, built from the settings. Raises LookupError for an unknown name."""
    if entry := _entries().get(name):
        build: Any = entry.load()
        platform: Platform = build(config)
        return platform
    raise LookupError(f"No platform is called {name!r}; this installation knows {', '.join(names())}.")
