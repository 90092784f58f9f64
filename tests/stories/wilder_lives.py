"""Wilder lives: what customers, bookkeepers and ledgers do in the very middle of a write, and what follows.

The watch of `lives` compares after every write here, too. A plan into which people step need not end as it was meant;
but nothing may stand twice or without a plan that knows it, a plan that waits again left nothing behind, and no sum
stays on the clearing account of which nobody was told.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from io import BytesIO
from typing import Any

import sqlalchemy as sa
from hypothesis import strategies as st

from connector import db
from connector.domain.policy import Mode
from connector.domain.propose import Wish
from connector.planning import drafting, ending, plans, renegotiating, todos
from connector.planning.plans import EditedMeanwhile, PlanProblem
from connector.writing import outbox
from sandbox import acts
from sandbox.documents import Advance, Invoice, Link, Payment, Ref
from sandbox.refusals import Refusal
from tests.stories.lives import APPROVAL, Company, Metered, Practice, duplicates, orphans

MINUTES = dt.timedelta(minutes=1)
SPARE = 1230  # what arrives unmatched


@dataclass(frozen=True)
class Wild:
    """What happens in one life: by names, so that a failure can be read and lived again."""

    platform: str
    currency: str
    nets: tuple[int, ...]
    above: int  # generations of head offices
    count: int
    middle: tuple[tuple[int, str], ...]  # at which call of the first delivery
    after: tuple[tuple[str, int], ...]  # at which call of its delivery somebody steps in


class Losing:
    """A ledger that loses the answer to a write, and carries it out only when it is `released`."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.lose = inner, False
        self.held: list[tuple[dict[str, Any], bytes]] = []

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        writes = environ["REQUEST_METHOD"] in ("POST", "PUT") and ("/company/" in path or "/api.xro/" in path)
        if not (self.lose and writes and not path.endswith("/query")):
            answer: Iterable[bytes] = self.inner(environ, start)
            return answer
        self.lose = False
        self.held.append((dict(environ), environ["wsgi.input"].read()))
        raise ConnectionResetError

    def release(self) -> None:
        held, self.held = self.held, []
        for environ, body in held:
            environ["wsgi.input"] = BytesIO(body)
            b"".join(self.inner(environ, lambda *_: None))


@contextlib.contextmanager
def losing(practice: Practice) -> Iterator[Losing]:
    app: Any = practice.server.app
    app.wsgi_app = door = Losing(app.wsgi_app)
    try:
        yield door
    finally:
        app.wsgi_app = door.inner


