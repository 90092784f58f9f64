"""The yardstick of the full pass: the same answers, customer by customer, with plain Python objects and loops.

What anybody would write first: rows become records, each customer is judged by the same rules, and each open
invoice is compared with the customer's earlier ones in a loop. What the book as a whole shows (weekdays without
money, its rates, how long overdue invoices last) is given, and remembered once it was asked for, so the yardstick
is rather too fast than too slow. It must say what the product says: `measure` refuses to go on otherwise.
"""

from __future__ import annotations

import datetime as dt
import math
from functools import cache
from operator import attrgetter, itemgetter
from types import SimpleNamespace
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import db
from connector.domain.findings import Share
from connector.domain.policy import Policy
from connector.domain.prediction.alike import HALF_LIFE, NEWEST, _others
from connector.domain.prediction.model import Model
from connector.domain.prediction.survival import FARTHEST
from connector.domain.prediction.timeline import FAR, STRENGTH
from connector.domain.receivables import Allocation, Customer, Invoice, Payment, Status
from connector.reviewing import judging
from connector.reviewing.conclusions import Conclusion

Answer = tuple[float, float, int, int, int]  # late, late_30, earliest, expected, latest


def customer(tx: Connection, connection_id: str, id: str) -> tuple[Customer, list[Invoice], list[Payment]]:
    """One customer's records, one SELECT a table."""

    def rows(table: sa.Table, column: str) -> list[dict[str, Any]]:
        query = sa.select(table).where(table.c.connection_id == connection_id, table.c[column] == id)
        return [dict(row._mapping) for row in tx.execute(query)]

    def made(record: type[Any], row: dict[str, Any], **more: Any) -> Any:
        names = record.__dataclass_fields__
        return record(**{k: v for k, v in row.items() if k in names} | more)

    parts: dict[str, list[Allocation]] = {}
    for row in rows(db.allocations, "customer_id"):
        parts.setdefault(row["source_id"], []).append(made(Allocation, row))
    invoices = [made(Invoice, row, status=Status(row["status"])) for row in rows(db.invoices, "customer_id")]
    payments = [
        made(Payment, row, allocations=tuple(parts.get(row["id"], ())))
        for row in rows(db.payments, "customer_id")
    ]
    return made(Customer, rows(db.customers, "id")[0]), invoices, payments


