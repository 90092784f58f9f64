"""Charts as SVG made on the server, colored by the page's tokens. No chart without its sentence.

Amounts are whole minor units of one currency; never two currencies in one chart. The patterns for old debt are
in every page (`patterns.svg`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from connector.domain.money import exponent


def nice_steps(highest: int, lines: int = 4) -> list[int]:
    """Round grid values from 0 to at least `highest`, at most `lines` above zero."""
    if highest <= 0:
        return [0, 1]
    step = 1
    while True:
        for factor in (1, 2, 5):
            count = -(-highest // (step * factor))
            if count <= lines:
                return [n * step * factor for n in range(count + 1)]
        step *= 10


def short(minor: int, currency: str) -> str:
    """Axis labels: 150k, 1.2m."""
    whole = minor / 10 ** exponent(currency)
    for size, letter in ((1_000_000, "m"), (1_000, "k")):
        if abs(whole) >= size:
            return f"{whole / size:g}{letter}"
    return f"{whole:g}"


def _open(width: int, height: int, title: str, sentence: str, more: str = "") -> Markup:
    return Markup(
        '<svg class="chart {}" viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title><desc>{}</desc>'
    ).format(more, width, height, f"{title}. {sentence}", title, sentence)


def _rect(kind: str, x: float, y: float, wide: float, tall: float) -> Markup:
    """`kind` are class names of ours."""
    return Markup(f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}"/>')  # noqa: S704


def _text(x: float, y: float, words: object, more: str = "") -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" {}>{}</text>').format(x, y, Markup(more), words)  # noqa: S704


_END = Markup("</svg>")
LETTER = 7  # what a letter takes at most, on average, in units of a drawing
_ANCHOR_END, _ANCHOR_MIDDLE = 'text-anchor="end"', 'text-anchor="middle"'


def aging_columns(
    weeks: Sequence[tuple[str, Sequence[int]]], currency: str, sentence: str, width: int = 840, more: str = ""
) -> Markup:
    """One stacked column a week, the oldest money at the base so that it reads along the axis.

    `weeks`: (label or "", the five buckets from not yet due to over 90).
    """
    height, left, bottom = (230 if width > 400 else 190), 46, 24
    top = max((sum(b) for _, b in weeks), default=0)
    grid = nice_steps(top)
    scale = (height - bottom - 12) / (grid[-1] or 1)
    base = height - bottom
    parts = [_open(width, height, "Who owes what, by age, week by week", sentence, more)]
    for value in grid:
        y = base - value * scale
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(left, width, y, y)
        )
        parts.append(_text(left - 8, y + 4, short(value, currency), _ANCHOR_END))
    step = (width - left) / max(1, len(weeks))
    for i, (label, buckets) in enumerate(weeks):
        y = float(base)
        for age in range(4, -1, -1):
            tall = buckets[age] * scale
            if tall <= 0:
                continue
            y -= tall
            parts.append(_rect(f"fill-{age} edge", left + i * step + 1, y, max(1.0, step - 2), tall))
        if label:
            parts.append(_text(left + i * step, height - 6, label))
    return Markup("").join([*parts, _END])


@dataclass(frozen=True, slots=True)
class Expected:
    """One week: what is expected now with its range, the part from sums known before, and what was said then."""

    label: str
    amount: int
    low: int
    high: int
    older: int
    before: int | None


def expected_columns(
    weeks: Sequence[Expected], currency: str, sentence: str, width: int = 600, more: str = ""
) -> Markup:
    """A column a week: filled for sums known before, hollow for newer ones; the range as a whisker, and a
    dashed line at what was said before, which is to be compared with the filled part."""
    height, left, bottom, top = 230 if width > 400 else 190, 46, 24, 12
    grid = nice_steps(max([1, *(max(w.high, w.before or 0) for w in weeks)]), 3)
    scale = (height - bottom - top) / grid[-1]
    base = float(height - bottom)
    parts = [_open(width, height, "Money we expect, week by week", sentence, more)]
    for value in grid:
        y = base - value * scale
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(left, width, y, y)
        )
        parts.append(_text(left - 8, y + 4, short(value, currency), _ANCHOR_END))
    step = (width - left) / max(1, len(weeks))
    for i, week in enumerate(weeks):
        x, wide = left + i * step + step * 0.2, step * 0.6
        middle = x + wide / 2
        for kind, start, end in (("known", 0, week.older), ("newer", week.older, week.amount)):
            if end > start:
                parts.append(_rect(kind, x, base - end * scale, wide, (end - start) * scale))
        if week.high > week.low:
            a, b = base - week.high * scale, base - week.low * scale
            parts.append(
                Markup(
                    '<path class="range" d="M{m:.1f} {a:.1f}V{b:.1f}M{l:.1f} {a:.1f}h8M{l:.1f} {b:.1f}h8"/>'
                ).format(m=middle, a=a, b=b, l=middle - 4)
            )
        if week.before is not None:
            y = base - week.before * scale
            parts.append(
                Markup('<line class="before" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>').format(
                    x - 5, x + wide + 5, y, y
                )
            )
        if width > 400 or i % 2 == 0:
            parts.append(_text(middle, height - 6, week.label, _ANCHOR_MIDDLE))
    return Markup("").join([*parts, _END])


def said_and_was(
    bands: Sequence[tuple[float, float, int]], title: str, sentence: str, width: int = 600, more: str = ""
) -> Markup:
    """Calibration: a column for each band of chances, as tall as the share that happened; a dashed line at the
    chance that was said. `bands`: (said, was, how many), shares from 0 to 1."""
    height, left, bottom, top = 230 if width > 400 else 190, 46, 42, 12
    scale, base = float(height - bottom - top), float(height - bottom)
    parts = [_open(width, height, title, sentence, more)]
    for share in (0, 25, 50, 75, 100):
        y = base - share / 100 * scale
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(left, width, y, y)
        )
        parts.append(_text(left - 8, y + 4, f"{share} %", _ANCHOR_END))
    step = (width - left) / max(1, len(bands))
    for i, (said, was, count) in enumerate(bands):
        x, wide = left + i * step + step * 0.25, step * 0.5
        tall = max(was * scale, 1.0)
        parts.append(
            Markup(
                '<rect class="known" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>'
            ).format(x, base - tall, wide, tall, f"said {said:.0%}, happened {was:.0%}, {count:,} invoices")
        )
        y = base - said * scale
        parts.append(
            Markup('<line class="before" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>').format(
                x - 8, x + wide + 8, y, y
            )
        )
        parts.append(_text(x + wide / 2, height - 24, f"said {said:.0%}", _ANCHOR_MIDDLE))
        parts.append(_text(x + wide / 2, height - 7, f"of {count:,}", _ANCHOR_MIDDLE))
    return Markup("").join([*parts, _END])


def aging_bar(buckets: Sequence[int], whole: int, sentence: str) -> Markup:
    """A small bar of what is overdue, by age; `whole` is the widest bar's sum on the same page."""
    width, x = 150, 0.0
    parts = [
        Markup(
            '<svg class="chart" width="{}" height="12" viewBox="0 0 {} 12" role="img" aria-label="{}">'
        ).format(width, width, sentence)
    ]
    for age in range(1, 5):
        wide = buckets[age] * (width - 2) / whole if whole else 0
        if wide > 0:
            parts.append(
                Markup('<rect class="fill-{} edge" x="{:.1f}" y="1" width="{:.1f}" height="10"/>').format(
                    age, x + 0.5, wide
                )
            )
            x += wide
    return Markup("").join([*parts, _END])


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened on a day: full, half (a part-payment), talk, promise, or soon (to come)."""

    day: dt.date
    shape: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One invoice on the time line; `until` is the day it was paid, or today."""

    label: str
    amount: str
    start: dt.date
    due: dt.date
    until: dt.date
    marks: tuple[Mark, ...]
    words: str


