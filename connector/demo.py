"""`forbear demo`: the whole job on two pretend ledgers, with nothing to sign up for.

Starts the sandbox and an installation of Forbear in a folder of its own, walks the consent pages as a
bookkeeper's browser would, waits for the books, approves one plan on each ledger, goes live, and compares what
Forbear holds with what the ledgers themselves say. The ledgers' trial balance is the independent witness.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from sqlalchemy.engine import Connection, Engine

from connector import config as environment
from connector import db, embedded, jobs, waking
from connector.browser import Browser
from connector.config import Config
from connector.connecting import connections, meter
from connector.contact import reminders
from connector.domain.money import Money
from connector.domain.propose import Wish
from connector.mirroring import books_file
from connector.planning import drafting, objections, plans
from connector.planning.plan_records import PlanProblem
from connector.practice import settings
from connector.record import export
from connector.reviewing import conclusions
from connector.supervisor import Installation

BOOKKEEPER = "Robin Hale"  # the sandbox's first user
PATIENCE = 600  # seconds that one stage may take before the demo gives up
Company = dict[str, Any]


class DemoFailed(Exception):
    """The demo could not go on; `str()` says where it stood and what to do."""


@dataclass
class Stage:
    """Progress in words, and how long each part took."""

    quiet: bool
    seconds: dict[str, float] = field(default_factory=dict)

    def say(self, text: str) -> None:
        print(text, file=sys.stderr if self.quiet else sys.stdout, flush=True)

    @contextmanager
    def of(self, name: str, text: str) -> Iterator[None]:
        self.say(text)
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 2)


def main(*, once: bool = False, as_json: bool = False, books: str | None = None, keep: bool = False) -> int:
    """Exit code 0 when everything agreed, 1 when something did not, 2 for input that cannot be used."""
    stage = Stage(quiet=as_json)
    file = Path(books).resolve() if books else None
    if file:
        first = next(iter(books_file.companies(file)), None)  # a wrong file is refused before anything starts
        if first is None:
            raise books_file.WrongBooks(f"{file} holds no company.")
    folder = Path(os.environ.get("FORBEAR_DATA_DIR") or "var").resolve() / "demo"
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything started is ended
    with ExitStack() as open_things:
        with stage.of("start", "Starting a pretend QuickBooks, a pretend Xero, and Forbear ..."):
            web_port = _free_port(int(os.environ.get("PORT") or 8000))
            today = _pretend_day(file)
            sandbox = open_things.enter_context(_sandbox(folder, file, today, web_port))
            config = _settings(folder, sandbox, web_port, today)
            engine = db.engine(config)
            log = open_things.enter_context((folder / "forbear.log").open("ab"))
            installation = open_things.enter_context(Installation(config, workers=2, output=log))
            _until(lambda: _answers(config.public_url + "/healthz"), "Forbear's pages", installation)
        report = _journey(config, engine, sandbox, stage, installation)
        if as_json:
            print(json.dumps(report, indent=1))
        else:
            _tell(report, config, sandbox)
        if not once:
            _serve(installation, stage)
    return 0 if report["agrees"] else 1


# ---------------------------------------------------------------- starting


def _free_port(wanted: int = 0) -> int:
    """`wanted` when nobody has it, else any free one."""
    for port in (wanted, 0):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(trial.getsockname()[1])
    raise DemoFailed("No port is free on this machine.")


def _pretend_day(file: Path | None) -> dt.date:
    """The day the demo plays on: the books' own last day, else the last Tuesday to Thursday, when messages leave."""
    if asked := os.environ.get("FORBEAR_TODAY"):
        return dt.date.fromisoformat(asked)
    if file:
        last = [c.company.as_of or c.company.last_date for c in books_file.companies(file)]
        return max(day for day in last if day)
    day = dt.date.today()  # noqa: DTZ011  the machine's own day is the natural one for a demo
    while day.weekday() not in (1, 2, 3):
        day -= dt.timedelta(days=1)
    return day


