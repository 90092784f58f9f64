"""All organizations of the person: connection health, money overdue, what waits for a decision."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from flask import g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from connector import db, failures
from connector.connecting import connections
from connector.connecting.connections import Connection
from connector.mirroring import books, completeness
from connector.planning import plans
from connector.platforms import find
from connector.practice import people, settings
from connector.reviewing import overview
from connector.reviewing.overview import Waiting
from web import aged, charts
from web.aged import Aged, Sums
from web.pages import blueprint
from web.sign_in import config, engine
from web.words import many

FEW = 10  # quiet clients shown before the rest is folded
SHOWN = 6  # drafts in the rail


@dataclass(frozen=True, slots=True)
class Client:
    """One organization as a row: what is owed by currency, and the counts of what waits."""

    connection: Connection
    label: str
    aged: Sums
    waits: Waiting
    live: bool
    apart: int  # balances that differ from the ledger's
    stuck: int  # jobs that failed at each try and were set aside

    @property
    def needs_hand(self) -> bool:
        return self.connection.status != "connected" or bool(self.apart or self.stuck)

    @property
    def overdue(self) -> int:
        return max((a.overdue for a in self.aged.values()), default=0)


@blueprint.get("/")
def practice() -> str | Response:
    with db.reading(engine()) as tx:
        mine = {id: connections.get(tx, id) for id in people.connections_of(tx, g.person.id)}
        if not mine:
            return redirect(url_for("sign_in.account"))
        today = {id: connections.today(c, config()) for id, c in mine.items()}
        sums = aged.of_organizations(tx, today, {id: c.home_currency for id, c in mine.items()})
        waits = overview.waiting(tx, mine)
        stuck = failures.set_aside(tx, list(mine))
        clients = [
            Client(
                c,
                find(c.platform, config()).label,
                sums[id],
                waits[id],
                settings.load(tx, id).live,
                len(completeness.differences(tx, id)),
                stuck.get(id, 0),
            )
            for id, c in mine.items()
        ]
        clients.sort(key=lambda c: (-c.needs_hand, -c.waits.total, -c.overdue, c.connection.organization))
        to_come = overview.still_to_come(tx, mine)
        drafts = [
            (c, plan)
            for c in clients
            if c.waits.proposed
            for plan in plans.of_connection(tx, c.connection.id, states=("proposed",), limit=SHOWN)
        ]
        names = {
            (c.connection.id, one.id): one.name
            for c in clients
            for one in books.customers(
                tx, c.connection.id, ids=[p.plan.customer_id for k, p in drafts[:SHOWN] if k is c]
            )
        }
    at_risk = _added([c.aged for c in clients])
    loud = [c for c in clients if c.waits.total or c.needs_hand]
    quiet = [c for c in clients if c not in loud]
    return render_template(
        "practice.html",
        clients=clients,
        shown=[*loud, *quiet[:FEW]],
        folded=quiet[FEW:],
        lost=[c for c in clients if c.needs_hand],
        opening=_opening(clients),
        at_risk=at_risk,
        to_come=_coming(to_come, at_risk),
        running=sum(c.waits.plans["running"] for c in clients),
        late=sum(c.waits.late for c in clients),
        drafts=drafts[:SHOWN],
        more_drafts=max(0, sum(c.waits.proposed for c in clients) - SHOWN),
        names=names,
        bar=charts.aging_bar,
        widest=_widest(clients),
        today=max(today.values(), default=dt.date.min),
        here="practice",
    )


def _added(sums: list[Sums]) -> dict[str, Aged]:
    """Per currency over all clients; currencies are never added up."""
    found: dict[str, Aged] = {}
    for one in sums:
        for currency, a in one.items():
            before = found.get(currency, Aged((0,) * 5)).buckets
            found[currency] = Aged(tuple(x + y for x, y in zip(before, a.buckets, strict=True)))
    return dict(sorted(found.items(), key=lambda item: -item[1].overdue))


def _coming(to_come: dict[str, dict[str, tuple[int, int]]], at_risk: Mapping[str, Aged]) -> dict[str, int]:
    """By currency, in the order of what is overdue, so that both figures of the strip begin with the same one."""
    found: dict[str, int] = defaultdict(int)
    for currencies in to_come.values():
        for currency, (left, _) in currencies.items():
            found[currency] += left
    order = list(at_risk)
    return dict(
        sorted(found.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order))
    )


def _widest(clients: list[Client]) -> dict[str, int]:
    """The largest overdue sum per currency: bars share a scale within a currency."""
    found: dict[str, int] = defaultdict(int)
    for client in clients:
        for currency, a in client.aged.items():
            found[currency] = max(found[currency], a.overdue)
    return dict(found)


def _opening(clients: list[Client]) -> tuple[str, str]:
    waiting = sum(c.waits.total for c in clients)
    where = sum(c.waits.total > 0 for c in clients)
    lost = sum(c.needs_hand for c in clients)
    verb = "waits" if waiting == 1 else "wait"
    first = f"{many(waiting, 'decision')} {verb} for you" if waiting else "Nothing for you to do"
    rest = f", at {many(where, 'client')}." if waiting else "."
    if lost:
        hand = f"{many(lost, 'connection')} {'needs' if lost == 1 else 'need'} a hand"
        return (first, f"{rest} {hand}.") if waiting else (hand, ".")
    return first, rest


@blueprint.get("/find", endpoint="find")
def find_anything() -> str | Response:
    """Customers, invoices and plans by name or number, in everything the person may see."""
    asked = request.args.get("q", "").strip()
    with db.reading(engine()) as tx:
        mine = {id: connections.get(tx, id) for id in people.connections_of(tx, g.person.id)}
        hits = overview.search(tx, mine, asked)
        customers = {
            (id, one.id): one.name
            for id in mine
            for one in books.customers(tx, id, ids=[h.customer_id for h in hits if h.connection_id == id])
        }
    if len(hits) == 1:
        return redirect(_address(hits[0]))
    return render_template(
        "find.html", hits=[(h, mine[h.connection_id], customers.get((h.connection_id, h.customer_id), ""), _address(h)) for h in hits], asked=asked, sought=asked
    )  # fmt: skip


def _address(hit: overview.Hit) -> str:
    if hit.what == "plan":
        return url_for("pages.plan", plan_id=hit.id)
    return url_for("pages.customer", connection_id=hit.connection_id, customer_id=hit.customer_id)