def time_line(
    bars: Sequence[Bar],
    rows: Sequence[tuple[str, Sequence[Mark]]],
    first: dt.date,
    today: dt.date,
    last: dt.date,
    sentence: str,
    width: int = 860,
    more: str = "",
) -> Markup:
    """One row per invoice from issue to payment, in age colors once overdue; below rows of single marks."""
    narrow = width < 600
    left, right, gap, top = (54, 8, 26, 26) if narrow else (150, 170, 27, 26)
    height = top + gap * (len(bars) + len(rows)) + 28
    span = max(1, (last - first).days)

    def at(day: dt.date) -> float:
        return left + (width - left - right) * max(0, min(span, (day - first).days)) / span

    parts = [_open(width, height, "The story so far", sentence, more)]
    month = first.replace(day=1)
    for _ in range(24):
        month = (month + dt.timedelta(days=32)).replace(day=1)
        if month > last:
            break
        x = at(month)
        parts.append(
            Markup('<line class="grid" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>').format(
                x, x, top - 6, height - 22
            )
        )
        if x < width - right - 20:
            parts.append(_text(x + 3, height - 6, month.strftime("%b %Y" if month.month == 1 else "%b")))
    for n, bar in enumerate(bars):
        y = top + gap * n + 8
        parts.append(_text(0, y + 5, bar.label, 'class="strong"'))
        if not narrow:
            parts.append(_text(left - 10, y + 5, bar.amount, _ANCHOR_END))
        parts += _stretches(bar, y, at)
        parts += [_mark(mark, at(mark.day), y) for mark in bar.marks]
        if not narrow:
            # The words stand where the bar ends, on the far side of today's line where they would cross it.
            x = max(at(bar.until), max((at(m.day) for m in bar.marks), default=0.0)) + 14
            if x <= at(today) < x + LETTER * len(bar.words):
                x = at(today) + 10
            parts.append(_text(x, y + 5, bar.words))
    for n, (label, marks) in enumerate(rows):
        y = top + gap * (len(bars) + n) + 8
        parts.append(_text(0, y + 5, label))
        parts += [_mark(mark, at(mark.day), y) for mark in marks]
    x = at(today)
    parts.append(
        Markup('<line class="today" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>').format(x, x, 16, height - 22)
    )
    parts.append(
        _text(
            min(x, width - 40), 11, "Today", 'class="strong" ' + (_ANCHOR_END if narrow else _ANCHOR_MIDDLE)
        )
    )
    return Markup("").join([*parts, _END])


