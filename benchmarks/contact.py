"""A year of reminders on both pretend ledgers: never to a payer, never too many, never at a bad hour. And the words.

`make bench NAME=contact`; QUICK=1 for a form of a few minutes. Method and last figures: docs/contact.md.
The last line is one JSON object.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import holidays
import sqlalchemy as sa

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks.contacting.world import World, company  # noqa: E402
from benchmarks.ledger.consent import consent  # noqa: E402
from connector import config, db, platforms  # noqa: E402
from connector.connecting import connections  # noqa: E402
from connector.contact import contacts, holds, reminders  # noqa: E402
from connector.demo.installing import pointed_at  # noqa: E402
from connector.domain.policy import PlanPolicy, Policy  # noqa: E402
from connector.mirroring import sync as syncing  # noqa: E402
from connector.platforms import OpenGate, Token  # noqa: E402
from connector.practice import settings  # noqa: E402
from connector.reviewing import review  # noqa: E402
from connector.writing import writeback  # noqa: E402
from sandbox import books  # noqa: E402
from sandbox.clock import Clock  # noqa: E402
from sandbox.server import Server  # noqa: E402
from sandbox.world import World as Installation  # noqa: E402
from tests.wording import corpus  # noqa: E402
from tests.wording.test_letters import SEGMENTS, STEPS  # noqa: E402

from connector.domain.letters import variants  # noqa: E402  # isort: skip

PLATFORMS = ("quickbooks", "xero")
HOME = ZoneInfo("America/New_York")
ZONES = {"US": "America/New_York", "DE": "Europe/Berlin", "AU": "Australia/Sydney", "FR": "Europe/Paris"}
HOURS = (
    (4, 30),
    (7, 0),
    (10, 0),
    (18, 30),
    (22, 0),
)  # at home: some hour is right for each country, most are not
MONEY = ("not matched", "is dated", "The ledger says", "changed in the ledger")  # reasons of the payer guard


@dataclass(frozen=True)
class Form:
    customers: int = 500
    days: int = 365


FULL = Form()
QUICK = Form(customers=40, days=42)
START = dt.date(2026, 1, 5)


def say(sentence: str) -> None:
    print(f"{dt.datetime.now():%H:%M:%S} {sentence}", flush=True)


@dataclass
class Access:
    """The newest token, renewed as the product does when the ledger refuses it."""

    platform: platforms.Platform
    now: Token

    def token(self) -> str:
        return self.now.access_token

    def renew(self, rejected: str) -> str:
        if self.now.access_token == rejected:
            self.now = self.platform.refresh(self.now)
        return self.now.access_token


@dataclass
class Tally:
    customer_days: int = 0
    reminders_written: int = 0
    to_payers: int = 0
    over_cap: int = 0
    off_hours: int = 0
    levels_twice: int = 0
    held_by_guard: int = 0
    wrongly_held: int = 0
    held_for_a_part: int = 0
    counted: set[tuple[int, dt.date]] = field(default_factory=set)
    contacted: dict[str, list[dt.date]] = field(default_factory=lambda: defaultdict(list))
    seen: set[int] = field(default_factory=set)
    levels: set[tuple[str, str]] = field(default_factory=set)

    def figures(self) -> dict[str, Any]:
        held = max(1, self.held_by_guard)
        return {
            "customer_days": self.customer_days,
            "reminders_written": self.reminders_written,
            "to_payers": self.to_payers,
            "over_cap": self.over_cap,
            "off_hours": self.off_hours,
            "levels_twice": self.levels_twice,
            "held_by_guard": self.held_by_guard,
            "wrongly_held_share": round(self.wrongly_held / held, 4),
            "held_for_a_part_share": round(self.held_for_a_part / held, 4),
        }


class Year:
    """One company on one ledger, day by day, through the product's own steps."""

    def __init__(self, platform_name: str, form: Form, folder: Path, seed: int) -> None:
        self.form, self.random, self.tally = form, Random(f"{platform_name} {seed}"), Tally()
        self.ledger_name = platform_name
        self.clock = Clock(START)
        self.server = Server(Installation(self.clock, unthrottled=True)).__enter__()
        self.config = config.load({"FORBEAR_DATA_DIR": str(folder), **pointed_at(self.server.url)})
        db.migrate(self.config)
        self.engine = db.engine(self.config)
        # What is kept is the same; only a power cut during the benchmark would lose something.
        sa.event.listen(self.engine, "connect", lambda made, _: made.execute("PRAGMA synchronous=OFF"))
        books_of = company(form.customers, seed)
        pretend = self.server.world.add(books.load(books_of, platform_name, self.clock))  # type: ignore[arg-type]
        self.world = World.of(pretend, START, seed)
        grant = consent(self.config, platform_name, pretend.organization.id)
        [connection] = connections.save_grant(self.engine, self.config, platform_name, grant)
        self.id = connection.id
        platform = platforms.find(platform_name, self.config)
        self.ledger = platform.open(
            grant.organizations[0], Access(platform, grant.token), OpenGate(), "America/New_York"
        )
        self.countries: dict[str, str] = {}
        with db.transaction(self.engine) as tx:
            policy = Policy(plan=PlanPolicy(propose_after_days=365))  # plans are measured elsewhere
            revision = settings.load(tx, self.id).revision
            settings.save_policy(tx, self.id, policy, revision=revision, who="Ann", now=self.clock.now())
            settings.set_ledger_reminders(tx, self.id, "off", who="Ann", now=self.clock.now())
            settings.set_live(tx, self.id, True, who="Ann", now=self.clock.now())

    def run(self) -> Tally:
        began, skipped = time.monotonic(), START + dt.timedelta(self.form.days // 2)
        for n in range(self.form.days):
            today = START + dt.timedelta(n)
            self.world.today = today
            self.at(today, 4, 0)
            if skipped <= today < skipped + dt.timedelta(7):
                self.world.happen()  # the clock of the product stands still for a week
                continue
            self.day(today)
            if n % 30 == 29:
                spent = time.monotonic() - began
                written = self.tally.reminders_written
                say(f"  {self.ledger_name}, day {n + 1}: {written} reminders, {spent:.0f} s")
        self.server.__exit__(None, None, None)
        return self.tally

    def at(self, day: dt.date, hour: int, minute: int) -> dt.datetime:
        moment = dt.datetime.combine(day, dt.time(hour, minute), HOME).astimezone(dt.UTC)
        if moment > self.clock.now():
            self.clock.set(moment)
        return moment

    def day(self, today: dt.date) -> None:
        self.world.happen(0.5)
        now = self.at(today, 4, 10)
        syncing.sync(self.engine, self.config, self.id, ledger=self.ledger)
        with db.transaction(self.engine) as tx:
            tx.execute(sa.update(db.connections).values(last_sync_at=now))
        self.people(today, now)
        for _ in range(2 if self.random.random() < 0.1 else 1):  # now and then everything runs twice
            review.review(self.engine, self.id, now=now, today=today, customer_ids=self.customers())
        for hour, minute in HOURS:
            self.world.happen(0.4)  # money is entered between the review and the message, too
            moment = self.at(today, hour, minute)
            for _ in range(2 if self.random.random() < 0.1 else 1):
                self.deliver(moment, today)
            self.judge(moment, today)
            self.count_held(today)
        self.world.happen()
        self.tally.customer_days += self.form.customers

    def customers(self) -> list[str]:
        if not self.countries:
            with db.reading(self.engine) as tx:
                c = db.customers.c
                self.countries = {r.id: r.country for r in tx.execute(sa.select(c.id, c.country))}
        return sorted(self.countries)

    def people(self, today: dt.date, now: dt.datetime) -> None:
        """The bookkeeper calls some, notes promises and disputes."""
        with db.transaction(self.engine) as tx:
            for customer in self.customers():
                chance = self.random.random()
                if chance < 0.004:
                    contacts.record(tx, self.id, customer, "call", on=today, who="Ann", now=now)
                    self.tally.contacted[customer].append(today)
                elif chance < 0.006:
                    day = today + dt.timedelta(self.random.randint(1, 12))
                    holds.promise(tx, self.id, customer, day, who="Ann", now=now)
                elif chance < 0.007:
                    until = today + dt.timedelta(20)
                    holds.put(tx, self.id, customer, "manual", until=until, who="Ann", now=now)

    def deliver(self, moment: dt.datetime, today: dt.date) -> None:
        writeback.deliver(self.engine, self.id, lambda: self.ledger, now=lambda: moment, today=lambda: today)

    def judge(self, moment: dt.datetime, today: dt.date) -> None:
        """Every message that just left, by the truth of the pretend ledger and a calendar of our own."""
        r = db.reminders.c
        with db.reading(self.engine) as tx:
            fresh = tx.execute(
                sa.select(r.id).where(r.state.in_(reminders.REACHED), r.level != contacts.CONTACT)
            )
            sent = [reminders.get(tx, id) for id in fresh.scalars() if id not in self.tally.seen]
        for message in sent:
            tally = self.tally
            tally.seen.add(message.id)
            tally.reminders_written += 1
            own = [a for a in message.invoices if a.level]
            wrong = any(a.amount > self.world.balance(a.invoice_id) for a in message.invoices)
            tally.to_payers += wrong or self.world.visible(message.customer_id) > 0
            before = [d for d in tally.contacted[message.customer_id] if 0 <= (today - d).days < 7]
            tally.over_cap += today in before or len(before) >= 2
            tally.contacted[message.customer_id].append(today)
            tally.off_hours += self.bad_hour(message.customer_id, moment)
            for about in own:
                tally.levels_twice += (about.key, about.level) in tally.levels
                tally.levels.add((about.key, about.level))

    def bad_hour(self, customer: str, moment: dt.datetime) -> bool:
        country = self.countries.get(customer) or "US"
        there = moment.astimezone(ZoneInfo(ZONES[country]))
        off = there.date() in holidays.country_holidays(country, years=there.year)
        return off or there.weekday() not in (1, 2, 3) or not 9 <= there.hour < 11

    def count_held(self, today: dt.date) -> None:
        """Held because money is in sight, judged when it is first seen that day and once a day.

        Wrongly: all that was asked is open, and what the customer really paid covers none of the documents. For a
        part: some of it covers one, but not all that was asked.
        """
        with db.reading(self.engine) as tx:
            held = reminders.of_connection(tx, self.id, ["held"])
        for message in held:
            seen = (message.id, today)
            if seen in self.tally.counted or not _by_guard(message):
                continue
            self.tally.counted.add(seen)
            self.tally.held_by_guard += 1
            paid, asked = self.world.paid[message.customer_id], [a.amount for a in message.invoices]
            true = all(a.amount <= self.world.balance(a.invoice_id) for a in message.invoices)
            self.tally.wrongly_held += true and paid < min(asked)
            self.tally.held_for_a_part += true and min(asked) <= paid < sum(asked)


def _by_guard(message: reminders.Reminder) -> bool:
    return any(word in reason for reason in message.held_because for word in MONEY)


def wording_figures() -> dict[str, Any]:
    """The check on the part of the corpus that was not looked at while its rules were written, and on our letters."""
    # Only counted, never shown: whoever sees a line can no longer measure with it.
    for part in ("held_back", "unseen", "last", "fresh_usual", "fresh_hints", "hints_after"):
        one = corpus.measure(part)
        say(f"  {part}: {one.lines} lines, precision {one.precision:.3f}, recall {one.recall:.3f}")
    held_back = corpus.measure("last", "fresh_usual")  # usual letters, which led to no change of the rules
    hints = corpus.measure("hints_after")  # written after the rules for hints
    deserved, seen = corpus.measure_looks(
        "look_unseen", "hints_after"
    )  # neither was looked at for the soft word
    return {
        "wording_lines": held_back.lines,
        "wording_precision": round(held_back.precision, 4),
        "wording_recall": round(held_back.recall, 4),
        "wording_hints_precision": round(hints.precision, 4),
        "wording_hints_recall": round(hints.recall, 4),
        "looks_precision": round(deserved, 4),
        "looks_or_refusals_recall": round(seen, 4),
        "templates_checked": len(variants()) * len(STEPS) * len(SEGMENTS),
        "languages": len(variants()),
    }


def year(platform: str, form: Form) -> dict[str, Any]:
    """The figures of one ledger; a process of its own, because the years have nothing to do with each other."""
    with tempfile.TemporaryDirectory() as folder:
        return Year(platform, form, Path(folder), seed=1).run().figures()


def main() -> None:
    form = QUICK if os.environ.get("QUICK") else FULL
    figures: dict[str, Any] = {"form": {"customers": form.customers, "days": form.days}}
    say(f"{form.customers} customers, {form.days} days on each ledger, money booked up to five days late")
    with ProcessPoolExecutor(len(PLATFORMS), mp_context=get_context("spawn")) as processes:
        for platform, counted in zip(PLATFORMS, processes.map(year, PLATFORMS, [form] * 2), strict=True):
            figures[platform] = counted
            say(f"{platform}: {counted}")
    say("Words: precision and recall on the part of the corpus that was held back")
    figures |= wording_figures()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
