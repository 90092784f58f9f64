"""A customer at their own page: a browser without cookies, and the steps around it."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html import unescape
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from connector import db, platforms
from connector.customer_page import customer_links
from connector.domain.policy import Policy
from connector.mirroring import books
from connector.practice import settings
from connector.writing import writeback
from tests.stories.lives import Company, Metered, Practice
from web import create_app

PUBLIC = "http://localhost:8000"
TODAY = dt.date(2026, 11, 24)  # a Tuesday: reminders may leave
_readers = itertools.count(1)


@dataclass
class Desk:
    """A practice with its pages; every company in it is one client."""

    practice: Practice
    app: Flask = field(init=False)

    def __post_init__(self) -> None:
        self.app = create_app(self.practice.settings, self.practice.engine)

    def company(self, platform: str, name: str = "", *, answered: bool = True) -> Company:
        """Fern Foods owes 1001 and 1002 since August and September, Quiet Quay owes 2001."""
        made = self.practice.company(platform, name)
        fern, quay = made.customer("Fern Foods"), made.customer("Quiet Quay")
        day = self.practice.today
        for owner, number, days, net in (
            (fern, "1001", 82, 100000),
            (fern, "1002", 50, 60000),
            (quay, "2001", 40, 40000),
        ):
            due = day - dt.timedelta(days=days)
            made.bill(owner, number, due - dt.timedelta(days=30), due, net, net * 15 // 100)
        if answered:
            made.answer()
        made.sync()
        return made


@dataclass
class Customer:
    """Somebody with one address; `path` is what follows the host."""

    desk: Desk
    address: str
    agent: str = "Phone/1.0"
    remote: str = field(default_factory=lambda: f"198.51.{next(_readers) // 250}.{next(_readers) % 250}")
    path: str = field(init=False)

    def __post_init__(self) -> None:
        self.path = self.address.removeprefix(PUBLIC)
        self.client = self.desk.app.test_client(use_cookies=False)

    def get(self, path: str = "", **more: Any) -> TestResponse:
        return self.client.get(path or self.path, base_url=PUBLIC, **self._who(), **more)

    def page(self) -> str:
        answer = self.get()
        assert answer.status_code == 200, answer.text
        return unescape(answer.text)

    def token(self, act: str, page: str = "") -> str:
        """The token in the form that posts to `act`."""
        text = page or self.get().text
        part = text.split(f'action="{self.path}/{act}"', 1)
        assert len(part) == 2, f"no form for {act}"
        found = re.search(r'name="t" value="([^"]+)"', part[1])
        assert found
        return found[1]

    def send(self, act: str, page: str = "", token: str | None = None, **form: Any) -> TestResponse:
        """Fill in a form and send it."""
        if token is None:
            token = self.token(act, page)
        data = {**form, "t": token}
        return self.client.post(f"{self.path}/{act}", base_url=PUBLIC, data=data, **self._who())

    def choose(self, amount: str, count: int | None = None) -> tuple[TestResponse, dict[str, str]]:
        """As far as the words of a plan; returns that page and its hidden fields."""
        offers = self.send("offers", amount=amount)
        assert offers.status_code == 200, offers.text
        forms = re.findall(
            r'action="[^"]+/terms".*?name="count" value="(\d+)".*?name="first" value="([^"]+)"',
            offers.text,
            re.S,
        )
        assert forms, offers.text
        n, first = next(((n, f) for n, f in forms if count in (None, int(n))))
        terms = self.send("terms", offers.text, count=n, first=first)
        assert terms.status_code == 200, terms.text
        hidden = dict(re.findall(r'name="(count|first|read)" value="([^"]+)"', terms.text))
        return terms, hidden

    def _who(self) -> dict[str, Any]:
        return {
            "headers": {"User-Agent": self.agent},
            "environ_overrides": {"REMOTE_ADDR": self.remote},
        }


def switch_on(company: Company, **page: Any) -> Policy:
    """The bookkeeper switches the page on; `page` are its settings, `plan_…` those of plans."""
    plan = {k.removeprefix("plan_"): page.pop(k) for k in [k for k in page if k.startswith("plan_")]}
    with db.transaction(company.practice.engine) as tx:
        kept = settings.load(tx, company.connection_id)
        policy = replace(
            kept.policy,
            page=replace(kept.policy.page, on=page.pop("on", True), **page),
            plan=replace(kept.policy.plan, **plan),
            letters=replace(kept.policy.letters, person="Dana Reed", reply="dana@firm.example"),
        )
        settings.save_policy(
            tx, company.connection_id, policy, revision=kept.revision, who="Dana", now=db.now()
        )
    return policy


def a_customer(
    desk: Desk,
    company: Company,
    name: str = "Fern Foods",
    numbers: Sequence[str] | None = None,
    days: int = 60,
    now: dt.datetime | None = None,
) -> Customer:
    """Somebody gets a letter about their open invoices (or those with these numbers)."""
    practice, id = desk.practice, company.connection_id
    with db.transaction(practice.engine) as tx:
        who = next(c for c in books.customers(tx, id) if c.name == name)
        picture = books.of_customer(tx, id, who.id)
        assert picture is not None
        ids = [i.id for i in picture.invoices if (i.number in numbers if numbers else i.balance > 0)]
        _, address = customer_links.make(
            tx,
            practice.settings,
            id,
            who.id,
            ids,
            origin="person",
            who="Dana",
            now=now or db.now(),
            days=days,
        )
    return Customer(desk, address)


def deliver(company: Company, now: dt.datetime | None = None) -> None:
    """What a worker does, with addresses in what it writes."""
    practice = company.practice
    writeback.deliver(
        practice.engine,
        company.connection_id,
        lambda: company.open(Metered()),
        now=lambda: now or company.now(),
        today=lambda: company.today,
        credit_word=platforms.find(company.platform, practice.settings).credit_word,
        page=customer_links.Maker(practice.settings),
    )
    with db.transaction(practice.engine) as tx:  # written on the pretend day, and read on the real one
        c = db.customer_links.c
        written = c.origin.in_(["plan", "reminder"]), c.connection_id == company.connection_id
        tx.execute(
            db.customer_links.update().where(*written).values(expires_at=db.now() + dt.timedelta(days=60))
        )
    if company.watch:
        company.watch.judge()
