"""One organization: what is owed by age, customers worth a look, plans, what was written and what was held."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from flask import abort, flash, redirect, render_template, request, url_for
from markupsafe import Markup
from sqlalchemy.engine import Connection as Transaction
from werkzeug.wrappers import Response

from connector import db, failures, waking
from connector.connecting import connections
from connector.connecting.connections import Connection
from connector.contact import reminders
from connector.domain.receivables import Kind
from connector.mirroring import books, completeness
from connector.planning import plans
from connector.platforms import PlatformError, find
from connector.practice import settings
from connector.reviewing import current, expecting, history, overview
from connector.writing import outbox
from web import aged, charts
from web.aged import Aged, Sums
from web.pages import blueprint, expected
from web.sign_in import config, engine, need, role_in
from web.words import about, day, many, money

WORTH = 10
LIST = 200
PAGE = 50  # rows of a list on one page


@dataclass(frozen=True, slots=True)
class Pages:
    """Where one page of a list stands: `start` rows were left out before it."""

    count: int
    start: int

    @property
    def last(self) -> int:
        return min(self.count, self.start + PAGE)

    @property
    def before(self) -> int | None:
        return max(0, self.start - PAGE) if self.start else None

    @property
    def after(self) -> int | None:
        return self.last if self.last < self.count else None


def _start(name: str = "start") -> int:
    """How many rows the address says are left out; 0 when it says nothing that makes sense."""
    asked = request.args.get(name, "0")
    return int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 9 else 0


@blueprint.get("/organizations/<connection_id>")
def organization(connection_id: str) -> str:
    role = role_in(connection_id)
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        today = connections.today(connection, config())
        main = connection.home_currency
        sums = aged.of_organizations(tx, {connection_id: today}, {connection_id: main})[connection_id]
        worth, count = overview.pressing(tx, connection_id, WORTH)
        drafts = plans.of_connection(tx, connection_id, states=("proposed",), limit=WORTH)
        by_customer = {
            p.plan.customer_id: p
            for p in plans.of_customers(tx, connection_id, worth)
            if p.state == "proposed"
        }
        written = outbox.of_connection(tx, connection_id, limit=6)
        whose = outbox.customers_of(tx, written)
        differences = completeness.differences(tx, connection_id)
        people = {
            *worth,
            *(p.plan.customer_id for p in drafts),
            *(d.customer_id for d in differences),
            *whose.values(),
        }
        names = {c.id: c.name for c in books.customers(tx, connection_id, ids=people)}
        counted = overview.waiting(tx, [connection_id])[connection_id]
        context = {
            "settings": settings.load(tx, connection_id),
            "worth": current.of_customers(tx, connection_id, worth),
            "owing": overview.owing(tx, connection_id, today, worth),
            "to_come": overview.still_to_come(tx, [connection_id]).get(connection_id, {}),
            "held": overview.held(tx, connection_id),
            "failed": outbox.failures(tx, connection_id),
            "troubles": failures.of(tx, connection_id),
            "set_aside": completeness.set_aside(tx, connection_id),
        }
        weeks = history.of_connection(tx, connection_id, today).get(main, [])
        outlook = expecting.of_connection(tx, connection_id, today)
    return render_template(
        "organization.html",
        organization=connection,
        role=role,
        platform=find(connection.platform, config()),
        today=today,
        aged=sums,
        main=main,
        drafts=drafts,
        counted=counted,
        names=names,
        by_customer=by_customer,
        written=written,
        whose=whose,
        more=max(0, count - WORTH),
        count=count,
        differences=differences,
        chart=_chart(weeks, sums[main], main, today) if weeks and main in sums else None,
        table=[(sunday, Aged.of(row)) for sunday, row in weeks],
        expected=expected.view(outlook[main], main) if main in outlook else None,
        elsewhere={c: expected.next_weeks(o) for c, o in outlook.items() if c != main},
        opening=_opening(connection, counted, sums, names, worth, outlook.get(main)),
        tab="overview",
        **context,
    )


def _opening(
    connection: Connection,
    counted: overview.Waiting,
    sums: Sums,
    names: dict[str, str],
    worth: Sequence[str],
    outlook: expecting.Expectation | None = None,
) -> tuple[str, str]:
    if not connection.last_sync_at:
        return "The books are being read for the first time.", "Nothing is written and nothing is sent."
    drafts, more = counted.proposed, counted.total - counted.proposed
    also = f"{many(more, 'more thing' if drafts else 'thing')} {'needs' if more == 1 else 'need'} a person, in the queue."
    if drafts:
        first = f"{many(drafts, 'plan')} {'waits' if drafts == 1 else 'wait'} for your yes{', ' + also if more else '.'}"
    elif more:
        first = also
    else:  # above stands what to do about a connection that is lost
        looked = connection.last_review_on is not None
        first = "Nothing for you to do." if looked and connection.status == "connected" else ""
    rest = [
        f"{money(a.overdue, currency)} of {money(a.total, currency)} is overdue."
        for currency, a in sums.items()
        if a.overdue or len(sums) == 1
    ]
    if outlook and sums:
        coming = about(expected.next_weeks(outlook), connection.home_currency)
        rest.append(f"About {coming} should come in the next four weeks.")
    if not sums:
        rest.append("Nothing is open.")
    elif worth:
        who = [names[id] for id in worth[:3] if id in names]
        listed = who[0] if len(who) == 1 else f"{', '.join(who[:-1])} and {who[-1]}" if who else ""
        rest.append(f"Look first at {listed}." if listed else "")
    return first, " ".join(rest)


def _chart(weeks: Sequence[history.Week], now: Aged, main: str, today: dt.date) -> Markup:
    """Past weeks and today, wide and narrow; the page shows the one that fits."""
    columns = [(sunday, Aged.of(row).buckets) for sunday, row in weeks] + [(today, now.buckets)]
    sentence = f"{money(now.overdue, main)} overdue of {money(now.total, main)} on {day(today)}."
    wide = charts.aging_columns(_labeled(columns), main, sentence, width=600, more="wide-only")
    few = _labeled(columns[-13:])
    return wide + charts.aging_columns(few, main, sentence, width=330, more="narrow-only")


def _labeled(columns: Sequence[tuple[dt.date, tuple[int, ...]]]) -> list[tuple[str, tuple[int, ...]]]:
    """The month's name at its first week, unless that is so near the start that two would run together."""
    found: list[tuple[str, tuple[int, ...]]] = []
    for n, (when, buckets) in enumerate(columns):
        new = n > 0 and when.month != columns[n - 1][0].month
        early = n == 0 and all(c[0].month == when.month for c in columns[:3])
        found.append((when.strftime("%b") if new or early else "", buckets))
    return found


