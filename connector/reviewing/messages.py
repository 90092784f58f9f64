"""A look at the message that some customers are due for, while all else that is concluded about them still holds.

Most nights that concern a customer bring no other conclusion: a message reached them, or the next one is due. Then only
what messages speak of is read, and nobody is judged again.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Mapping

from sqlalchemy.engine import Connection

from connector.contact import reminders, reminding
from connector.mirroring import books
from connector.mirroring.books import Key
from connector.planning import plan_records
from connector.reviewing import conclusions
from connector.reviewing.looking import Circle, Reviewed, grouped, told_of


def look(tx: Connection, circles: Mapping[str, Circle], keys: Collection[Key], now: dt.datetime) -> Reviewed:
    """In one transaction. Only customers whose conclusion holds on this day (`conclusions.Woken`)."""
    before = conclusions.said_of(tx, keys)
    pictures = books.pictures(tx, list(before), open_only=True)
    records = grouped(
        (r.connection_id, r.plan.customer_id, r) for r in plan_records.of_these(tx, list(pictures))
    )
    since = {key: reminding.remembered(p.invoices, circles[key[0]].today) for key, p in pictures.items()}
    sent = grouped((r.connection_id, r.customer_id, r) for r in reminders.that_count_of(tx, since))
    whose = defaultdict[str, list[str]](list)
    for connection_id, customer_id in pictures:
        whose[connection_id].append(customer_id)
    told = {id: told_of(tx, circles[id], ids) for id, ids in whose.items()}
    due, next_on = dict[Key, reminders.Due | None](), dict[Key, dt.date]()
    for key, picture in pictures.items():
        circle, known = circles[key[0]], before[key]
        due[key] = reminding.draw_up(
            tx,
            circle.organization,
            circle.decided,
            picture,
            (),
            records.get(key, ()),
            sent.get(key, ()),
            now=now,
            today=circle.today,
            told=told[key[0]],
            segment=conclusions.judged_otherwise(known) or known.segment,
            same_rules=True,
        )
        again = reminding.next_day(
            circle.decided, picture, records.get(key, ()), sent.get(key, ()), due[key], today=circle.today
        )
        next_on[key] = min(known.judge_on, again)
    today = {id: circle.today for id, circle in circles.items()}
    kept = reminders.keep_of(tx, due, sent, today=today, now=now)
    conclusions.looked_at(tx, next_on, today=today, now=now)
    return Reviewed(
        customers=len(pictures),
        reminders_due=sum(d.state == "due" for d in kept),
        reminders_held=sum(d.state == "held" for d in kept),
    )
