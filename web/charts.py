"""Charts as SVG made on the server, colored by the page's tokens. No chart without its sentence.

Amounts are whole minor units of one currency; never two currencies in one chart.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from connector.domain.money import exponent

AGES = ("Not yet due", "1–30", "31–60", "61–90", "Over 90")
_PATTERNS = Markup(
    '<defs><pattern id="dots" width="4" height="4" patternUnits="userSpaceOnUse">'
    '<rect width="4" height="4" fill="var(--age-3)"/><circle cx="1" cy="1" r="0.8" fill="var(--sheet)"/></pattern>'
    '<pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="5" height="5" fill="var(--age-4)"/><rect width="1.5" height="5" fill="var(--sheet)"/></pattern></defs>'
)


def nice_steps(highest: int, lines: int = 4) -> list[int]:
    """Round grid values from 0 to at least `highest`, at most `lines` above zero."""
    if highest <= 0:
        return [0, 1]
    rough, step = highest / lines, 1
    while True:
        for factor in (1, 2, 5):
            if step * factor >= rough:
                return list(range(0, highest + step * factor, step * factor))[: lines + 2]
        step *= 10


def short(minor: int, currency: str) -> str:
    """Axis labels: 150k, 1.2m."""
    whole = minor / 10 ** exponent(currency)
    for size, letter in ((1_000_000, "m"), (1_000, "k")):
        if abs(whole) >= size:
            return f"{whole / size:g}{letter}"
    return f"{whole:g}"


def aging_columns(weeks: Sequence[tuple[str, Sequence[int]]], currency: str, sentence: str) -> Markup:
    """One stacked column a week, the oldest money at the base so that it reads along the axis.

    `weeks`: (label or "", the five buckets from not yet due to over 90).
    """
    width, height, left, bottom = 600, 190, 52, 24
    top = max((sum(b) for _, b in weeks), default=0)
    grid = nice_steps(top)
    scale = (height - bottom - 12) / (grid[-1] or 1)
    base = height - bottom
    parts = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            width, height, "Who owes what, by age, week by week. " + sentence
        ),
        _PATTERNS,
    ]
    for value in grid:
        y = base - value * scale
        parts.append(
            Markup(
                '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
                '<text x="{}" y="{:.1f}" text-anchor="end">{}</text>'
            ).format(left, width, y, y, left - 8, y + 4, short(value, currency))
        )
    step = (width - left) / max(1, len(weeks))
    for i, (label, buckets) in enumerate(weeks):
        y = float(base)
        for age in range(4, -1, -1):
            tall = buckets[age] * scale
            if tall <= 0:
                continue
            y -= tall
            parts.append(
                Markup(
                    '<rect class="fill-{} edge" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>'
                ).format(age, left + i * step + 1, y, max(1.0, step - 2), tall)
            )
        if label:
            parts.append(
                Markup('<text x="{:.1f}" y="{}">{}</text>').format(left + i * step, height - 6, label)
            )
    parts.append(Markup("</svg>"))
    return Markup("").join(parts)


def aging_bar(buckets: Sequence[int], whole: int, sentence: str) -> Markup:
    """A small bar of what is overdue, by age; `whole` is the widest bar's sum on the same page."""
    width, x = 150, 0.0
    parts = [
        Markup(
            '<svg class="chart" width="{}" height="12" viewBox="0 0 {} 12" role="img" aria-label="{}">'
        ).format(width, width, sentence),
        _PATTERNS,
    ]
    for age in range(1, 5):
        wide = buckets[age] * width / whole if whole else 0
        if wide > 0:
            parts.append(
                Markup('<rect class="fill-{} edge" x="{:.1f}" y="1" width="{:.1f}" height="10"/>').format(
                    age, x, wide
                )
            )
            x += wide
    parts.append(Markup("</svg>"))
    return Markup("").join(parts)
