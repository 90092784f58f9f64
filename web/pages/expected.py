"""Money expected in the coming weeks, beside what was expected before: figures, chart and sentences for a page."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from markupsafe import Markup

from connector.reviewing.expecting import BACK, Expectation
from web import charts, words

SHOWN = 8  # weeks
SOON = 4  # weeks that the first figure sums up


@dataclass(frozen=True, slots=True)
class View:
    """Ready for the template. Minor units; `rows` are (Monday, now, low, high, known before, said before).

    `known_now` and `known_before` leave the running week out.
    """

    on: dt.date
    soon: int
    low: int
    high: int
    before_on: dt.date | None
    told: bool
    known_now: int
    known_before: int
    was: int | None
    came: int | None
    chart: Markup
    rows: list[tuple[dt.date, int, int, int, int, int | None]]


def next_weeks(outlook: Expectation) -> int:
    """What the next four weeks may bring, in minor units."""
    return sum(w.amount for w in outlook.now.weeks[:SOON])


def view(outlook: Expectation, currency: str) -> View:
    weeks = outlook.now.weeks[:SHOWN]
    first, last = weeks[0].monday, weeks[-1].monday
    then = {w.monday: w.amount for w in outlook.before.weeks} if outlook.before else {}
    then.pop(first, None)  # of the running week a part has come: it is not compared
    rows = [  # nothing is newer than an earlier word that nobody gave
        (w.monday, w.amount, w.low, w.high, w.older if outlook.before else w.amount, then.get(w.monday))
        for w in weeks
    ]
    known_now = sum(w.older for w in weeks[1:])
    known_before = sum(then.get(w.monday, 0) for w in weeks[1:])
    past = outlook.before.between(first - BACK, first - dt.timedelta(days=1)) if outlook.before else ()
    soon = weeks[:SOON]
    # The range of a sum of weeks: of independent weeks, which these are not quite; the single ranges added up
    # would be far too wide.
    mean = sum(w.amount for w in soon)
    spread = sum(((w.high - w.low) / 2) ** 2 for w in soon) ** 0.5
    return View(
        on=outlook.now.on,
        soon=mean,
        low=max(0, round(mean - spread)),
        high=round(mean + spread),
        before_on=outlook.before.on if outlook.before else None,
        told=outlook.before.told if outlook.before else True,
        known_now=known_now,
        known_before=known_before,
        was=sum(w.amount for w in past) if past else None,
        came=outlook.came if past else None,
        chart=_chart(rows, currency, last, mean),
        rows=rows,
    )


def _chart(
    rows: list[tuple[dt.date, int, int, int, int, int | None]], currency: str, last: dt.date, soon: int
) -> Markup:
    columns = [
        charts.Expected(_label(monday, n), amount, low, high, older, before)
        for n, (monday, amount, low, high, older, before) in enumerate(rows)
    ]
    sentence = (
        f"About {words.about(soon, currency)} in the next four weeks, and "
        f"{words.about(sum(r[1] for r in rows), currency)} until the week of {words.day(last)}."
    )
    wide = charts.expected_columns(columns, currency, sentence, more="wide-only")
    return wide + charts.expected_columns(columns, currency, sentence, width=330, more="narrow-only")


def _label(monday: dt.date, n: int) -> str:
    return f"{monday.day} {monday:%b}" if n == 0 or monday.day <= 7 else str(monday.day)
