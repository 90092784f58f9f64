"""`forbear demo`, from the start to Ctrl-C."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from connector import db
from connector.config import Config
from connector.demo import installing, journey
from connector.demo.waiting import Stage, answers, until
from connector.domain.money import Money
from connector.mirroring import books_file
from connector.supervisor import Installation


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
            web_port = installing.free_port(int(os.environ.get("PORT") or 8000))
            today = installing.pretend_day(file)
            sandbox = open_things.enter_context(installing.sandbox(folder, file, today, web_port))
            config = installing.settings_of(folder, sandbox, web_port, today)
            engine = db.engine(config)
            log = open_things.enter_context((folder / "forbear.log").open("ab"))
            installation = open_things.enter_context(Installation(config, workers=2, output=log))
            until(lambda: answers(config.public_url + "/healthz"), "Forbear's pages", installation)
        report = journey.walk(config, engine, sandbox, stage, installation)
        if as_json:
            print(json.dumps(report, indent=1))
        else:
            _tell(report, config, sandbox)
        if not once:
            _serve(installation, stage)
    return 0 if report["agrees"] else 1


def _tell(report: dict[str, Any], config: Config, sandbox: str) -> None:
    print()
    if (played := config.today) and played != db.now().astimezone().date():
        print(
            f"This plays on {played:%A}, {played}. Stamps of what is done, as beside an approval, show today."
        )
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
