"""What happens to a plan after its approval: rest, default, settlement, write-off, removal."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout

from connector.commands import shell
from connector.commands.plans import carry_out, command, print_plan, where


def add(below: shell.Commands) -> None:
    """Adds to the commands below `plan`."""
    for name, run, help in (
        ("pause", _pause, "let a running plan rest: no reminders, never late"),
        ("resume", _resume, "let a resting plan go on"),
    ):
        command(below, name, run, help).add_argument("--by", metavar="NAME", required=True)
    accelerate = command(below, "accelerate", _accelerate, "after a default, make all that is open due today")
    accelerate.add_argument("--by", metavar="NAME", required=True)
    accelerate.add_argument("--why", required=True)
    payoff = command(below, "payoff", _payoff, "what settles a plan today; with --discount, grant one")
    payoff.add_argument("--discount", metavar="PERCENT", type=shell.percent)
    payoff.add_argument("--by", metavar="NAME", default=shell.user())
    payoff.add_argument("--why", default="")
    write_off = command(below, "write-off", _write_off, "propose to the accountant to write off what is open")
    write_off.add_argument("--by", metavar="NAME", required=True)
    write_off.add_argument("--why", default="")
    todos = command(below, "todos", _todos, "what a person has to do in the ledger by hand", id=False)
    shell.connection_option(todos)
    remove = command(
        below,
        "remove",
        _remove,
        "remove what Forbear wrote: named plans, or with --all every one; otherwise only say what would go",
        id=False,
    )
    remove.add_argument(
        "ids", metavar="ID", nargs="*", help="plans; without any, all of the organization are shown"
    )
    remove.add_argument("--connection", metavar="ID", help="needed when there are several organizations")
    remove.add_argument("--all", action="store_true", help="every plan of the organization")
    remove.add_argument("--preview", action="store_true", help="only say what would happen")
    remove.add_argument("--by", metavar="NAME", default=shell.user())
    cancel = command(
        below, "cancel", _cancel, "cancel a plan; on the day it was written everything is taken back"
    )
    cancel.add_argument("--by", metavar="NAME", required=True)
    cancel.add_argument("--why", default="")


def _cancel(options: argparse.Namespace) -> int:
    from connector import db
    from connector.planning import plans

    settings, engine = shell.opened()
    with db.transaction(engine) as tx:
        _, connection, today = where(tx, settings, options.id)
        plans.cancel(tx, options.id, who=options.by, why=options.why, now=db.now(), today=today)
    return carry_out(settings, engine, connection, options)


def _pause(options: argparse.Namespace) -> int:
    from connector.planning import plans

    return _by(options, plans.pause)


def _resume(options: argparse.Namespace) -> int:
    from connector.planning import plans

    return _by(options, plans.resume)


def _by(options: argparse.Namespace, change: Callable[..., object]) -> int:
    """A change that only Forbear's own record takes: nothing is written to the ledger."""
    from connector import db

    _, engine = shell.opened()
    with db.transaction(engine) as tx:
        change(tx, options.id, who=options.by, now=db.now())
    print_plan(engine, options.id, options.json)
    return 0


def _accelerate(options: argparse.Namespace) -> int:
    from connector import db, platforms
    from connector.planning import renegotiating

    settings, engine = shell.opened()
    with db.transaction(engine) as tx:
        _, connection, today = where(tx, settings, options.id)
        renegotiating.accelerate(
            tx,
            options.id,
            who=options.by,
            why=options.why,
            now=db.now(),
            today=today,
            credit_word=platforms.find(connection.platform, settings).credit_word,
        )
    return carry_out(settings, engine, connection, options)


def _payoff(options: argparse.Namespace) -> int:
    from connector import db
    from connector.commands import terminal
    from connector.planning import ending

    settings, engine = shell.opened()
    with db.transaction(engine) as tx:
        record, connection, today = where(tx, settings, options.id)
        if options.discount is None:
            due = ending.payoff(tx, options.id, today=today)
        else:
            due = ending.settle_early(
                tx, options.id, options.discount, who=options.by, why=options.why, now=db.now(), today=today
            )
    currency = record.plan.currency
    parts = {
        "principal": due.principal,
        "interest": due.interest,
        "discount": due.discount,
        "to_pay": due.to_pay,
    }
    if options.json:
        print(json.dumps({"id": options.id, "currency": currency, **parts}, indent=1))
    else:
        for name, minor in parts.items():
            print(f"{name.replace('_', ' '):10} {terminal.amount(minor, currency):>14} {currency}")
    if options.discount is None:
        return 0
    with redirect_stdout(sys.stderr):
        failed = shell.delivered(settings, engine, connection)
    return 1 if failed else 0


def _write_off(options: argparse.Namespace) -> int:
    from connector import db
    from connector.planning import ending, todos

    settings, engine = shell.opened()
    with db.transaction(engine) as tx:
        _, connection, today = where(tx, settings, options.id)
        off = ending.propose_write_off(
            tx, options.id, who=options.by, why=options.why, now=db.now(), today=today
        )
        asked = [t for t in todos.waiting(tx, connection.id) if t.plan == options.id]
    if options.json:
        print(json.dumps({"id": options.id, "gross": off.gross, "net": off.net, "tax": off.tax}, indent=1))
    else:
        print(asked[-1].what if asked else "It was proposed before, and somebody has dealt with it.")
    return 0


def _todos(options: argparse.Namespace) -> int:
    from connector import db
    from connector.planning import todos

    _, engine = shell.opened()
    found = []
    for connection in shell.connections_meant(engine, options.connection, connected=False):
        with db.reading(engine) as tx:
            found += todos.waiting(tx, connection.id)
    if options.json:
        rows = [{"id": t.id, "plan": t.plan, "what": t.what, "link": t.link} for t in found]
        print(json.dumps(rows, indent=1))
    else:
        print("\n".join(f"{t.id:>4}  {t.what} {t.link}".rstrip() for t in found) or "Nothing to do by hand.")
    return 0


def _remove(options: argparse.Namespace) -> int:
    from connector import db
    from connector.connecting import connections
    from connector.planning import ending, plans

    settings, engine = shell.opened()
    with db.transaction(engine) as tx:
        if options.ids:
            chosen = {plans.get(tx, id).connection_id for id in options.ids}
            if options.connection and chosen != {options.connection}:
                raise shell.Wrong(f"Not every one of these plans belongs to {options.connection}.")
        else:
            chosen = {c.id for c in shell.connections_meant(engine, options.connection, connected=False)}
        if len(chosen) > 1:
            raise shell.Wrong(
                "Say which organization with --connection; `forbear plan list` shows the plans."
            )
        connection = connections.get(tx, chosen.pop())
        today = connections.today(connection, settings)
        found = ending.removals(tx, connection.id, today=today, plan_ids=options.ids)
        only_said = options.preview or not (options.ids or options.all)
        if not only_said:
            for removal in found:
                plans.cancel(tx, removal.plan.id, who=options.by, why="removed", now=db.now(), today=today)
    rows = [{"plan": r.plan.id, "taken_back": list(r.taken_back), "stays": r.stays} for r in found]
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        for r in found:
            print(f"{r.plan.id}: " + (r.stays or f"{len(r.taken_back)} documents and links leave the ledger"))
            for line in r.taken_back:
                print(f"  {line}")
        if not found:
            print("There is nothing of Forbear to remove.")
    if only_said and found and not (options.preview or options.json):
        print("Nothing was changed. Name plans, or say --all, to remove them.")
    if only_said or not found:
        return 0
    with redirect_stdout(sys.stderr):
        failed = shell.delivered(settings, engine, connection)
    return 1 if failed else 0
