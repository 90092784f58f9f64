"""What the books say about all customers at once: counted in columns, with a closer look only where one is needed.

It concludes what `judging.judge` concludes of each customer (tests hold the two together).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterator
from functools import partial

from sqlalchemy.engine import Connection

from connector.domain import assessment
from connector.domain.findings import OF_OPEN, Receivables, Share
from connector.domain.glance import Glance, Rows
from connector.domain.policy import Policy
from connector.domain.prediction.timeline import FAR
from connector.domain.receivables import Customer, Invoice
from connector.domain.stillness import NEVER
from connector.mirroring import books, bookwide
from connector.reviewing import judging
from connector.reviewing.conclusions import Conclusion

Came = list[tuple[dt.date, int]]


def conclude(
    tx: Connection,
    connection_id: str,
    rows: Rows,
    policy: Policy,
    today: dt.date,
    *,
    country: str = "",
    but: Collection[str] = (),
) -> list[Conclusion]:
    """Every customer as of `today`, in no particular order; `rows` were read in the same transaction.

    Left to the caller (`but`): customers with plans, or of whom something was said. Customers merged into
    another come as part of that other.
    """
    with bookwide.without_collecting():
        return list(_each(tx, connection_id, rows, policy, today, country, but))


def _each(
    tx: Connection,
    connection_id: str,
    rows: Rows,
    policy: Policy,
    today: dt.date,
    country: str,
    but: Collection[str],
) -> Iterator[Conclusion]:
    into = books.survivors(tx, connection_id)
    people = {c.id: c for c in books.briefly(tx, connection_id) if c.id not in into and c.id not in but}
    at_home = policy.country or country
    countries = [(people[id].country if id in people else "") or at_home for id in rows.customers]
    glance = Glance(rows, countries, policy, today)
    number = {id: n for n, id in enumerate(rows.customers)}
    owing: dict[str, list[Invoice]] = defaultdict(list)
    open_ = books.owing(tx, connection_id)
    for invoice in open_:
        owing[into.get(invoice.customer_id, invoice.customer_id)].append(invoice)
    came, book = _came(rows, today), judging.owed(open_)
    closer = [id for id in people if id in rows.apart and id not in number]
    for id in people.keys() - set(closer):
        who = number.get(id)
        if who is not None and (glance.closer[who] or glance.owing[who] != len(owing.get(id, ()))):
            closer.append(id)
        else:
            yield _at_a_glance(people[id], glance, who, owing.get(id, []), came, book, policy, today, at_home)
    for picture in books.each_customer(tx, connection_id, closer, brief=True):
        yield judging.judge(
            picture.customer,
            picture.invoices,
            picture.payments,
            picture.credits,
            policy,
            today,
            country=country,
            book=book,
        )


def _at_a_glance(
    customer: Customer,
    glance: Glance,
    who: int | None,
    owing: list[Invoice],
    came: dict[str, Came],
    book: dict[str, Share],
    policy: Policy,
    today: dt.date,
    country: str,
) -> Conclusion:
    habits = glance.habits(who) if who is not None else assessment.NO_HABITS
    segment, reasons, changes = assessment.judge(habits)
    next_on = FAR if who is None else int(glance.next_on[who])
    concluded = partial(
        Conclusion,
        customer_id=customer.id,
        segment=segment,
        reasons=reasons,
        changes=changes,
        path=assessment.path(segment, habits),
        as_of=today,
        next_on=NEVER if next_on == FAR else dt.date.fromordinal(next_on),
    )
    if not owing:
        return concluded()
    open_ = Receivables(
        customer=customer,
        invoices=tuple(owing),
        country=customer.country or country,
        book=book,
        memory={("received", today): {i.id: came[i.id] for i in owing if i.id in came}},
    )
    return concluded(
        findings=tuple([f for detector in OF_OPEN for f in detector(open_, policy, today)]),
        balances=judging.balances(owing, (), (), today),
        priority=assessment.priority(open_, segment, today),
    )


def _came(rows: Rows, today: dt.date) -> dict[str, Came]:
    """What was paid on invoices that are still open, oldest first."""
    found: dict[str, Came] = defaultdict(list)
    wanted = (rows.balance[rows.paid_invoice] > 0) & (rows.paid_amount > 0)
    wanted &= rows.paid_day <= today.toordinal()
    columns = (c[wanted].tolist() for c in (rows.paid_invoice, rows.paid_day, rows.paid_amount))
    for at, day, amount in zip(*columns, strict=True):
        found[rows.ids[at]].append((dt.date.fromordinal(day), amount))
    for parts in found.values():
        parts.sort()
    return found