@contextmanager
def _sandbox(folder: Path, file: Path | None, today: dt.date, web_port: int) -> Iterator[str]:
    """The pretend ledgers as a process of their own; yields their address."""
    kept = folder / "sandbox-port"  # the same address again, so that what was kept still fits
    port = _free_port(int(kept.read_text()) if kept.exists() else 0)
    kept.write_text(str(port))
    command = [sys.executable, "-m", "sandbox", "--port", str(port), "--today", today.isoformat()]
    command += ["--state", str(folder / "sandbox"), "--unthrottled"]
    if file:
        command += ["--books", str(file)]
    for platform in ("quickbooks", "xero"):
        command += ["--webhooks", f"{platform}=http://localhost:{web_port}/webhooks/{platform}"]
    parent = os.getpid()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: embedded.die_with_parent(parent=parent),  # noqa: PLW1509  single-threaded here
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + PATIENCE
        while not _answers(f"{url}/control/companies"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise DemoFailed("The pretend ledgers did not start; their own message stands above.")
            time.sleep(0.1)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _settings(folder: Path, sandbox: str, web_port: int, today: dt.date) -> Config:
    """The environment of every process of the demo, ours included."""
    ours = {
        "FORBEAR_DATA_DIR": str(folder),
        "FORBEAR_PUBLIC_URL": f"http://localhost:{web_port}",
        "PORT": str(web_port),
        "FORBEAR_TODAY": today.isoformat(),
        "FORBEAR_BUDGETS": "off",  # this sandbox knows no limits, and nobody should wait for them
        "FORBEAR_QUICKBOOKS_DISCOVERY_URL": f"{sandbox}/quickbooks/.well-known/openid_configuration",
        "FORBEAR_QUICKBOOKS_API_URL": f"{sandbox}/quickbooks",
        "FORBEAR_QUICKBOOKS_WEBHOOK_TOKEN": "sandbox-webhook-key",
        "FORBEAR_XERO_DISCOVERY_URL": f"{sandbox}/xero/.well-known/openid-configuration",
        "FORBEAR_XERO_API_URL": f"{sandbox}/xero",
        "FORBEAR_XERO_WEBHOOK_KEY": "sandbox-webhook-key",
    }
    for name in ("QUICKBOOKS", "XERO"):
        ours[f"FORBEAR_{name}_CLIENT_ID"] = "sandbox-app"
        ours[f"FORBEAR_{name}_CLIENT_SECRET"] = "sandbox-secret"
    for name in [n for n in os.environ if n.startswith("FORBEAR_")]:
        del os.environ[name]  # a real ledger's keys have no business in a demo
    os.environ.update(ours)
    return environment.load()


# ---------------------------------------------------------------- the journey


def _journey(
    config: Config, engine: Engine, sandbox: str, stage: Stage, installation: Installation
) -> dict[str, Any]:
    companies: list[Company] = _get(f"{sandbox}/control/companies")
    with db.reading(engine) as tx:
        known = {c["id"] for c in companies if connections.of(tx, c["platform"], c["id"])}
    new = [c for c in companies if c["id"] not in known]
    browser = Browser()
    with stage.of("connect", f"Connecting {len(new)} companies, through the ledgers' own consent pages ..."):
        for platform in ("quickbooks", "xero"):
            _connect(browser, config, platform, [c for c in new if c["platform"] == platform])
    ids = _connection_ids(engine, companies)
    with stage.of("sync", "Reading the books ..."):
        _follow(engine, ids, installation, stage)
    with stage.of("review", "Looking at every customer ..."):
        _until(lambda: _reviewed(engine, ids), "the review", installation)
    with stage.of("compare", "Comparing every invoice and balance with the ledgers ..."):
        reports = [_compare(config, engine, sandbox, c, ids[c["id"]]) for c in companies]
    with stage.of("plan", "Approving one plan for each company, writing it, reading it back ..."):
        for report in reports:
            report["plan"] = _one_plan(config, engine, sandbox, report, installation, stage)
    with stage.of("remind", "Going live, and writing the reminders that are due as notes ..."):
        for report in reports:
            report["reminders"] = _remind(config, engine, report["connection"], installation)
    for report in reports:
        with db.reading(engine) as tx:
            used = meter.total(tx, report["connection"], dt.date.min)
        report["calls"], report["bytes"] = used.calls, used.bytes_in + used.bytes_out
    agrees = all(
        r["documents"]["equal"] and r["balances"]["equal"] and not r["plan"].get("drift") for r in reports
    )
    return {"agrees": agrees, "companies": reports, "seconds": stage.seconds}


def _connect(browser: Browser, config: Config, platform: str, companies: list[Company]) -> None:
    """As a bookkeeper does: QuickBooks one company a consent, Xero all in one."""
    groups = [[c] for c in companies] if platform == "quickbooks" else [companies] if companies else []
    for group in groups:
        page = browser.get(f"{config.public_url}/connect/{platform}")
        form = page.form("decision")
        page = browser.submit(form, {"decision": "allow", "company": [c["id"] for c in group]})
        if page.status != 200:
            raise DemoFailed(f"Connecting to the pretend {platform} ended at {page.url}: {page.sentence}")


def _connection_ids(engine: Engine, companies: list[Company]) -> dict[str, str]:
    with db.reading(engine) as tx:
        found = {c["id"]: connections.of(tx, c["platform"], c["id"]) for c in companies}
    missing = [c["name"] for c in companies if not found[c["id"]]]
    if missing:
        raise DemoFailed(f"Not connected after consent: {', '.join(missing)}.")
    return {id: connection.id for id, connection in found.items() if connection}


def _follow(engine: Engine, ids: Mapping[str, str], installation: Installation, stage: Stage) -> None:
    """Wait for every first sync, and say how far it is."""
    said: dict[str, str] = {}

    def done() -> bool:
        with db.reading(engine) as tx:
            all_ = [connections.get(tx, id) for id in ids.values()]
        for c in all_:
            progress = c.progress or {}
            text = f"  {c.organization}: {progress.get('what') or ''} {progress.get('done') or ''}".rstrip()
            if progress and said.get(c.id) != text:
                said[c.id] = text
                stage.say(text)
        return all(c.last_sync_at for c in all_)

    _until(done, "the first sync", installation)


def _reviewed(engine: Engine, ids: Mapping[str, str]) -> bool:
    with db.reading(engine) as tx:
        return all(connections.get(tx, id).last_review_on for id in ids.values())


def _compare(
    config: Config, engine: Engine, sandbox: str, company: Company, connection_id: str
) -> dict[str, Any]:
    """What we hold against what the ledger says: each invoice, and the sums per currency."""
    with db.reading(engine) as tx:
        ours = export.export(tx, [connection_id], today=lambda c: connections.today(c, config))[
            "connections"
        ][0]
    url = f"{sandbox}/control/companies/{company['id']}"
    gone = ("void", "voided", "deleted", "draft")
    theirs = {
        d["id"]: (d["total"], d["balance"], d["due"])
        for d in _get(f"{url}/documents?kind=invoice")
        if d["status"] not in gone
    }
    mine = {
        i["id"]: (i["total"], i["balance"], i["due"])
        for i in ours["invoices"]
        if i["status"] not in ("void", "draft")
    }
    aged = _get(f"{url}/aged")["totals"]
    sums: dict[str, dict[str, int]] = {}
    for customer in ours["customers"]:
        for b in customer["balances"]:
            of = sums.setdefault(b["currency"], {"open": 0, "overdue": 0})
            of["open"] += b["open"]
            of["overdue"] += b["overdue"]
    said = {c: {"open": t["open"], "overdue": t["overdue"]} for c, t in aged.items() if t["open"]}
    kinds: dict[str, int] = {}
    for customer in ours["customers"]:
        for finding in customer["findings"]:
            kinds[finding["kind"]] = kinds.get(finding["kind"], 0) + 1
    return {
        "platform": company["platform"],
        "company": company["name"],
        "connection": connection_id,
        "external_id": company["id"],
        "documents": {"served": len(theirs), "mirrored": len(mine), "equal": theirs == mine},
        "customers": {"served": company["customers"], "mirrored": len(ours["customers"])},
        "balances": {
            "ledger": said,
            "ours": {c: s for c, s in sums.items() if s["open"]},
            "equal": said == {c: s for c, s in sums.items() if s["open"]},
        },
        "findings": kinds,
        "plans_drafted": len(ours["plans"]),
    }


def _one_plan(
    config: Config,
    engine: Engine,
    sandbox: str,
    report: dict[str, Any],
    installation: Installation,
    stage: Stage,
) -> dict[str, Any]:
    """Answer the two questions as the company's accountant would, approve the largest draft, and prove it."""
    connection_id = report["connection"]
    company = _get(f"{sandbox}/control/companies/{report['external_id']}")
    with db.reading(engine) as tx:
        kept = plans.of_connection(tx, connection_id, ("running", "finished", "broken"))
    if kept:  # from the demo that this one goes on
        return _told(kept[0], [])
    with db.transaction(engine) as tx:
        settings.answer(
            tx,
            connection_id,
            income_basis="cash" if company.get("income_basis") == "cash" else "accrual",
            sales_tax_basis="cash" if company.get("tax_basis") == "cash" else "accrual",
            who=BOOKKEEPER,
            now=db.now(),
        )
        today = connections.today(connections.get(tx, connection_id), config)
        drafts = plans.of_connection(tx, connection_id, ("proposed",))
        for draft in drafts:
            drafting.redraft(
                tx, draft.id, wish=None, revision=draft.revision, who=BOOKKEEPER, now=db.now(), today=today
            )
        drafts = plans.of_connection(tx, connection_id, ("proposed",))
        sound = [d for d in drafts if not objections.refusals(tx, d.id, today)]
        by_hand = not sound
        sound = sound or _asked_for(tx, connection_id, today)
    if not sound:
        return {"written": False, "why": "Nobody here is overdue with anything that a plan could spread."}
    # Somebody who pays in parts is whom a plan helps most; few invoices make one that is read at a glance.
    with db.reading(engine) as tx:
        in_parts = {
            c.customer_id
            for c in conclusions.of_connection(tx, connection_id)
            if any(f.kind == "partly_paid" for f in c.findings)
        }
    best = min(
        sound,
        key=lambda d: (
            len(d.plan.rows) < 2,
            d.plan.customer_id not in in_parts,
            len(d.plan.sources),
            -d.plan.balance,
            d.id,
        ),
    )
    before = _trial_balances(sandbox, report["external_id"])
    began = time.monotonic()
    with db.transaction(engine) as tx:
        plans.approve(tx, best.id, who=BOOKKEEPER, now=db.now(), today=today)
    waking.deliver(config, connection_id)

    def written() -> bool:
        with db.reading(engine) as tx:
            return plans.get(tx, best.id).state != "approved"

    _until(written, f"plan {best.id}", installation)
    seconds = time.monotonic() - began
    with db.reading(engine) as tx:
        record = plans.get(tx, best.id)
    drift = _drift(before, _trial_balances(sandbox, report["external_id"]), str(record.plan.mode))
    stage.say(
        f"  {report['company']}: {best.id}, {len(record.plan.rows)} payments, {record.attention or record.state}"
    )
    return _told(record, drift) | {"by_hand": by_hand, "approval_to_proof_s": round(seconds, 2)}


def _asked_for(tx: Connection, connection_id: str, today: dt.date) -> list[plans.Record]:
    """Where policy drafts none: one in three payments for the first who may have it, most overdue first."""
    owing = sorted(
        (
            (b.overdue, c.customer_id)
            for c in conclusions.of_connection(tx, connection_id)
            for b in c.balances
        ),
        reverse=True,
    )
    for overdue, customer_id in owing:
        if overdue <= 0:
            break
        try:
            asked = drafting.propose_plan(
                tx,
                connection_id,
                customer_id,
                who=BOOKKEEPER,
                now=db.now(),
                today=today,
                wish=Wish(installments=3),
            )
        except PlanProblem:
            continue  # the next one, as a bookkeeper would
        if not objections.refusals(tx, asked.id, today):
            return [asked]
        plans.cancel(tx, asked.id, who=BOOKKEEPER, why="not today", now=db.now(), today=today)
    return []


def _told(record: plans.Record, drift: list[str]) -> dict[str, Any]:
    return {
        "id": record.id,
        "written": record.state != "proposed",
        "mode": str(record.plan.mode),
        "customer": record.plan.customer_id,
        "amount": record.plan.balance,
        "currency": record.plan.currency,
        "installments": len(record.plan.rows),
        "why": record.attention,
        "drift": drift,
    }


def _trial_balances(sandbox: str, company: str) -> dict[str, dict[str, dict[str, int]]]:
    """Basis → account → month → movement, from the ledger's own double entry."""
    found = {}
    for basis in ("accrual", "cash"):
        rows = _get(f"{sandbox}/control/companies/{company}/trial-balance?basis={basis}")["accounts"]
        found[basis] = {r["name"]: r["months"] for r in rows}
    return found


def _drift(before: Mapping[str, Any], after: Mapping[str, Any], mode: str) -> list[str]:
    """What moved, per account and month, on the bases that have to stay still (a split may move a cash report)."""
    moved = []
    for basis in ("accrual",) if mode == "split" else ("accrual", "cash"):
        for account in sorted({*before[basis], *after[basis]}):
            old, new = before[basis].get(account, {}), after[basis].get(account, {})
            for month in sorted({*old, *new}):
                if change := new.get(month, 0) - old.get(month, 0):
                    moved.append(f"{basis} {account} {month}: {change}")
    return moved


def _remind(config: Config, engine: Engine, connection_id: str, installation: Installation) -> dict[str, int]:
    """Go live, and let the reminders of the day be written."""
    with db.transaction(engine) as tx:
        settings.set_ledger_reminders(tx, connection_id, "off", who=BOOKKEEPER, now=db.now())
        settings.set_live(tx, connection_id, True, who=BOOKKEEPER, now=db.now())
    jobs.review_connection(connection_id, True)  # wakes the writing of what is due

    def shown() -> list[reminders.Reminder]:
        with db.reading(engine) as tx:
            return reminders.of_connection(tx, connection_id)

    def started() -> bool:
        """One is written, or none is due; the workers go on with the rest."""
        states = {r.state for r in shown()}
        return bool(states & {"noted", "sent"}) or "due" not in states

    _until(started, "the first reminder", installation, patience=60, give_up=False)
    states: dict[str, int] = {}
    for reminder in shown():
        states[reminder.state] = states.get(reminder.state, 0) + 1
    return states


# ---------------------------------------------------------------- telling and waiting


def _tell(report: dict[str, Any], config: Config, sandbox: str) -> None:
    print()
    for r in report["companies"]:
        print(f"{r['company']}  ({r['platform']})")
        same = "the same as the ledger's" if r["balances"]["equal"] else "NOT the same as the ledger's"
        for currency, s in r["balances"]["ours"].items():
            print(f"  {Money(s['open'], currency)} open, {Money(s['overdue'], currency)} overdue, {same}")
        found = ", ".join(f"{kind.replace('_', ' ')} {n}" for kind, n in sorted(r["findings"].items()))
        print(
            f"  {r['documents']['mirrored']} of {r['documents']['served']} invoices; findings: {found or 'none'}"
        )
        plan = r["plan"]
        if plan["written"]:
            drift = "0.00 moved" if not plan["drift"] else "MOVED: " + "; ".join(plan["drift"])
            how = "documents" if plan["mode"] == "split" else "notes"
            amount = Money(plan["amount"], plan["currency"])
            print(
                f"  plan {plan['id']}{', asked for by hand' if plan.get('by_hand') else ''}: {amount} in "
                f"{plan['installments']} payments, written as {how}; {drift}"
            )
        else:
            print(f"  no plan written: {plan['why']}")
        print(
            f"  reminders: {', '.join(f'{n} {s}' for s, n in sorted(r['reminders'].items())) or 'none due'}"
        )
        print(f"  {r['calls']} calls, {r['bytes']:,} bytes")
    print()
    print(f"Forbear's pages:     {config.public_url}   (continue with QuickBooks or Xero, then Allow)")
    print(f"The pretend ledgers: {sandbox}/   (documents, notes, trial balance; press “customer pays”)")


def _serve(installation: Installation, stage: Stage) -> None:
    stage.say("\nCtrl-C ends everything.")
    stopped = []

    def stop(*_: object) -> None:
        stopped.append(True)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    while not stopped:
        time.sleep(0.5)
        installation.look()


def _until(
    done: Callable[[], bool],
    what: str,
    installation: Installation,
    *,
    patience: float = PATIENCE,
    give_up: bool = True,
) -> None:
    deadline = time.monotonic() + patience
    while not done():
        if time.monotonic() > deadline and not give_up:
            return
        if time.monotonic() > deadline:
            raise DemoFailed(f"Waited {PATIENCE} seconds for {what}. Run `forbear doctor`, then try again.")
        installation.look()
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


def _get(url: str) -> Any:
    answer = requests.get(url, timeout=120)
    answer.raise_for_status()
    return answer.json()
