"""Interest and the fixed sum that the law grants on late business debts: worked out and shown, never posted by itself.

Rules and sources: docs/accounting.md, "Law". Rates are a table with dates, because they change twice a year; a day without
a rate on file is refused, never guessed. Not for consumers. This is no legal advice.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal

from connector.domain import money

POINTS = Decimal(8)  # above the reference rate, in both regimes


class NoRate(LookupError):
    """Nothing is on file for this place or day; `str()` says so for a bookkeeper."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A reference rate: `percent` a year from `start` for half a year. `checked_on` None: nobody found it in a
    public source yet, so it is shown and never applied."""

    start: dt.date
    percent: Decimal
    source: str
    checked_on: dt.date | None


@dataclass(frozen=True, slots=True)
class Regime:
    """One law. `rates` are ordered by day. `fixed`: debts below this sum (whole units, None is no limit) → fixed
    sum in `currency`."""

    name: str
    currency: str
    rates: tuple[Rate, ...]
    fixed: tuple[tuple[int | None, int], ...]
    source: str

    def with_own(self, own: Iterable[tuple[dt.date, Decimal, str]]) -> Regime:
        """With the rows that a bookkeeper entered or confirmed: (from which day, reference percent, source)."""
        rows = {rate.start: rate for rate in self.rates}
        for start, percent, source in own:
            rows[start] = Rate(start, percent, source, start)
        return replace(self, rates=tuple(rows[start] for start in sorted(rows)))


def _rows(checked_on: dt.date | None, source: str, *rows: tuple[int, int, str]) -> tuple[Rate, ...]:
    return tuple(Rate(dt.date(y, month, 1), Decimal(rate), source, checked_on) for y, month, rate in rows)


_CHECKED = dt.date(2026, 11, 22)
UK = Regime(
    "Late Payment of Commercial Debts (Interest) Act 1998",
    "GBP",
    (
        *_rows(
            _CHECKED,
            "payontime.co.uk, table of reference rates",
            (2022, 1, "0.25"), (2022, 7, "1.25"), (2023, 1, "3.5"), (2023, 7, "5"), (2024, 1, "5.25"),
        ),
        *_rows(_CHECKED, "Bank Rate held on 20 June 2024, cipp.org.uk", (2024, 7, "5.25")),
        *_rows(_CHECKED, "Bank Rate at the end of 2024, focus-economics.com", (2025, 1, "4.75")),
        *_rows(_CHECKED, "Bank Rate held on 19 June 2025, financialreporter.co.uk", (2025, 7, "4.25")),
        *_rows(_CHECKED, "Bank Rate cut on 18 December 2025, streets.uk", (2026, 1, "3.75")),
        *_rows(_CHECKED, "Bank Rate held in June 2026, livesquawk.com and usewolfx.com", (2026, 7, "3.75")),
    ),
    ((1_000, 40), (10_000, 70), (None, 100)),
    "Bank of England base rate on 31 December and 30 June before each half-year",
)  # fmt: skip
EU = Regime(
    "Late Payment Directive 2011/7/EU (the least that national law must grant)",
    "EUR",
    (
        *_rows(
            _CHECKED,
            "enterprise.gov.ie, late payment interest rate since 2013",
            (2022, 1, "0"), (2022, 7, "0"), (2023, 1, "2.5"), (2023, 7, "4"), (2024, 1, "4.5"), (2024, 7, "4.25"),
        ),
        *_rows(_CHECKED, "resolution of 30 December 2024 (Spain), orientelegal.es", (2025, 1, "3.15")),
        *_rows(_CHECKED, "tender of 25 June 2025 (until 2 July), Bank of Slovenia, bsi.si", (2025, 7, "2.15")),
        *_rows(_CHECKED, "Gazzetta Ufficiale 15 of 20 January 2026, avvocatoandreani.it", (2026, 1, "2.15")),
        *_rows(_CHECKED, "raised on 11 June 2026, livesquawk.com; the three rates in rbtfl.xyz", (2026, 7, "2.4")),
    ),
    ((None, 40),),
    "European Central Bank main refinancing rate on 1 January and 1 July",
)  # fmt: skip
_EURO = (
    *("AT", "BE", "CY", "DE", "EE", "ES", "FI", "FR", "GR", "HR", "IE", "IT", "LT", "LU", "LV", "MT"),
    *("NL", "PT", "SI", "SK"),
)
REGIMES = {"GB": UK, **dict.fromkeys(_EURO, EU)}


def regime_code(country: str) -> str:
    """ "UK", "EU", or "" where no such law is on file."""
    found = REGIMES.get(country.upper().partition("-")[0])
    return "" if found is None else "UK" if found is UK else "EU"


@dataclass(frozen=True, slots=True)
class Span:
    """Part of the time: `days` from `start`, on `open` minor units, at `rate` percent a year."""

    start: dt.date
    days: int
    open: int
    rate: Decimal
    source: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """What the law grants on one invoice up to a day. Minor units."""

    regime: Regime
    currency: str
    interest: int
    fixed: int
    spans: tuple[Span, ...]

    @property
    def total(self) -> int:
        return self.interest + self.fixed


def claim(
    country: str,
    currency: str,
    due: dt.date,
    total: int,
    settled: Iterable[tuple[dt.date, int]],
    today: dt.date,
    *,
    since: dt.date | None = None,
    own: Iterable[tuple[dt.date, Decimal, str]] = (),
) -> Claim:
    """Simple interest from the day after `due` up to `today`, and the fixed sum for the debt as it fell due.

    `settled` are the sums (minor units) that lowered the debt, by day. `since`: interest up to that day was charged
    already. `own` are rates that a bookkeeper entered. Raises NoRate for a place without such a law, a currency that
    is not its own, or a day without a checked rate on file.
    """
    found = REGIMES.get(country.upper().partition("-")[0])
    if found is None:
        raise NoRate(f"No interest by law is on file for {country or 'an unknown country'}.")
    regime = found.with_own(own)
    if currency != regime.currency:
        raise NoRate(f"Interest by law is on file for debts in {regime.currency}, not in {currency}.")
    days = sorted(settled)
    open_at_due = total - sum(amount for day, amount in days if day <= due)
    start = max(due, since or due)
    open_then = total - sum(amount for day, amount in days if day <= start)
    spans = tuple(_spans(regime, start, open_then, days, today))
    exact = sum((Decimal(s.open) * s.rate * s.days / 36500 for s in spans), Decimal(0))
    return Claim(
        regime=regime,
        currency=currency,
        interest=_whole(exact),
        fixed=_fixed(regime, open_at_due, currency) if today > due and open_at_due > 0 else 0,
        spans=spans,
    )


def _spans(
    regime: Regime, due: dt.date, open_: int, settled: Sequence[tuple[dt.date, int]], today: dt.date
) -> Iterable[Span]:
    """The time from the due date to today, cut where the debt or the rate changes."""
    if today <= due or open_ <= 0:
        return
    cuts = {due, today}
    cuts |= {day for day, _ in settled if due < day < today}
    first_of_rates = (rate.start - dt.timedelta(1) for rate in regime.rates)  # it holds for that day itself
    cuts |= {day for day in first_of_rates if due < day < today}
    ordered = sorted(cuts)
    for start, end in zip(ordered, ordered[1:], strict=False):
        owed = open_ - sum(amount for day, amount in settled if due < day <= start)
        if owed > 0:
            row = row_on(regime, start + dt.timedelta(1))
            row_on(regime, end)  # the table may end within the span: refused, not drawn out
            yield Span(start, (end - start).days, owed, row.percent + POINTS, row.source)


def row_on(regime: Regime, day: dt.date) -> Rate:
    """The row of the table that holds on a day. Raises NoRate, also for one that nobody checked."""
    n = bisect_right([rate.start for rate in regime.rates], day)
    half_year_over = n == len(regime.rates) and day >= _after_half_year(regime.rates[-1].start)
    if n == 0 or half_year_over:
        raise NoRate(f"No rate of {regime.name} is on file for {day}. Enter it, then ask again.")
    row = regime.rates[n - 1]
    if row.checked_on is None:
        raise NoRate(
            f"The rate of {regime.name} from {row.start} ({row.percent} % + {POINTS}) is not checked against a public "
            "source. Enter it with its source, then ask again."
        )
    return row


def _after_half_year(start: dt.date) -> dt.date:
    return dt.date(start.year, 7, 1) if start.month == 1 else dt.date(start.year + 1, 1, 1)


def _fixed(regime: Regime, debt: int, currency: str) -> int:
    one: int = 10 ** money.exponent(currency)
    return next(sum_ * one for below, sum_ in regime.fixed if below is None or debt < below * one)


def _whole(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))
