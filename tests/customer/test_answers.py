"""What follows from each answer, through the pages and the real ledgers' interfaces, on both ledgers."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

from connector import audit, customer_answers, db, holds, plans, reminders
from tests.customer.desk import Customer, Desk, a_customer, deliver, switch_on
from tests.stories.lives import APPROVAL, Company, Watch


def _id(company: Company, number: str) -> str:
    return company.invoice(number).id


def _answers(company: Company, customer: str = "Fern Foods") -> list[customer_answers.Answer]:
    with db.reading(company.practice.engine) as tx:
        return customer_answers.latest(tx, company.connection_id, 50)


def _due(company: Company) -> dict[str, list[str]]:
    """Which invoices today's reminders would speak of, by what holds them."""
    company.review()
    with db.reading(company.practice.engine) as tx:
        found = reminders.of_connection(tx, company.connection_id)
    return {r.state + ": " + "; ".join(r.held_because): [a.number for a in r.invoices] for r in found}


def test_the_page_says_what_is_open_what_was_paid_and_whom_to_ask(desk: Desk, platform: str) -> None:
    company = desk.company(platform)
    company.pay("1001", 30000, APPROVAL - dt.timedelta(days=3))
    company.sync()
    switch_on(company)
    customer = a_customer(desk, company)
    page = customer.page()
    currency = company.pretend.organization.home_currency
    assert f"1,540.00 {currency} is open on 2 invoices." in page
    assert f"850.00 {currency} of 1,150.00 {currency}" in page
    assert f"Thank you for 300.00 {currency}" in page
    assert "Dana Reed, dana@firm.example" in page
    assert "2001" not in page
    answer = customer.get()
    assert answer.headers["Cache-Control"] == "no-cache, no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "noindex" in answer.headers["X-Robots-Tag"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "Set-Cookie" not in answer.headers
    assert "<script" not in page
