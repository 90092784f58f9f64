"""A bookkeeper's own texts: tried on a real customer, kept only when the wording check has nothing against them.

A text is tried as it would be sent: with the customer's open documents, the fields filled in and everything around it
(greeting, sums, whom to ask, how to object). What the check refuses is not kept.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import db
from connector.connecting import connections
from connector.contact import reminding
from connector.domain import free_words, reminder_words, wording
from connector.domain import letters as shipped
from connector.domain.codec import WrongValue
from connector.domain.dunning import Open, Reminder
from connector.domain.letters import BACKLOG, DEFAULT, BadText
from connector.domain.policy import OwnText, Policy, Step
from connector.domain.receivables import Customer, Invoice, Status
from connector.domain.wording import Objection
from connector.domain.wording_look import Look, look
from connector.mirroring import books
from connector.practice import settings
from connector.practice.settings import Settings

SEGMENTS = (DEFAULT, BACKLOG, "reliable", "forgetful", "squeezed", "chronic", "disputing", "not_enough_data")
SAMPLE = "sample"  # the customer of an organization in which nothing is open


class NotKept(Exception):
    """The text may not be sent, so it is not kept. `tried` says why, sentence by sentence."""

    def __init__(self, tried: Tried) -> None:
        super().__init__(
            "The text is not kept: it says something that may not be sent. See the sentences below."
        )
        self.tried = tried


@dataclass(frozen=True, slots=True)
class Tried:
    """What a customer would read, and what speaks against it. `problem`: the text cannot even be filled in.

    `looks` are sentences of the bookkeeper's own that deserve a second reading; they hinder nothing.
    """

    text: str
    objections: tuple[Objection, ...] = ()
    problem: str = ""
    looks: tuple[Look, ...] = ()

    @property
    def good(self) -> bool:
        return not self.problem and not self.objections


def steps(policy: Policy) -> list[Step]:
    """The levels that have words, in the order of the two ladders."""
    ladders = (*policy.reminders.invoice_ladder, *policy.reminders.installment_ladder)
    return [step for step in ladders if not step.task_only]


def of_level(policy: Policy, variant: str, level: str, segment: str) -> tuple[str, bool]:
    """The text that counts for this level, segment and variant, and whether it is the bookkeeper's own."""
    own = next((t.text for t in policy.letters.own if _is(t, variant, level, segment)), None)
    return (own, True) if own is not None else (shipped.letters(variant).body(level, segment), False)


def shipped_text(variant: str, level: str, segment: str) -> str:
    return shipped.letters(variant).body(level, segment)


def _is(text: OwnText, variant: str, level: str, segment: str) -> bool:
    return (text.language, text.level, text.segment) == (variant, level, segment)


def candidates(tx: Connection, connection_id: str, limit: int = 40) -> list[Customer]:
    """Customers with something open, those who owe the longest first: a text is tried on one of them."""
    c = db.invoices.c
    oldest = (
        sa.select(c.customer_id)
        .where(c.connection_id == connection_id, c.balance > 0, c.marker == "")
        .group_by(c.customer_id)
        .order_by(sa.func.min(c.due), c.customer_id)
        .limit(limit)
    )
    order = {id: n for n, id in enumerate(tx.scalars(oldest))}
    return sorted(books.customers(tx, connection_id, list(order)), key=lambda one: order.get(one.id, limit))


def attempt(
    tx: Connection,
    connection_id: str,
    customer_id: str,
    variant: str,
    level: str,
    segment: str,
    text: str,
    *,
    today: dt.date,
) -> Tried:
    """What this customer would read at this level. No network; nothing is kept."""
    policy = settings.load(tx, connection_id).policy
    step = next((s for s in steps(policy) if s.level == level), None)
    if step is None or segment not in SEGMENTS or variant not in shipped.variants():
        raise LookupError(f"There is no text for {level}, {segment} in {variant}.")
    try:
        own = OwnText(variant, level, segment, text)
    except WrongValue as wrong:
        return Tried("", problem=f"The text {wrong.sentence}")
    sender = reminding.sender(connections.get(tx, connection_id), policy)
    kept = tuple(t for t in policy.letters.own if not _is(t, variant, level, segment))
    sender = replace(sender, own=(*kept, own))
    name, documents = _about(tx, connection_id, customer_id, step, today)
    reminder = Reminder(
        customer_id,
        level,
        {documents[0].key: level},
        tuple(documents),
        offers_plan=step.offers_plan,
    )
    try:
        said = reminder_words.text(reminder, name, sender, today, segment=segment, language=variant)
    except BadText as bad:
        return Tried("", problem=str(bad))
    context = reminder_words.context(
        reminder, name, sender, today, language=variant, enabled=free_words.announced(policy)
    )
    return Tried(said, wording.check(said, context), looks=look(text, variant, (name, sender.organization)))


def _about(
    tx: Connection, connection_id: str, customer_id: str, step: Step, today: dt.date
) -> tuple[str, Sequence[Open]]:
    """The customer's name and what the letter would speak of: open documents whose day fits the step, else all."""
    picture = books.of_customer(tx, connection_id, customer_id) if customer_id != SAMPLE else None
    open_ = [Open(i, i.due, i.balance) for i in picture.invoices if i.balance > 0] if picture else []
    row = 1 if step.level.startswith("installment") else None
    if picture is None or not open_:
        due = today - dt.timedelta(step.days)
        invoice = Invoice("1", "1001", "1", due - dt.timedelta(30), due, "USD", 85000, 85000, Status.OPEN)
        return "Sample Customer", [Open(invoice, due, 85000, row)]
    fitting = [d for d in open_ if (d.due < today) == (step.days > 0)] or open_
    chosen = sorted(fitting, key=lambda d: (d.due, d.key))
    return picture.customer.name, [replace(d, installment=row) for d in chosen]


def keep(
    tx: Connection,
    connection_id: str,
    customer_id: str,
    variant: str,
    level: str,
    segment: str,
    text: str,
    *,
    who: str,
    now: dt.datetime,
    today: dt.date,
) -> Settings:
    """Keep a text of the bookkeeper's own. Raises NotKept with what the check refuses, EditedMeanwhile."""
    text = text.replace("\r\n", "\n").strip()
    tried = attempt(tx, connection_id, customer_id, variant, level, segment, text, today=today)
    sample = attempt(tx, connection_id, SAMPLE, variant, level, segment, text, today=today)
    for one in (tried, sample):  # what passes for one customer only by chance is no text for all
        if not one.good:
            raise NotKept(one)
    return _save(tx, connection_id, variant, level, segment, OwnText(variant, level, segment, text), who, now)


def reset(
    tx: Connection,
    connection_id: str,
    variant: str,
    level: str,
    segment: str,
    *,
    who: str,
    now: dt.datetime,
) -> Settings:
    """Back to the shipped text; harmless when it is that already."""
    return _save(tx, connection_id, variant, level, segment, None, who, now)


def _save(
    tx: Connection,
    connection_id: str,
    variant: str,
    level: str,
    segment: str,
    text: OwnText | None,
    who: str,
    now: dt.datetime,
) -> Settings:
    current = settings.load(tx, connection_id)
    kept = tuple(t for t in current.policy.letters.own if not _is(t, variant, level, segment))
    own = (*kept, text) if text else kept
    if own == current.policy.letters.own:
        return current
    policy = replace(current.policy, letters=replace(current.policy.letters, own=own))
    return settings.save_policy(tx, connection_id, policy, revision=current.revision, who=who, now=now)
