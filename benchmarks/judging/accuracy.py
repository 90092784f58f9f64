"""Is the prediction right? Later invoices of real books, predicted on the day they were issued.

Strict in time: what is taken from the book as a whole (whether to believe the method, how long overdue invoices
last) is taken as known on the cut; an invoice issued after it is asked about on its issue day, with what the
ledger held by then. *Unseen* leaves the customer out of what is taken at the cut, a quarter of them in turn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from connector.domain.prediction import model
from connector.domain.prediction.alike import Alike
from connector.domain.prediction.history import history, learnable
from connector.domain.prediction.timeline import FAR, Days, Flags, Floats, History, OwnRate
from connector.mirroring import books_file

SPLIT = 0.7  # of the days from the first invoice to the end of the file
FOLDS = 4


@dataclass(frozen=True)
class Answers:
    """Columns over test invoices. `seen`: the customer had an invoice before the cut."""

    late: Floats
    late_30: Floats
    rate: Floats  # the customer's own late rate so far, shrunk to the book: the baseline
    rate_30: Floats
    days: Floats
    low: Floats  # nine of ten are paid later than this, and nine of ten sooner than `high`
    high: Floats
    usual_days: Floats
    was_late: Flags
    was_late_3: Flags
    was_late_30: Flags
    days_late: Floats
    certain_30: Flags
    seen: Flags
    settled: Floats
    customer: Days

    def only(self, chosen: Flags) -> Answers:
        return Answers(**{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__})


def read(path: Path) -> list[tuple[History, int]]:
    """Every company's whole history, and the last day that the file knows."""
    found = []
    for line in books_file.companies(path):
        end = line.company.as_of or line.company.last_date
        if end is None or len(line.invoices) < 2:
            continue
        known = books_file.known_on(line, end)
        columns, _ = history(*learnable(known.invoices, known.payments, known.credits), end)
        found.append((columns, end.toordinal()))
    return found


