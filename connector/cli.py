"""The command `forbear`: every step without a browser. Bad input ends in a sentence, never in a traceback.

Exit codes: 0 done; 1 it could not be done, and why; 2 the question itself was wrong.
"""

from __future__ import annotations

import argparse
import datetime as dt
import getpass
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # commands import what they need when they run, so that `forbear --help` is quick
    from sqlalchemy.engine import Engine

    from connector.config import Config
    from connector.connections import Connection
    from connector.domain.policy import Policy

Command = Callable[[argparse.Namespace], int]
EVERY = ("month", "week", "2weeks")
PATIENCE = (
    120.0  # seconds that a command waits for a busy worker or ledger before it leaves the rest to the sweep
)


class Wrong(Exception):
    """What was asked for makes no sense; exit code 2."""


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    from connector import logs

    logs.configure(logging.INFO if options.verbose or options.command in PROCESSES else logging.ERROR)
    command: Command = options.command
    try:
        return command(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    except Exception as problem:
        code, sentence = _explained(problem)
        if options.verbose:
            logging.getLogger(__name__).exception("the command ended")
        print(f"forbear: {sentence}", file=sys.stderr)
        return code


def _explained(problem: Exception) -> tuple[int, str]:
    """The exit code and the sentence for whatever went wrong."""
    from redis import RedisError
    from sqlalchemy.exc import SQLAlchemyError

    from connector.books_file import WrongBooks
    from connector.config import WrongSetting
    from connector.plans import EditedMeanwhile, PlanProblem
    from connector.platforms import PlatformError

    if isinstance(problem, Wrong | WrongSetting | WrongBooks | ValueError):
        return 2, str(problem)
    if isinstance(problem, PlanProblem | EditedMeanwhile | PlatformError):
        words = getattr(problem, "words", "")
        return 1, f'{problem} (the ledger says: "{words}")' if words else str(problem)
    if isinstance(problem, LookupError) and problem.args:
        return 1, str(problem.args[0])
    if isinstance(problem, SQLAlchemyError):
        return 1, (
            f"The database cannot be used ({type(problem).__name__}). Check FORBEAR_DATABASE_URL; "
            "`forbear doctor` looks closer."
        )
    if isinstance(problem, RedisError):
        return (
            1,
            f"The queue's server does not answer ({type(problem).__name__}). `forbear doctor` looks closer.",
        )
    if type(problem).__name__ == "DemoFailed":
        return 1, str(problem)
    return 1, f"Something unexpected happened ({type(problem).__name__}: {problem}). --verbose shows where."


# ---------------------------------------------------------------- the parser


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="forbear",
        description="Installment plans that customers can keep, written into the books safely.",
    )
    parser.add_argument("--verbose", action="store_true", help="log what happens, to standard error")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, command: Command, help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(command=command)
        return sub

    demo = add("demo", _demo, "the whole job on two pretend ledgers")
    demo.add_argument("--once", action="store_true", help="end when everything is done")
    demo.add_argument("--json", action="store_true", help="print the report as JSON")
    demo.add_argument(
        "--books", metavar="FILE", help="companies from a books file instead of the sample ones"
    )
    demo.add_argument("--keep", action="store_true", help="go on where the last demo ended")
    up = add("up", _up, "web, worker and clock of a one-machine installation")
    up.add_argument("--workers", type=int, default=1, metavar="N")
    add("web", _web, "serve the pages and webhooks")
    worker = add("worker", _worker, "do the work in the queue")
    worker.add_argument("--burst", action="store_true", help="end when the queue is empty")
    add("clock", _clock, "wake what is due, every few seconds")
    add("migrate", _migrate, "bring the database to this version's tables")
    sandbox = add("sandbox", _sandbox, "run the pretend ledgers; options as `python -m sandbox`")
    sandbox.add_argument("rest", nargs=argparse.REMAINDER)
    sync = _connection_option(add("sync", _sync, "pull what changed in the ledgers into the books"))
    sync.add_argument("--full", action="store_true", help="read everything again")
    _connection_option(add("review", _review, "find out who is in trouble, draft plans and reminders"))
    _connection_option(add("deliver", _deliver, "perform the writes that are due"))
    _configure_options(add("configure", _configure, "show or change an organization's answers and policy"))
    _plan_commands(commands.add_parser("plan", help="plans without a browser"))
    export = _connection_option(add("export", _export, "everything that Forbear holds and concludes"))
    export.add_argument("--json", action="store_true", help="as JSON (the only form so far)")
    replay = add("replay", _replay, "what Forbear would have said on earlier days, from a books file")
    replay.add_argument("books", metavar="BOOKS", type=Path)
    replay.add_argument("--at", metavar="DATE", action="append", required=True, type=_date)
    replay.add_argument("--json", action="store_true", help="as JSON (the only form so far)")
    doctor = add("doctor", _doctor, "check the installation and say what to do")
    doctor.add_argument("--json", action="store_true")
    doctor.add_argument("--new-key", action="store_true", help="print a new key for FORBEAR_TOKEN_KEYS")
    return parser


