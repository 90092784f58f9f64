"""Lives of plans: a bookkeeper's installation, pretend ledgers over HTTP, and a watch that checks every write.

`Practice` is one installation beside one sandbox; `Company` one organization on one ledger. After every single
write that reaches a company's ledger, before anybody hears the answer, its `Watch` holds the ledger's own reports
against the invariants of the double-entry law: nothing that must stay may move, not even in between.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase
from hypothesis.strategies import SearchStrategy

from adapters import oauth
from connector import config, db, platforms
from connector.connecting import connections
from connector.connecting.access import StoredAccess
from connector.demo.installing import pointed_at
from connector.domain import installments as rows_of
from connector.domain.calendar import Rhythm, due_dates
from connector.domain.plan import Plan, Waiver
from connector.domain.policy import InterestPolicy, Method, Mode
from connector.domain.propose import Wish
from connector.mirroring import sync
from connector.planning import drafting, plans
from connector.platforms import Call, Gate, Ledger
from connector.practice import settings
from connector.reviewing import review
from connector.writing import outbox, proving, writeback
from connector.writing.writeback import Delivered
from sandbox import acts, reports
from sandbox.books import own_rules
from sandbox.clock import Clock
from sandbox.documents import Customer, Invoice, Item, Line, Ref
from sandbox.ledger import Ledger as PretendLedger
from sandbox.organization import Organization
from sandbox.server import Server
from sandbox.world import World
from tests.adapters.conftest import Office

DAY = dt.date
APPROVAL = DAY(2026, 11, 21)
COUNTRIES = {"quickbooks": ("US", "USD", "America/New_York"), "xero": ("GB", "GBP", "Europe/London")}
OURS = re.compile(r"plan=(?P<plan>\S+) v=(?P<version>\d+) role=(?P<role>\S+)(?: n=(?P<n>\d+))?")
BILLS = ("int", "waiver", "discount")  # the roles of plan documents that are allowed to post to income
Movements = dict[str, dict[str, int]]  # account → month → amount


class Broken(AssertionError):
    """An invariant does not hold."""


_Life = TypeVar("_Life")


def lived_through(
    practice: Practice,
    lives: SearchStrategy[_Life],
    live: Callable[[Practice, _Life], None],
    count: int,
    *,
    fixed: bool,
) -> int:
    """How many of so many random lives were lived; `fixed` ones are the same each time. Raises on the first bad one."""
    lived = 0

    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=fixed,
        phases=[Phase.generate]
        if not fixed
        else list(Phase),  # by night another life is worth more than a smaller one
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(lives)
    def one(life: _Life) -> None:
        nonlocal lived
        try:
            live(practice, life)
        except BaseException as broken:
            broken.add_note(f"in {life}")
            raise
        lived += 1

    if count:
        one()
    return lived


# ---------------------------------------------------------------- an installation


@dataclass
class Practice:
    """One installation of Forbear beside one sandbox. Days pass for both at once."""

    folder: Path
    server: Server
    world: World
    office: Office
    settings: config.Config
    engine: Any
    companies: dict[str, Company] = field(default_factory=dict)
    _ids: Iterator[int] = field(default_factory=itertools.count)

    @property
    def today(self) -> DAY:
        return self.world.clock.today()

    def now(self) -> dt.datetime:
        return self.world.clock.now()

    def pass_to(self, day: DAY) -> None:
        self.world.clock.set_today(day)

    def company(self, platform: str, name: str = "", **facts: Any) -> Company:
        """A new organization with an empty ledger, connected as a person would, watched from now on."""
        country, currency, zone = COUNTRIES[platform]
        serial = next(self._ids)
        id = (
            f"91300000000{serial:05d}"
            if platform == "quickbooks"
            else f"5d7e0000-0000-4000-a000-{serial:012d}"
        )
        defaults: dict[str, Any] = {
            "country": country, "home_currency": currency, "timezone": zone, "tax_rate": "15",
            "multicurrency": False,
        }  # fmt: skip
        organization = Organization(
            id=id, platform=platform, name=name or f"Company {serial}", rules=own_rules(platform),  # type: ignore[arg-type]
            **(defaults | facts),
        )  # fmt: skip
        pretend = self.world.add(PretendLedger(organization, self.world.clock))
        face = self.office.platform(platform)
        grant = self.office.exchange(face, self.office.consent(face, [id]))
        ref = next(o for o in grant.organizations if o.external_id == id)
        saved = connections.save_grant(
            self.engine, self.settings, platform, replace(grant, organizations=(ref,))
        )
        company = Company(self, platform, pretend, saved[0].id)
        self.companies[id] = company
        return company


@contextmanager
def a_practice(folder: Path, today: DAY = APPROVAL) -> Iterator[Practice]:
    """The sandbox runs without limits; the installation keeps its books in `folder`."""
    oauth.forget_documents()
    world = World(Clock(today), unthrottled=True)
    world.switches["webhooks.off"] = True
    with Server(world) as server:
        office = Office(server, world)
        kept = config.load(environment(server.url, folder))
        db.migrate(kept)
        practice = Practice(folder, server, world, office, kept, db.engine(kept))
        if practice.engine.dialect.name == "sqlite":  # these tests kill processes, never the machine
            sa.event.listen(practice.engine, "connect", _not_to_disk)
            practice.engine.dispose()
        server.app.wsgi_app = Watching(practice, server.app.wsgi_app)  # type: ignore[method-assign]
        try:
            yield practice
        finally:
            practice.engine.dispose()


def _not_to_disk(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")


def environment(url: str, folder: Path) -> dict[str, str]:
    """The settings that point an installation in `folder` at a sandbox."""
    return {"FORBEAR_DATA_DIR": str(folder), "FORBEAR_BUDGETS": "off", **pointed_at(url)}


class Watching:
    """Sits at the sandbox's door: after each request that may have changed a ledger, its watch looks."""

    def __init__(self, practice: Practice, inner: Callable[..., Iterable[bytes]]) -> None:
        self.practice, self.inner = practice, inner

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        company = self._company(environ)
        try:
            return self.inner(environ, start_response)
        finally:
            if company is not None and company.watch is not None:
                company.watch.look(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")

    def _company(self, environ: dict[str, Any]) -> Company | None:
        path = environ.get("PATH_INFO", "")
        if environ["REQUEST_METHOD"] == "GET" or path.endswith("/query"):
            return None
        if path.startswith("/xero/api.xro"):
            return self.practice.companies.get(environ.get("HTTP_XERO_TENANT_ID", ""))
        if "/company/" in path:
            return self.practice.companies.get(path.split("/company/", 1)[1].split("/", 1)[0])
        return None


# ---------------------------------------------------------------- a company


class Metered:
    """Counts the calls of a delivery; what a test hooks in may strike before or after any of them."""

    def __init__(self, strike: Callable[[str, int, str, bool], None] | None = None) -> None:
        self.calls: list[Call] = []
        self.begun = 0
        self.strike = strike or (lambda when, at, operation, writes: None)

    def before(self, operation: str, *, writes: bool) -> None:
        self.strike("before", self.begun, operation, writes)
        self.begun += 1

    def after(self, call: Call) -> None:
        self.calls.append(call)
        self.strike("after", self.begun - 1, call.operation, call.writes)

    @property
    def writes(self) -> list[str]:
        return [c.operation for c in self.calls if c.writes]


@dataclass
class Company:
    """One organization: its pretend ledger on one side, its connection on the other."""

    practice: Practice
    platform: str
    pretend: PretendLedger
    connection_id: str
    watch: Watch | None = None
    calls: list[Call] = field(default_factory=list)

    # ---- what customers and bookkeepers do in the ledger itself

    def customer(self, name: str = "Fern Foods", **facts: Any) -> str:
        return self.pretend.add_customer(Customer(name=name, **facts)).id

    def bill(
        self, customer: str, number: str, date: DAY, due: DAY, net: int, tax: int = 0, *, role: str = "sales",
        **facts: Any,
    ) -> str:  # fmt: skip
        """An invoice of one line; returns its id."""
        code = {
            ("quickbooks", True): "TAX", ("quickbooks", False): "NON", ("xero", True): "OUTPUT2", ("xero", False): "NONE",
        }[self.platform, bool(tax)]  # fmt: skip
        if self.platform == "quickbooks" and self.pretend.organization.country != "US":
            code = "2" if tax else "4"
        line = Line(
            net=net,
            tax=tax,
            account=self.account(role),
            tax_code=code,
            item=self._item(role),
            description="Goods",
        )
        invoice = Invoice(customer=customer, number=number, date=date, due=due, lines=[line], **facts)
        return self.pretend.add_invoice(invoice).id

    def _item(self, role: str) -> str:
        account = self.account(role)
        return next((i.id for i in self.pretend.items if i.income_account == account), "")

    def account(self, role: str) -> str:
        return self.pretend.account_by_role(role).id

    def code(self, role: str) -> str:
        """What documents name the account by: its code where it has one."""
        account = self.pretend.account_by_role(role)
        return account.code or account.id

    def item(self, name: str, role: str) -> str:
        """A product or service that the bookkeeper made for an account."""
        return self.pretend.add_item(Item(name=name, income_account=self.account(role))).id

    def pay(self, number: str, amount: int | None = None, day: DAY | None = None) -> None:
        acts.pay(self.pretend, invoice=self.invoice(number).id, amount=amount, day=day)
        self._again()

    def void(self, number: str) -> None:
        acts.void(self.pretend, Ref("invoice", self.invoice(number).id))
        self._again()

    def _again(self) -> None:
        """People changed the books: what the watch compares with is how they stand now."""
        if self.watch:
            self.watch.begin()

    def invoice(self, number: str) -> Invoice:
        """The newest live one with this number."""
        return next(i for i in reversed(list(self.pretend.invoices)) if i.number == number and i.live)

    def open_(self, number: str) -> int:
        return self.invoice(number).balance

    def ours(self) -> list[Any]:
        """Every live document that carries a plan's marker."""
        return [d for d in (*self.pretend.invoices, *self.pretend.credit_notes) if d.live and _marker(d)]

    # ---- what the bookkeeper does in Forbear

    def answer(self, income: str = "accrual", tax: str = "accrual") -> None:
        with db.transaction(self.practice.engine) as tx:
            settings.answer(
                tx, self.connection_id, income_basis=income, sales_tax_basis=tax, who="J. Doe", now=self.now()
            )

    def policy(self, **changes: Any) -> None:
        """Change the plan policy."""
        with db.transaction(self.practice.engine) as tx:
            kept = settings.load(tx, self.connection_id)
            policy = replace(kept.policy, plan=replace(kept.policy.plan, **changes))
            settings.save_policy(
                tx, self.connection_id, policy, revision=kept.revision, who="J. Doe", now=self.now()
            )

    def now(self) -> dt.datetime:
        return self.practice.now()

    @property
    def today(self) -> DAY:
        return self.practice.today

    def sync(self) -> None:
        done = sync.sync(self.practice.engine, self.practice.settings, self.connection_id)
        assert done is not None

    def review(self) -> None:
        review.review(self.practice.engine, self.connection_id, now=self.now(), today=self.today)

    def look(self) -> None:
        """Sync and review: what the minute's sweep does."""
        self.sync()
        self.review()

    def plan(self, plan_id: str) -> plans.Record:
        with db.reading(self.practice.engine) as tx:
            return plans.get(tx, plan_id)

    def propose(
        self, customer: str, numbers: Sequence[str] = (), count: int = 3, *, first: DAY | None = None, mode: str = "",
        rhythm: Rhythm | None = None, **more: Any,
    ) -> plans.Record:  # fmt: skip
        """`more` as in `Wish`."""
        with db.transaction(self.practice.engine) as tx:
            return drafting.propose_plan(
                tx,
                self.connection_id,
                customer,
                [self.invoice(n).id for n in numbers],
                who="J. Doe",
                now=self.now(),
                today=self.today,
                wish=Wish(installments=count, first=first, rhythm=rhythm, **more),
                mode=mode,
            )

    def edit(self, record: plans.Record, plan: Plan) -> plans.Record:
        with db.transaction(self.practice.engine) as tx:
            return plans.edit(tx, record.id, plan, revision=record.revision, who="J. Doe", now=self.now())

    def approve(self, plan_id: str, *, deliver: bool = True) -> plans.Record:
        with db.transaction(self.practice.engine) as tx:
            plans.approve(tx, plan_id, who="J. Doe", now=self.now(), today=self.today)
        if self.watch is None:
            self.watch = Watch(self)
        self.watch.begin()
        if deliver:
            self.deliver()
        return self.plan(plan_id)

    def open(self, gate: Gate | None = None) -> Ledger:
        with db.reading(self.practice.engine) as tx:
            connection = connections.get(tx, self.connection_id)
        face = self.practice.office.platform(self.platform)
        access = StoredAccess(self.practice.engine, self.practice.settings, face, connection.grant_id or 0)
        return face.open(connection.ref, access, gate or Metered(), connection.timezone)

    def deliver(self, gate: Metered | None = None, *, later: dt.timedelta = dt.timedelta()) -> Delivered:
        """What a worker does. `later` moves its clock on, so that what waits may be tried."""
        gate = gate or Metered()
        try:
            return writeback.deliver(
                self.practice.engine,
                self.connection_id,
                lambda: self.open(gate),
                now=lambda: self.now() + later,
                today=lambda: self.today,
                credit_word=platforms.find(self.platform, self.practice.settings).credit_word,
            )
        finally:
            self.calls = gate.calls
            if self.watch:
                self.watch.judge()

    def settle(self, rounds: int = 12) -> None:
        """Deliver until nothing is left to do."""
        for n in range(1, rounds):
            done = self.deliver(later=dt.timedelta(minutes=20 * n))
            if not done.waiting and done.retry_at is None:
                return
        raise AssertionError("the delivery does not come to rest")

    def prove(self, plan_id: str) -> proving.Proven:
        """Read the plan back from the ledger."""
        record = self.plan(plan_id)
        with db.reading(self.practice.engine) as tx:
            drafts = proving.drafts_of(tx, record)
        return proving.prove(self.open(), record, drafts)

    # ---- the ledger's own reports

    def movements(self, basis: str = "accrual") -> Movements:
        """Account (by its role, or name) → month → movement; zeros left out."""
        found: Movements = {}
        for month, moved in reports.trial_balance_by_month(self.pretend, basis).items():  # type: ignore[arg-type]
            for id, amount in moved.items():
                if amount:
                    found.setdefault(self.called(id), {})[month] = amount
        return found

    def balances(self, basis: str = "accrual") -> dict[str, int]:
        """Account → balance; zeros left out."""
        sums = {account: sum(months.values()) for account, months in self.movements(basis).items()}
        return {account: amount for account, amount in sums.items() if amount}

    def called(self, account_id: str) -> str:
        account = self.pretend.accounts[account_id]
        if account.name == "Payment plan clearing":
            return "clearing"
        return {"undeposited": "bank"}.get(account.role, account.role or account.name)

    def aged(self) -> dict[str, int]:
        """Days past due → amount, credits off."""
        found: Counter[str] = Counter()
        for row in reports.aged_receivables(self.pretend, self.today):
            found.update(row.buckets)
            found["unapplied"] -= row.unapplied
        return {bucket: amount for bucket, amount in found.items() if amount}


def _marker(document: Any) -> re.Match[str] | None:
    """QuickBooks keeps it in the private note, Xero in the reference."""
    return OURS.match(document.private_note) or OURS.match(document.reference)


# ---------------------------------------------------------------- the watch


@dataclass
class Stand:
    """How the books stood: the ledger's own words."""

    accrual: Movements
    cash: Movements
    owed: dict[str, int]  # customer → receivable
    documents: dict[tuple[str, str], tuple[Any, ...]]
    billed: Counter[tuple[str, str]]  # (account, month) → what plan documents posted to income and tax


class Watch:
    """Compares after every write. What it finds is kept in `wrong`, because it looks from the server's side."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self.wrong: list[str] = []
        self.steps: list[dict[str, int]] = []  # receivable and clearing after each write
        self.begin()

    def begin(self) -> None:
        """From here on nothing may move."""
        self.on_cash = self._on_cash()
        self.before = self._stand()
        self.seen = {d.id for d in self.company.ours()}

    def judge(self) -> None:
        """Raises Broken when any write so far broke an invariant."""
        if self.wrong:
            raise Broken("; ".join(dict.fromkeys(self.wrong)))

    def look(self, where: str) -> None:
        try:
            with self.company.pretend.lock:
                self._look()
        except Broken as broken:
            self.wrong.append(f"after {where}: {broken}")
        except Exception as problem:  # a test must not hang on a bug of its own
            self.wrong.append(f"after {where}: the watch itself failed: {problem!r}")

    def _stand(self) -> Stand:
        company = self.company
        owed: Counter[str] = Counter()
        for row in reports.aged_receivables(company.pretend, company.today):
            owed[row.customer] += row.total
        return Stand(
            company.movements("accrual"),
            company.movements("cash"),
            dict(owed),
            {(kind, d.id): _shape(d) for kind, d in self._bystanders()},
            self._billed(),
        )

    def _bystanders(self) -> Iterator[tuple[str, Any]]:
        """Every document that is not ours."""
        for kind, table in (
            ("invoice", self.company.pretend.invoices),
            ("credit", self.company.pretend.credit_notes),
            ("payment", self.company.pretend.payments),
        ):
            for document in table:
                if kind == "payment" and not document.amount:
                    continue  # QuickBooks' bridge between credit and invoice
                if kind == "payment" or not _marker(document):
                    yield kind, document

    def _billed(self) -> Counter[tuple[str, str]]:
        """What live interest, waiver and discount documents of plans posted, by account and month."""
        found: Counter[tuple[str, str]] = Counter()
        for document in self.company.ours():
            mark = _marker(document)
            if mark and mark["role"] in BILLS:
                sign = -1 if isinstance(document, Invoice) else 1
                month = document.date.isoformat()[:7]
                for line in document.lines:
                    found[self.company.called(line.account), month] += sign * line.net
                    found["tax", month] += sign * line.tax
        return found

    def posted(self) -> Counter[str]:
        """What live documents of plans took off the receivable, by role; interest adds to it."""
        found: Counter[str] = Counter()
        for document in self.company.ours():
            mark = _marker(document)
            if mark and mark["role"] in BILLS:
                found[mark["role"]] += -document.total if isinstance(document, Invoice) else document.total
        return found

    def _look(self) -> None:
        now, before = self._stand(), self.before
        self.steps.append({a: sum(now.accrual.get(a, {}).values()) for a in ("receivable", "clearing")})
        self._income_and_tax(now, before)
        self._receivable(now, before)
        self._others(now, before)
        self._own_documents()
        total = sum(now.accrual.get("receivable", {}).values())
        if total != sum(now.owed.values()):
            raise Broken(
                f"I11: the aging adds up to {sum(now.owed.values())}, the control account is {total}"
            )

    def _income_and_tax(self, now: Stand, before: Stand) -> None:
        """I2, I3, I12, per month: only what plan documents openly bill may move."""
        billed = now.billed.copy()
        billed.subtract(before.billed)
        for basis, then, present in (
            ("accrual", before.accrual, now.accrual),
            ("cash", before.cash, now.cash),
        ):
            if basis == "cash" and not self.on_cash:
                continue  # a split on accrual books moves a cash report; its proof names that line
            for account in {*then, *present} - {"receivable", "clearing"}:
                for month in {*then.get(account, {}), *present.get(account, {})}:
                    moved = present.get(account, {}).get(month, 0) - then.get(account, {}).get(month, 0)
                    allowed = billed[account, month] if basis == "accrual" else 0
                    if moved != allowed:
                        raise Broken(
                            f"I2/I3: {account} of {month} moved by {moved} on {basis}, not {allowed}"
                        )

    def _on_cash(self) -> bool:
        with db.reading(self.company.practice.engine) as tx:
            return settings.load(tx, self.company.connection_id).answers.cash

    def _receivable(self, now: Stand, before: Stand) -> None:
        """I1, I5: receivable and clearing together are as they were, but for what was openly billed."""

        def together(stand: Stand) -> int:
            return sum(sum(stand.accrual.get(a, {}).values()) for a in ("receivable", "clearing"))

        billed = sum(now.billed.values()) - sum(before.billed.values())
        if together(now) != together(before) - billed:
            raise Broken(f"I5: receivable and clearing are {together(now)}, not {together(before) - billed}")

    def _others(self, now: Stand, before: Stand) -> None:
        """I10, I20: what is not ours keeps number, dates, total and status; only a plan's own invoices are settled."""
        settled = functools.cache(self._touched)
        for key, then in before.documents.items():
            present = now.documents.get(key)
            if present is None:
                raise Broken(f"I10: {key} is gone")
            if present[:-1] != then[:-1]:
                raise Broken(f"I10: {key} was {then[:-1]}, is {present[:-1]}")
            if present[-1] != then[-1] and key[1] not in settled():
                raise Broken(f"I10: the balance of {key} was {then[-1]}, is {present[-1]}")
        if extra := set(now.documents) - set(before.documents):
            raise Broken(f"I10: {sorted(extra)} appeared without our mark")

    def _touched(self) -> set[str]:
        """The invoices that plans settle: sources and fees waived."""
        with db.reading(self.company.practice.engine) as tx:
            records = plans.of_connection(tx, self.company.connection_id)
            return {
                w.draft.invoice_id  # type: ignore[union-attr]
                for r in records
                for w in outbox.of_plan(tx, r.id)
                if w.kind == "link"
            }

    def _own_documents(self) -> None:
        """I8, I9: one date, in the open period, never in the future; one document for each role."""
        organization = self.company.pretend.organization
        roles: Counter[tuple[str | None, ...]] = Counter()
        for document in self.company.ours():
            mark = _marker(document)
            assert mark
            roles[mark["plan"], mark["version"], mark["role"], mark["n"], document.number] += 1
            if document.date > self.company.today:
                raise Broken(f"I8: {document.number} is dated {document.date}, in the future")
            closed = organization.closed_until
            if document.id not in self.seen and closed and document.date <= closed:
                raise Broken(f"I20: {document.number} is dated {document.date}, in a closed period")
            if (
                isinstance(document, Invoice)
                and document.due
                and mark["role"] == "inst"
                and document.due < document.date
            ):
                raise Broken(f"I8: {document.number} is due before its date")
        self.seen |= {d.id for d in self.company.ours()}
        if twice := [key for key, count in roles.items() if count > 1]:
            raise Broken(f"I9: {twice} exist twice")


def _shape(document: Any) -> tuple[Any, ...]:
    """What must stay of a document that is not ours; its balance last."""
    if not hasattr(document, "lines"):
        return (document.status, document.date, document.amount, tuple(document.links))
    due = getattr(document, "due", None)
    return (document.number, document.status, document.date, due, document.total, document.balance)


# ---------------------------------------------------------------- what holds when a plan is written


def assert_written(company: Company, record: plans.Record, *, replay: bool = True) -> None:
    """A running plan stands in the ledger as it was agreed: I4, I6, I7, I8, I9, I10, I22, I23, I24."""
    assert record.state == "running", (record.state, record.attention)
    assert company.watch is not None
    company.watch.judge()
    assert company.balances().get("clearing", 0) == 0
    if record.plan.mode is Mode.SPLIT:
        _assert_split(company, record)
    for source in record.plan.sources:
        told = notes(company, source.invoice_id, f"{record.id} v{record.plan.version}")
        assert len(told) == 1, told
    assert company.prove(record.id).differences == ()
    if replay:
        company.deliver()
        assert [c.operation for c in company.calls if c.writes] == []


def _assert_split(company: Company, record: plans.Record) -> None:
    plan = record.plan
    mine = [
        d for d in company.ours() if f"plan={record.id} v={plan.version} " in d.private_note + d.reference
    ]
    invoices = sorted(
        (d for d in mine if isinstance(d, Invoice) and "role=inst" in d.private_note + d.reference),
        key=lambda d: d.due,  # type: ignore[arg-type,return-value]
    )
    credits = [
        d for d in mine if not isinstance(d, Invoice) and "role=credit" in d.private_note + d.reference
    ]
    assert [(d.total, d.due, d.tax) for d in invoices] == [(r.principal, r.due, 0) for r in plan.rows]
    assert sum(d.total for d in credits) == plan.principal == plan.balance
    assert all(d.balance == 0 and d.tax == 0 for d in credits)
    assert {d.date for d in (*invoices, *credits)} == {record.posted_on}
    assert sum(d.total for d in invoices) == sum(
        d.total for d in credits
    )  # I23: a statement of that day nets to zero
    for source in plan.sources:
        assert company.pretend.invoices[source.invoice_id].balance == 0
    assert [row.invoice_id for row in record.installments] == [d.id for d in invoices]


def assert_gone(company: Company, plan_id: str) -> None:
    """Taken back: nothing of the plan is live in the ledger any more."""
    assert [d.number for d in company.ours() if f"plan={plan_id} " in d.private_note + d.reference] == []
    assert company.balances().get("clearing", 0) == 0


def notes(company: Company, invoice_id: str, words: str) -> list[str]:
    """The remarks on an invoice with these words in them; a file's own label is none."""
    ref = Ref("invoice", invoice_id)
    texts = [n.text for n in company.pretend.notes(ref)]
    texts += [a.note for a in company.pretend.attachments_of(ref) if not a.file_name]
    return [text for text in texts if words in text]


def orphans(company: Company) -> list[str]:
    """Live documents of ours that no plan knows of."""
    with db.reading(company.practice.engine) as tx:
        known = {
            w.external_id
            for r in plans.of_connection(tx, company.connection_id)
            for w in outbox.of_plan(tx, r.id)
            if w.state == "done"
        }
    return [d.number for d in company.ours() if d.id not in known]


def duplicates(company: Company) -> list[str]:
    """Numbers that more than one live document of ours carries."""
    numbers = Counter((type(d).__name__, d.number) for d in company.ours())
    return [number for (_, number), count in numbers.items() if count > 1]


def drift(before: Mapping[str, Mapping[str, int]], after: Mapping[str, Mapping[str, int]]) -> int:
    """How far two trial balances are apart: the sum over accounts and months, without sign."""
    return sum(
        abs(after.get(a, {}).get(m, 0) - before.get(a, {}).get(m, 0))
        for a in {*before, *after}
        for m in {*before.get(a, {}), *after.get(a, {})}
    )


# ---------------------------------------------------------------- the worked example


@dataclass
class Example:
    """The company of docs/accounting.md: invoice 1001 of 1,150.00 part-paid with 300.00, and its late fee."""

    company: Company
    customer: str


def the_example(practice: Practice, platform: str) -> Example:
    company = practice.company(platform)
    customer = company.customer("Corner Street Cafe")
    company.bill(customer, "1001", DAY(2026, 8, 1), DAY(2026, 8, 31), 100000, 15000)
    company.bill(customer, "LF-1001", DAY(2026, 9, 17), DAY(2026, 10, 1), 5000, role="late_fees")
    company.pay("1001", 30000, DAY(2026, 9, 20))
    company.sync()
    company.answer()
    company.policy(
        method=Method.FLAT,
        interest=InterestPolicy(
            clause="Terms, section 7", flat_percent=rows_of.Decimal(5), cap=rows_of.Decimal(100)
        ),
    )
    return Example(company, customer)


def example_plan(example: Example, *, waiver: bool = True) -> plans.Record:
    """850.00 in 3 x 297.50, of which 42.50 is interest; the late fee waived."""
    company = example.company
    record = company.propose(example.customer, ["1001"], 3, first=DAY(2026, 12, 21))
    rows = rows_of.draft_rows(
        85000,
        due_dates(DAY(2026, 12, 21), Rhythm.MONTHLY, 3, company.pretend.organization.country),
        method=Method.FLAT,
        flat_percent=rows_of.Decimal(5),
        start=APPROVAL,
        rhythm=Rhythm.MONTHLY,
    )
    fee = company.invoice("LF-1001")
    waivers = (Waiver(fee.id, "LF-1001", 5000, "", "part of the plan"),)
    plan = replace(
        record.plan,
        rows=rows,
        terms=replace(record.plan.terms, method=Method.FLAT, flat_percent=rows_of.Decimal(5)),
        waivers=waivers if waiver else (),
    )
    return company.edit(record, plan)
