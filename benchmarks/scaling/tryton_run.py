"""Runs inside Tryton's own environment: load receivables into a fresh database, then dun them night after night.

Reads one JSON object (`{"invoices": [[party, date, due, total, settled], ...], "nights": [date, ...], "postmaster": pid}`) from the
standard input and writes one back: seconds for each night, by the clock and of CPU time. The bookkeeping beside the receivables (a company, a
chart, a fiscal year) is made as Tryton's own tests make it; the invoices go in by SQL, because only the dunning run
is measured.
"""

import datetime as dt
import json
import sys
import time
from decimal import Decimal

import cpu
from trytond.pool import Pool
from trytond.transaction import Transaction, TransactionError

LEVELS = (5, 20, 40)  # days overdue, as in Tryton's own example


def main(database):
    asked = json.load(sys.stdin)
    Pool.start()
    pool = Pool(database)
    pool.init()
    with Transaction().start(database, 0) as transaction:
        cursor = transaction.connection.cursor()
        cursor.execute("SELECT id FROM res_user WHERE login = 'admin'")
        [user] = cursor.fetchone()
    company = within(database, user, {}, lambda: prepare(pool, asked["invoices"]))
    context = {"company": company, "companies": [company]}
    within(database, user, {}, lambda: Transaction().connection.cursor().execute("ANALYZE"))
    seconds, counts, used = [], [], []
    for night in asked["nights"]:
        began, before = time.perf_counter(), cpu.spent(asked["postmaster"])
        counts.append(within(database, user, context, lambda: dun(pool, dt.date.fromisoformat(night))))  # noqa: B023
        seconds.append(time.perf_counter() - began)
        used.append(cpu.spent(asked["postmaster"]) - before)
    print(json.dumps({"seconds": seconds, "cpu_seconds": used, "reminded": counts}))


def within(database, user, context, do):
    """One transaction, begun again when Tryton asks for a lock."""
    more = {}
    while True:
        with Transaction().start(database, user, context=context, **more) as transaction:
            try:
                found = do()
                transaction.commit()
                return found
            except TransactionError as asks:
                transaction.rollback()
                asks.fix(more)


def dun(pool, night):
    """What the two wizards of the module do: create what is due, then take it as done."""
    Dunning = pool.get("account.dunning")
    Dunning.generate_dunnings(date=night)
    drafts = Dunning.search([("state", "=", "draft")])
    Dunning.process(drafts)
    return len(drafts)


def prepare(pool, invoices):
    from trytond.modules.account.tests import create_chart, get_fiscalyear
    from trytond.modules.company.tests import create_company, set_company

    company = create_company()
    with set_company(company):
        create_chart(company)
        today = dt.date.fromisoformat(max(i[1] for i in invoices))
        year = get_fiscalyear(company, today, dt.date(2020, 1, 1), dt.date(2030, 12, 31))
        year.save()
        pool.get("account.fiscalyear").create_period([year])
        Procedure = pool.get("account.dunning.procedure")
        [procedure] = Procedure.create(
            [
                {
                    "name": "Nightly",
                    "levels": [
                        (
                            "create",
                            [{"sequence": n, "overdue": dt.timedelta(d)} for n, d in enumerate(LEVELS)],
                        )
                    ],
                }
            ]
        )
        Party = pool.get("party.party")
        names = sorted({i[0] for i in invoices})
        parties = Party.create([{"name": n, "dunning_procedure": procedure.id} for n in names])
        insert(pool, company, dict(zip(names, (p.id for p in parties), strict=True)), invoices)
    return company.id


def insert(pool, company, parties, invoices):
    """A posted move for each invoice: receivable against revenue; a settled one is reconciled."""
    Account = pool.get("account.account")
    [receivable] = Account.search([("type.receivable", "=", True), ("company", "=", company.id)], limit=1)
    [revenue] = Account.search([("type.revenue", "=", True), ("company", "=", company.id)], limit=1)
    [journal] = pool.get("account.journal").search([("code", "=", "REV")], limit=1)
    [period] = pool.get("account.period").search([], order=[("start_date", "DESC")], limit=1)
    cursor = Transaction().connection.cursor()
    moves, lines, reconciliations = [], [], []
    for n, (party, date, due, total, settled) in enumerate(invoices, 1):
        amount = Decimal(total) / 100
        moves.append((n, company.id, period.id, journal.id, date, str(n), "posted"))
        done = n if settled else None
        if settled:
            reconciliations.append((n, company.id, str(n), date))
        lines.append((n, receivable.id, amount, 0, due, parties[party], done))
        lines.append((n, revenue.id, 0, amount, None, None, None))
    cursor.executemany(
        "INSERT INTO account_move (id, company, period, journal, date, number, state) VALUES (%s,%s,%s,%s,%s,%s,%s)",
        moves,
    )
    cursor.executemany(
        "INSERT INTO account_move_reconciliation (id, company, number, date) VALUES (%s,%s,%s,%s)",
        reconciliations,
    )
    cursor.executemany(
        "INSERT INTO account_move_line (move, account, debit, credit, maturity_date, party, reconciliation, state)"
        " VALUES (%s,%s,%s,%s,%s,%s,%s,'valid')",
        lines,
    )


if __name__ == "__main__":
    main(sys.argv[1])