@blueprint.post("/organizations/<connection_id>/read-now")
def read_now(connection_id: str) -> Response:
    """Ahead of the queue; what failed and was set aside is tried again with it."""
    need(connection_id, "act")
    waking.try_again(config(), connection_id)
    waking.read_now(config(), connection_id)
    flash("Reading the books now. This page follows.", "good")
    return redirect(url_for("pages.organization", connection_id=connection_id))


@blueprint.get("/organizations/<connection_id>/customers")
def customers(connection_id: str) -> str:
    """Every customer with something open, the most overdue first; `q` finds any by name."""
    role_in(connection_id)
    asked, start = request.args.get("q", "").strip(), _start()
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        today = connections.today(connection, config())
        if asked:
            hits = [h for h in overview.search(tx, [connection_id], asked, LIST) if h.what == "customer"]
            ids, count = [h.id for h in hits][start : start + PAGE], len(hits)
            owing = overview.owing(tx, connection_id, today, ids)
        else:
            ids, count = _owing(tx, connection, today, start)
            owing = overview.owing(tx, connection_id, today, ids)
            ids = [id for id in ids if id in owing]  # whoever paid since the last look is gone already
        names = {c.id: c.name for c in books.customers(tx, connection_id, ids=ids)}
        context = {
            "settings": settings.load(tx, connection_id),
            "concluded": {c.customer_id: c for c in current.of_customers(tx, connection_id, ids)},
        }
    return render_template(
        "customers.html",
        organization=connection,
        platform=find(connection.platform, config()),
        today=today,
        rows=[(id, names.get(id, id), owing.get(id, [])) for id in ids],
        pages=Pages(count, start),
        asked=asked,
        tab="customers",
        **context,
    )


def _owing(tx: Transaction, connection: Connection, today: dt.date, start: int) -> tuple[list[str], int]:
    """A page of those who owe something, and how many there are; before the first review from the books alone."""
    if connection.last_review_on:
        return overview.by_overdue(tx, connection.id, PAGE, start)
    ids, count = overview.most_overdue(tx, connection.id, today, start + PAGE)
    return ids[start:], count


@blueprint.get("/organizations/<connection_id>/plans")
def plan_list(connection_id: str) -> str:
    role_in(connection_id)
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        today = connections.today(connection, config())
        found, count = plans.listed(tx, connection_id, PAGE, _start())
        counted = overview.waiting(tx, [connection_id])[connection_id]
        names = {
            c.id: c.name for c in books.customers(tx, connection_id, ids=[p.plan.customer_id for p in found])
        }
        decided = settings.load(tx, connection_id)
    return render_template(
        "plans.html",
        organization=connection,
        platform=find(connection.platform, config()),
        today=today,
        settings=decided,
        plans=found,
        counted=counted,
        pages=Pages(count, _start()),
        names=names,
        tab="plans",
    )


@blueprint.get("/organizations/<connection_id>/written")
def written(connection_id: str) -> str:
    """All that Forbear wrote or means to write, and all that it held back, with the reason."""
    role_in(connection_id)
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        today = connections.today(connection, config())
        start, first = _start(), _start("messages")
        writes = outbox.of_connection(tx, connection_id, limit=PAGE + 1, offset=start)
        messages = current.worded(tx, connection_id, reminders.latest(tx, connection_id, PAGE + 1, first))
        whose = outbox.customers_of(tx, writes)
        people = {m.customer_id for m in messages} | set(whose.values())
        names = {c.id: c.name for c in books.customers(tx, connection_id, ids=people)}
        decided = settings.load(tx, connection_id)
        held = overview.held_count(tx, connection_id)
        refused = overview.waiting(tx, [connection_id])[connection_id].failed
    return render_template(
        "written.html",
        organization=connection,
        platform=find(connection.platform, config()),
        today=today,
        settings=decided,
        writes=writes[:PAGE],
        whose=whose,
        messages=messages[:PAGE],
        of_writes=(start, len(writes) > PAGE),
        of_messages=(first, len(messages) > PAGE),
        page=PAGE,
        held=held,
        refused=refused,
        names=names,
        tab="written",
    )


@blueprint.get("/organizations/<connection_id>/open/<kind>/<record_id>")
def open_in_ledger(connection_id: str, kind: str, record_id: str) -> Response:
    """To the record's own page in the ledger."""
    role_in(connection_id)
    if kind not in set(Kind):
        abort(404)
    try:
        ledger = connections.open_ledger(engine(), config(), connection_id)
        return redirect(ledger.deep_link(Kind(kind), record_id))
    except PlatformError as problem:
        flash(str(problem), "look")
        return redirect(url_for("pages.organization", connection_id=connection_id))
