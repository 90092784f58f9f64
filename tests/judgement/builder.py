"""Small books by hand: one company in the books file's own format, money in whole units, days counted from due dates."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

from connector.domain.policy import Policy
from connector.mirroring import books_file
from connector.reviewing import replay


class Books:
    """One company. The customer under judgement is `me`; every method returns the books for chaining."""

    def __init__(self, *, currency: str = "USD", terms: int = 30, **customer: Any) -> None:
        self.currency, self.terms = currency, terms
        self.customers: list[dict[str, Any]] = [
            {"id": "me", "name": "Brook", "currency": currency, **customer}
        ]
        self.invoices: list[dict[str, Any]] = []
        self.payments: list[dict[str, Any]] = []
        self.credits: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []

    def customer(self, id: str, name: str) -> Books:
        self.customers.append({"id": id, "name": name, "currency": self.currency})
        return self

    def invoice(
        self,
        id: str,
        issued: date,
        amount: float,
        *,
        terms: int | None = None,
        currency: str | None = None,
        of: str = "me",
    ) -> Books:
        self.invoices.append(
            {
                "id": id,
                "number": id,
                "customer_id": of,
                "issue_date": issued.isoformat(),
                "due_date": (issued + timedelta(self.terms if terms is None else terms)).isoformat(),
                "currency": currency or self.currency,
                "total_cents": round(amount * 100),
                "state": [],
            }
        )
        return self

    def _find(self, id: str) -> dict[str, Any]:
        return next(i for i in self.invoices if i["id"] == id)

    def pay(
        self, day: date, parts: dict[str, float], *, spare: float = 0, currency: str | None = None
    ) -> Books:
        who = self._find(next(iter(parts)))["customer_id"] if parts else "me"
        self.payments.append(
            {
                "id": f"p{len(self.payments) + 1}",
                "customer_id": who,
                "date": day.isoformat(),
                "currency": currency
                or (self._find(next(iter(parts)))["currency"] if parts else self.currency),
                "amount_cents": round((sum(parts.values()) + spare) * 100),
                "allocations": [{"invoice_id": i, "amount_cents": round(a * 100)} for i, a in parts.items()],
                "unapplied_cents": round(spare * 100),
            }
        )
        return self

    def paid(self, id: str, late: int) -> Books:
        """Paid whole, so many days after (negative: before) the due date."""
        invoice = self._find(id)
        day = date.fromisoformat(invoice["due_date"]) + timedelta(late)
        return self.pay(day, {id: invoice["total_cents"] / 100})

    def monthly(
        self, year: int, month: int, late: list[int | None], amount: float = 1000, of: str = "me"
    ) -> Books:
        """An invoice on the first of each month from then on; `late` days, None: still open."""
        for n, days in enumerate(late):
            y, m = divmod(year * 12 + month - 1 + n, 12)
            id = f"{of}{y}-{m + 1:02}"
            self.invoice(id, date(y, m + 1, 1), amount, of=of)
            if days is not None:
                self.paid(id, days)
        return self

    def credit(self, day: date, parts: dict[str, float], *, spare: float = 0) -> Books:
        self.credits.append(
            {
                "id": f"c{len(self.credits) + 1}",
                "customer_id": "me",
                "date": day.isoformat(),
                "currency": self.currency,
                "total_cents": round((sum(parts.values()) + spare) * 100),
                "allocations": [{"invoice_id": i, "amount_cents": round(a * 100)} for i, a in parts.items()],
            }
        )
        return self

    def state(self, id: str, day: date, what: str) -> Books:
        self._find(id)["state"].append({"date": day.isoformat(), "what": what})
        return self

    def event(
        self, type: str, day: date, invoice: str | None = None, *, promised: date | None = None
    ) -> Books:
        self.events.append(
            {
                "type": type,
                "customer_id": "me",
                "invoice_id": invoice,
                "date": day.isoformat(),
                "promised": promised.isoformat() if promised else None,
            }
        )
        return self

    def line(self) -> str:
        """The company as one line of a books file."""
        return json.dumps(
            {
                "format": "books/1",
                "company": {"id": "co", "name": "Company", "home_currency": self.currency},
                "customers": self.customers,
                "invoices": self.invoices,
                "payments": self.payments,
                "credits": self.credits,
                "events": self.events,
            }
        )

    def judged(self, day: date, policy: Policy | None = None) -> dict[str, dict[str, Any]]:
        """What `forbear replay` says on `day`, by customer id."""
        said = replay.company(books_file.read_line(self.line()), day, policy or Policy())
        return {c["id"]: c for c in said["customers"]}