def _connection_option(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--connection", metavar="ID", help="one organization; otherwise all")
    return parser


def _configure_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--connection", metavar="ID", help="needed when there are several organizations")
    parser.add_argument("--income-basis", choices=["accrual", "cash"])
    parser.add_argument("--sales-tax-basis", choices=["accrual", "cash", "none"])
    parser.add_argument("--clearing", metavar="auto|CODE", help="the clearing account of plans")
    parser.add_argument("--mode", choices=["auto", "split", "notes"], help="how plans are written by default")
    parser.add_argument("--ledger-reminders", choices=["on", "off"], help="does the ledger send reminders?")
    parser.add_argument("--installments", type=int, metavar="N", help="usual number of installments")
    parser.add_argument("--every", choices=EVERY, help="usual rhythm")
    parser.add_argument(
        "--propose-after", type=int, metavar="DAYS", help="days overdue before a plan is drafted"
    )
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="any rule of plans, e.g. interest_account=270, discount_account=290, interest.clause=...",
    )
    live = parser.add_mutually_exclusive_group()
    live.add_argument("--go-live", action="store_true", help="reminders may leave from now on")
    live.add_argument("--preview", action="store_true", help="nothing leaves any more")
    parser.add_argument("--by", metavar="NAME", default=_user(), help="who decides; kept in the log")
    parser.add_argument("--json", action="store_true")


