"""Around a customer without a browser: fees, interest and discounts, and the formal demand letter."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.commands import shell

if TYPE_CHECKING:
    from connector.contact.charges import Charge
    from connector.domain.charges import Offer


def add(commands: shell.Commands) -> None:
    charge = commands.add_parser("charge", help="fees, interest and early-payment discounts, by approval")
    doing = charge.add_subparsers(dest="doing", required=True)
    _customer(shell.command(doing, "list", _list, "what may be charged, and what was"))
    approve = _customer(shell.command(doing, "approve", _approve, "post one of them into the ledger"))
    approve.add_argument("key", metavar="KEY", help="as `charge list` shows it")
    approve.add_argument("--by", metavar="NAME", default=shell.user())
    waive = shell.command(doing, "waive", _waive, "take a charge back, in the ledger too")
    waive.add_argument("id", metavar="ID", type=int)
    waive.add_argument("--why", metavar="WORDS", required=True)
    waive.add_argument("--by", metavar="NAME", default=shell.user())
    demand = _customer(
        shell.command(commands, "demand", _demand, "a formal demand letter, for a person to sign")
    )
    demand.add_argument("--pdf", metavar="FILE", type=Path)
    demand.add_argument("--by", metavar="NAME", default=shell.user())
    whom = demand.add_mutually_exclusive_group()
    whom.add_argument("--individual", action="store_const", const=True, help="to a person or a sole trader")
    whom.add_argument("--business", action="store_const", const=False, dest="individual")
    demand.add_argument("--alone", action="store_true", help="the invoices, without fees and interest")
    pack = _customer(
        shell.command(commands, "evidence", _evidence, "everything on record about one customer")
    )
    pack.add_argument("--pdf", metavar="FILE", type=Path)
    data = _customer(
        shell.command(
            commands, "personal", _personal, "what is held about one customer, as JSON, or erase it"
        )
    )
    data.add_argument("--erase", metavar="NAME", help="empty it for good; the customer's name, to be sure")
    data.add_argument("--by", metavar="NAME", default=shell.user())


def _customer(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    shell.connection_option(parser).add_argument("--customer", metavar="ID", required=True)
    parser.add_argument("--json", action="store_true")
    return parser


def _list(options: argparse.Namespace) -> int:
    from connector import db
    from connector.connecting import connections
    from connector.contact import charges, charging

    config, engine = shell.opened()
    connection = shell.of_customer(engine, options.customer, options.connection)
    with db.reading(engine) as tx:
        today = connections.today(connection, config)
        offers = charging.offered(tx, connection.id, options.customer, today=today)
        kept = charges.of_customer(tx, connection.id, options.customer)
    if options.json:
        print(
            json.dumps({"offers": [_offer(o) for o in offers], "charges": [_kept(c) for c in kept]}, indent=1)
        )
        return 0
    for offer in offers:
        print(
            f"{offer.key}: {charges.WORDS[offer.kind]} of {offer.money} on {offer.invoice.number}. {offer.rule}"
        )
        for span in offer.spans:
            print(f"  {span.days} days from {span.start} at {span.rate} % ({span.source})")
        for sentence in (*offer.why_not, *offer.cautions):
            print(f"  {sentence}")
    for charge in kept:
        print(
            f"{charge.id}: {charge.what}, {charge.number}, {charge.state}. {charge.attention or charge.why}".rstrip()
        )
    if not offers and not kept:
        print("Nothing is charged, and nothing may be.")
    return 0


def _approve(options: argparse.Namespace) -> int:
    from connector import db
    from connector.connecting import connections
    from connector.contact import charging

    config, engine = shell.opened()
    connection = shell.of_customer(engine, options.customer, options.connection)
    with db.transaction(engine) as tx:
        today = connections.today(connection, config)
        offers = charging.offered(tx, connection.id, options.customer, today=today)
        amount = next((o.amount for o in offers if o.key == options.key), 0)
        try:
            charge = charging.approve(
                tx,
                connection.id,
                options.customer,
                options.key,
                amount,
                who=options.by,
                now=db.now(),
                today=today,
            )
        except charging.ChargeProblem as problem:
            raise shell.Wrong(str(problem)) from None
    return _through(options, config, engine, connection, charge.id)


def _waive(options: argparse.Namespace) -> int:
    from connector import db
    from connector.connecting import connections
    from connector.contact import charges, charging

    config, engine = shell.opened()
    with db.transaction(engine) as tx:
        connection = connections.get(tx, charges.get(tx, options.id).connection_id)
        try:
            charging.waive(
                tx,
                options.id,
                who=options.by,
                why=options.why,
                now=db.now(),
                today=connections.today(connection, config),
            )
        except charging.ChargeProblem as problem:
            raise shell.Wrong(str(problem)) from None
    return _through(options, config, engine, connection, options.id)


def _demand(options: argparse.Namespace) -> int:
    from connector import db
    from connector.connecting import connections
    from connector.contact import demanding, sheets

    config, engine = shell.opened()
    connection = shell.of_customer(engine, options.customer, options.connection)
    today = connections.today(connection, config)
    try:
        with db.transaction(engine) as tx:
            drawn = demanding.draw_up(
                tx,
                connection.id,
                options.customer,
                today=today,
                now=db.now(),
                individual=options.individual,
                alone=options.alone,
            )
            demanding.taken(tx, connection.id, options.customer, drawn, who=options.by, now=db.now())
    except demanding.NoDemand as no:
        raise shell.Wrong(f"No demand letter now. {no}") from None
    if options.pdf:
        options.pdf.write_bytes(
            sheets.pdf(drawn.title, drawn.blocks, today, paper=drawn.paper, lang=drawn.variant[:2])
        )
    if options.json:
        said = {"deadline": drawn.deadline.isoformat(), "text": drawn.text, "cautions": list(drawn.cautions)}
        print(json.dumps(said, indent=1))
    else:
        print(drawn.text)
        for caution in drawn.cautions:
            shell.say(caution)
    return 0


def _evidence(options: argparse.Namespace) -> int:
    from connector import db
    from connector.connecting import connections
    from connector.contact import evidence, sheets

    config, engine = shell.opened()
    connection = shell.of_customer(engine, options.customer, options.connection)
    today = connections.today(connection, config)
    with db.reading(engine) as tx:
        pack = evidence.pack(tx, connection.id, options.customer, today=today)
    if options.pdf:
        options.pdf.write_bytes(sheets.pdf(evidence.title(pack), evidence.blocks(pack), today))
    print(json.dumps(pack, indent=1) if options.json else evidence.text(pack))
    return 0


def _personal(options: argparse.Namespace) -> int:
    from connector import db
    from connector.connecting import connections
    from connector.mirroring import books
    from connector.record import personal

    config, engine = shell.opened()
    connection = shell.of_customer(engine, options.customer, options.connection)
    with db.transaction(engine) as tx:
        if options.erase is None:
            today = connections.today(connection, config)
            print(json.dumps(personal.export(tx, connection.id, options.customer, today=today), indent=1))
            return 0
        customer = books.customer(tx, connection.id, options.customer)
        if customer is None or options.erase.strip() != customer.name:
            raise shell.Wrong("Nothing was erased: write the customer's name exactly as the ledger has it.")
        personal.erase(tx, connection.id, options.customer, who=options.by, now=db.now())
    shell.say(f"Erased. {personal.KEPT}")
    return 0


def _through(options: argparse.Namespace, config: Any, engine: Any, connection: Any, charge_id: int) -> int:
    from connector import db
    from connector.contact import charges

    if getattr(options, "json", False):
        import contextlib
        import sys

        with contextlib.redirect_stdout(sys.stderr):
            refused = shell.delivered(config, engine, connection)
    else:
        refused = shell.delivered(config, engine, connection)
    with db.reading(engine) as tx:
        charge = charges.get(tx, charge_id)
    if getattr(options, "json", False):
        print(json.dumps(_kept(charge), indent=1))
    else:
        print(f"{charge.what}, {charge.number}: {charge.state}. {charge.attention or charge.why}".rstrip())
    return 1 if refused and charge.state == "failed" else 0


def _offer(offer: Offer) -> dict[str, Any]:
    return {
        "key": offer.key,
        "kind": offer.kind,
        "invoice": offer.invoice.id,
        "amount": offer.amount,
        "currency": offer.invoice.currency,
        "rule": offer.rule,
        "spans": [
            {
                "from": s.start.isoformat(),
                "days": s.days,
                "on": s.open,
                "rate": str(s.rate),
                "source": s.source,
            }
            for s in offer.spans
        ],
        "why_not": list(offer.why_not),
        "cautions": list(offer.cautions),
    }


def _kept(charge: Charge) -> dict[str, Any]:
    return {
        "id": charge.id,
        "kind": charge.kind,
        "invoice": charge.invoice_id,
        "amount": charge.amount,
        "currency": charge.currency,
        "number": charge.number,
        "state": charge.state,
        "approved_by": charge.approved_by,
        "waived_by": charge.waived_by,
        "why": charge.why,
    }
