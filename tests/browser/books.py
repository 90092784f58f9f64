"""A small company that both pretend ledgers can load: a few customers, one of them in trouble."""

from __future__ import annotations

import datetime as dt
from typing import Any

TODAY = dt.date(2026, 11, 18)
_CUSTOMERS = (
    "Kim's Bakery",
    "Lakeshore Diner Group",
    "Golden Crust Pizzeria",
    "Brightwater Café",
    "Elm Street Deli",
)


def harbor_and_pine(name: str, currency: str, country: str) -> dict[str, Any]:
    """Two years of monthly invoices. Kim's Bakery paid on time until August and in shrinking parts since."""
    customers = [
        {"id": f"c{n}", "name": who, "email": f"pay{n}@customers.example", "terms_days": 30}
        for n, who in enumerate(_CUSTOMERS, 1)
    ]
    invoices, payments = [], []
    for n, customer in enumerate(customers):
        for month in range(20):
            issued = dt.date(2025, 3, 5) + dt.timedelta(days=30 * month + n)
            due = issued + dt.timedelta(days=30)
            total = 100_000 + 20_000 * n
            id = f"i{n}-{month}"
            invoices.append(
                {
                    "id": id,
                    "number": f"{1000 + 20 * n + month}",
                    "customer_id": customer["id"],
                    "issue_date": issued.isoformat(),
                    "due_date": due.isoformat(),
                    "currency": currency,
                    "total_cents": total,
                    "kind": "invoice",
                }
            )
            if paid := _paid(n, month, total, due):
                payments.append(
                    {
                        "id": f"p{n}-{month}",
                        "customer_id": customer["id"],
                        "date": paid[0].isoformat(),
                        "currency": currency,
                        "amount_cents": paid[1],
                        "allocations": [{"invoice_id": id, "amount_cents": paid[1]}],
                        "unapplied_cents": 0,
                    }
                )
    company = {
        "id": name.lower().replace(" ", "-"),
        "name": name,
        "country": country,
        "home_currency": currency,
        "timezone": "America/New_York" if country == "US" else "Pacific/Auckland",
        "basis": "accrual",
        "as_of": TODAY.isoformat(),
    }
    return {
        "format": "books/1",
        "company": company,
        "customers": customers,
        "invoices": invoices,
        "payments": payments,
    }


def _paid(customer: int, month: int, total: int, due: dt.date) -> tuple[dt.date, int] | None:
    """When and how much of an invoice was paid; None for nothing yet."""
    on = due + dt.timedelta(days=(month * 7 + customer) % 5 - 2)
    if on > TODAY - dt.timedelta(days=3):
        return None
    if customer == 0 and month >= 16:
        return on + dt.timedelta(days=20), total * (20 - month) // 8
    if customer == 1 and month >= 17:
        return None
    return on, total