def _plan_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, command: Command, help: str, *, id: bool = True) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(command=command)
        if id:
            sub.add_argument("id", metavar="ID", help="the plan, e.g. PP-0001")
        sub.add_argument("--json", action="store_true")
        return sub

    _connection_option(add("list", _plan_list, "every plan", id=False))
    show = add("show", _plan_show, "one plan")
    show.add_argument("--proof", action="store_true", help="read it back from the ledger and prove it")
    propose = add("propose", _plan_propose, "draft a plan for a customer", id=False)
    propose.add_argument("--customer", metavar="ID", required=True, help="the ledger's id of the customer")
    propose.add_argument(
        "--invoice", metavar="ID", action="append", default=[], help="several times for several"
    )
    propose.add_argument("--connection", metavar="ID")
    propose.add_argument("--mode", choices=["split", "notes"])
    propose.add_argument("--by", metavar="NAME", default=_user())
    _wish_options(propose)
    approve = add("approve", _plan_approve, "approve a plan and write it into the ledger")
    approve.add_argument("--by", metavar="NAME", required=True, help="who approves; stands on the note")
    renegotiate = add("renegotiate", _plan_renegotiate, "propose new terms for what is left of a plan")
    renegotiate.add_argument("--by", metavar="NAME", required=True)
    renegotiate.add_argument("--why", default="")
    _wish_options(renegotiate)
    waive = add("waive", _plan_waive, "let a proposed plan also take back a fee")
    waive.add_argument("--invoice", metavar="ID", required=True, help="the ledger's id of the fee")
    waive.add_argument("--why", required=True, help="stands on the credit")
    waive.add_argument("--by", metavar="NAME", default=_user())
    agreement = add("agreement", _plan_agreement, "the written agreement for the customer")
    agreement.add_argument("--pdf", metavar="FILE", type=Path, help="also write it as a PDF")
    accept = add("accept", _plan_accept, "record that the customer agreed")
    accept.add_argument("--customer", metavar="NAME", required=True, help="who of them said yes")
    accept.add_argument("--how", choices=["phone", "e-mail", "signed"], required=True)
    accept.add_argument("--on", metavar="DATE", type=_date, help="when; otherwise today")
    accept.add_argument("--by", metavar="NAME", default=_user(), help="who records it")
    for name, command, help in (
        ("pause", _plan_pause, "let a running plan rest: no reminders, never late"),
        ("resume", _plan_resume, "let a resting plan go on"),
    ):
        add(name, command, help).add_argument("--by", metavar="NAME", required=True)
    accelerate = add("accelerate", _plan_accelerate, "after a default, make all that is open due today")
    accelerate.add_argument("--by", metavar="NAME", required=True)
    accelerate.add_argument("--why", required=True)
    payoff = add("payoff", _plan_payoff, "what settles a plan today; with --discount, grant one")
    payoff.add_argument("--discount", metavar="PERCENT", type=_percent)
    payoff.add_argument("--by", metavar="NAME", default=_user())
    payoff.add_argument("--why", default="")
    write_off = add("write-off", _plan_write_off, "propose to the accountant to write off what is open")
    write_off.add_argument("--by", metavar="NAME", required=True)
    write_off.add_argument("--why", default="")
    _connection_option(add("todos", _plan_todos, "what a person has to do in the ledger by hand", id=False))
    remove = add("remove", _plan_remove, "remove what Forbear wrote: named plans, or all of them", id=False)
    remove.add_argument("ids", metavar="ID", nargs="*", help="plans; none for every plan of the organization")
    remove.add_argument("--connection", metavar="ID", help="needed when there are several organizations")
    remove.add_argument("--preview", action="store_true", help="only say what would happen")
    remove.add_argument("--by", metavar="NAME", default=_user())
    cancel = add("cancel", _plan_cancel, "cancel a plan; on the day it was written everything is taken back")
    cancel.add_argument("--by", metavar="NAME", required=True)
    cancel.add_argument("--why", default="")


def _wish_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--installments", type=int, metavar="N")
    parser.add_argument("--every", choices=EVERY)
    parser.add_argument("--first", metavar="DATE", type=_date, help="when the first payment is due")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a name for its user
        return "the command line"


def _date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date; write one as 2026-11-21") from None