def measure(books: list[tuple[History, int]], *, unseen: bool, split: float = SPLIT) -> Answers:
    """All companies' test invoices in one row of columns."""
    parts = []
    for n, (whole, end) in enumerate(books):
        first = int(whole.issued.min())
        cut = int(first + (end - first) * split)
        test = np.flatnonzero((whole.issued > cut) & (whole.due < end))
        if not len(test):
            continue
        fold = np.random.default_rng(n).permutation(int(whole.customer.max()) + 1)[whole.customer] % FOLDS
        for k in range(FOLDS if unseen else 1):
            taught = (whole.issued <= cut) & ((fold != k) if unseen else True)
            asked = test[fold[test] == k] if unseen else test
            if len(asked) and taught.any():
                learned = model.fit(as_known(whole, np.flatnonzero(taught), cut), cut)
                parts.append(_answers(learned, whole, asked, cut, end, n))
    names = Answers.__dataclass_fields__
    return Answers(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


@dataclass(frozen=True)
class Standing:
    """Open invoices as a page shows them: on several days, each from the book of that day alone."""

    late: Floats  # of those that are not due yet, whose answer the file knows
    rate: Floats
    was_late: Flags
    late_30: Floats  # of all that are not 30 days late yet, likewise
    was_late_30: Flags


def standing(books: list[tuple[History, int]], days: int = 9) -> Standing:
    """On days spread evenly over the later half of the file."""
    parts = []
    for whole, end in books:
        first = int(whole.issued.min())
        for day in np.linspace(first + (end - first) / 2, end, days, endpoint=False).astype(int).tolist():
            rows = np.flatnonzero(whole.issued <= day)
            known = as_known(whole, rows, day)
            at = np.flatnonzero(known.settled == FAR)
            if not len(at):
                continue
            learned = model.fit(known, day)
            said, late = learned.predict(at), whole.settled[rows[at]] - whole.due[rows[at]]
            due = known.due[at]
            ahead, recent = (due >= day) & (due < end), (due + 30 >= day) & (due + 30 < end)
            rate = learned.alike.own.late(known.customer[at], np.full(len(at), day))
            parts.append(
                (said.late[ahead], rate[ahead], late[ahead] > 0, said.late_30[recent], late[recent] > 30)
            )
    return Standing(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def as_known(whole: History, rows: Days, day: int) -> History:
    """These rows as they were known at the end of `day`."""
    part = whole.only(rows)
    return replace(
        part,
        settled=np.where(part.settled <= day, part.settled, FAR),
        parted=np.where(part.parted <= day, part.parted, FAR),
    )


def _answers(learned: model.Model, whole: History, asked: Days, cut: int, end: int, company: int) -> Answers:
    """What was taken from the book at the cut stays; each row looks back from its issue day only."""
    own = OwnRate(whole)
    asks = replace(learned, alike=Alike(whole, own))
    day, who, due, settled = (c[asked] for c in (whole.issued, whole.customer, whole.due, whole.settled))
    late_30 = asks.chance(asked, day, 30)
    late = np.maximum(asks.chance(asked, day), late_30)
    ahead = np.maximum(np.round(asks.alike.remaining(asked, day, learned.lasting)), 1).astype(np.int64)
    low, middle, high = model.likelier(day[:, None] + ahead, due, day, late, late_30) - due
    usual = float(np.median((settled - due)[settled <= cut])) if (settled <= cut).any() else 0.0
    return Answers(
        late=late,
        late_30=late_30,
        rate=own.late(who, day),
        rate_30=own.late(who, day, 30),
        days=middle.astype(float),
        low=low.astype(float),
        high=high.astype(float),
        usual_days=_usual(whole, asked, usual),
        was_late=settled > due,
        was_late_3=settled > due + 3,
        was_late_30=settled > due + 30,
        days_late=np.where(settled < FAR, settled - due, np.nan).astype(float),
        certain_30=due + 30 < end,
        seen=np.isin(who, whole.customer[whole.issued <= cut]),
        settled=own.count(who, day),
        customer=who + 1_000_000 * company,
    )


def _usual(whole: History, asked: Days, otherwise: float) -> Floats:
    """The customer's own middle so far: the yardstick for days late."""
    found = np.full(len(asked), otherwise)
    order = np.argsort(whole.customer, kind="stable")
    start = np.searchsorted(whole.customer[order], np.arange(int(whole.customer.max()) + 2))
    for n, row in enumerate(asked.tolist()):
        mine = order[start[whole.customer[row]] : start[whole.customer[row] + 1]]
        paid = mine[whole.settled[mine] <= whole.issued[row]]
        if len(paid):
            found[n] = np.median(whole.settled[paid] - whole.due[paid])
    return found


def auc(happened: Flags, chance: Floats) -> float:
    """The share of pairs that are in the right order; ties count half."""
    _, place, count = np.unique(chance, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    yes, no = int(happened.sum()), int((~happened).sum())
    if not yes or not no:
        return float("nan")
    return float((rank[happened].sum() - yes * (yes + 1) / 2) / (yes * no))


def average_precision(happened: Flags, chance: Floats) -> float:
    """Ties share the precision of their whole group, so that an order within them earns nothing."""
    if not happened.any():
        return float("nan")
    value, place = np.unique(-chance, return_inverse=True)
    hits, size = np.bincount(place, happened, len(value)), np.bincount(place, minlength=len(value))
    precision = np.cumsum(hits) / np.cumsum(size)
    return float((precision * hits).sum() / happened.sum())


def brier(happened: Flags, chance: Floats) -> float:
    return float(((chance - happened) ** 2).mean())


def calibration(happened: Flags, chance: Floats, bands: int = 10) -> list[tuple[float, float, int]]:
    """(mean chance, share that happened, how many) for each tenth of the scale that holds any."""
    band = np.minimum((chance * bands).astype(int), bands - 1)
    return [
        (float(chance[band == b].mean()), float(happened[band == b].mean()), int((band == b).sum()))
        for b in range(bands)
        if (band == b).any()
    ]


def calibration_error(happened: Flags, chance: Floats) -> float:
    return sum(abs(said - was) * n for said, was, n in calibration(happened, chance)) / len(chance)