class ByObject:
    """Judges and predicts one customer after the other."""

    def __init__(self, model: Model, middle: float, book: dict[str, Share]) -> None:
        self.model, self.day, self.middle, self.book = model, model.day, middle, book
        self.waits = model.alike.book.waits(np.array([model.day]))[0].tolist()

    @cache  # noqa: B019 - lives as long as the benchmark
    def book_rate(self, weekday: int, elapsed: int, limit: int) -> float:
        day, ago = np.array([self.day]), np.array([elapsed])
        if limit:
            shared = self.model.alike.own.shared(day, limit)
            return float((shared / np.maximum(self.model.alike.book.still_open(day, ago), shared))[0])
        return float(self.model.alike.book.late(day, np.array([self.waits[weekday]]), ago)[0])

    @cache  # noqa: B019
    def lasts(self, age: int, share: float) -> int:
        return age + int(self.model.lasting.remaining(np.array([age]), share)[0])

    @cache  # noqa: B019
    def others(self, elapsed: int) -> list[tuple[int, float]]:
        days, weight = _others(np.array([elapsed]), self.model.lasting)
        return list(zip(days[0].tolist(), (STRENGTH * weight[0]).tolist(), strict=True))

    def conclude(self, who: Customer, invoices: list[Invoice], payments: list[Payment]) -> Conclusion:
        today = dt.date.fromordinal(self.day)
        return judging.judge(who, invoices, payments, (), Policy(), today, book=self.book)

    def predict(self, invoices: list[Invoice], payments: list[Payment]) -> dict[str, Answer]:
        came: dict[str, list[tuple[int, int]]] = {}
        for payment in payments:
            for part in payment.allocations:
                day = (part.date or payment.date).toordinal()
                came.setdefault(part.invoice_id, []).append((day, part.amount))
        known = []
        for invoice in invoices:
            settled, total = FAR, 0
            for day, amount in sorted(came.get(invoice.id, ())) if invoice.balance <= 0 else ():
                total += amount
                if total >= invoice.total:
                    settled = day
                    break
            if invoice.balance > 0 or settled < FAR:
                due, size = invoice.due.toordinal(), math.log(invoice.total / self.middle)
                known.append(SimpleNamespace(id=invoice.id, due=due, issued=invoice.date.toordinal(), settled=settled, size=size))  # fmt: skip
        known.sort(key=attrgetter("due", "issued", "settled", "size"))
        past = [k for k in known if k.due < self.day][-NEWEST:]
        return {k.id: self._answer(k, past, known) for k in known if k.settled == FAR}

    def _answer(self, one: Any, past: list[Any], known: list[Any]) -> Answer:
        late_30 = self._chance(one, past, known, 30)
        late = max(self._chance(one, past, known, 0), late_30)
        earliest, expected, latest = self._days(one, past)
        for limit, chance in ((0, late), (30, late_30)):
            if chance > 0.5:
                expected = max(expected, one.due + limit + 1)
            else:
                expected = min(expected, max(one.due + limit, self.day + 1))
        return late, late_30, min(earliest, expected), expected, max(latest, expected)

    def _chance(self, one: Any, past: list[Any], known: list[Any], limit: int) -> float:
        elapsed = self.day - one.due
        if elapsed > limit:
            return 1.0
        found = self._replayed(one, past, elapsed, limit)
        if not self.model.record.falls_back(limit):
            return found
        count = late = 0
        for k in known:
            if k.settled > k.due + limit:
                seen = k.due + limit + 1 <= self.day
                count, late = count + seen, late + seen
            else:
                count += k.settled <= self.day
        shared = float(self.model.alike.own.shared(np.array([self.day]), limit)[0])
        rate = (late + STRENGTH * shared) / (count + STRENGTH)
        since = _odds(found) - _odds(self._replayed(one, past, -FAR, limit))
        return 1 / (1 + math.exp(-_odds(rate) - since))

    def _replayed(self, one: Any, past: list[Any], elapsed: int, limit: int) -> float:
        sums = [0.0] * 6
        for k, gap, recent, near in self._compared(one, past, elapsed):
            if k.due + max(self.waits[k.due % 7], limit) >= self.day and gap == FAR:
                continue
            weights = (recent, recent * near, recent * near * (k.due % 7 == one.due % 7))
            for n, weight in enumerate(weights):
                sums[n] += weight * (gap > limit)
                sums[n + 3] += weight
        rate = self.book_rate(one.due % 7, elapsed, limit)
        for n in range(3):
            rate = (sums[n] + STRENGTH * rate) / (sums[n + 3] + STRENGTH)
        return rate

    def _compared(self, one: Any, past: list[Any], elapsed: int) -> Any:
        for k in past:
            gap = k.settled - k.due if k.settled <= self.day else FAR
            if 0 <= gap <= self.waits[k.due % 7]:
                gap = self.waits[one.due % 7]
            if gap > elapsed:
                recent = 2 ** ((k.due - self.day) / HALF_LIFE)
                yield k, gap, recent, math.exp(-abs(k.size - one.size))

    def _days(self, one: Any, past: list[Any]) -> tuple[int, int, int]:
        elapsed = self.day - one.due
        weighted: list[tuple[int, float, int | None]] = []
        for k, gap, recent, near in self._compared(one, past, elapsed):
            age = None if gap < FAR // 2 else max(self.day - k.due, elapsed)
            lasts = gap if age is None else self.lasts(age, 0.5)
            weight = recent * near * (STRENGTH if k.due % 7 == one.due % 7 else 1)
            weighted.append((lasts - elapsed, weight, age))
        weighted.reverse()  # the newest first, and the book's last
        weighted += [(days, weight, None) for days, weight in self.others(elapsed)]
        weighted.sort(key=itemgetter(0))
        whole, sums, found = sum(w for _, w, _ in weighted), 0.0, list[int]()
        for days, weight, age in weighted:
            sums += weight
            while len(found) < 3 and sums >= whole * (share := (0.1, 0.5, 0.9)[len(found)]):
                if age is not None:
                    days = self.lasts(age, share) - elapsed
                found.append(self.day + min(max(days, 1), FARTHEST))
        return found[0], found[1], found[2]


def _odds(chance: float) -> float:
    chance = min(max(chance, 0.002), 0.998)
    return math.log(chance / (1 - chance))