def _percent(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage; write one as 5 or 2.5") from None


# ---------------------------------------------------------------- the processes


def _demo(options: argparse.Namespace) -> int:
    from connector import demo

    return demo.main(once=options.once, as_json=options.json, books=options.books, keep=options.keep)


def _up(options: argparse.Namespace) -> int:
    from connector import config, supervisor

    return supervisor.up(config.load(), workers=options.workers)


def _web(options: argparse.Namespace) -> int:
    from connector import config, supervisor

    command = supervisor.web_command(config.load())
    os.execv(sys.executable, [sys.executable, "-m", *command])  # noqa: S606 - becomes gunicorn: signals reach it


def _worker(options: argparse.Namespace) -> int:
    from connector import config, worker

    return worker.main(config.load(), burst=options.burst)


def _clock(options: argparse.Namespace) -> int:
    from connector import clock, config

    return clock.main(config.load())


def _migrate(options: argparse.Namespace) -> int:
    from connector import config, db

    db.migrate(config.load())
    print("The database has this version's tables.")
    return 0


PROCESSES = (_up, _web, _worker, _clock)  # run for long and tell what they do; commands only tell trouble


def _sandbox(options: argparse.Namespace) -> int:
    return subprocess.call([sys.executable, "-m", "sandbox", *options.rest])


# ---------------------------------------------------------------- one step by hand


def _opened() -> tuple[Config, Engine]:
    """The settings and the database; an embedded database gets its tables on the way."""
    from connector import config, db

    settings = config.load()
    engine = db.engine(settings)
    if not db.is_migrated(engine):
        if engine.dialect.name != "sqlite":
            raise LookupError("The database lacks this version's tables. Run `forbear migrate` first.")
        db.migrate(settings)
    return settings, engine


def _connections(engine: Engine, wanted: str | None, *, connected: bool = True) -> list[Connection]:
    from connector import connections, db

    with db.reading(engine) as tx:
        if wanted is not None:
            return [connections.get(tx, wanted)]
        found = connections.every(tx, "connected" if connected else None)
    if not found:
        raise LookupError("No organization is connected. Open the pages and connect one first.")
    return found


def _each(options: argparse.Namespace) -> Iterator[tuple[Config, Engine, Connection]]:
    settings, engine = _opened()
    for connection in _connections(engine, options.connection):
        yield settings, engine, connection


def _sync(options: argparse.Namespace) -> int:
    from connector import sync

    for settings, engine, connection in _each(options):
        result = sync.sync(engine, settings, connection.id, full=options.full, say=_say)
        if result is None:
            print(f"{connection.organization}: somebody else reads it just now.")
        else:
            kinds = ", ".join(f"{n} {kind.value}" for kind, n in result.records.items() if n) or "nothing new"
            print(f"{connection.organization}: {kinds}; {len(result.changed)} customers changed.")
    return 0


def _review(options: argparse.Namespace) -> int:
    from connector import connections, db, review

    for settings, engine, connection in _each(options):
        today = connections.today(connection, settings)
        result = review.review(engine, connection.id, now=db.now(), today=today)
        print(
            f"{connection.organization}: {result.customers} customers, {result.findings} findings, "
            f"{result.plans_drafted} plans drafted, {result.reminders_due} reminders due, "
            f"{result.reminders_held} held."
        )
    return 0


def _deliver(options: argparse.Namespace) -> int:
    failed = 0
    for settings, engine, connection in _each(options):
        failed += _delivered(settings, engine, connection)
    return 1 if failed else 0


def _delivered(settings: Config, engine: Engine, connection: Connection) -> int:
    """Deliver until nothing waits, or patience ends. Returns how many writes wait for a person."""
    from connector import connections, db, platforms, writeback

    word = platforms.find(connection.platform, settings).credit_word
    end = time.monotonic() + PATIENCE
    while True:
        result = writeback.deliver(
            engine,
            connection.id,
            lambda: connections.open_ledger(engine, settings, connection.id, patience=20, urgent=True),
            now=db.now,
            today=lambda: connections.today(connection, settings),
            credit_word=word,
            say=_say,
        )
        pause = 1.0 if result.busy else _seconds_until(result.retry_at)
        if pause is None:
            break
        if time.monotonic() + pause > end:
            print(f"{connection.organization}: the rest waits for the ledger and goes on by itself.")
            break
        time.sleep(pause)
    print(
        f"{connection.organization}: {result.done} writes done, {result.failed} refused, {result.waiting} waiting."
    )
    return result.failed


def _seconds_until(moment: dt.datetime | None) -> float | None:
    from connector import db

    return max(0.1, (moment - db.now()).total_seconds()) if moment else None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# ---------------------------------------------------------------- answers and policy


def _configure(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from connector import db, settings
    from connector.domain.calendar import Rhythm

    _, engine = _opened()
    found = _connections(engine, options.connection, connected=False)
    if len(found) > 1:
        listed = "; ".join(f"{c.id} is {c.organization} ({c.platform})" for c in found)
        raise Wrong(f"Say which organization with --connection: {listed}.")
    id, who, now = found[0].id, options.by, db.now()
    with db.transaction(engine) as tx:
        if options.income_basis or options.sales_tax_basis:
            settings.answer(
                tx,
                id,
                income_basis=options.income_basis,
                sales_tax_basis=options.sales_tax_basis,
                who=who,
                now=now,
            )
        if options.clearing:
            settings.set_clearing(tx, id, options.clearing, who=who, now=now)
        if options.ledger_reminders:
            settings.set_ledger_reminders(tx, id, options.ledger_reminders, who=who, now=now)
        kept = settings.load(tx, id)
        changes: dict[str, Any] = {
            name: value
            for name, value in (
                ("mode", {"auto": ""}.get(options.mode, options.mode)),
                ("installments", options.installments),
                ("rhythm", Rhythm(options.every) if options.every else None),
                ("propose_after_days", options.propose_after),
            )
            if value is not None
        }
        if changes or options.set:
            policy = _with_rules(replace(kept.policy, plan=replace(kept.policy.plan, **changes)), options.set)
            settings.save_policy(tx, id, policy, revision=kept.revision, who=who, now=now)
        if options.go_live or options.preview:
            if options.go_live and kept.ledger_reminders is None:  # somebody has to have decided
                settings.set_ledger_reminders(tx, id, "off", who=who, now=now)
                _say(
                    "Noted that the ledger sends no reminders of its own; if it does: --ledger-reminders on."
                )
            settings.set_live(tx, id, options.go_live, who=who, now=now)
        kept = settings.load(tx, id)
    if options.json:
        print(json.dumps(_settings_json(id, kept), indent=1))
    else:
        print(f"{found[0].organization} ({found[0].platform}, {id})")
        for name, value in _settings_json(id, kept).items():
            if name not in ("connection", "policy"):
                print(f"  {name.replace('_', ' ')}: {_shown(value)}")
        plan = kept.policy.plan
        print(f"  usual plan: {plan.installments} x every {plan.rhythm}, mode {plan.mode or 'by the books'}")
    return 0


def _with_rules(policy: Policy, wanted: Sequence[str]) -> Policy:
    """The policy with the rules of plans that were named. Raises Wrong, WrongValue."""
    from connector.domain import policy as rules

    data = policy.to_json()
    for one in wanted:
        name, equals, value = one.partition("=")
        *groups, last = ("plan." + name.strip()).split(".")
        place: Any = data
        for group in groups:
            place = place.get(group) if isinstance(place, dict) else None
        if not equals or not isinstance(place, dict) or last not in place:
            raise Wrong(
                f"There is no rule {name!r}. `forbear configure --json` shows them all under policy, plan."
            )
        kept = place[last]
        if isinstance(kept, bool):
            place[last] = value == "true"
        elif isinstance(kept, int):
            place[last] = int(value) if value.lstrip("-").isdigit() else value
        else:
            place[last] = value
    return rules.load(data)


def _settings_json(id: str, kept: Any) -> dict[str, Any]:
    def answer(given: Any) -> dict[str, str] | None:
        return {"value": str(given.value), "by": given.by, "at": given.at.isoformat()} if given else None

    return {
        "connection": id,
        "income_basis": answer(kept.income_basis),
        "sales_tax_basis": answer(kept.sales_tax_basis),
        "clearing": kept.clearing,
        "mode": kept.policy.plan.mode or "auto",
        "ledger_reminders": kept.ledger_reminders,
        "live": kept.live,
        "policy": kept.policy.to_json(),
    }


def _shown(value: Any) -> str:
    if value is None:
        return "not answered"
    if isinstance(value, dict):
        return f"{value['value']}, said {value['by']} on {value['at'][:10]}"
    if isinstance(value, bool):
        return "yes" if value else "no (preview)"
    return str(value)


# ---------------------------------------------------------------- plans


def _plan_list(options: argparse.Namespace) -> int:
    from connector import books, db, export, plans, terminal

    _, engine = _opened()
    found: list[plans.Record] = []
    names: dict[str, str] = {}
    for connection in _connections(engine, options.connection, connected=False):
        with db.reading(engine) as tx:
            found += [r for r in plans.of_connection(tx, connection.id) if r.state != "withdrawn"]
            ids = {r.plan.customer_id for r in found if r.connection_id == connection.id}
            names |= {c.id: c.name for c in books.customers(tx, connection.id, ids)} if ids else {}
    if options.json:
        print(json.dumps([_plan_json(export.plan(r), r.connection_id) for r in found], indent=1))
    else:
        print(terminal.plans(found, names))
    return 0


def _plan_json(plan: dict[str, Any], connection_id: str) -> dict[str, Any]:
    return {"connection": connection_id, **plan}


def _plan_show(options: argparse.Namespace) -> int:
    settings, engine = _opened()
    _print_plan(
        engine, options.id, options.json, _proof(settings, engine, options.id) if options.proof else None
    )
    return 0


def _print_plan(engine: Engine, plan_id: str, as_json: bool, proof: Any = None) -> None:
    from connector import books, db, export, plans, terminal

    with db.reading(engine) as tx:
        record = plans.get(tx, plan_id)
        customer = books.customer(tx, record.connection_id, record.plan.customer_id)
    if as_json:
        shown = _plan_json(export.plan(record), record.connection_id)
        if proof:
            shown["proof"] = terminal.proof_json(*proof[:2])
        print(json.dumps(shown, indent=1))
        return
    print(terminal.plan(record, customer.name if customer else record.plan.customer_id))
    if proof:
        print(terminal.proof(*proof))


def _proof(settings: Config, engine: Engine, plan_id: str) -> Any:
    """Read the plan back from the ledger: (proof, clearing account's history, deep links)."""
    from connector import connections, db, plans, proving, terminal

    with db.reading(engine) as tx:
        record = plans.get(tx, plan_id)
        drafts = proving.drafts_of(tx, record)
    if not proving.load(record.proof):
        raise LookupError(f"Plan {plan_id} is {record.state}: nothing of it is in the ledger to prove.")
    ledger = connections.open_ledger(engine, settings, record.connection_id)
    proven = proving.prove(ledger, record, drafts)
    urls = {d.id: ledger.deep_link(d.kind, d.id) for d in (*proven.sources, *proven.written)}
    return proven, terminal.clearing_history(proving.clearing_documents(engine, ledger, record)), urls


def _wish(options: argparse.Namespace) -> Any:
    from connector.domain.calendar import Rhythm
    from connector.domain.propose import Wish

    rhythm = Rhythm(options.every) if options.every else None
    return Wish(installments=options.installments, rhythm=rhythm, first=options.first)


def _plan_propose(options: argparse.Namespace) -> int:
    from connector import connections, db, drafting

    settings, engine = _opened()
    connection = _of_customer(engine, options.customer, options.connection)
    with db.transaction(engine) as tx:
        record = drafting.propose_plan(
            tx,
            connection.id,
            options.customer,
            options.invoice,
            who=options.by,
            now=db.now(),
            today=connections.today(connection, settings),
            wish=_wish(options),
            mode=options.mode or "",
        )
    _print_plan(engine, record.id, options.json)
    return 0


def _of_customer(engine: Engine, customer_id: str, wanted: str | None) -> Connection:
    """The one organization that has this customer."""
    from connector import books, db

    found = _connections(engine, wanted, connected=False)
    with db.reading(engine) as tx:
        having = [c for c in found if books.customer(tx, c.id, customer_id)]
    if not having:
        raise LookupError(f"No organization has a customer {customer_id}. Sync first, or check the id.")
    if len(having) > 1:
        listed = "; ".join(f"{c.id} is {c.organization} ({c.platform})" for c in having)
        raise Wrong(f"Several organizations have a customer {customer_id}. Say --connection: {listed}.")
    return having[0]


def _plan_approve(options: argparse.Namespace) -> int:
    from connector import connections, db, plans

    settings, engine = _opened()
    with db.transaction(engine) as tx:
        connection = connections.get(tx, plans.get(tx, options.id).connection_id)
        today = connections.today(connection, settings)
        plans.approve(tx, options.id, who=options.by, now=db.now(), today=today)
    return _carry_out(settings, engine, connection, options)


def _plan_cancel(options: argparse.Namespace) -> int:
    from connector import connections, db, plans

    settings, engine = _opened()
    with db.transaction(engine) as tx:
        connection = connections.get(tx, plans.get(tx, options.id).connection_id)
        today = connections.today(connection, settings)
        plans.cancel(tx, options.id, who=options.by, why=options.why, now=db.now(), today=today)
    return _carry_out(settings, engine, connection, options)


def _plan_renegotiate(options: argparse.Namespace) -> int:
    from connector import connections, db, drafting, plans

    settings, engine = _opened()
    with db.transaction(engine) as tx:
        connection = connections.get(tx, plans.get(tx, options.id).connection_id)
        drafting.renegotiation(
            tx,
            options.id,
            who=options.by,
            why=options.why,
            now=db.now(),
            today=connections.today(connection, settings),
            wish=_wish(options),
        )
    _print_plan(engine, options.id, options.json)
    return 0


def _plan_waive(options: argparse.Namespace) -> int:
    from connector import db, drafting, plans

    _, engine = _opened()
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
    _print_plan(engine, options.id, options.json)
    return 0


def _plan_agreement(options: argparse.Namespace) -> int:
    from connector import connections, db, drafting, plans, printing

    settings, engine = _opened()
    with db.reading(engine) as tx:
        record = plans.get(tx, options.id)
        agreed = drafting.agreed(tx, record)
        today = connections.today(connections.get(tx, record.connection_id), settings)
    if options.pdf:
        options.pdf.write_bytes(printing.agreement(agreed, today))
    if options.json:
        print(json.dumps({"title": agreed.title, "text": agreed.text, "sha256": agreed.sha256}, indent=1))
    else:
        print(f"{agreed.text}\nFingerprint of this text: {agreed.sha256}")
    return 0


def _plan_accept(options: argparse.Namespace) -> int:
    from connector import connections, db, drafting, plans

    settings, engine = _opened()
    with db.transaction(engine) as tx:
        record = plans.get(tx, options.id)
        today = connections.today(connections.get(tx, record.connection_id), settings)
        plans.record_acceptance(
            tx,
            options.id,
            accepted_by=options.customer,
            how=options.how,
            on=options.on or today,
            document_hash=drafting.agreed(tx, record).sha256,
            who=options.by,
            now=db.now(),
        )
    _print_plan(engine, options.id, options.json)
    return 0


def _plan_pause(options: argparse.Namespace) -> int:
    from connector import db, plans

    _, engine = _opened()
    with db.transaction(engine) as tx:
        plans.pause(tx, options.id, who=options.by, now=db.now())
    _print_plan(engine, options.id, options.json)
    return 0


def _plan_resume(options: argparse.Namespace) -> int:
    from connector import db, plans

    _, engine = _opened()
    with db.transaction(engine) as tx:
        plans.resume(tx, options.id, who=options.by, now=db.now())
    _print_plan(engine, options.id, options.json)
    return 0


def _plan_accelerate(options: argparse.Namespace) -> int:
    from connector import connections, db, drafting, plans, platforms

    settings, engine = _opened()
    with db.transaction(engine) as tx:
        connection = connections.get(tx, plans.get(tx, options.id).connection_id)
        drafting.accelerate(
            tx,
            options.id,
            who=options.by,
            why=options.why,
            now=db.now(),
            today=connections.today(connection, settings),
            credit_word=platforms.find(connection.platform, settings).credit_word,
        )
    return _carry_out(settings, engine, connection, options)


def _plan_payoff(options: argparse.Namespace) -> int:
    from connector import connections, db, ending, plans, terminal

    settings, engine = _opened()
    with db.transaction(engine) as tx:
        record = plans.get(tx, options.id)
        connection = connections.get(tx, record.connection_id)
        today = connections.today(connection, settings)
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
        failed = _delivered(settings, engine, connection)
    return 1 if failed else 0


def _plan_write_off(options: argparse.Namespace) -> int:
    from connector import connections, db, ending, plans

    settings, engine = _opened()
    with db.transaction(engine) as tx:
        connection = connections.get(tx, plans.get(tx, options.id).connection_id)
        today = connections.today(connection, settings)
        off = ending.propose_write_off(
            tx, options.id, who=options.by, why=options.why, now=db.now(), today=today
        )
        asked = [t for t in plans.open_todos(tx, connection.id) if t.plan == options.id]
    if options.json:
        print(json.dumps({"id": options.id, "gross": off.gross, "net": off.net, "tax": off.tax}, indent=1))
    else:
        print(asked[-1].what if asked else "It was proposed before, and somebody has dealt with it.")
    return 0


def _plan_todos(options: argparse.Namespace) -> int:
    from connector import db, plans

    _, engine = _opened()
    found = []
    for connection in _connections(engine, options.connection, connected=False):
        with db.reading(engine) as tx:
            found += plans.open_todos(tx, connection.id)
    if options.json:
        rows = [{"id": t.id, "plan": t.plan, "what": t.what, "link": t.link} for t in found]
        print(json.dumps(rows, indent=1))
    else:
        print("\n".join(f"{t.id:>4}  {t.what} {t.link}".rstrip() for t in found) or "Nothing to do by hand.")
    return 0


def _plan_remove(options: argparse.Namespace) -> int:
    from connector import connections, db, ending, plans

    settings, engine = _opened()
    with db.transaction(engine) as tx:
        if options.ids:
            chosen = {plans.get(tx, id).connection_id for id in options.ids}
        else:
            chosen = {c.id for c in _connections(engine, options.connection, connected=False)}
        if len(chosen) > 1:
            raise Wrong("Say which organization with --connection; `forbear plan list` shows the plans.")
        connection = connections.get(tx, chosen.pop())
        today = connections.today(connection, settings)
        found = ending.removals(tx, connection.id, today=today, plan_ids=options.ids)
        if not options.preview:
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
    if options.preview or not found:
        return 0
    with redirect_stdout(sys.stderr):
        failed = _delivered(settings, engine, connection)
    return 1 if failed else 0


def _carry_out(settings: Config, engine: Engine, connection: Connection, options: argparse.Namespace) -> int:
    """Write what was decided, then say how it stands. Exit code 1 when a person has to look."""
    from connector import db, plans

    with redirect_stdout(sys.stderr):
        _delivered(settings, engine, connection)
    with db.reading(engine) as tx:
        record = plans.get(tx, options.id)
    _print_plan(engine, options.id, options.json)
    if record.attention:
        print(f"forbear: {record.attention}", file=sys.stderr)
    return 1 if record.attention else 0


# ---------------------------------------------------------------- what it all comes to


def _export(options: argparse.Namespace) -> int:
    from connector import connections, db, export

    settings, engine = _opened()
    ids = [options.connection] if options.connection else None
    with db.reading(engine) as tx:
        data = export.export(tx, ids, today=lambda c: connections.today(c, settings))
    json.dump(data, sys.stdout, ensure_ascii=False, indent=1)
    print()
    return 0


def _replay(options: argparse.Namespace) -> int:
    from connector import replay

    said = replay.replay(options.books, options.at)
    json.dump(said[0] if len(said) == 1 else said, sys.stdout, ensure_ascii=False, indent=1)
    print()
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from connector import doctor

    if options.new_key:
        from cryptography.fernet import Fernet

        print(Fernet.generate_key().decode())
        return 0
    checks = doctor.examine()
    if options.json:
        print(
            json.dumps([{"name": c.name, "state": c.state, "sentence": c.sentence} for c in checks], indent=1)
        )
    else:
        for check in checks:
            print(f"{check.state:>5}  {check.name}: {check.sentence}")
    return 1 if any(c.state == doctor.WRONG for c in checks) else 0


if __name__ == "__main__":
    sys.exit(main())
