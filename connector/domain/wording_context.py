"""What the wording check is told of a text: whose it is, and which facts of the books it may name."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Context:
    """What the text is for. Without one only the tone is checked.

    `enabled` are the kinds of threat that a step of the policy really carries out ("fee", "collection" …).
    `amounts` and `dates` are all that the text may name; `numbers` the invoices that it must name; `contact`
    what it must give for questions. None: not checked.
    """

    language: str = ""
    overdue: bool = False
    offers_plan: bool = False
    enabled: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()  # of customer and organization: may be in capitals
    today: dt.date | None = None
    amounts: frozenset[Decimal] | None = None
    dates: frozenset[dt.date] | None = None
    numbers: tuple[str, ...] = ()
    contact: str = ""
