"""On which day what is concluded about a customer can next be different, although nothing happens.

While something is open, or was said, every day can say something else. A customer who has paid everything stays
as they are until an invoice leaves one of the windows that findings and assessment look through, so a nightly
review may leave them alone until then.
"""

from __future__ import annotations

import datetime as dt

from connector.domain.assessment import RECENTLY
from connector.domain.findings.facts import Receivables
from connector.domain.findings.habits import record
from connector.domain.receivables import CreditNote, Payment, Status

NEVER = dt.date.max
A_YEAR = 365
# Days after a due date on which a customer who was ever late may look different: a season (assessment), the
# year's mean (assessment), and what a recovery is measured against (findings).
AFTER_LATE = (245, A_YEAR + 1, 486, 541)


def next_change(receivables: Receivables, today: dt.date) -> dt.date:
    """The first day after `today` that may bring another conclusion; NEVER when none does."""
    if receivables.events or receivables.agreed or receivables.open():
        return today + dt.timedelta(1)
    live = [i for i in receivables.invoices if i.status not in (Status.VOID, Status.DRAFT)]
    if any(i.balance > 0 for i in live):
        return today + dt.timedelta(1)
    received = receivables.received(today)
    windows = [RECENTLY + 1]
    if any(p.late for p in record(receivables, today)):
        windows += AFTER_LATE
    days = {i.due + dt.timedelta(n) for i in live for n in windows}
    days |= {i.date for i in live}
    if any(len(parts) > 1 for parts in received.values()):
        days |= {i.date + dt.timedelta(A_YEAR + 1) for i in live}
    documents: list[Payment | CreditNote] = [*receivables.payments, *receivables.credits]
    for document in documents:
        days.add(document.date)
        days.update(part.date for part in document.allocations if part.date)
    return min((day for day in days if day > today), default=NEVER)
