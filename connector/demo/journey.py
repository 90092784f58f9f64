"""What a bookkeeper does in the demo, step by step, and what the ledgers themselves say of it."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection, Engine

from connector import db, jobs, waking
from connector.browser import Browser
from connector.config import Config
from connector.connecting import connections, meter
from connector.contact import reminders
from connector.demo.waiting import DemoFailed, Stage, get, until
from connector.domain.propose import Wish
from connector.planning import drafting, objections, plans
from connector.planning.plan_records import PlanProblem
from connector.practice import settings
from connector.record import export
from connector.reviewing import conclusions
from connector.supervisor import Installation

BOOKKEEPER = "Robin Hale"  # the sandbox's first user
Company = dict[str, Any]


def walk(
    config: Config, engine: Engine, sandbox: str, stage: Stage, installation: Installation
) -> dict[str, Any]:
    """Connect, read, compare, plan, remind; what came of it, as plain JSON."""
    companies: list[Company] = get(f"{sandbox}/control/companies")
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
        until(lambda: _reviewed(engine, ids), "the review", installation)
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

    until(done, "the first sync", installation)


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
        for d in get(f"{url}/documents?kind=invoice")
        if d["status"] not in gone
    }
    mine = {
        i["id"]: (i["total"], i["balance"], i["due"])
        for i in ours["invoices"]
        if i["status"] not in ("void", "draft")
    }
    aged = get(f"{url}/aged")["totals"]
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
    company = get(f"{sandbox}/control/companies/{report['external_id']}")
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

    until(written, f"plan {best.id}", installation)
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
        rows = get(f"{sandbox}/control/companies/{company}/trial-balance?basis={basis}")["accounts"]
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

    until(started, "the first reminder", installation, patience=60, give_up=False)
    states: dict[str, int] = {}
    for reminder in shown():
        states[reminder.state] = states.get(reminder.state, 0) + 1
    return states
