"""Plans without a browser: drafted, approved, shown with their proof."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.commands import shell

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection as Transaction
    from sqlalchemy.engine import Engine

    from connector.config import Config
    from connector.connecting.connections import Connection
    from connector.domain.alternatives import Alternative
    from connector.domain.propose import Wish
    from connector.domain.receivables import Document
    from connector.planning.plans import Record
    from connector.writing.proving import Proven

    Proof = tuple[Proven, Sequence[tuple[Document, int, int]], dict[str, str]]


def add(commands: shell.Commands) -> shell.Commands:
    """Adds `plan`; returns what further commands below it are added to."""
    below: shell.Commands = commands.add_parser("plan", help="plans without a browser").add_subparsers(
        metavar="COMMAND", required=True
    )
    shell.connection_option(command(below, "list", _list, "every plan", id=False))
    show = command(below, "show", _show, "one plan")
    show.add_argument("--proof", action="store_true", help="read it back from the ledger and prove it")
    propose = command(below, "propose", _propose, "draft a plan for a customer", id=False)
    propose.add_argument("--customer", metavar="ID", required=True, help="the ledger's id of the customer")
    propose.add_argument(
        "--invoice", metavar="ID", action="append", default=[], help="several times for several"
    )
    propose.add_argument("--connection", metavar="ID")
    propose.add_argument("--mode", choices=["split", "notes"])
    propose.add_argument("--by", metavar="NAME", default=shell.user())
    _wish_options(propose)
    approve = command(below, "approve", _approve, "approve a plan and write it into the ledger")
    approve.add_argument("--by", metavar="NAME", required=True, help="who approves; stands on the note")
    renegotiate = command(below, "renegotiate", _renegotiate, "propose new terms for what is left of a plan")
    renegotiate.add_argument("--by", metavar="NAME", required=True)
    renegotiate.add_argument("--why", default="")
    _wish_options(renegotiate)
    waive = command(below, "waive", _waive, "let a proposed plan also take back a fee")
    waive.add_argument("--invoice", metavar="ID", required=True, help="the ledger's id of the fee")
    waive.add_argument("--why", required=True, help="stands on the credit")
    waive.add_argument("--by", metavar="NAME", default=shell.user())
    agreement = command(below, "agreement", _agreement, "the written agreement for the customer")
    agreement.add_argument("--pdf", metavar="FILE", type=Path, help="also write it as a PDF")
    accept = command(below, "accept", _accept, "record that the customer agreed")
    accept.add_argument("--customer", metavar="NAME", required=True, help="who of them said yes")
    accept.add_argument("--how", choices=["phone", "e-mail", "signed"], required=True)
    accept.add_argument("--on", metavar="DATE", type=shell.date, help="when; otherwise today")
    accept.add_argument("--by", metavar="NAME", default=shell.user(), help="who records it")
    return below


def command(
    below: shell.Commands, name: str, run: shell.Command, help: str, *, id: bool = True
) -> argparse.ArgumentParser:
    """A command about one plan, or with `id=False` about several."""
    parser = shell.command(below, name, run, help)
    if id:
        parser.add_argument("id", metavar="ID", help="the plan, e.g. PP-0001")
    parser.add_argument("--json", action="store_true")
    return parser


def _wish_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--installments", type=int, metavar="N")
    parser.add_argument("--every", choices=shell.EVERY)
    parser.add_argument("--first", metavar="DATE", type=shell.date, help="when the first payment is due")
    parser.add_argument("--deposit", metavar="AMOUNT", type=shell.amount, help="due on the first date")
    parser.add_argument("--interest", metavar="PERCENT", type=shell.percent, help="a year, on what is open")
    parser.add_argument(
        "--settlement", metavar="PERCENT", type=shell.percent, help="discount promised for settling early"
    )
    parser.add_argument(
        "--private-person", action="store_true", default=None, help="a consumer, sole trader or partnership"
    )
    parser.add_argument("--legal-sign-off", metavar="WHO", help="who looked at it as consumer credit")


def _list(options: argparse.Namespace) -> int:
    from connector import db
    from connector.commands import terminal
    from connector.mirroring import books
    from connector.planning import plans
    from connector.record import export

    _, engine = shell.opened()
    found: list[plans.Record] = []
    names: dict[str, str] = {}
    for connection in shell.connections_meant(engine, options.connection, connected=False):
        with db.reading(engine) as tx:
            found += [r for r in plans.of_connection(tx, connection.id) if r.state != "withdrawn"]
            ids = {r.plan.customer_id for r in found if r.connection_id == connection.id}
            names |= {c.id: c.name for c in books.customers(tx, connection.id, ids)} if ids else {}
    if options.json:
        print(json.dumps([_json(export.plan(r), r.connection_id) for r in found], indent=1))
    else:
        print(terminal.plans(found, names))
    return 0


def _json(plan: dict[str, Any], connection_id: str) -> dict[str, Any]:
    return {"connection": connection_id, **plan}


def _show(options: argparse.Namespace) -> int:
    settings, engine = shell.opened()
    print_plan(
        engine, options.id, options.json, _proof(settings, engine, options.id) if options.proof else None
    )
    return 0


def print_plan(engine: Engine, plan_id: str, as_json: bool, proof: Proof | None = None) -> None:
    from connector import db
    from connector.commands import terminal
    from connector.domain import codec
    from connector.mirroring import books
    from connector.planning import plans
    from connector.record import export

    with db.reading(engine) as tx:
        record = plans.get(tx, plan_id)
        customer = books.customer(tx, record.connection_id, record.plan.customer_id)
        lengths = _lengths(tx, record) if record.state == "proposed" else []
    if as_json:
        shown = _json(export.plan(record), record.connection_id)
        if lengths:
            shown["alternatives"] = codec.to_json(lengths)
        if proof:
            shown["proof"] = terminal.proof_json(*proof[:2])
        print(json.dumps(shown, indent=1))
        return
    print(terminal.plan(record, customer.name if customer else record.plan.customer_id))
    if len(lengths) > 1:
        print(terminal.lengths(lengths, record.plan.currency))
    if proof:
        print(terminal.proof(*proof))


def _lengths(tx: Transaction, record: Record) -> Sequence[Alternative]:
    """A draft beside a shorter and a longer one, as it was on the day it was drafted."""
    from connector.connecting import connections
    from connector.domain.alternatives import alternatives
    from connector.mirroring import books
    from connector.practice import settings

    picture = books.of_customer(tx, record.connection_id, record.plan.customer_id)
    if picture is None:
        return []
    return alternatives(
        record.plan,
        settings.load(tx, record.connection_id).policy.plan,
        picture.customer.country or connections.get(tx, record.connection_id).country,
        invoices=picture.invoices,
        payments=picture.payments,
        today=record.plan.drafted_on,
    )


def _proof(settings: Config, engine: Engine, plan_id: str) -> Proof:
    """Read the plan back from the ledger: (proof, clearing account's history, deep links)."""
    from connector import db
    from connector.commands import terminal
    from connector.connecting import connections
    from connector.planning import plans
    from connector.writing import proving

    with db.reading(engine) as tx:
        record = plans.get(tx, plan_id)
        drafts = proving.drafts_of(tx, record)
    if not proving.load(record.proof):
        raise LookupError(f"Plan {plan_id} is {record.state}: nothing of it is in the ledger to prove.")
    ledger = connections.open_ledger(engine, settings, record.connection_id)
    proven = proving.prove(ledger, record, drafts)
    urls = {d.id: ledger.deep_link(d.kind, d.id) for d in (*proven.sources, *proven.written)}
    return proven, terminal.clearing_history(proving.clearing_documents(engine, ledger, record)), urls


def _wish(options: argparse.Namespace, currency: str) -> Wish:
    """What the options ask for; an amount is in the currency of the invoices."""
    from connector.domain.calendar import Rhythm
    from connector.domain.money import to_minor
    from connector.domain.propose import Wish

    return Wish(
        installments=options.installments,
        rhythm=Rhythm(options.every) if options.every else None,
        first=options.first,
        deposit=None if options.deposit is None else to_minor(options.deposit, currency),
        annual_percent=options.interest,
        settlement_percent=options.settlement,
        private_person=options.private_person,
        legal_sign_off=options.legal_sign_off,
    )


def _currency(tx: Transaction, connection: Connection, options: argparse.Namespace) -> str:
    """Of the named invoices; without any, the organization's own."""
    from connector.mirroring import books

    picture = books.of_customer(tx, connection.id, options.customer)
    named = [i.currency for i in picture.invoices if i.id in options.invoice] if picture else []
    return named[0] if named else connection.home_currency


def _propose(options: argparse.Namespace) -> int:
    from connector import db
    from connector.connecting import connections
    from connector.planning import drafting

    settings, engine = shell.opened()
    connection = shell.of_customer(engine, options.customer, options.connection)
    with db.transaction(engine) as tx:
        record = drafting.propose_plan(
            tx,
            connection.id,
            options.customer,
            options.invoice,
            who=options.by,
            now=db.now(),
            today=connections.today(connection, settings),
            wish=_wish(options, _currency(tx, connection, options)),
            mode=options.mode or "",
        )
    print_plan(engine, record.id, options.json)
    return 0


def _approve(options: argparse.Namespace) -> int:
    from connector import db
    from connector.planning import plans

    settings, engine = shell.opened()
    with db.transaction(engine) as tx:
        _, connection, today = where(tx, settings, options.id)
        plans.approve(tx, options.id, who=options.by, now=db.now(), today=today)
    return carry_out(settings, engine, connection, options)


def _renegotiate(options: argparse.Namespace) -> int:
    from connector import db
    from connector.planning import renegotiating

    settings, engine = shell.opened()
    with db.transaction(engine) as tx:
        record, _, today = where(tx, settings, options.id)
        renegotiating.renegotiation(
            tx,
            options.id,
            who=options.by,
            why=options.why,
            now=db.now(),
            today=today,
            wish=_wish(options, record.plan.currency),
        )
    print_plan(engine, options.id, options.json)
    return 0


def _waive(options: argparse.Namespace) -> int:
    from connector import db
    from connector.planning import drafting, plans

    _, engine = shell.opened()
    with db.transaction(engine) as tx:
        drafting.waive(
            tx,
            options.id,
            options.invoice,
            why=options.why,
            revision=plans.get(tx, options.id).revision,
            who=options.by,
            now=db.now(),
        )
    print_plan(engine, options.id, options.json)
    return 0


def _agreement(options: argparse.Namespace) -> int:
    from connector import db
    from connector.planning import agreements, printing

    settings, engine = shell.opened()
    with db.reading(engine) as tx:
        record, _, today = where(tx, settings, options.id)
        agreed = agreements.agreed(tx, record)
    if options.pdf:
        options.pdf.write_bytes(printing.agreement(agreed, today))
    if options.json:
        print(json.dumps({"title": agreed.title, "text": agreed.text, "sha256": agreed.sha256}, indent=1))
    else:
        print(f"{agreed.text}\nFingerprint of this text: {agreed.sha256}")
    return 0


def _accept(options: argparse.Namespace) -> int:
    from connector import db
    from connector.planning import agreements, plans

    settings, engine = shell.opened()
    with db.transaction(engine) as tx:
        record, _, today = where(tx, settings, options.id)
        plans.record_acceptance(
            tx,
            options.id,
            accepted_by=options.customer,
            how=options.how,
            on=options.on or today,
            document_hash=agreements.ours(tx, record, record.draft or record.plan).sha256,
            who=options.by,
            now=db.now(),
        )
    print_plan(engine, options.id, options.json)
    return 0


def where(tx: Transaction, settings: Config, plan_id: str) -> tuple[Record, Connection, dt.date]:
    """The plan, its organization, and the day that it is there. Raises LookupError."""
    from connector.connecting import connections
    from connector.planning import plans

    record = plans.get(tx, plan_id)
    connection = connections.get(tx, record.connection_id)
    return record, connection, connections.today(connection, settings)


def carry_out(settings: Config, engine: Engine, connection: Connection, options: argparse.Namespace) -> int:
    """Write what was decided, then say how it stands. Exit code 1 when a person has to look."""
    from connector import db
    from connector.planning import plans

    with redirect_stdout(sys.stderr):
        shell.delivered(settings, engine, connection)
    with db.reading(engine) as tx:
        record = plans.get(tx, options.id)
    print_plan(engine, options.id, options.json)
    if record.attention:
        print(f"forbear: {record.attention}", file=sys.stderr)
    return 1 if record.attention else 0
