"""A bookkeeper at the pages, over HTTP: an installation of its own, and the pretend ledgers' consent pages."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import requests
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.engine import Engine
from werkzeug.test import TestResponse

from connector import config, db
from connector.connecting import connections
from connector.demo.installing import pointed_at
from connector.domain.money import to_minor
from connector.mirroring import sync
from connector.planning import plans
from connector.platforms import Identity, find
from connector.practice import people, settings
from connector.reviewing import review
from connector.writing import writeback
from sandbox.server import Server
from web import create_app

TODAY = dt.date(2026, 11, 21)
CONNECTION = "c1"
PUBLIC = "http://localhost:8000"


def environment(sandbox: str, folder: Any) -> dict[str, str]:
    """The settings of an installation that points at this sandbox."""
    return {
        "FORBEAR_DATA_DIR": str(folder),
        "FORBEAR_PUBLIC_URL": PUBLIC,
        "FORBEAR_TODAY": TODAY.isoformat(),
        **pointed_at(sandbox),
    }


@dataclass
class Office:
    """One installation without worker processes: a test performs the steps itself, in this process."""

    config: config.Config
    engine: Engine
    sandbox: Server
    app: Flask = field(init=False)

    def __post_init__(self) -> None:
        self.app = create_app(self.config, self.engine)

    def browser(self) -> Browser:
        return Browser(self, self.app.test_client())

    # ------------------------------------------------------------ the steps of a worker

    def read(self, connection_id: str) -> None:
        sync.sync(self.engine, self.config, connection_id)
        review.review(self.engine, connection_id, now=db.now(), today=TODAY)

    def write(self, connection_id: str) -> None:
        with db.reading(self.engine) as tx:
            platform = connections.get(tx, connection_id).platform
        writeback.deliver(
            self.engine,
            connection_id,
            lambda: connections.open_ledger(self.engine, self.config, connection_id),
            now=db.now,
            today=lambda: TODAY,
            credit_word=find(platform, self.config).credit_word,
        )

    # ------------------------------------------------------------ shortcuts past pages under test elsewhere

    def answer(self, connection_id: str, basis: str = "accrual") -> None:
        with db.transaction(self.engine) as tx:
            settings.answer(
                tx, connection_id, income_basis=basis, sales_tax_basis=basis, who="Dana", now=db.now()
            )

    def connection(self, platform: str) -> str:
        with db.reading(self.engine) as tx:
            return next(c.id for c in connections.every(tx) if c.platform == platform)

    def role(self, who: Browser, connection_id: str, role: str) -> None:
        with db.transaction(self.engine) as tx:
            people.grant(tx, who.person_id, connection_id, role, by="test", now=db.now())

    def plan(self, connection_id: str) -> plans.Record:
        with db.reading(self.engine) as tx:
            return plans.of_connection(tx, connection_id)[-1]

    def pay(self, company: str, invoice: str, amount: str) -> None:
        """The customer pays, in the ledger."""
        answer = requests.post(
            f"{self.sandbox.url}/control/companies/{company}/act",
            json={"act": "pay", "invoice": invoice, "amount": to_minor(amount, "USD")},
            timeout=120,
        )
        assert answer.ok, answer.text


@dataclass
class Browser:
    """One browser with its cookies."""

    office: Office
    client: FlaskClient

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.client.get(path, base_url=PUBLIC, **more)

    def post(self, path: str, page: str = "/account", csrf: str | None = None, **form: Any) -> TestResponse:
        """Post as a form on `page` would, with the token found there (or with `csrf`)."""
        token = self.token(page) if csrf is None else csrf
        return self.client.post(path, base_url=PUBLIC, data={**form, "csrf": token})

    def token(self, page: str = "/account") -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.get(page).text)
        assert found, f"{page} has no form"
        return found.group(1)

    def sign_in(self, subject: str = "anna", name: str = "Anna Vega") -> Browser:
        """Be somebody, without the consent page."""
        with db.transaction(self.office.engine) as tx:
            person = people.sign_in(
                tx,
                Identity("https://issuer.example", subject, f"{subject}@firm.example", True, name),
                db.now(),
            )
            key = people.start_session(tx, person.id, db.now())
        with self.client.session_transaction(base_url=PUBLIC) as session:
            session["key"] = key
        self.person_id = person.id
        return self

    # ------------------------------------------------------------ the ledger's consent page

    def ask(self, platform: str, path: str = "connect") -> requests.Response:
        """Follow the redirect to the consent page."""
        away = self.get(f"/{path}/{platform}")
        assert away.status_code == 302, away.text
        return requests.get(away.location, timeout=120)

    def decide(self, page: requests.Response, decision: str = "allow", **chosen: Any) -> str:
        """Press a button on the consent page; returns the path and query of the way back."""
        fields: dict[str, Any] = {}
        for tag in re.findall(r"<input[^>]*>", page.text):
            found = {k: unescape(v) for k, v in re.findall(r'(\w+)="([^"]*)"', tag)}
            if found.get("type") == "hidden" or " checked" in tag:
                fields.setdefault(found["name"], []).append(found["value"])
        back = requests.post(
            page.url.split("?")[0],
            data={**fields, **chosen, "decision": decision},
            timeout=120,
            allow_redirects=False,
        )
        assert back.status_code == 302, back.text
        parts = urlsplit(back.headers["Location"])
        assert f"{parts.scheme}://{parts.netloc}" == PUBLIC
        return f"{parts.path}?{parts.query}"

    def connect(self, platform: str, path: str = "connect") -> TestResponse:
        """All the way: consent, allow, callback."""
        return self.get(self.decide(self.ask(platform, path)))
