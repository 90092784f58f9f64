"""Is the prediction right? Later invoices of real books, predicted on the day they were issued.

Strict in time: a book is learned as known on the cut; an invoice issued after it is asked about on its issue
day, with what the ledger held by then about its customer. *Unseen* leaves a customer wholly out of the
learning, for four parts of the customers in turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from connector import books_file
from connector.domain.prediction import model
from connector.domain.prediction.features import FAR, Days, Facts, Flags, Floats, History
from connector.domain.prediction.history import history, learnable

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
                learned = model.fit(_as_known(whole, np.flatnonzero(taught), cut), cut)
                parts.append(_answers(learned, whole, asked, cut, end, n))
    names = Answers.__dataclass_fields__
    return Answers(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


def _as_known(whole: History, rows: Days, day: int) -> History:
    settled, parted = whole.settled[rows], whole.parted[rows]
    return History(
        whole.customer[rows],
        whole.issued[rows],
        whole.due[rows],
        np.where(settled <= day, settled, FAR),
        np.where(parted <= day, parted, FAR),
        whole.amount[rows],
    )


def _answers(learned: model.Model, whole: History, asked: Days, cut: int, end: int, company: int) -> Answers:
    rows = Facts(whole).rows(asked, whole.issued[asked])  # each row looks back from its issue day only
    late, late_30, days = learned.answers(rows)
    due, settled = whole.due[asked], whole.settled[asked]
    return Answers(
        late=late,
        late_30=late_30,
        rate=rows.late,
        rate_30=rows.late_30,
        days=np.round(days),
        usual_days=rows.days,
        was_late=settled > due,
        was_late_3=settled > due + 3,
        was_late_30=settled > due + 30,
        days_late=np.where(settled < FAR, settled - due, np.nan).astype(float),
        certain_30=due + 30 < end,
        seen=np.isin(whole.customer[asked], whole.customer[whole.issued <= cut]),
        settled=rows.settled,
        customer=whole.customer[asked] + 1_000_000 * company,
    )


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
