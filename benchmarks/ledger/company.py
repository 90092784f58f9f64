"""A company of any size in `books/1`: two years of invoices, most of them paid within two months.

`python -m benchmarks.ledger.company FILE INVOICES` writes one, and prints how many records of each kind it has.
"""

from __future__ import annotations

import json
import random
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

TODAY = date(2026, 11, 21)
DAYS = 700


def company(invoices: int, name: str, seed: int = 1) -> dict[str, Any]:
    """One customer for every fifty invoices; amounts in cents of US dollars."""
    chance = random.Random(seed)
    customers = [
        {
            "id": f"c{n}",
            "name": f"Customer {n}",
            "currency": "USD",
            "terms_days": 30,
            "email": f"accounts@customer{n}.example",
        }
        for n in range(max(2, invoices // 50))
    ]
    sold: list[dict[str, Any]] = []
    paid: list[dict[str, Any]] = []
    first = TODAY - timedelta(days=DAYS + 20)
    for n in range(invoices):
        day = first + timedelta(days=n * DAYS // invoices)
        total = chance.randint(1_000, 500_000)
        customer = chance.choice(customers)["id"]
        sold.append(
            {
                "id": f"i{n}",
                "number": str(100_000 + n),
                "customer_id": customer,
                "issue_date": day.isoformat(),
                "due_date": (day + timedelta(days=30)).isoformat(),
                "currency": "USD",
                "total_cents": total,
                "kind": "invoice",
            }
        )
        at = day + timedelta(days=chance.randint(1, 60))
        if chance.random() < 0.95 and at < TODAY:
            amount = total if chance.random() < 0.9 else total // 2
            paid.append(
                {
                    "id": f"p{n}",
                    "customer_id": customer,
                    "date": at.isoformat(),
                    "currency": "USD",
                    "amount_cents": amount,
                    "allocations": [{"invoice_id": f"i{n}", "amount_cents": amount}],
                    "unapplied_cents": 0,
                }
            )
    facts = {
        "id": name,
        "name": name,
        "country": "US",
        "home_currency": "USD",
        "timezone": "America/New_York",
        "basis": "accrual",
        "as_of": TODAY.isoformat(),
    }
    return {
        "format": "books/1",
        "company": facts,
        "customers": customers,
        "invoices": sold,
        "payments": paid,
    }


if __name__ == "__main__":
    _size = int(sys.argv[2])
    _made = company(_size, f"company-of-{_size}")
    Path(sys.argv[1]).write_text(json.dumps(_made) + "\n")
    print(json.dumps({kind: len(_made[kind]) for kind in ("customers", "invoices", "payments")}))