@dataclass
class Life:
    """One company with one plan. `touched`: a person changed documents of the plan itself."""

    practice: Practice
    wild: Wild
    door: Losing
    company: Company
    heads: list[str] = field(default_factory=list)
    customer: str = ""
    other: str = ""
    plan_id: str = ""
    did: list[str] = field(default_factory=list)
    touched: bool = False

    @property
    def ledger(self) -> Any:
        return self.company.pretend

    @property
    def record(self) -> plans.Record:
        return self.company.plan(self.plan_id)

    def sources(self) -> list[Invoice]:
        return [self.ledger.invoices[s.invoice_id] for s in self.record.plan.sources]

    def installments(self) -> list[Invoice]:
        found = [self.ledger.invoices[r.invoice_id] for r in self.record.installments if r.invoice_id]
        return [d for d in found if d.live]

    def made(self) -> list[Invoice]:
        """The installments that the ledger has, also of a plan that is half written."""
        return [d for d in self.company.ours() if isinstance(d, Invoice)]

    def open_(self) -> list[Invoice]:
        own = self.sources() if self.record.plan.mode is Mode.NOTES else self.installments()
        return [d for d in own if d.live and d.balance]

    def by_hand(self, what: str, act: Callable[[], object]) -> None:
        """Somebody does it in the ledger; what the ledger refuses did not happen."""
        with contextlib.suppress(Refusal):
            act()
            self.did.append(what)
        if self.company.watch:
            self.company.watch.begin()

    def press(self, act: Callable[[Any], object]) -> None:
        """Somebody presses a button; what Forbear refuses did not happen."""
        with contextlib.suppress(PlanProblem, EditedMeanwhile), db.transaction(self.practice.engine) as tx:
            act(tx)

    # ---- in the ledger

    def money(self) -> None:
        who = (
            self.heads[0] if self.heads else self.ledger.customers[self.customer].merged_into or self.customer
        )
        of: dict[str, Any] = {
            "customer": who,
            "date": self.company.today,
            "amount": SPARE,
            "currency": self.wild.currency,
        }
        if self.company.platform == "quickbooks":
            self.by_hand("money", lambda: self.ledger.add_payment(Payment(links=[], **of)))
        else:
            self.by_hand("money", lambda: self.ledger.add_advance(Advance(type="overpayment", **of)))

    def merge(self) -> None:
        self.by_hand("merge", lambda: self.ledger.merge_customers(self.customer, self.other))

    def pay(self, whose: Callable[[], list[Invoice]], part: int = 2, payer: str = "") -> None:
        for document in [d for d in whose() if d.balance][:1]:
            amount = max(1, document.balance // part)
            if payer:
                links = [Link(Ref("invoice", document.id), amount)]
                paid = Payment(
                    customer=payer, date=self.company.today, amount=amount, currency=self.wild.currency, links=links
                )  # fmt: skip
                self.by_hand("head office pays", partial(self.ledger.add_payment, paid))
            else:
                self.by_hand("pay", partial(acts.pay, self.ledger, invoice=document.id, amount=amount))

    def credit(self, whose: Callable[[], list[Invoice]]) -> None:
        for document in [d for d in whose() if d.balance][-1:]:
            part = max(1, document.balance // 2)
            self.by_hand("credit", partial(acts.credit, self.ledger, invoice=document.id, amount=part))

    def edit(self, whose: Callable[[], list[Invoice]], **changes: Any) -> None:
        for document in whose()[-1:]:
            asked = changes or {"total": max(1, document.total // 2)}
            self.by_hand("edit", partial(acts.edit, self.ledger, Ref("invoice", document.id), asked))

    def void(self) -> None:
        """The newest document of the plan, whatever it is."""
        for document in self.company.ours()[-1:]:
            kind = "invoice" if isinstance(document, Invoice) else "credit_note"
            self.touched = True
            self.by_hand("void", partial(acts.void, self.ledger, Ref(kind, document.id)))

    def edit_installment(self) -> None:
        self.touched = True
        self.edit(self.installments)

    def take_off(self) -> None:
        """QuickBooks: the payment of zero that sets the credit against the invoice."""
        for bridge in [p for p in self.ledger.payments if p.live and not p.amount][:1]:
            self.touched = True
            self.by_hand("take the credit off", partial(self.ledger.void, Ref("payment", bridge.id)))

    def close(self) -> None:
        self.ledger.organization.closed_until = self.company.today

    def lose(self) -> None:
        """The answer to the next write."""
        self.door.lose = True

    # ---- in Forbear

    def lose_and_cancel(self) -> None:
        self.lose()
        self.press(self.buttons()["cancel"])

    def look(self) -> None:
        with contextlib.suppress(AssertionError):
            self.company.look()

    def second_worker(self) -> None:
        with db.transaction(self.practice.engine) as tx:
            tx.execute(sa.delete(db.leases))
        self.company.deliver(later=20 * MINUTES)

    def buttons(self) -> dict[str, Callable[[Any], object]]:
        id, company = self.plan_id, self.company
        when: dict[str, Any] = {"now": company.now(), "today": company.today}
        why: dict[str, Any] = {"who": "J. Doe", "why": "asked"}

        def renegotiate(tx: Any) -> None:
            renegotiating.renegotiation(tx, id, wish=Wish(installments=2), **why, **when)
            plans.approve(tx, id, who="J. Doe", **when)

        def redraft(tx: Any) -> None:
            revision = plans.get(tx, id).revision
            drafting.redraft(tx, id, revision=revision, who="J. Doe", wish=Wish(installments=2), **when)

        return {
            "approve": lambda tx: plans.approve(tx, id, who="J. Doe", **when),
            "cancel": lambda tx: plans.cancel(tx, id, **why, **when),
            "renegotiate": renegotiate,
            "redraft": redraft,
            "accelerate": lambda tx: renegotiating.accelerate(tx, id, **why, **when),
            "settle": lambda tx: ending.settle_early(tx, id, Decimal(5), **why, **when),
            "write off": lambda tx: ending.propose_write_off(tx, id, **why, **when),
            "pause": lambda tx: plans.pause(tx, id, who="J. Doe", now=company.now()),
            "resume": lambda tx: plans.resume(tx, id, who="J. Doe", now=company.now()),
        }

    def two_at_once(self, one: str, other: str) -> None:
        """Two browsers, two buttons, one moment."""
        buttons, gate, wrong = self.buttons(), threading.Barrier(2), list[BaseException]()

        def in_a_browser(name: str) -> None:
            gate.wait()
            try:
                self.press(buttons[name])
            except Exception as problem:
                wrong.append(problem)

        both = [threading.Thread(target=in_a_browser, args=(name,)) for name in (one, other)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        assert not wrong, wrong


MIDDLE: dict[str, Callable[[Life], None]] = {
    "money": Life.money,
    "merge": Life.merge,
    "a webhook": Life.look,
    "pay": lambda life: life.pay(life.sources),
    "pay an installment": lambda life: life.pay(life.made),
    "credit": lambda life: life.credit(life.sources),
    "edit the due date": lambda life: life.edit(life.sources, due="2026-11-25"),
    "edit the total": lambda life: life.edit(life.sources),
    "void": Life.void,
    "second worker": Life.second_worker,
    "lose the answer": Life.lose,
    "close the books": Life.close,
    "archive": lambda life: life.by_hand(
        "archive", lambda: life.ledger.edit(Ref("customer", life.customer), active=False)
    ),
    "cancel": lambda life: life.press(life.buttons()["cancel"]),
    "lose the answer and cancel": Life.lose_and_cancel,
    "approve": lambda life: life.press(life.buttons()["approve"]),
    "redraft": lambda life: life.press(life.buttons()["redraft"]),
}
AFTER: dict[str, Callable[[Life], None]] = {
    "pay": lambda life: life.pay(life.open_, 1),
    "pay short": lambda life: life.pay(life.open_, 3),
    "head office pays": lambda life: life.pay(life.open_, 1, (life.heads or [""])[0]),
    "money": Life.money,
    "merge": Life.merge,
    "edit": Life.edit_installment,
    "void": Life.void,
    "credit": lambda life: life.credit(life.open_),
    "take the credit off": Life.take_off,
    "wait": lambda life: life.practice.pass_to(life.company.today + dt.timedelta(20)),
    "cancel and renegotiate": lambda life: life.two_at_once("cancel", "renegotiate"),
    "renegotiate twice": lambda life: life.two_at_once("renegotiate", "renegotiate"),
    "settle and cancel": lambda life: life.two_at_once("settle", "cancel"),
}
PRESSED = ("cancel", "renegotiate", "accelerate", "settle", "write off", "pause", "resume")
STEPPING_IN = ("pay", "a webhook", "money", "lose the answer")  # in the middle of what a button set going


def wilds(platform: str) -> st.SearchStrategy[Wild]:
    xero = platform == "xero"
    return st.builds(
        Wild,
        platform=st.just(platform),
        currency=st.sampled_from(["GBP" if xero else "USD", "KWD", "JPY"]),
        nets=st.lists(st.integers(10, 500_000).map(lambda n: n * 10), min_size=1, max_size=2).map(tuple),
        above=st.just(0) if xero else st.sampled_from([0, 0, 1, 2]),
        count=st.integers(1, 4),
        middle=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(sorted(MIDDLE))), max_size=2).map(tuple),
        after=st.lists(
            st.tuples(st.sampled_from([*sorted(AFTER), *PRESSED, *PRESSED]), st.integers(0, 9)), max_size=4
        ).map(tuple),
    )


def live(practice: Practice, wild: Wild) -> None:
    practice.pass_to(APPROVAL)
    practice.world.faults.clear()
    with losing(practice) as door:
        life = opened(practice, wild, door)
        life.press(life.buttons()["approve"])
        life.company.approve(life.plan_id, deliver=False)
        waiting = list(wild.middle)

        def strike(when: str, at: int, operation: str, writes: bool) -> None:
            for each in [m for m in waiting if when == "before" and m[0] == at]:
                waiting.remove(each)
                MIDDLE[each[1]](life)

        life.company.deliver(Metered(strike))
        rest(life)
        stands(life)
        for what, at in wild.after:
            happen(life, what, at)
            rest(life)
            stands(life)


def opened(practice: Practice, wild: Wild, door: Losing) -> Life:
    """A customer, under so many head offices, with invoices and a plan over them."""
    company = practice.company(wild.platform, home_currency=wild.currency)
    life = Life(practice, wild, door, company)
    company.answer()
    account = company.code("discounts")
    item = "" if wild.platform == "xero" else company.item("Discounts", "discounts")
    company.policy(discount_account=account, discount_item=item)
    for n in range(wild.above):
        life.heads.append(company.customer(f"Head {n}", parent=(life.heads or [""])[-1]))
    life.customer = company.customer("Fern Foods", parent=(life.heads or [""])[-1])
    life.other = company.customer("Fern Foods Ltd")
    numbers = [f"{n}001" for n in range(1, len(wild.nets) + 1)]
    for number, net in zip(numbers, wild.nets, strict=True):
        date = APPROVAL - dt.timedelta(90)
        company.bill(life.customer, number, date, date + dt.timedelta(30), net)
    company.sync()
    life.plan_id = company.propose(life.customer, numbers, wild.count).id
    return life


def happen(life: Life, what: str, at: int) -> None:
    if what in AFTER:
        AFTER[what](life)
        life.company.look()
        return
    life.look()
    if life.company.watch:
        life.company.watch.begin()
    life.press(life.buttons()[what])
    steps = [STEPPING_IN[at % len(STEPPING_IN)]] if at % 2 else []

    def strike(when: str, n: int, operation: str, writes: bool) -> None:
        if when == "before" and n == at // 2 and steps:
            step = steps.pop()
            life.pay(life.open_) if step == "pay" else MIDDLE[step](life)

    life.company.deliver(Metered(strike))


def rest(life: Life) -> None:
    """Until nothing is left to do, or a person has to help. A lost request is carried out within a minute or two."""
    company = life.company
    if life.door.held:
        company.deliver(later=MINUTES)
        life.door.release()
    life.door.lose = False
    for n in range(1, 12):
        done = company.deliver(later=20 * n * MINUTES)
        if not done.waiting and done.retry_at is None:
            break
    else:
        assert "could not be taken back" in life.record.attention, "the delivery does not come to rest"
    life.ledger.organization.closed_until = None


def stands(life: Life) -> None:
    """What holds whenever all is at rest."""
    company, record = life.company, life.record
    assert company.watch is not None
    company.watch.judge()
    assert (duplicates(company), orphans(company)) == ([], []), life.did
    clearing = company.balances().get("clearing", 0)
    if record.state == "proposed" and record.progress not in plans.UNDER_WAY and not life.touched:
        mine = [d.number for d in company.ours() if f"plan={record.id} " in d.private_note + d.reference]
        assert (mine, clearing) == ([], 0), (life.did, record.attention)
    with db.reading(life.practice.engine) as tx:
        failed = [w for w in outbox.of_plan(tx, record.id) if w.state == "failed"]
        told = todos.waiting(tx, company.connection_id)
    if failed or record.state == "approved":
        assert record.attention or record.progress, (life.did, [(w.what, w.error) for w in failed])
    if clearing and not record.attention and not told:
        company.look()
        with db.reading(life.practice.engine) as tx:
            told = todos.waiting(tx, company.connection_id)
        assert life.record.attention or told, (
            life.did,
            f"{clearing} on the clearing account, and not a word",
        )
