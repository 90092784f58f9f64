"""All organizations of the person: connection health, money overdue, what waits for a decision."""

from __future__ import annotations

from dataclasses import dataclass

from flask import g, redirect, render_template, url_for
from werkzeug.wrappers import Response

from connector import books, connections, db, outbox, people, plans
from connector.connections import Connection
from connector.platforms import find
from web import charts
from web.aged import Aged, aged
from web.pages import blueprint
from web.sign_in import config, engine
from web.words import many


@dataclass(frozen=True, slots=True)
class Client:
    """One organization as a row: `aged` by currency, the counts of what waits."""

    connection: Connection
    label: str
    aged: dict[str, Aged]
    proposed: int
    failed: int
    running: int

    @property
    def waiting(self) -> int:
        return self.proposed + self.failed

    @property
    def overdue(self) -> int:
        return max((a.overdue for a in self.aged.values()), default=0)


@blueprint.get("/")
def practice() -> str | Response:
    with db.reading(engine()) as tx:
        clients = []
        for connection_id in people.connections_of(tx, g.person.id):
            connection = connections.get(tx, connection_id)
            today = connections.today(connection, config())
            mine = plans.of_connection(tx, connection_id)
            clients.append(
                Client(
                    connection=connection,
                    label=find(connection.platform, config()).label,
                    aged=aged(books.invoices(tx, connection_id, open_only=True), today),
                    proposed=sum(p.state == "proposed" for p in mine),
                    failed=len(outbox.failures(tx, connection_id)),
                    running=sum(p.state == "running" for p in mine),
                )
            )
    if not clients:
        return redirect(url_for("sign_in.account"))
    clients.sort(key=lambda c: (-c.waiting, -c.overdue, c.connection.organization))
    lost = [c for c in clients if c.connection.status != "connected"]
    return render_template(
        "practice.html",
        clients=clients,
        lost=lost,
        opening=_opening(clients, lost),
        bar=charts.aging_bar,
        widest=max((c.overdue for c in clients), default=0),
        here="practice",
    )


def _opening(clients: list[Client], lost: list[Client]) -> tuple[str, str]:
    waiting = sum(c.waiting for c in clients)
    where = sum(c.waiting > 0 for c in clients)
    first = (
        f"{many(waiting, 'decision')} {'waits' if waiting == 1 else 'wait'} for you"
        if waiting
        else "Nothing waits for you"
    )
    rest = f", at {many(where, 'client')}." if waiting else "."
    if lost:
        rest += f" {many(len(lost), 'connection')} {'needs' if len(lost) == 1 else 'need'} a hand."
    return first, rest