def _stretches(bar: Bar, y: float, at) -> list[Markup]:  # type: ignore[no-untyped-def]
    """The invoice's life: within terms, then a stretch for each age that it reached."""
    edges = [bar.start, *(bar.due + dt.timedelta(days=n) for n in (0, 30, 60, 90)), dt.date.max]
    found = []
    for age in range(5):
        start, end = max(bar.start, edges[age]), min(bar.until, edges[age + 1])
        wide = at(end) - at(start) if end > start else 0
        if wide > 0:
            found.append(
                Markup('<rect class="fill-{} edge" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="7"/>').format(
                    age, at(start), y - 3.5, wide
                )
            )
    return found


def _mark(mark: Mark, x: float, y: float) -> Markup:
    shapes = {
        "full": '<circle class="full" cx="{x:.1f}" cy="{y:.1f}" r="5"/><circle class="fullcore" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>',
        "half": '<circle class="full" cx="{x:.1f}" cy="{y:.1f}" r="5"/><path class="half" d="M{x:.1f} {a:.1f} a2.6 2.6 0 0 0 0 5.2 z"/>',
        "talk": '<path class="talk" d="M{b:.1f} {c:.1f} h10 v7 h-6 l-3 3 v-3 h-1 z"/>',
        "promise": '<path class="promise" d="M{x:.1f} {c:.1f} l5 5 l-5 5 l-5 -5 z"/>',
        "soon": '<rect class="soon" x="{b:.1f}" y="{c:.1f}" width="10" height="10"/>',
    }
    return Markup(shapes[mark.shape].format(x=x, y=y, a=y - 2.6, b=x - 5, c=y - 5))  # noqa: S704 - numbers only


@dataclass(frozen=True, slots=True)
class Late:
    """How many days after its due date an invoice was paid; negative is early; `still` while it is open."""

    number: str
    due: dt.date
    days: int
    still: bool = False


def habit(
    lates: Sequence[Late],
    normal: tuple[int, int] | None,
    sentence: str,
    width: int = 860,
    more: str = "",
) -> Markup:
    """A dot per invoice over the band of the customer's own normal; open ones are hollow, at least this late."""
    height, left, right, bottom, top = 220, 46, 70, 26, 18
    lowest = min([0, *(item.days for item in lates), normal[0] if normal else 0])
    highest = max([10, *(item.days for item in lates), normal[1] if normal else 0])
    grid = nice_steps(highest, 3)
    low = min(0, -(-lowest // 1) - 3)
    scale = (height - top - bottom) / (grid[-1] - low)

    def y_of(days: int) -> float:
        return height - bottom - (days - low) * scale

    parts = [_open(width, height, "How late, against their own habit", sentence, more)]
    if normal:
        parts.append(
            Markup('<rect class="band" x="{}" y="{:.1f}" width="{}" height="{:.1f}"/>').format(
                left, y_of(normal[1]) - 3, width - left - right, y_of(normal[0]) - y_of(normal[1]) + 6
            )
        )
    for value in grid:
        y = y_of(value)
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(
                left, width - right, y, y
            )
        )
        parts.append(_text(left - 8, y + 4, "due" if value == 0 else value, _ANCHOR_END))
    step = (width - left - right) / max(1, len(lates))
    for n, item in enumerate(lates):
        x, y = left + step * (n + 0.5), y_of(item.days)
        if item.still:
            parts.append(
                Markup('<line class="stem" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>').format(
                    x, x, y_of(0), y
                )
            )
            parts.append(Markup('<path class="late" d="M{:.1f} {:.1f} l5 9 h-10 z"/>').format(x, y - 5))
            if width > 600 or n == len(lates) - 1:
                parts.append(_text(x + 9, y + 3, f"{item.number}: {item.days}", 'class="strong"'))
        else:
            parts.append(Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="3.4"/>').format(x, y))
    if lates:
        parts.append(_text(left, height - 6, lates[0].due.strftime("%b %Y")))
        parts.append(_text(width - right, height - 6, lates[-1].due.strftime("%b %Y"), _ANCHOR_END))
    return Markup("").join([*parts, _END])
