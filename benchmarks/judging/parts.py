"""Part-payments on real books: are they all found, and how do invoices end that begin with a part?"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.judging.accuracy import as_known, read
from connector.domain.policy import Policy
from connector.domain.prediction.model import A_YEAR, fit
from connector.domain.prediction.timeline import FAR
from connector.mirroring import books_file
from connector.reviewing import judging


@dataclass(frozen=True)
class Parts:
    """`found` invoices of the `partly_paid` findings, `there` by plain addition; the same set when `exact`."""

    there: int
    found: int
    exact: bool
    said: float  # chance to be open a year after a first part, as learned on the cut
    was: float  # share that was, among first parts after the cut
    asked: int


def measure(path: Path, share: float) -> Parts:
    """The file holds one company; `share` of the first parts are learned from, the later ones are asked about."""
    (line,) = books_file.companies(path)
    end = line.company.as_of or line.company.last_date
    assert end is not None
    there, found = _there(line, end), _found(line, end)
    ((whole, last),) = read(path)
    parted = np.sort(whole.parted[whole.parted < FAR])
    old_enough = parted[parted + A_YEAR < last]
    cut = int(old_enough[round(len(old_enough) * share)])
    learned = fit(as_known(whole, np.flatnonzero(whole.issued <= cut), cut), cut)
    later = (whole.parted > cut) & (whole.parted + A_YEAR < last)
    open_ = whole.settled[later] > whole.parted[later] + A_YEAR
    said = float("nan")
    if learned.unfinished is not None:
        said = float(learned.unfinished.stays(np.zeros(1, np.int64), A_YEAR)[0])
    return Parts(len(there), len(found), there == found, said, float(open_.mean()), int(later.sum()))


def _there(line: books_file.CompanyLine, end: dt.date) -> set[str]:
    paid: dict[str, int] = defaultdict(int)
    for payment in line.payments or []:
        for part in payment.allocations or [] if payment.date <= end else []:
            paid[part.invoice_id] += part.amount_cents
    for credit in line.credits or []:
        for part in credit.allocations or [] if credit.date <= end else []:
            paid[part.invoice_id] += 0
    credited: dict[str, int] = defaultdict(int)
    for credit in line.credits or []:
        for part in credit.allocations or [] if credit.date <= end else []:
            credited[part.invoice_id] += part.amount_cents
    void = {i.id for i in line.invoices if any(s.what == "voided" and s.date <= end for s in i.state or [])}
    return {
        i.id
        for i in line.invoices
        if i.id not in void
        and i.issue_date <= end
        and paid[i.id] > 0
        and paid[i.id] + credited[i.id] < i.total_cents
    }


def _found(line: books_file.CompanyLine, end: dt.date) -> set[str]:
    known = books_file.known_on(line, end)
    of: dict[str, tuple[list, list, list]] = defaultdict(lambda: ([], [], []))  # type: ignore[type-arg]
    for n, records in enumerate((known.invoices, known.payments, known.credits)):
        for record in records:
            of[record.customer_id][n].append(record)
    found: set[str] = set()
    for customer in known.customers:
        concluded = judging.judge(customer, *of[customer.id], Policy(), end)
        for finding in concluded.findings:
            if finding.kind == "partly_paid":
                found |= {e.invoice for e in finding.evidence}
    return found
