"""The written agreement of a plan: who agrees with whom, and which text counts."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from connector.connecting import connections
from connector.domain.agreement import Agreement, Parties, agreement
from connector.domain.plan import Plan
from connector.mirroring import books
from connector.planning.plans import Record
from connector.practice import settings


def agreed(tx: Connection, record: Record, plan: Plan | None = None) -> Agreement:
    """The written agreement of `plan`; without one, of a version that waits for approval, else of the one that counts.

    Where the customer accepted a text on their own page, it is that one.
    """
    plan = plan or record.draft or record.plan
    yes = record.draft_acceptance if plan == record.draft else record.acceptance
    if plan in (record.draft, record.plan) and yes and (text := yes.get("text")):
        title, _, rest = text.partition("\n\n")
        return Agreement(title, rest.partition("\n\n")[0].partition("\n")[2], text, yes["document"])
    return ours(tx, record, plan)


def ours(tx: Connection, record: Record, plan: Plan) -> Agreement:
    """The agreement in our own words, as a person hands it over or reads it out."""
    connection = connections.get(tx, record.connection_id)
    picture = books.of_customer(tx, record.connection_id, record.plan.customer_id)
    decided = settings.load(tx, record.connection_id)
    return agreement(plan, parties(connection, picture, decided))


def parties(
    connection: connections.Connection, picture: books.Receivables | None, decided: settings.Settings
) -> Parties:
    """Who agrees with whom, as far as the books know."""
    return Parties(
        creditor=connection.organization,
        customer=picture.customer.name if picture else "",
        contact=connection.organization,
        reply="reply to this message",
        country=decided.policy.country or connection.country,
    )
